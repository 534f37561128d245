"""The sections of a report that tell what has changed, and what is troubled since."""

from __future__ import annotations

from collections.abc import Iterator

from pipelines.report.tables import Cell, Entry, Report, Section, table
from pipelines.report.words import class_in_words, count_of, moment, since


def _listed(changes: Report, name: str) -> tuple[list[Entry], int]:
    """The entries of a list of changes, and how many there are in all."""
    listed = changes.get(name) or {"shown": [], "total": 0}
    return listed["shown"], listed["total"]


def _cell_of(entry: Entry) -> tuple[Cell, Cell]:
    return Cell(text=entry["slug"], slug=entry["slug"]), Cell(text=entry["dimension"])


def shaken_sections(changes: Report, name: str, shown: int) -> Iterator[Section]:
    entries, total = _listed(changes, name)
    is_gone = name == "vanished_ratings"
    title = (
        "Confirmed ratings whose evidence has vanished"
        if is_gone
        else "Confirmed ratings whose evidence is stale"
    )
    new = (changes.get(name) or {}).get("new", 0)
    told = "is not there any more" if is_gone else "could not be read; what was read earlier stands"
    yield from table(
        name.replace("_", "-"),
        title,
        ("project", "dimension", "rating", "evidence in", "since", "why"),
        entries,
        lambda e: (
            *_cell_of(e),
            Cell(text=class_in_words(e["rating"])),
            Cell(text=f"{e['artifact']} {e['part']}", href=e["url"]),
            Cell(text=since(e["since"], e["nights"])),
            Cell(text=e["reason"]),
        ),
        shown=shown,
        total=total,
        note=f"{total}, of which {new} since this run: what they rest on {told}.",
    )


def moved_sections(changes: Report, shown: int) -> Iterator[Section]:
    entries, total = _listed(changes, "evidence_changed")
    asked = (changes.get("evidence_changed") or {}).get("questions", 0)
    yield from table(
        "evidence-changed",
        "Confirmed ratings whose evidence changed",
        ("question", "project", "dimension", "rating", "now proposed", "why"),
        entries,
        lambda e: (
            Cell(text=str(e["proposal"]) if e["is_question"] else "–", is_number=True),
            *_cell_of(e),
            Cell(text=class_in_words(e["rating"])),
            Cell(text=class_in_words(e["class"])),
            Cell(text=e["why"]),
        ),
        shown=shown,
        total=total,
        note=f"{total}, of which {count_of(asked, 'is a question', 'are questions')} now; the others are proposed as they "
        "are rated, or cannot be told.",
    )


def question_sections(changes: Report, shown: int) -> Iterator[Section]:
    entries, total = _listed(changes, "new_questions")
    moved = {entry["proposal"] for entry in _listed(changes, "evidence_changed")[0]}
    others = [entry for entry in entries if entry["proposal"] not in moved]
    yield from table(
        "new-questions",
        "Other new questions" if len(others) < len(entries) else "New questions",
        ("question", "project", "dimension", "rating", "now proposed", "proposed before", "sure", "why"),
        others,
        lambda e: (
            Cell(text=str(e["proposal"]), is_number=True),
            *_cell_of(e),
            Cell(text=class_in_words(e["rating"])),
            Cell(text=class_in_words(e["class"])),
            Cell(text=class_in_words(e["before"], "–")),
            Cell(text=f"{e['confidence']:.2f}", is_number=True),
            Cell(text=e["why"], href=e["link"]),
        ),
        shown=shown,
        total=total - (len(entries) - len(others)),
    )


def failing_sections(changes: Report, shown: int) -> Iterator[Section]:
    entries = [e for e in _listed(changes, "failing")[0] if e["nights"] > 1 and e["status"] == "failed"]
    yield from table(
        "failing",
        "Artifacts that fail for several nights in a row",
        ("artifact", "part", "projects", "since", "why"),
        entries,
        lambda e: (
            Cell(text=e["artifact"], href=e["url"]),
            Cell(text=e["part"] if e["parts"] == 1 else f"{e['part']} and {e['parts'] - 1} more"),
            Cell(text=", ".join(e["slugs"][:3]) + (" …" if len(e["slugs"]) > 3 else "")),
            Cell(text=since(e["since"], e["nights"])),
            Cell(text=e["reason"]),
        ),
        shown=shown,
        note="What was read of them earlier still stands.",
    )


def renamed_sections(changes: Report, shown: int) -> Iterator[Section]:
    entries, total = _listed(changes, "renamed")
    yield from table(
        "renamed",
        "Renamed",
        ("artifact", "is now", "in the seeds of"),
        entries,
        lambda e: (
            Cell(text=e["artifact"]),
            Cell(text=e["now"], href=e["url"]),
            Cell(text=", ".join(e["seeds"]) or "–"),
        ),
        shown=shown,
        total=total,
        note="They are found under the new name. Correct the seed file: somebody else may take the old one.",
    )


def archived_sections(changes: Report, shown: int) -> Iterator[Section]:
    entries, total = _listed(changes, "archived")
    yield from table(
        "archived",
        "Repositories that were archived",
        ("artifact",),
        entries,
        lambda e: (Cell(text=e["artifact"], href=e["url"]),),
        shown=shown,
        total=total,
    )


def cut_off_sections(changes: Report) -> Iterator[Section]:
    yield from table(
        "cut-off",
        "Runs before this one that were cut off",
        ("run", "kind", "began"),
        changes.get("cut_off") or [],
        lambda e: (
            Cell(text=str(e["run"]), is_number=True),
            Cell(text=e["kind"]),
            Cell(text=moment(e["started"])),
        ),
        shown=10,
        note="What they had read is stored.",
    )
