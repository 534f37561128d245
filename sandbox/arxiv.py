"""The paper archive's query interface under /arxiv/api/query, by `id_list`."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.wire import State
from sandbox.world import Thing

NAMESPACE = "http://arxiv.org/schemas/atom"
ATOM = "application/atom+xml; charset=utf-8"
NUMBER = re.compile(r"(?P<id>\d{4}\.\d{4,5}|[a-z-]+(?:\.[A-Z]{2})?/\d{7})(?:v(?P<version>\d+))?")


def routes(state: State) -> list[Route]:
    """The one route; GET and form POST."""

    async def endpoint(request: Request) -> Response:
        query: dict[str, str] = dict(request.query_params)
        if request.method == "POST":
            query.update(parse_qsl((await request.body()).decode()))
        ids = [part.strip() for part in query.get("id_list", "").split(",") if part.strip()]
        try:
            start, size = int(query.get("start", 0)), int(query.get("max_results", 10))
        except ValueError:
            return _error("start and max_results must be integers")
        bad = next((part for part in ids if NUMBER.fullmatch(part) is None), None)
        if bad is not None:
            return _error(f"incorrect id format for {bad}")
        with state.world.lock:
            found = [entry for part in ids if (entry := _entry(state, part)) is not None]
        return Response(_feed(found[start : start + size], len(found), start, size), media_type=ATOM)

    return [Route("/arxiv/api/query", endpoint, methods=["GET", "POST"])]


def _entry(state: State, number: str) -> str | None:
    """The entry of a paper; an unknown one is absent from the feed."""
    match = NUMBER.fullmatch(number)
    thing = state.world.thing(f"arxiv/{match['id']}") if match else None
    if match is None or thing is None:
        return None
    newest = int(thing.facts.get("version", 1))
    version = int(match["version"] or newest)
    return entry_xml(thing, version) if 1 <= version <= newest else None


def entry_xml(thing: Thing, version: int) -> str:
    """A paper as an Atom entry."""
    facts = thing.facts
    name = f"{thing.key.removeprefix('arxiv/')}v{version}"
    categories = facts.get("categories", ["cs.CL"])
    lines = [
        f"<id>http://arxiv.org/abs/{name}</id>",
        f"<title>{escape(facts['title'])}</title>",
        f"<updated>{facts.get('updated', facts['published'])}</updated>",
        f"<published>{facts['published']}</published>",
        f"<summary>{escape(facts.get('summary', ''))}</summary>",
        *(f"<author><name>{escape(author)}</name></author>" for author in facts.get("authors", [])),
        *(
            f"<arxiv:{key}>{escape(str(facts[key]))}</arxiv:{key}>"
            for key in ("comment", "journal_ref", "doi")
            if facts.get(key)
        ),
        f'<link href="https://arxiv.org/abs/{name}" rel="alternate" type="text/html"/>',
        f'<link href="https://arxiv.org/pdf/{name}" rel="related" type="application/pdf" title="pdf"/>',
        f"<arxiv:primary_category term={quoteattr(categories[0])}/>",
        *(f'<category term={quoteattr(part)} scheme="{NAMESPACE}"/>' for part in categories),
    ]
    if facts.get("doi"):
        where = quoteattr(f"https://doi.org/{facts['doi']}")
        lines.append(f'<link rel="related" href={where} title="doi"/>')
    return "<entry>\n  " + "\n  ".join(lines) + "\n</entry>"


def _feed(entries: list[str], total: int, start: int, size: int) -> str:
    head = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<feed xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="{NAMESPACE}"'
        ' xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/">',
        "<id>https://arxiv.org/api/sandbox</id>",
        "<title>arXiv Query: id_list</title>",
        "<updated>2025-03-03T00:00:00Z</updated>",
        f"<opensearch:itemsPerPage>{size}</opensearch:itemsPerPage>",
        f"<opensearch:totalResults>{total}</opensearch:totalResults>",
        f"<opensearch:startIndex>{start}</opensearch:startIndex>",
    ]
    return "\n".join([*head, *entries, "</feed>"])


def _error(message: str) -> Response:
    entry = (
        "<entry><id>https://arxiv.org/api/errors</id><title>Error</title>"
        f"<updated>2025-03-03T00:00:00Z</updated><summary>{escape(message)}</summary></entry>"
    )
    return Response(_feed([entry], 1, 0, 1), 400, media_type=ATOM)
