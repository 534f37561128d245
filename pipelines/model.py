"""The central values that travel between the stages.

    Seed → Project → Visit → Capture → Snapshot → Evidence → Finding → Proposal → Decision

Everything here is frozen and pure: no network, no database, no clock.
Times are aware datetimes in UTC and always arguments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any

from pipelines.volatile import steady

# Parsed JSON (or YAML front matter): `Any` because documents from strangers have no static type.
JsonValue = Any


class ArtifactKind(StrEnum):
    """The kinds of nameable things that a project consists of."""

    GITHUB = "github"
    HF_MODEL = "hf_model"
    HF_DATASET = "hf_dataset"
    PYPI = "pypi"
    ARXIV = "arxiv"
    WEB = "web"
    LINEAGE = "lineage"  # an entry of the lineage file; never in a seed file


MAIN_PART: dict[ArtifactKind, str] = {
    ArtifactKind.GITHUB: "repository",
    ArtifactKind.HF_MODEL: "info",
    ArtifactKind.HF_DATASET: "info",
    ArtifactKind.PYPI: "metadata",
    ArtifactKind.ARXIV: "entry",
    ArtifactKind.WEB: "page",
    ArtifactKind.LINEAGE: "entry",
}
"""The part whose visit speaks for the whole artifact when it is missing, denied or failed."""


class Role(StrEnum):
    """What an artifact is to a project."""

    CODE = "code"
    LLM_WEIGHTS = "llm_weights"
    RL_WEIGHTS = "rl_weights"
    LLM_DATA = "llm_data"
    RL_DATA = "rl_data"
    PREPRINT = "preprint"
    PAPER = "paper"
    PACKAGE = "package"
    API = "api"
    HOMEPAGE = "homepage"
    OTHER = "other"


class Origin(StrEnum):
    """How an artifact came to belong to a project."""

    SEED = "seed"
    LINK = "link"
    LINEAGE = "lineage"


class VisitStatus(StrEnum):
    """How one attempt to read an artifact ended.

    Only MISSING is a fact about the project. DENIED and FAILED say nothing about it.
    """

    OK = "ok"
    UNCHANGED = "unchanged"
    MISSING = "missing"
    DENIED = "denied"
    FAILED = "failed"


class Rating(StrEnum):
    """The class of a dimension. NOT_APPLICABLE is written as an empty field in CSV files."""

    CLOSED = "closed"
    PARTIAL = "partial"
    OPEN = "open"
    NOT_APPLICABLE = "not_applicable"


class Outcome(StrEnum):
    """The answer of a check."""

    YES = "yes"
    NO = "no"
    CANNOT_TELL = "cannot_tell"
    NOT_APPLICABLE = "not_applicable"


class DecisionKind(StrEnum):
    """What a curator did."""

    CONFIRM = "confirm"
    OVERRIDE = "override"
    REJECT = "reject"
    DEFER = "defer"
    UNDO = "undo"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class ArtifactRef:
    """The name of an artifact: its kind and its identifier at the service.

    Identifiers: `owner/repo` (github), `owner/name` or `name` (hf_*), project name (pypi),
    arXiv number without version (arxiv), absolute http(s) address (web), name of a base (lineage).
    """

    kind: ArtifactKind
    id: str

    def __str__(self) -> str:
        # The kind is a text itself; asking it for its value takes longer than all the rest.
        return self.kind + ":" + self.id

    def __hash__(self) -> int:
        # A name's hash is kept with the name; the kind is too seldom what tells two artifacts apart.
        return hash(self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """The place that named something: an artifact, the part of it that was read, and the words."""

    artifact: ArtifactRef
    part: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """An artifact as a part of a project: with its role and how it was found."""

    ref: ArtifactRef
    role: Role
    origin: Origin = Origin.SEED
    named_by: Passage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What is rated: a seed entry. `llmbase` and `rlbase` are names as curators write them."""

    slug: str
    name: str
    org: str = ""
    llmbase: tuple[str, ...] = ()
    rlbase: tuple[str, ...] = ()
    homepage: str = ""
    artifacts: tuple[Artifact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validators:
    """What a service needs to be asked whether a part has changed since it was last read.

    `token` is a source's own change signal (a git blob or tree sha, a Hub commit);
    `etag` and `last_modified` are HTTP's. `sha256` is the digest of the stored bytes.
    """

    sha256: str = ""
    etag: str = ""
    last_modified: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitRequest:
    """An artifact to be visited, with what is stored of it (by part; empty on the first visit).

    `was_missing`: the latest visit that told anything found that there is no such artifact, so that
    the same answer again needs no second question. `absence_counts`: a rule may rest on it that the
    artifact is not there, so that a source must not take somebody else's cheap word for it.
    """

    ref: ArtifactRef
    known: Mapping[str, Validators] = field(default_factory=dict)
    was_missing: bool = False
    absence_counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Bytes just handed over by a source, with the headers that tell whether they change."""

    body: bytes
    media_type: str
    etag: str = ""
    last_modified: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One attempt to read one part of an artifact.

    `part` names the document within the artifact ("card", "file:README.md"); every source lists
    its parts in its module docstring. `url` is the public address at which a person sees the
    part. A capture is there exactly when the status is OK. `reason` says in one line why a part
    was not read; it never holds a secret or a body. `validators`, of an unchanged part only, are those
    that the service gives now; None: those of the reading that stands.
    """

    ref: ArtifactRef
    part: str
    url: str
    at: datetime
    status: VisitStatus
    capture: Capture | None = None
    http_status: int | None = None
    reason: str = ""
    validators: Validators | None = None

    def __post_init__(self) -> None:
        if (self.capture is not None) != (self.status is VisitStatus.OK):
            raise ValueError(f"{self.ref} {self.part}: a capture belongs to status ok and to no other")
        if self.validators is not None and self.status is not VisitStatus.UNCHANGED:
            raise ValueError(f"{self.ref} {self.part}: validators belong to status unchanged and to no other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A stored capture: immutable, content-addressed, dated with the night it was first read."""

    ref: ArtifactRef
    part: str
    url: str
    fetched_at: datetime
    sha256: str
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """An exact passage: `text` equals `decoded[start:end]` of the snapshot's decoded text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldValue:
    """A field of a structured document: a JSON path such as `$.gated` and the value found there."""

    path: str
    value: JsonValue


KEY_LENGTH = 500
"""Characters of a passage that its identity is made of. Less than the longest quote, so that a counter which
grew by a digit does not move the end of a quote that was cut."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """An exact quote or field of a snapshot, with a kind and a normalised value.

    `value` holds what rules read; its keys are documented per kind in `pipelines.evidence`.
    """

    kind: str
    ref: ArtifactRef
    part: str
    url: str
    fetched_at: datetime
    sha256: str
    where: Quote | FieldValue
    value: Mapping[str, JsonValue] = field(default_factory=dict)
    _key: str = field(default="", init=False, repr=False, compare=False)

    @property
    def passage(self) -> str:
        """The words or the field as a person reads them."""
        if isinstance(self.where, Quote):
            return self.where.text
        return f"{self.where.path} = {json.dumps(self.where.value, ensure_ascii=False)}"

    @property
    def key(self) -> str:
        """Identity of the evidence: what was found and said, not when, where in the file or in which bytes.

        A README that grew a paragraph elsewhere, a re-read card, a moved offset leave it as it was; so does
        a counter or a clock within the passage (see `pipelines.volatile`).
        """
        if not self._key:
            passage = _steady(self.passage)[:KEY_LENGTH] if isinstance(self.where, Quote) else self.passage
            found = digest_of([self.kind, str(self.ref), self.part, passage, _steady_value(self.value)])
            self.keep_key(found)
        return self._key

    def keep_key(self, key: str) -> None:
        """Take the identity that was worked out before, for this evidence and no other."""
        object.__setattr__(self, "_key", key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one check, with the evidence it rests on and the places searched in vain."""

    check: str
    outcome: Outcome
    evidence: tuple[Evidence, ...] = ()
    searched: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What the rules propose for one dimension of one project. `rating` None means: cannot tell."""

    slug: str
    dimension: str
    rating: Rating | None
    confidence: float
    rationale: str
    rule: str
    rule_version: int
    rubric_digest: str
    evidence_digest: str
    findings: tuple[Finding, ...]
    evidence: tuple[Evidence, ...]
    searched: tuple[str, ...]
    link: str = ""

    @property
    def identity(self) -> str:
        """Same project, dimension, rubric, rule and evidence: the same proposal."""
        return digest_of(
            [
                self.slug,
                self.dimension,
                self.rubric_digest,
                self.rule,
                self.rule_version,
                self.evidence_digest,
            ]
        )


# A night asks several times for the keys of one project's evidence. Passages are short.
_steady = lru_cache(maxsize=8192)(steady)


def _steady_value(value: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A normalised value whose words (a title, the text of a link) may count or tell the time, too."""
    return {name: _steady(item) if isinstance(item, str) else item for name, item in value.items()}


# Made once: making an encoder takes longer than writing a short value with it.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def canonical_json(value: JsonValue) -> bytes:
    """The one byte form of a JSON value: sorted keys, no spaces, UTF-8, newline at the end."""
    return _encode(value).encode("utf-8", "surrogatepass") + b"\n"


def digest_of(value: JsonValue) -> str:
    """sha256 (hex) over the canonical JSON of a value."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def digest_bytes(body: bytes) -> str:
    """sha256 (hex) of bytes: the name of a snapshot's body."""
    return hashlib.sha256(body).hexdigest()
