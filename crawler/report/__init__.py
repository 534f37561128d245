"""The morning report of a run: a JSON object, and the same for people as text and as HTML.

`run_report` makes it when a run ends, `load_report` gives that of any run, also of one that was
killed before it could make its own.
"""

from crawler.report.build import UNREAD_SHOWN as UNREAD_SHOWN
from crawler.report.build import run_report as run_report
from crawler.report.text import format_report as format_report
