"""What arXiv says of a paper, from the `entry` snapshots of `arxiv`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pipelines.extract.base import Source, as_list, as_text
from pipelines.model import Evidence

ACCEPTED = re.compile(
    r"""\b(?:accepted|(?<!be\ )published\ (?:in|as|by|at)|appear(?:s|ed|ing)?\ (?:in|at)|presented\ (?:in|at)|camera[- ]ready|proceedings)\b
        (?!\ (?:https?:|under\ review))
      | \b(?:International\ Conference\ on|Annual\ (?:Meeting|Conference)\ of|Transactions\ (?:of|on)|Advances\ in\ Neural\ Information)\b
      | (?:^(?:in\b)?|[,;(]|\b(?:findings|proc\.?|oral|spotlight|poster|paper)\ (?:of|at|in)(?:\ the)?)\s*(?:(?!for\b)\w+\s+)?(?:ACL|EMNLP|NAACL|EACL|AACL|COLING|LREC(?:-COLING)?|NeurIPS|NIPS|ICML|ICLR|AAAI|IJCAI|KDD|WWW|CVPR|TACL|TMLR
          |JMLR|COLM|CoNLL|INTERSPEECH)\b(?:-HLT\b)?[\s'’),]*(?:20)?\d\d""",
    re.VERBOSE | re.IGNORECASE,
)
NOT_ACCEPTED = re.compile(
    r"\b(?:under\ review|submitted|(?:in|\d{4})\ submission|work\ in\ progress|rejected|workshop\ proposal|not\ (?:yet\ )?(?:been\ )?accepted)\b",
    re.I | re.X,
)
LONGEST_TITLE = 1000
OWN_DOI = re.compile(r"^10\.48550/", re.IGNORECASE)


def extract(source: Source) -> Iterator[Evidence]:
    """The entry itself, and each sign that it was peer-reviewed."""
    entry = source.json()
    if not isinstance(entry, dict) or not as_text(entry.get("title")).strip():
        yield source.quote("document.problem", 0, 80, problem="malformed")
        return
    authors = as_list(entry.get("authors"))
    yield source.field(
        "paper.entry",
        "$.title",
        entry["title"],
        id=as_text(entry.get("id")) or source.snapshot.ref.id,
        title=" ".join(entry["title"].split())[:LONGEST_TITLE],
        authors=authors[:20],
        summary=" ".join(as_text(entry.get("summary")).split())[:3000],
    )
    if journal := as_text(entry.get("journal_ref")):
        yield source.field("paper.review", "$.journal_ref", journal, where="journal_ref", text=journal[:300])
    comment = entry.get("comment")
    if isinstance(comment, str) and ACCEPTED.search(comment) and not NOT_ACCEPTED.search(comment):
        yield source.field("paper.review", "$.comment", comment, where="comment", text=comment[:300])
    doi = entry.get("doi")
    if isinstance(doi, str) and doi and not OWN_DOI.search(doi):
        yield source.field("paper.review", "$.doi", doi, where="doi", text=doi)
