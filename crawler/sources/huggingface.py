"""Models and datasets at the Hugging Face Hub.

Parts: `info` (a fixed selection of what the Hub's API says), `card` (README.md) and `file:PATH` for
the most telling licence or policy text. At most three requests each: the info, and only where it
has changed the card and one text.

`info` is yielded last: its token names the commit up to which card and text were read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import quote

from crawler.http import Answer, TransportRules, Unread
from crawler.sources.base import Usage
from crawler.sources.huggingface_client import HubClient
from crawler.sources.parts import INCOMPLETE, Reporter, is_complete
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
    body: bytes
    etag: str


class HuggingFaceSource:
    """Reads models and datasets. `max_wait` is the longest wait in seconds that the Hub may ask for."""

    name = "huggingface"
    kinds = frozenset({ArtifactKind.HF_MODEL, ArtifactKind.HF_DATASET})

    def __init__(
        self,
        *,
        endpoint: str,
        token: str | None,
        user_agent: str,
        clock: Callable[[], datetime],
        max_workers: int = 8,
        max_wait: float = 5.0,
        rules: TransportRules | None = None,
    ) -> None:
        token = token or None
        rules = replace(
            rules or TransportRules(user_agent=user_agent),
            user_agent=user_agent,
            max_wait=max_wait,
            secrets=(token,) if token else (),
        )
        self._client = HubClient(endpoint=endpoint, token=token, rules=rules, clock=clock)
        self._clock = clock
        self._pool = ThreadPoolExecutor(max_workers=max_workers, thread_name_prefix="huggingface")

    @property
    def usage(self) -> Usage:
        return self._client.usage

    def close(self) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        pending = [self._pool.submit(self._visit_one, request) for request in requests]
        try:
            for done in as_completed(pending):
                yield from done.result()
        finally:
            for future in pending:
                future.cancel()

    def _visit_one(self, request: VisitRequest) -> list[Visit]:
        reporter = Reporter(request=request, clock=self._clock)
        public = _public_url(request.ref.kind, request.ref.id)
        known = reporter.known(MAIN_PART)
        try:
            if not _NAME.match(request.ref.id):
                raise Unread(VisitStatus.FAILED, "not the name of a repository at the Hub")
            whole = known is not None and known.token != "" and INCOMPLETE not in known.token.split(" ")
            path = f"/api/{_FOLDER[request.ref.kind]}/{request.ref.id}"
            answer = self._client.fetch_info(path, known.etag if known and whole else "")
            if answer.status == 304:
                return _all_unchanged(reporter, public, 304)
            info = _parse_info(answer, self._client.where(path))
        except Unread as error:
            return [reporter.unread(MAIN_PART, public, error)]
        before = known.token.split(" ")[0] if known else None
        if whole and before == info.sha and info.sha:
            visits = [v for v in _all_unchanged(reporter, public, None) if v.part != MAIN_PART]
        else:
            visits = [*self._read_files(reporter, info)]
        token = info.sha if is_complete(visits) else f"{info.sha} {INCOMPLETE}"
        capture = Capture(body=info.body, media_type="application/json", etag=info.etag, token=token)
        return [*visits, reporter.read_main(MAIN_PART, _public_url(request.ref.kind, info.name), capture)]

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
                raise Unread(VisitStatus.DENIED, "gated, and there is no HF_TOKEN: not asked")
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
