"""Reading evidence back: the rules ask for that of every project, so that what a piece costs counts.

Rows come as plain columns, JSON is parsed once for many of them, and the identity of a piece is taken
from its column where the extractors of today have written it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, Select, Text, bindparam, select, type_coerce
from sqlalchemy.orm import Session

from db.columns import unescape_text
from db.keys import chunks
from db.models import EvidenceRow, ExtractionRow
from db.states import PartState
from db.values import StoredSnapshot
from pipelines.errors import StorageError
from pipelines.known import Made, Maker, Pieces
from pipelines.model import ArtifactRef, Evidence, FieldValue, JsonValue, Quote

PARSED_TOGETHER = 1000
"""Rows whose JSON is parsed in one go."""

_EvidenceRow = Row[*tuple[Any, ...]]  # Any: columns have many types


@cache
def _query() -> Select[*tuple[Any, ...]]:  # Any: columns have many types
    """The evidence of some extractions, texts as they are stored: types that convert cost more than all the rest."""
    plain = Text()
    return (
        select(
            EvidenceRow.id,
            EvidenceRow.extraction_id,
            type_coerce(EvidenceRow.kind, plain),
            type_coerce(EvidenceRow.key, plain),
            EvidenceRow.quote_start,
            EvidenceRow.quote_end,
            type_coerce(EvidenceRow.quote_text, plain),
            type_coerce(EvidenceRow.field_path, plain),
            type_coerce(EvidenceRow.field_value, plain),
            type_coerce(EvidenceRow.value, plain),
        )
        .where(EvidenceRow.extraction_id.in_(bindparam("extractions", expanding=True)))
        .order_by(EvidenceRow.extraction_id, EvidenceRow.ordinal)
    )


def load_evidence_of(
    session: Session,
    states: Iterable[PartState],
    extractions: Mapping[int, int],
    kinds: Collection[str] | None = None,
    *,
    keyed: Collection[int] = (),
) -> list[Evidence]:
    """What these extractions (by snapshot) found in the standing snapshots of some parts, in the order of the parts.

    Of the kinds named, or of every kind. `keyed`: the extractions whose identities of evidence hold;
    those that other versions of the extractors have written are worked out anew.
    """
    query = _query()
    if kinds is not None:
        query = query.where(EvidenceRow.kind.in_(sorted(kinds)))
    sources = _sources(states, extractions, keyed)
    found: dict[int, list[Evidence]] = {extraction_id: [] for extraction_id in sources}
    for rows in _load_rows(session, query, sources):
        for item, row in zip(_evidence_from(rows, sources), rows, strict=True):
            found[row[1]].append(item)
    return [item for items in found.values() for item in items]


def load_makers(
    session: Session,
    states: Iterable[PartState],
    extractions: Mapping[int, int],
    *,
    keyed: Collection[int] = (),
) -> dict[ArtifactRef, dict[str, Maker]]:
    """`load_evidence_of` for those who ask by artifact and kind, and never for most of it: what makes it of its rows.

    Raises StorageError when that finds a row that is no evidence.
    """
    sources = _sources(states, extractions, keyed)
    found: dict[ArtifactRef, dict[str, list[_EvidenceRow]]] = {}
    for rows in _load_rows(session, _query(), sources):
        for extraction_id, of_extraction in groupby(rows, key=itemgetter(1)):
            of_artifact = found.setdefault(sources[extraction_id][0].ref, {})
            for row in of_extraction:
                of_kind = of_artifact.get(row[2])
                if of_kind is None:
                    of_artifact[row[2]] = [row]
                else:
                    of_kind.append(row)
    return {
        ref: {unescape_text(kind): partial(_pieces, rows, sources) for kind, rows in kinds.items()}
        for ref, kinds in found.items()
    }


def load_extractions_by(session: Session, version: str, snapshot_ids: Iterable[int]) -> dict[int, int]:
    """The extractions of this version of the extractors, by snapshot."""
    found: dict[int, int] = {}
    for ids in chunks(snapshot_ids):
        query = select(ExtractionRow.snapshot_id, ExtractionRow.id).where(
            ExtractionRow.snapshot_id.in_(ids), ExtractionRow.extractor_version == version
        )
        found.update((snapshot_id, extraction_id) for snapshot_id, extraction_id in session.execute(query))
    return found


def _sources(
    states: Iterable[PartState], extractions: Mapping[int, int], keyed: Collection[int]
) -> dict[int, tuple[StoredSnapshot, bool]]:
    """By extraction, in the order of the parts: the snapshot that it read, and whether its identities hold."""
    standing = [state.standing for state in states]
    found = {}
    for snapshot in standing:
        if snapshot is not None and (extraction := extractions.get(snapshot.id)) is not None:
            found[extraction] = snapshot, extraction in keyed
    return found


def _load_rows(
    session: Session, query: Select[*tuple[Any, ...]], extractions: Iterable[int]
) -> Iterator[Sequence[_EvidenceRow]]:
    """The evidence of some extractions, many rows at a time, by extraction and in its order."""
    session.flush()
    for ids in chunks(extractions):
        # By the connection: a session takes twice as long to hand on rows.
        yield from session.connection().execute(query, {"extractions": ids}).partitions(PARSED_TOGETHER)


_Sources = Mapping[int, tuple[StoredSnapshot, bool]]


def _evidence_from(rows: Sequence[_EvidenceRow], sources: _Sources) -> list[Evidence]:
    """The evidence that some rows hold. Raises StorageError where one of them holds none."""
    values = _parsed([row[9] for row in rows])
    fields = iter(_parsed([row[8] for row in rows if row[7] is not None]))
    return [
        _evidence(row, value, None if row[7] is None else next(fields), sources)
        for row, value in zip(rows, values, strict=True)
    ]


def _evidence(row: _EvidenceRow, value: JsonValue, field: JsonValue, sources: _Sources) -> Evidence:
    """The piece of a row whose JSON has been parsed."""
    row_id, extraction_id, kind, key, start, end, text, path, _, _ = row
    where: Quote | FieldValue
    if text is not None:
        where = _new(Quote)
        _set_start(where, start)
        _set_end(where, end)
        _set_text(where, unescape_text(text))
    elif path is not None:
        where = FieldValue(path=unescape_text(path), value=field)
    else:
        raise StorageError(f"evidence {row_id} is neither a quote nor a field")
    snapshot, is_keyed = sources[extraction_id]
    item = _new(Evidence)
    _set_kind(item, unescape_text(kind))
    _set_ref(item, snapshot.ref)
    _set_part(item, snapshot.part)
    _set_url(item, snapshot.url)
    _set_fetched_at(item, snapshot.fetched_at)
    _set_sha256(item, snapshot.sha256)
    _set_where(item, where)
    _set_value(item, value)
    _set_key(item, key if is_keyed else "")
    return item


def _setters(made: type, names: Sequence[str]) -> list[Callable[[object, object], None]]:
    """What sets the fields of a frozen dataclass with slots; these have to be all that it has."""
    if sorted(names) != sorted(getattr(made, "__slots__", ())):
        raise TypeError(f"{made.__name__} has other fields than {', '.join(names)}")
    return [made.__dict__[name].__set__ for name in names]


# A rating makes dozens of pieces a project: through a frozen dataclass's own constructor each would take
# three times as long, which was a seventh of all that rating costs.
_new = object.__new__
_set_start, _set_end, _set_text = _setters(Quote, ("start", "end", "text"))
(
    _set_kind,
    _set_ref,
    _set_part,
    _set_url,
    _set_fetched_at,
    _set_sha256,
    _set_where,
    _set_value,
    _set_key,
) = _setters(Evidence, ("kind", "ref", "part", "url", "fetched_at", "sha256", "where", "value", "_key"))


class _Stored:
    """Rows of one kind, in the order of evidence: their values are parsed together, the rest one by one."""

    __slots__ = ("_rows", "_sources", "values")

    def __init__(self, rows: Sequence[_EvidenceRow], sources: _Sources) -> None:
        self._rows = rows
        self._sources = sources
        self.values = _parsed([row[9] for row in rows])

    def make(self, place: int) -> Evidence:
        """The piece at this place."""
        row = self._rows[place]
        field = _parsed([row[8]])[0] if row[6] is None and row[7] is not None else None
        return _evidence(row, self.values[place], field, self._sources)


def _pieces(rows: Sequence[_EvidenceRow], sources: _Sources) -> Pieces:
    """The evidence of one artifact and kind that some rows hold."""
    if len(rows) == 1:
        return _Stored(rows, sources)
    parts = {extraction_id: sources[extraction_id] for extraction_id in {row[1] for row in rows}}
    if not all(is_keyed for _, is_keyed in parts.values()):
        # Identities decide between pieces at one place, and some of these have to be worked out.
        return Made(_evidence_from(rows, sources))
    if len(parts) == 1:
        return _Stored(sorted(rows, key=_place), sources)
    return _Stored(sorted(rows, key=lambda row: (parts[row[1]][0].part, *_place(row))), sources)


def _place(row: _EvidenceRow) -> tuple[int, str, str]:
    """The place of a row within what was extracted from one part; the identity decides ties."""
    return (row[4], "", row[3]) if row[7] is None else (-1, unescape_text(row[7]), row[3])


_parse = json.JSONDecoder().decode


def _parsed(texts: Sequence[str | None]) -> list[JsonValue]:
    """The JSON of many columns, parsed as one document: None for those that hold nothing."""
    try:
        if len(texts) == 1:
            return [_parse(texts[0] or "null")]
        whole: list[JsonValue] = _parse("[" + ",".join([text or "null" for text in texts]) + "]")
    except ValueError as error:
        raise StorageError(f"a value of evidence is no JSON: {error}") from None
    if len(whole) != len(texts):
        raise StorageError("a value of evidence is no single JSON value")
    return whole
