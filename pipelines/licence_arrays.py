"""The packaged licence texts as numbers, and which of them share a pair of words: how they are kept in a file.

Which texts share what takes half a second to work out, and every night would wait for it. So
`data/build_licences.py` works it out and writes it, and the extractors only take it up.

The file is compressed with gzip: a line of JSON (`licences`, `words`, and how long each array is), then
arrays of unsigned numbers of two bytes, the lower one first, in the order of ARRAYS.
"""

from __future__ import annotations

import gzip
import json
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

UNKNOWN = 0
"""Stands for a word that no packaged text has, and for a pair that is of no interest any more."""

COMMONPLACE = 250
"""A pair that more texts have tells none of them, and is not kept as one that texts share."""

PROBES = 24
"""By about so many of its pairs, or all that it has, is told whether a text may be in a file."""

ARRAYS = (
    *("text", "text_lengths", "pair_counts", "probe_places", "probe_lengths"),
    *("pair_first", "pair_second", "shared", "shared_lengths", "shared_by"),
)


class LicenceTexts(NamedTuple):
    """Packaged texts by number, and their pairs.

    `licences` says whose text each is; `words` are in the order of their numbers, which begin with 1;
    `texts` are the words of each; `pair_counts` is how many different pairs each has; `probe_places` are
    the places in it of some of them. `sharing` is for each pair which of the groups of texts has it:
    group n is `shared[starts[n]:starts[n + 1]]`, lowest text first.
    """

    licences: list[str]
    words: list[str]
    texts: list[array[int]]
    pair_counts: list[int]
    probe_places: list[array[int]]
    sharing: dict[int, int]
    shared: array[int]
    starts: list[int]


def pairs_of(ids: Iterable[int]) -> list[int]:
    """The pairs of neighbouring words, in order, each as one number."""
    return [one << 20 | other for one, other in pairwise(ids)]


def packed(texts: Iterable[tuple[str, str]]) -> bytes:
    """The file for some texts, each with its licence, as words with blanks between them. The same texts give the same bytes."""
    licences: list[str] = []
    words: dict[str, int] = {}
    sharing: defaultdict[int, list[int]] = defaultdict(list)
    arrays = {name: array("H") for name in ARRAYS}
    for number, (licence, text) in enumerate(texts):
        licences.append(licence)
        ids = [words.setdefault(word, len(words) + 1) for word in text.split()]
        sequence = pairs_of(ids)
        pairs = set(sequence)
        # A pair stands where its first word stands.
        places = [sequence.index(probe) for probe in sorted(pairs)[:: max(1, len(pairs) // PROBES)]]
        arrays["probe_places"].extend(places)
        arrays["probe_lengths"].append(len(places))
        arrays["text"].extend(ids)
        arrays["text_lengths"].append(len(ids))
        arrays["pair_counts"].append(len(pairs))
        for each in pairs:
            sharing[each].append(number)
    # Most pairs are shared by the same texts as another one: what is alike is written once.
    kept = {each: tuple(numbers) for each, numbers in sorted(sharing.items()) if len(numbers) <= COMMONPLACE}
    shared = {numbers: place for place, numbers in enumerate(sorted(set(kept.values())))}
    for numbers in shared:
        arrays["shared"].extend(numbers)
        arrays["shared_lengths"].append(len(numbers))
    for each, numbers in kept.items():
        arrays["pair_first"].append(each >> 20)
        arrays["pair_second"].append(each & ((1 << 20) - 1))
        arrays["shared_by"].append(shared[numbers])
    head = {"licences": licences, "words": " ".join(words), **{name: len(arrays[name]) for name in ARRAYS}}
    line = json.dumps(head, separators=(",", ":")).encode() + b"\n"
    return gzip.compress(b"".join([line, *map(_two_bytes_each, arrays.values())]), compresslevel=9, mtime=0)


def unpacked(file: bytes) -> LicenceTexts:
    """What `packed` has written."""
    body = gzip.decompress(file)
    start = body.index(b"\n") + 1
    head: dict[str, Any] = json.loads(body[:start])  # Any: a JSON document
    arrays: dict[str, array[int]] = {}
    for name in ARRAYS:
        end = start + 2 * head[name]
        arrays[name] = _from_two_bytes_each(body[start:end])
        start = end
    pairs = [
        one << 20 | other for one, other in zip(arrays["pair_first"], arrays["pair_second"], strict=True)
    ]
    return LicenceTexts(
        licences=head["licences"],
        words=head["words"].split(),
        texts=list(_cut(arrays["text"], arrays["text_lengths"])),
        pair_counts=arrays["pair_counts"].tolist(),
        probe_places=list(_cut(arrays["probe_places"], arrays["probe_lengths"])),
        sharing=dict(zip(pairs, arrays["shared_by"], strict=True)),
        shared=arrays["shared"],
        starts=list(accumulate(arrays["shared_lengths"], initial=0)),
    )


def _cut(numbers: array[int], lengths: array[int]) -> Iterator[array[int]]:
    return (numbers[end - length : end] for length, end in zip(lengths, accumulate(lengths), strict=True))


def _two_bytes_each(numbers: array[int]) -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _from_two_bytes_each(written: bytes) -> array[int]:
    numbers = array("H")
    numbers.frombytes(written)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
