"""Models and datasets at the Hugging Face Hub.

Parts: `info` (a fixed selection of what the Hub's API says), `card` (README.md) and `file:PATH` for
the most telling licence or policy text. At most three requests each: the info, and only where it
has changed the card and one text.

The Hub is asked for just what `info` keeps. So its answer, and the ETag of it, stay the same while
only counters move, and a gate, a switch or a new name without a commit changes them.

`info` is yielded last: its token names the commit up to which card and text were read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote, unquote, urlencode

from crawler.http import Answer, TransportRules, Unread
from crawler.sources.base import Allowance, Usage
from crawler.sources.huggingface_client import HubClient
from crawler.sources.parts import INCOMPLETE, Reporter, as_done, is_complete
from crawler.turns import Turns
from pipelines.model import (
    ArtifactKind,
    Capture,
    JsonValue,
    Visit,
    VisitRequest,
    VisitStatus,
    canonical_json,
)

PUBLIC_HOST = "https://huggingface.co"
MAIN_PART = "info"
CARD = "README.md"

_FOLDER = {ArtifactKind.HF_MODEL: "models", ArtifactKind.HF_DATASET: "datasets"}
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?$")
_TEXTS = re.compile(
    r"""
    ^(?:
        (?P<licence>(?:model[-_])?licen[cs]e[^/]*|copying[^/]*)
      | (?P<policy>(?:acceptable_)?use_policy[^/]*)
    )$
    """,
    re.VERBOSE | re.IGNORECASE,
)
_ASKED = ("sha", "lastModified", "private", "gated", "disabled", "cardData", "tags", "siblings")
_ASKED_OF_MODELS = ("pipeline_tag", "library_name", "inference")
_KEPT = (
    "id",
    "sha",
    "lastModified",
    "private",
    "gated",
    "disabled",
    "cardData",
    "pipeline_tag",
    "library_name",
)
_GATED = "gated:"
_NOT_ASKED = "gated, and there is no HF_TOKEN: not asked"


def canonical_info(value: JsonValue) -> bytes:
    """The document `info`: what the Hub says, without counters and without the region it says it from."""
    out = {key: value.get(key) for key in _KEPT}
    tags = value.get("tags")
    out["tags"] = sorted(
        tag
        for tag in (tags if isinstance(tags, list) else [])
        if isinstance(tag, str) and not tag.startswith("region:")
    )
    out["siblings"] = sorted(_siblings(value), key=lambda file: str(file["rfilename"]))
    if value.get("inference") is not None:
        out["inference"] = value["inference"]
    return canonical_json(out)


def _siblings(value: Mapping[str, JsonValue]) -> list[dict[str, JsonValue]]:
    listed = value.get("siblings")
    files = []
    for entry in listed if isinstance(listed, list) else []:
        if isinstance(entry, dict) and isinstance(entry.get("rfilename"), str):
            size = entry.get("size")
            sized = {"size": size} if isinstance(size, int) else {}
            files.append({"rfilename": entry["rfilename"], **sized})
    return files


def most_telling_text(names: Sequence[str]) -> str | None:
    """The licence among the files at the top, else the use policy; the shortest name of each sort."""
    found = [
        (match.lastgroup != "licence", len(name), name) for name in names if (match := _TEXTS.match(name))
    ]
    return min(found)[2] if found else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Info:
    """What the Hub's answer means for the other parts."""

    name: str
    sha: str
    gated: bool
    files: tuple[str, ...]
    body: bytes = b""
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mark:
    """What the token of `info` says: the commit that was read, and what of it could not be.

    `gated` is the path of the text behind the gate, "" where there is none; it alone is asked for
    again. Where anything else is open, nothing is passed over.
    """

    sha: str
    gated: str = ""
    complete: bool = True

    def __str__(self) -> str:
        words = [self.sha, f"{_GATED}{quote(self.gated)}" if self.gated else ""]
        return " ".join(word for word in (*words, "" if self.complete else INCOMPLETE) if word)

    @classmethod
    def parse(cls, token: str) -> _Mark | None:
        """The mark in a stored token; None where there is none."""
        sha, *words = token.split(" ")
        gated = next((word.removeprefix(_GATED) for word in words if word.startswith(_GATED)), "")
        return cls(sha=sha, gated=unquote(gated), complete=INCOMPLETE not in words) if sha else None

    @classmethod
    def of(cls, sha: str, visits: Sequence[Visit]) -> _Mark:
        """Where reading stands after these visits."""
        closed = [visit.part for visit in visits if _is_behind_gate(visit)]
        others = [visit for visit in visits if not _is_behind_gate(visit)]
        complete = is_complete(others) and len(closed) <= 1
        return cls(sha=sha, gated=closed[0].removeprefix("file:") if closed else "", complete=complete)


def _is_behind_gate(visit: Visit) -> bool:
    return visit.status is VisitStatus.DENIED and visit.part.startswith("file:")


class HuggingFaceSource:
    """Reads models and datasets. `max_wait` is the longest wait in seconds that the Hub may ask for.

    Of its threads no more ask at the same time than there are `turns` (see `HubClient`).
    """

    name = "huggingface"
    kinds = frozenset({ArtifactKind.HF_MODEL, ArtifactKind.HF_DATASET})

    def __init__(
        self,
        *,
        endpoint: str,
        token: str | None,
        user_agent: str,
        clock: Callable[[], datetime],
        max_workers: int = 12,
        max_wait: float | None = None,
        rules: TransportRules | None = None,
        turns: Turns | None = None,
    ) -> None:
        token = token or None
        rules = rules or TransportRules(user_agent=user_agent)
        rules = replace(
            rules,
            user_agent=user_agent,
            max_wait=rules.max_wait if max_wait is None else max_wait,
            secrets=(token,) if token else (),
        )
        self._client = HubClient(endpoint=endpoint, token=token, rules=rules, clock=clock, turns=turns)
        self._clock = clock
        self._asked_plainly: set[ArtifactKind] = set()
        self._closed = False
        self._workers = max_workers
        self._pool = ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="huggingface")

    def fetch_allowance(self) -> Allowance | None:
        """What the Hub said last; it tells nothing without a request that counts."""
        # Others are asked at this moment, and it takes as long as an answer.
        self._client.prepare()
        return self._client.allowance

    @property
    def usage(self) -> Usage:
        return self._client.usage

    def close(self) -> None:
        self._closed = True
        self._client.leave()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        ahead = 4 * self._workers
        for visits in as_done(
            self._pool, self._visit_one, requests, ahead=ahead, is_closed=lambda: self._closed
        ):
            yield from visits

    def _visit_one(self, request: VisitRequest) -> list[Visit]:
        reporter = Reporter(request=request, clock=self._clock)
        public = _public_url(request.ref.kind, request.ref.id)
        known = reporter.known(MAIN_PART)
        mark = _Mark.parse(known.token) if known else None
        whole = mark if mark is not None and mark.complete else None
        try:
            if not _NAME.match(request.ref.id):
                raise Unread(VisitStatus.FAILED, "not the name of a repository at the Hub")
            path = f"/api/{_FOLDER[request.ref.kind]}/{request.ref.id}"
            answer = self._fetch_info(request.ref.kind, path, known.etag if known and whole else "")
            if answer.status == 304 and whole:
                return self._nothing_new(reporter, public, whole)
            info = _parse_info(answer, self._client.where(path))
        except Unread as error:
            return [reporter.unread(MAIN_PART, public, error)]
        opened = whole is not None and whole.gated != "" and not info.gated
        if whole and whole.sha == info.sha and not opened:
            visits = [v for v in _all_unchanged(reporter, public, None) if v.part != MAIN_PART]
            visits += self._behind_gate(reporter, whole)
        else:
            visits = [*self._read_files(reporter, info)]
        capture = Capture(
            body=info.body,
            media_type="application/json",
            etag=info.etag,
            token=str(_Mark.of(info.sha, visits)),
        )
        return [*visits, reporter.read_main(MAIN_PART, _public_url(request.ref.kind, info.name), capture)]

    def _fetch_info(self, kind: ArtifactKind, path: str, etag: str) -> Answer:
        """What the Hub says of an artifact: what is kept of it and no more, where it lets itself be asked so."""
        asked = _ASKED + (_ASKED_OF_MODELS if kind is ArtifactKind.HF_MODEL else ())
        if kind not in self._asked_plainly:
            try:
                return self._client.fetch_info(
                    f"{path}?{urlencode([('expand', name) for name in asked])}", etag
                )
            except Unread as error:
                if error.http_status != 400:
                    raise
                # A mirror, or a Hub that has renamed a property: once is enough to know.
                self._asked_plainly.add(kind)
        return self._client.fetch_info(path, etag)

    def _nothing_new(self, reporter: Reporter, public: str, mark: _Mark) -> list[Visit]:
        """Every stored part stands; what was behind a gate is asked for again."""
        *parts, main = _all_unchanged(reporter, public, 304)
        behind = self._behind_gate(reporter, mark)
        now = str(_Mark.of(mark.sha, behind))
        known = reporter.known(MAIN_PART)
        if known is not None and known.token != now:
            main = replace(main, validators=replace(known, token=now))
        return [*parts, *behind, main]

    def _behind_gate(self, reporter: Reporter, mark: _Mark) -> list[Visit]:
        """The text that could not be read for a gate: perhaps somebody has been let in since."""
        if not mark.gated:
            return []
        ref = reporter.request.ref
        info = _Info(name=ref.id, sha=mark.sha, gated=True, files=(mark.gated,))
        url = f"{_public_url(ref.kind, ref.id)}/blob/{mark.sha}/{quote(mark.gated)}"
        return [self._read_file(reporter, f"file:{mark.gated}", mark.gated, url, info)]

    def _read_files(self, reporter: Reporter, info: _Info) -> Iterator[Visit]:
        """The card and the most telling licence text, and what became of those read before."""
        kind = reporter.request.ref.kind
        public = _public_url(kind, info.name)
        text = most_telling_text(info.files)
        parts = {"card": CARD} | ({f"file:{text}": text} if text else {})
        stored = [part for part in reporter.request.known if part.startswith("file:")]
        for part in dict.fromkeys([*parts, *stored]):
            path = parts.get(part) or part.removeprefix("file:")
            url = f"{public}/blob/{info.sha or 'main'}/{quote(path)}"
            if path not in info.files:
                yield reporter.missing(part, url, "not among the files that the Hub lists")
            elif part in parts:
                yield self._read_file(reporter, part, path, url, info)

    def _read_file(self, reporter: Reporter, part: str, path: str, url: str, info: _Info) -> Visit:
        known = reporter.known(part)
        kind = reporter.request.ref.kind
        folder = "/datasets" if kind is ArtifactKind.HF_DATASET else ""
        if known is not None and known.token and known.token == info.sha:
            return reporter.unchanged(part, url)
        try:
            if info.gated and self._client.token is None and path != CARD:
                # The Hub shows the cards of gated repositories to everybody, and nothing else.
                raise Unread(VisitStatus.DENIED, _NOT_ASKED)
            answer = self._client.fetch_file(
                f"{folder}/{info.name}/resolve/main/{quote(path)}", known.etag if known else ""
            )
        except Unread as error:
            return reporter.unread(part, url, error)
        if answer.status == 304:
            return reporter.unchanged(part, url, 304)
        markdown = path.lower().endswith(".md")
        capture = Capture(
            body=answer.body,
            media_type="text/markdown" if markdown else "text/plain",
            etag=answer.headers.get("etag", ""),
            last_modified=answer.headers.get("last-modified", ""),
            token=info.sha,
        )
        return reporter.read(part, url, capture)


def _parse_info(answer: Answer, where: str) -> _Info:
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise Unread(VisitStatus.FAILED, f"the answer of {where} is not JSON") from error
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise Unread(VisitStatus.FAILED, f"the answer of {where} has not the form it should have")
    body = canonical_info(value)
    sha = value.get("sha")
    return _Info(
        name=value["id"],
        sha=sha if isinstance(sha, str) else "",
        gated=bool(value.get("gated")),
        files=tuple(str(file["rfilename"]) for file in _siblings(value)),
        body=body,
        etag=answer.headers.get("etag", ""),
    )


def _all_unchanged(reporter: Reporter, public: str, http_status: int | None) -> list[Visit]:
    """Every stored part stands; the info last."""
    visits = []
    for part in sorted(reporter.request.known, key=lambda part: part == MAIN_PART):
        path = CARD if part == "card" else part.removeprefix("file:")
        url = public if part == MAIN_PART else f"{public}/blob/main/{quote(path)}"
        visits.append(reporter.unchanged(part, url, http_status))
    return visits


def _public_url(kind: ArtifactKind, name: str) -> str:
    folder = "datasets/" if kind is ArtifactKind.HF_DATASET else ""
    return f"{PUBLIC_HOST}/{folder}{quote(name)}"
