"""The values that the storage layer takes and gives back, apart from those of `pipelines.model`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from db.candidate_row import CandidateStatus
from db.models import RunStatus
from pipelines.candidates import Candidate
from pipelines.model import (
    ArtifactRef,
    DecisionKind,
    JsonValue,
    Proposal,
    Rating,
    Snapshot,
    Visit,
    VisitStatus,
)


class BodyArchive(Protocol):
    """Where the bytes of snapshots are kept: `crawler.archive.Archive`."""

    def put(self, body: bytes) -> str:
        """Keep the bytes and give their sha256 (hex)."""
        ...

    def get(self, sha256: str) -> bytes:
        """The bytes of that digest. Raises StorageError when they are gone or damaged."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportResult:
    """What an import of seeds did: slugs, in the order of the seeds.

    `kept` are projects adopted from candidates that no seed file has named yet: they stay.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptVisit:
    """A visit whose bytes are in the archive already: their digest and number.

    What it captured holds no bytes any more. The digest is empty where nothing was captured.
    """

    visit: Visit
    sha256: str = ""
    size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedVisit:
    """How a visit was stored. `status` is unchanged where the bytes were those that stood before."""

    status: VisitStatus
    snapshot_id: int | None
    is_new_snapshot: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVisit:
    """What the latest attempt to read a part came to, and what is known of it.

    An attempt that found the whole artifact missing, denied or failed speaks for all its parts.
    `known` is what the latest attempt that told anything came to: ok and unchanged mean that a
    snapshot stands, missing that the part is not there, None that nothing was ever learnt.
    `stale`: the latest attempt was denied or failed, and what was known before stands. `doubtful`: the
    service said "not there" in a way in which it also speaks of what is blocked, and was not asked again,
    since nothing depended on it.
    """

    ref: ArtifactRef
    part: str
    url: str
    at: datetime
    status: VisitStatus
    http_status: int | None
    reason: str
    known: VisitStatus | None
    stale: bool
    doubtful: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSnapshot:
    """A snapshot without its bytes. `size` in bytes."""

    id: int
    ref: ArtifactRef
    part: str
    url: str
    fetched_at: datetime
    sha256: str
    media_type: str
    size: int

    def read(self, archive: BodyArchive) -> Snapshot:
        """The snapshot with its bytes. Raises StorageError when they are gone or damaged."""
        return Snapshot(
            ref=self.ref,
            part=self.part,
            url=self.url,
            fetched_at=self.fetched_at,
            sha256=self.sha256,
            media_type=self.media_type,
            body=archive.get(self.sha256),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCandidate:
    """A candidate as it was stored. `slug` is the project that it became, empty when it never did.

    `curator`, `decided_at` and `reason` are empty while it is open. `in_seeds`: a seed file has
    named the project since.
    """

    id: int
    candidate: Candidate
    found_at: datetime
    status: CandidateStatus
    curator: str
    decided_at: datetime | None
    reason: str
    slug: str
    in_seeds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A run and its report. `ended_at` and `exit_code` are None while it runs.

    `asked` are projects and options of its command, `spent` the usage by service as of its last
    commit; both are empty where nothing was noted.
    """

    id: int
    kind: str
    started_at: datetime
    ended_at: datetime | None
    status: RunStatus
    exit_code: int | None
    pid: int
    host: str
    report: Mapping[str, JsonValue]
    asked: Mapping[str, JsonValue] = field(default_factory=dict)
    spent: Mapping[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProposal:
    """A proposal as it was stored. `is_current`: it is what the rules say now of its cell."""

    id: int
    run_id: int | None
    created_at: datetime
    current_since: datetime
    is_current: bool
    proposal: Proposal


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A decision. `in_force` is False once another one has taken it back."""

    id: int
    slug: str
    dimension: str
    kind: DecisionKind
    rating: Rating | None
    proposal_id: int | None
    proposed_rating: Rating | None
    link: str
    note: str
    reason: str
    curator: str
    imported: bool
    at: datetime
    defer_until: datetime | None
    undoes_decision_id: int | None
    in_force: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmedRating:
    """The rating of a cell: the latest confirmation or override that is in force."""

    rating: Rating
    link: str
    note: str
    curator: str
    at: datetime
    imported: bool
    decision_id: int
    proposal_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An open proposal in the review queue: the rules would rate the cell otherwise than it is.

    `change` counts the classes between the current rating and the proposed one: 2 between open
    and closed, 1 otherwise, 0 when the cell has no rating yet.
    """

    proposal_id: int
    slug: str
    project: str
    dimension: str
    rating: Rating
    current: Rating | None
    change: int
    confidence: float
    rationale: str
    link: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionDetail:
    """Everything a curator needs to answer: now, then, and what was decided before.

    `then` is the proposal that the current rating rests on, else the one made before this.
    `latest_decision_id` is what the curator has seen of the cell: pass it on as `expected` when
    deciding; 0 when nothing was decided yet. `is_open` tells whether it is a question at all.
    """

    stored: StoredProposal
    project: str
    current: ConfirmedRating | None
    then: StoredProposal | None
    history: tuple[StoredDecision, ...]
    latest_decision_id: int
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingConflict:
    """A line of a ratings file that contradicts a person's decision and was left alone."""

    slug: str
    dimension: str
    imported: Rating
    decision: StoredDecision


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingsImport:
    """What an import of ratings did: numbers of lines, and the lines left alone."""

    confirmed: int
    unchanged: int
    conflicts: tuple[RatingConflict, ...]
