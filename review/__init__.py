"""The review desk: the queue, the evidence and the decisions in a browser.

Starlette serves it, Jinja2 writes the pages, htmx saves reloading them whole. No rule and no query
stands here: pages and the commands of the terminal call the same functions of `db`.
"""
