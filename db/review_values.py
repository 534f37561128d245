"""The values of the review desk: who may do what, what is asked of a curator, and what was done.

Nothing here touches the database: `db.review_rows` takes its enums from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pipelines.model import JsonValue, Rating


class UserRole(StrEnum):
    """What an account may do; each role may do what the ones before it may, too."""

    READER = "reader"
    CURATOR = "curator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Its place in the order of roles, from 0."""
        return tuple(UserRole).index(self)

    def may(self, needed: UserRole) -> bool:
        """Whether somebody with this role may do what that role may."""
        return self.rank >= needed.rank


class TokenScope(StrEnum):
    """What a program may do with an API token."""

    READ = "read"
    WRITE = "write"


class DisputeStatus(StrEnum):
    """Whether a dispute still counts. An open one is answered by the next decision about its cell."""

    OPEN = "open"
    DISMISSED = "dismissed"


class QuestionKind(StrEnum):
    """Why a cell is asked about, the chief reason of several: the first of these that holds."""

    DISPUTE = "dispute"
    """A producer disputes the rating."""
    DISAGREEMENT = "disagreement"
    """A second curator, who did not know the first one's class, gave another."""
    EVIDENCE_GONE = "evidence_gone"
    """Evidence that the rating rests on is in a part that is not there any more."""
    LICENCE_CONFLICT = "licence_conflict"
    """One part of the project is openly licensed, another is restricted."""
    CLAIM = "claim"
    """The project claims an openness that its own evidence speaks against."""
    NEW_EVIDENCE = "new_evidence"
    """The rules say otherwise than the rating."""
    NEW_PROJECT = "new_project"
    """The cell has no rating yet."""


class Sort(StrEnum):
    """The orders of the queue. Whatever is equal is in order of project and dimension."""

    GAIN = "gain"
    """What a curator gains: the project with the most gainful question first, its questions together."""
    AGE = "age"
    """The longest waiting first."""
    CONFIDENCE = "confidence"
    """The surest first."""
    CHANGE = "change"
    """The biggest change of class first."""
    PROJECT = "project"
    """By slug, the questions of a project together."""


CellName = tuple[str, str]
"""A cell by slug and dimension."""

UNRATED = "unrated"
"""How a change is written from no rating, or to no class: `unrated>open`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFilter:
    """Which questions are meant; what is empty or None does not restrict.

    `ratings` are classes proposed, `change` is `closed>open` or `unrated>open`, `rated` whether the cell
    has a rating, `proposes` whether the proposal itself is the question: it is not where only a dispute
    or a disagreement asks about a cell of which the rules say what the rating says.
    """

    dimensions: tuple[str, ...] = ()
    ratings: tuple[Rating, ...] = ()
    kinds: tuple[QuestionKind, ...] = ()
    orgs: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    min_confidence: float = 0.0
    change: str | None = None
    rated: bool | None = None
    proposes: bool | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """What restricts, for the record."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name in self.__slots__
            if (value := getattr(self, name)) not in ((), None, 0.0)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueItem:
    """A question as the queue lists it.

    `proposal_id`, `rating`, `rationale` and `link` are those of the current proposal; without one (None, empty)
    only a dispute or a disagreement asks. `change` counts classes, as in `Question`. `gain` is explained
    in `db.gain`; `since` is when it became a question.
    """

    proposal_id: int | None
    slug: str
    project: str
    org: str
    dimension: str
    kind: QuestionKind
    rating: Rating | None
    current: Rating | None
    change: int
    confidence: float
    gain: float
    rationale: str
    link: str
    since: datetime
    proposes: bool

    @property
    def cell(self) -> CellName:
        """Slug and dimension."""
        return self.slug, self.dimension


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPage:
    """Some questions in order. `total`: how many the filter finds; `next`: pass it on as `after`, None at the end."""

    items: tuple[QueueItem, ...]
    total: int
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Facets:
    """How many questions there are of each sort; `total` is what the whole filter finds.

    The counts of a facet are those of the filter without its own restriction, so that the other choices are
    seen: the counts of what the filter chooses (of all, where it does not restrict) add up to `total`.
    `orgs` is the one that is not whole: of the 20 organisations with the most questions, and of those chosen.
    `bands` are least confidences in tenths ("0.8": from 0.8 below 0.9; "0.9" to 1), `changes` are as in the filter.
    """

    total: int
    dimensions: Mapping[str, int]
    kinds: Mapping[QuestionKind, int]
    ratings: Mapping[Rating | None, int]
    changes: Mapping[str, int]
    bands: Mapping[str, int]
    orgs: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredUser:
    """An account. `name` is what decisions record as curator."""

    id: int
    name: str
    role: UserRole
    github_login: str | None
    active: bool
    has_password: bool = False
    created_at: datetime | None = None
    created_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedIn:
    """Who a session belongs to, and the secret that its forms have to repeat."""

    user: StoredUser
    csrf: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredToken:
    """An API token without its secret. `revoked_at` is None while it is good."""

    id: int
    user: StoredUser
    name: str
    scope: TokenScope
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None

    @property
    def may_write(self) -> bool:
        """Whether it may change anything, as far as the role of its account allows."""
        return self.scope is TokenScope.WRITE


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing that was done. `subject` is a cell, an account or the like; `address` the client's, or empty."""

    id: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, JsonValue]
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries are meant; what is empty or None does not restrict. `until` is the first moment left out."""

    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkPreview:
    """What a confirmation of many would do.

    `by_change` is keyed like `closed>open`. `left_out` are questions of the filter that a person has to
    look at: disputes, disagreements. `digest` is over every proposal and what its cell looked like: pass it on.
    """

    total: int
    by_dimension: Mapping[str, int]
    by_change: Mapping[str, int]
    sample: tuple[QueueItem, ...]
    left_out: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkDone:
    """A confirmation of many that was made: the id of its batch, and how many decisions."""

    batch_id: int
    confirmed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchUndone:
    """What undoing a batch did: how many decisions, and the cells left alone since they were decided again."""

    undone: int
    left: tuple[CellName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBatch:
    """A confirmation of many. `filter` as it was asked for; `undone_at` is None while it stands."""

    id: int
    curator: str
    at: datetime
    filter: Mapping[str, JsonValue]
    min_confidence: float
    decisions: int
    undone_at: datetime | None
    undone_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComment:
    """What a curator said about a cell without deciding."""

    id: int
    slug: str
    dimension: str
    curator: str
    text: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexProblem:
    """A cell of which the index of questions does not say what proposals and decisions say."""

    slug: str
    dimension: str
    what: str

    def __str__(self) -> str:
        return f"question {self.slug} {self.dimension}: {self.what}"
