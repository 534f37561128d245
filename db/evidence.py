"""Reading evidence back: the rules ask for that of every project, so that what a piece costs counts.

Rows come as plain columns, JSON is parsed once for many of them, and the identity of a piece is taken
from its column where the extractors of today have written it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import Row, Select, Text, bindparam, select, type_coerce
from sqlalchemy.orm import Session

from db.columns import as_stored, unescape_text
from db.keys import chunks
from db.models import EvidenceRow
from db.states import PartState
from db.values import StoredSnapshot
from pipelines.errors import StorageError
from pipelines.frozen import new, setters_of
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
            EvidenceRow.extraction_id,
            as_stored(EvidenceRow.kind),
            EvidenceRow.key,
            EvidenceRow.quote_start,
            EvidenceRow.quote_end,
            as_stored(EvidenceRow.quote_text),
            as_stored(EvidenceRow.field_path),
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
            found[row[0]].append(item)
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
        for extraction_id, of_extraction in groupby(rows, key=_EXTRACTION):
            of_artifact = found.setdefault(sources[extraction_id][0].ref, {})
            for row in of_extraction:
                try:
                    of_artifact[row[1]].append(row)
                except KeyError:
                    of_artifact[row[1]] = [row]
    return {
        ref: {unescape_text(kind): partial(_pieces, rows, sources) for kind, rows in kinds.items()}
        for ref, kinds in found.items()
    }


_EXTRACTION = itemgetter(0)


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
    values = _parsed([row[8] for row in rows])
    fields = iter(_parsed([row[7] for row in rows if row[6] is not None]))
    return [
        _evidence(row, value, None if row[6] is None else next(fields), sources)
        for row, value in zip(rows, values, strict=True)
    ]


def _evidence(row: _EvidenceRow, value: JsonValue, field: JsonValue, sources: _Sources) -> Evidence:
    """The piece of a row whose JSON has been parsed."""
    extraction_id, kind, key, start, end, text, path, _, _ = row
    where: Quote | FieldValue
    if text is not None:
        where = new(Quote)
        _set_start(where, start)
        _set_end(where, end)
        _set_text(where, unescape_text(text))
    elif path is not None:
        where = FieldValue(path=unescape_text(path), value=field)
    else:
        raise StorageError(f"evidence {key} of extraction {extraction_id} is neither a quote nor a field")
    snapshot, is_keyed = sources[extraction_id]
    item = new(Evidence)
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


_set_start, _set_end, _set_text = setters_of(Quote, ("start", "end", "text"))
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
) = setters_of(Evidence, ("kind", "ref", "part", "url", "fetched_at", "sha256", "where", "value", "_key"))


class _Stored:
    """Rows of one kind, in the order of evidence: their values are parsed together, the rest one by one."""

    __slots__ = ("_rows", "_sources", "values")

    def __init__(self, rows: Sequence[_EvidenceRow], sources: _Sources) -> None:
        self._rows = rows
        self._sources = sources
        self.values = _parsed([row[8] for row in rows])

    def make(self, place: int) -> Evidence:
        """The piece at this place."""
        row = self._rows[place]
        field = _parsed((row[7],))[0] if row[5] is None and row[6] is not None else None
        return _evidence(row, self.values[place], field, self._sources)


def _pieces(rows: Sequence[_EvidenceRow], sources: _Sources) -> Pieces:
    """The evidence of one artifact and kind that some rows hold; those of one extraction follow one another."""
    if len(rows) == 1:
        return _Stored(rows, sources)
    if rows[0][0] == rows[-1][0]:
        is_keyed = sources[rows[0][0]][1]
        ordered = _in_order(rows) if is_keyed else rows
    else:
        parts: dict[str, list[_EvidenceRow]] = {}
        is_keyed = True
        for extraction_id, of_extraction in groupby(rows, key=_EXTRACTION):
            snapshot, has_keys = sources[extraction_id]
            parts.setdefault(snapshot.part, []).extend(of_extraction)
            is_keyed = is_keyed and has_keys
        ordered = [row for part in sorted(parts) for row in _in_order(parts[part])]
    if not is_keyed:
        # Identities decide between pieces at one place, and some of these have to be worked out.
        return Made(_evidence_from(rows, sources))
    return _Stored(ordered, sources)


def _in_order(rows: Sequence[_EvidenceRow]) -> Sequence[_EvidenceRow]:
    """The rows of one part and kind by their places; the identity decides ties."""
    if rows[0][3] is not None:
        try:
            # Quotes alone, as most are, need no more than start and identity.
            return sorted(rows, key=_START)
        except TypeError:
            # A field among them has no start.
            pass
    return sorted(rows, key=_place)


_START = itemgetter(3, 2)


def _place(row: _EvidenceRow) -> tuple[int, str, str]:
    """The place of a row within what was extracted from one part; the identity decides ties."""
    return (row[3], "", row[2]) if row[6] is None else (-1, unescape_text(row[6]), row[2])


_decoder = json.JSONDecoder()


def _parse(text: str) -> JsonValue:
    """The value of a JSON document. Raises ValueError where it is none."""
    try:
        value, end = _decoder.raw_decode(text)
    except ValueError:
        end = -1
    # White space around a value is not written, and may be there all the same.
    return value if end == len(text) else _decoder.decode(text)


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
