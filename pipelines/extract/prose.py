"""Documents written for people: READMEs, cards, guides, datasheets, pages. Read by structure.

Yields sections by topic with their substance, links with the passage that names them, sentences that
state something about access, corpora and licences by name, install instructions, citations.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.extract.base import Source
from pipelines.extract.bibtex import Entries
from pipelines.extract.corpora import find_corpora
from pipelines.extract.hub import front_matter_facts
from pipelines.extract.licences import find_licence_mentions
from pipelines.extract.links import classify_url, find_arxiv_ids, find_dois, find_pip_installs
from pipelines.extract.sections import extract_sections
from pipelines.extract.statements import FIRST_PERSON, statements_in
from pipelines.extract.topics import Topic, topics_of
from pipelines.extract.triggers import CORPUS, what_is_told
from pipelines.markdown import Document, Section, parse_markdown
from pipelines.model import ArtifactKind, Evidence

EACH_STATEMENT = 8
"""Sentences kept that state the same thing in one document."""
LINKS = 250
"""Addresses kept of one document; of numbers of papers as many again."""
CORPORA = 40

PRETRAINING = re.compile(r"pre-?\s?train|预训练", re.IGNORECASE)
TUNING = re.compile(
    r"fine-?\s?tun|instruct|\bsft\b|rlhf|\bdpo\b|preference|align(?:ed|ment)|微调|指令", re.IGNORECASE
)
ABOUT_TRAINING = re.compile(
    r"\b(?:pre-?)?train(?:ed|ing|s)?\b|fine-?\s?tun|\d\s*+(?:[TB]\s*+)?tokens\b|训练|语料|微调", re.IGNORECASE
)
MEASURED_OR_COMPARED = re.compile(
    r"\b(?:evaluat|benchmark|perplexity|unlike|compared|outperform|similar\s+to)|评测|对比", re.IGNORECASE
)


_DATA_TOPICS = frozenset(
    {Topic.DATA, Topic.TRAINING, Topic.COLLECTION, Topic.COMPOSITION, Topic.PREPROCESSING}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Places:
    """Where in a document a position stands: its section and what that is about."""

    sections: tuple[Section, ...]
    starts: tuple[int, ...]

    @classmethod
    def of(cls, document: Document) -> _Places:
        ordered = tuple(sorted(document.sections, key=lambda section: section.start))
        return cls(sections=ordered, starts=tuple(section.start for section in ordered))

    def titles(self, position: int) -> tuple[str, ...]:
        """Titles around a position, innermost first."""
        index = bisect_right(self.starts, position) - 1
        if index < 0:
            return ()
        section = self.sections[index]
        return (section.title, *reversed(section.path))

    def topics(self, position: int) -> tuple[Topic, ...]:
        """Topics of the innermost section that has any."""
        for title in self.titles(position):
            topics = topics_of(title)
            if topics:
                return topics
        return ()


def extract(source: Source) -> Iterator[Evidence]:
    """All that a document for people tells."""
    if not source.text.strip():
        yield source.quote("document.problem", 0, 0, problem="empty")
        return
    document = parse_markdown(source.text)
    places = _Places.of(document)
    yield from _front_matter(source, document)
    yield from extract_sections(source, document)
    yield from _links(source, document, places)
    yield from _sentences(source, document, places)
    for licence, scope, start, end in find_licence_mentions(source.text):
        yield source.quote("licence.mention", start, end, licence=licence, scope=scope)
    for package, start, end in find_pip_installs(source.text):
        own = bool(
            FIRST_PERSON.search(" ".join(places.titles(start)))
        ) or Topic.INSTALLATION in places.topics(start)
        yield source.quote("install", start, end, package=package, own=own)


def _front_matter(source: Source, document: Document) -> Iterator[Evidence]:
    if document.front_matter_error:
        start, end = document.front_matter_span or (0, 200)
        yield source.quote("document.problem", start, min(end, start + 200), problem="broken_front_matter")
    if document.front_matter and source.snapshot.part == "card":
        yield from front_matter_facts(source, document.front_matter, "$")


def _links(source: Source, document: Document, places: _Places) -> Iterator[Evidence]:
    seen: set[tuple[str, str]] = set()
    cited: set[str] = set()
    entries = Entries(source.text)
    for link in document.links:
        ref = None if link.is_image else classify_url(link.url)
        if ref is None or (ref.kind.value, ref.id.lower()) in seen or ref == source.snapshot.ref:
            continue
        if len(seen) >= LINKS:
            break
        seen.add((ref.kind.value, ref.id.lower()))
        start, end = _line_around(source.text, link.start, link.end)
        found = _link(source, places, ref.kind.value, ref.id, start, end, link.text, link.start, entries)
        if found.value["bibtex"] and ref.kind is ArtifactKind.ARXIV:
            cited.add(ref.id)
        yield found
    for arxiv_id, start, end in find_arxiv_ids(source.text):
        is_new = (ArtifactKind.ARXIV.value, arxiv_id) not in seen
        # A paper that prose names first and that is to be cited at the end is told both ways.
        is_cited = arxiv_id not in cited and entries.hold(start)
        if is_cited:
            cited.add(arxiv_id)
        if is_new or is_cited:
            if is_new and len(seen) >= 2 * LINKS:
                break
            seen.add((ArtifactKind.ARXIV.value, arxiv_id))
            around = _line_around(source.text, start, end)
            yield _link(
                source,
                places,
                ArtifactKind.ARXIV.value,
                arxiv_id,
                *around,
                source.text[start:end],
                start,
                entries,
            )
    for doi, start, end in find_dois(source.text):
        address = f"https://doi.org/{doi.lower()}"
        if (ArtifactKind.WEB.value, address) not in seen and len(seen) < LINKS:
            seen.add((ArtifactKind.WEB.value, address))
            around = _line_around(source.text, start, end)
            yield _link(source, places, ArtifactKind.WEB.value, address, *around, doi, start, entries)


def _link(
    source: Source,
    places: _Places,
    kind: str,
    identifier: str,
    start: int,
    end: int,
    text: str,
    position: int,
    entries: Entries,
) -> Evidence:
    topics = places.topics(position)
    passage = source.text[start:end]
    in_bibtex = entries.hold(position)
    return source.quote(
        "link",
        start,
        end,
        kind=kind,
        id=identifier,
        text=text[:120],
        topic=Topic.CITATION.value if in_bibtex else topics[0].value if topics else "",
        own=bool(FIRST_PERSON.search(passage)),
        bibtex=in_bibtex,
    )


def _line_around(text: str, start: int, end: int) -> tuple[int, int]:
    """The line, at most 300 characters of it, in which a link stands: the passage that names it."""
    left = max(text.rfind("\n", 0, start) + 1, start - 150)
    right = text.find("\n", end)
    right = len(text) if right < 0 else right
    return left, max(end, min(right, end + 150))


def _sentences(source: Source, document: Document, places: _Places) -> Iterator[Evidence]:
    said: Counter[tuple[str, str | None]] = Counter()
    named: set[tuple[str, str]] = set()
    for found in document.sentences():
        start, end, sentence = found.start, found.end, source.text[found.start : found.end]
        for says, about in statements_in(sentence):
            if about is None and Topic.DATA in places.topics(start):
                about = "data"
            said[says, about] += 1
            if said[says, about] <= EACH_STATEMENT:
                yield source.quote("statement", start, end, says=says, about=about)
        if not what_is_told(sentence) & CORPUS:
            continue
        mentioned = {corpus.id: corpus for corpus, _, _ in find_corpora(sentence)}
        used_for = _use_of_corpora(sentence, places, start) if mentioned else None
        for corpus in mentioned.values() if used_for is not None else ():
            context = used_for or corpus.use
            if (corpus.id, context) not in named and len(named) < CORPORA:
                named.add((corpus.id, context))
                yield source.quote(
                    "corpus.named", start, end, corpus=corpus.id, access=corpus.access, context=context
                )


def _use_of_corpora(sentence: str, places: _Places, position: int) -> str | None:
    """What corpora in a sentence are used for: pretraining, tuning, empty where that is not said.

    None where the sentence is not about training.
    """
    topics = frozenset(places.topics(position))
    if MEASURED_OR_COMPARED.search(sentence) or topics & {Topic.EVALUATION, Topic.CITATION}:
        return None
    if not (ABOUT_TRAINING.search(sentence) or topics & _DATA_TOPICS):
        return None
    around = sentence + " " + " ".join(places.titles(position))
    is_pretraining, is_tuning = bool(PRETRAINING.search(around)), bool(TUNING.search(around))
    if is_pretraining == is_tuning:
        return ""
    return "pretraining" if is_pretraining else "tuning"
