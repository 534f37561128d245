"""The tables of the review desk: accounts, what they did, and the index of questions.

The index (`questions`, with its sums) is derived: `db.questions` keeps it in step with proposals and
decisions, within the same transaction.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, Double, ForeignKey, Index, Integer, text
from sqlalchemy.orm import Mapped, mapped_column

from db.base import DIGEST, Base
from db.columns import PlainJson, enum_type
from db.review_values import DisputeStatus, QuestionKind, TokenScope, UserRole
from pipelines.model import JsonValue, Rating


class UserRow(Base):
    """An account of the review desk."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("name <> ''", name="named"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True, comment="what decisions record as curator")
    role: Mapped[UserRole] = mapped_column(enum_type(UserRole, "role"), comment="what the account may do")
    password_hash: Mapped[str | None] = mapped_column(comment="argon2 hash; null: no sign-in by password")
    github_login: Mapped[str | None] = mapped_column(
        unique=True, comment="account at GitHub in lower case; null: none"
    )
    active: Mapped[bool] = mapped_column(Boolean, comment="false once it was disabled")
    created_at: Mapped[datetime] = mapped_column(comment="when it was made")
    created_by: Mapped[str] = mapped_column(comment="who made it")


class UserSessionRow(Base):
    """A browser that is signed in. Only the digest of its secret is kept."""

    __tablename__ = "user_sessions"

    token_digest: Mapped[str] = mapped_column(
        DIGEST, primary_key=True, comment="sha256 of the cookie's token"
    )
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    csrf: Mapped[str] = mapped_column(comment="what the forms of the session have to repeat")
    created_at: Mapped[datetime] = mapped_column(comment="when it signed in")
    last_seen_at: Mapped[datetime] = mapped_column(comment="when it was last seen, to the minute")
    expires_at: Mapped[datetime] = mapped_column(index=True, comment="from when on it is no good")


class ApiTokenRow(Base):
    """The secret of a program, kept as a digest."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(comment="what it is for")
    token_digest: Mapped[str] = mapped_column(DIGEST, unique=True, comment="sha256 of the token")
    scope: Mapped[TokenScope] = mapped_column(enum_type(TokenScope, "scope"), comment="what it may do")
    created_at: Mapped[datetime] = mapped_column(comment="when it was made")
    last_used_at: Mapped[datetime | None] = mapped_column(comment="to the minute; null: never")
    revoked_at: Mapped[datetime | None] = mapped_column(
        comment="from when on it is no good; null: it is good"
    )


class AuditRow(Base):
    """Something that was done at the desk. Append-only."""

    __tablename__ = "audit"
    __table_args__ = (
        Index("ix_audit_action_at", "action", "at"),
        Index("ix_audit_actor_id", "actor", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(comment="name of the account, or - for nobody")
    action: Mapped[str] = mapped_column(comment="what was done, such as decision or sign-in")
    subject: Mapped[str] = mapped_column(comment="what it was done to: a cell, an account")
    detail: Mapped[JsonValue] = mapped_column(PlainJson(), comment="object with particulars, no secrets")
    address: Mapped[str] = mapped_column(comment="address of the client, or empty")


class BatchRow(Base):
    """Many proposals confirmed at once."""

    __tablename__ = "batches"
    __table_args__ = (CheckConstraint("(undone_at IS NULL) = (undone_by = '')", name="who_undid"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    curator: Mapped[str] = mapped_column(comment="who confirmed")
    at: Mapped[datetime] = mapped_column(comment="when it was confirmed")
    filter: Mapped[JsonValue] = mapped_column(PlainJson(), comment="which questions were meant")
    min_confidence: Mapped[float] = mapped_column(Double, comment="least confidence, 0 to 1")
    undone_at: Mapped[datetime | None] = mapped_column(
        comment="when all of it was taken back; null: it stands"
    )
    undone_by: Mapped[str] = mapped_column(comment="who took it back, or empty")


class CommentRow(Base):
    """What a curator said about a cell without deciding. Append-only."""

    __tablename__ = "comments"
    __table_args__ = (
        Index("ix_comments_cell", "project_id", "dimension", "id"),
        CheckConstraint("text <> ''", name="says_something"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    dimension: Mapped[str] = mapped_column(comment="what it is about")
    curator: Mapped[str] = mapped_column(comment="who said it")
    text: Mapped[str] = mapped_column(comment="what was said")
    at: Mapped[datetime] = mapped_column()


class DisputeRow(Base):
    """That a producer disputes a rating."""

    __tablename__ = "disputes"
    __table_args__ = (
        Index("ix_disputes_cell", "project_id", "dimension", "id"),
        CheckConstraint("(closed_at IS NULL) = (status = 'open')", name="when_closed"),
        CheckConstraint("(closed_by <> '') = (status <> 'open')", name="who_closed"),
        CheckConstraint("status = 'open' OR reason <> ''", name="reason_given"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    dimension: Mapped[str] = mapped_column(comment="what is disputed")
    link: Mapped[str] = mapped_column(comment="address that shows it")
    text: Mapped[str] = mapped_column(comment="what the producer says")
    contact: Mapped[str] = mapped_column(comment="how to reach the producer, or empty; never published")
    filed_at: Mapped[datetime] = mapped_column(comment="when it was filed")
    status: Mapped[DisputeStatus] = mapped_column(
        enum_type(DisputeStatus, "status"), index=True, comment="open also once it was answered by a decision"
    )
    closed_at: Mapped[datetime | None] = mapped_column(comment="when it was dismissed; null while open")
    closed_by: Mapped[str] = mapped_column(comment="who dismissed it; empty while open")
    reason: Mapped[str] = mapped_column(comment="why it was dismissed; empty while open")


class OpinionRow(Base):
    """What a second curator said of a rated cell without knowing the rating. Append-only."""

    __tablename__ = "opinions"
    __table_args__ = (
        Index("ix_opinions_cell", "project_id", "dimension", "id"),
        CheckConstraint("curator <> ''", name="curator_named"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"))
    dimension: Mapped[str] = mapped_column(comment="what was asked about")
    proposal_id: Mapped[int | None] = mapped_column(
        ForeignKey("proposals.id"), index=True, comment="the proposal whose evidence was shown; null: none"
    )
    about_decision_id: Mapped[int] = mapped_column(
        ForeignKey("decisions.id"), index=True, comment="the decision whose class was hidden"
    )
    curator: Mapped[str] = mapped_column(comment="whose opinion it is")
    rating: Mapped[Rating] = mapped_column(enum_type(Rating, "rating"), comment="the class given")
    reason: Mapped[str] = mapped_column(comment="why, or empty")
    at: Mapped[datetime] = mapped_column(index=True)


class QuestionRow(Base):
    """A cell that a curator is asked about. Derived: `db.questions` keeps it."""

    __tablename__ = "questions"
    __table_args__ = (
        # Each order of the queue as an index that holds whatever the filters ask for: no page reads the table
        # for rows that it does not show.
        *(
            Index(f"ix_questions_by_{name}", *leading, *filtered)
            for name, leading, filtered in (
                (
                    "gain",
                    ("project_gain", "project_id", "gain", "dimension"),
                    ("kind", "rating", "current_rating", "confidence", "defer_until"),
                ),
                (
                    "age",
                    ("since", "project_id", "dimension"),
                    ("kind", "rating", "current_rating", "confidence", "defer_until"),
                ),
                (
                    "confidence",
                    ("confidence", "change", "project_id", "dimension"),
                    ("kind", "rating", "current_rating", "defer_until"),
                ),
                (
                    "change",
                    ("change", "confidence", "project_id", "dimension"),
                    ("kind", "rating", "current_rating", "defer_until"),
                ),
                (
                    "project",
                    ("slug", "dimension"),
                    ("kind", "rating", "current_rating", "confidence", "defer_until", "project_id"),
                ),
            )
        ),
        Index(
            "ix_questions_facets",
            "dimension",
            "kind",
            "rating",
            "current_rating",
            "confidence",
            "proposes",
            "defer_until",
            "project_id",
        ),
        Index(
            "ix_questions_org",
            "org",
            "dimension",
            "kind",
            "rating",
            "current_rating",
            "confidence",
            "proposes",
            "defer_until",
            "project_id",
        ),
        Index(
            "ix_questions_deferred",
            "defer_until",
            sqlite_where=text("defer_until IS NOT NULL"),
            postgresql_where=text("defer_until IS NOT NULL"),
        ),
    )

    project_id: Mapped[int] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    dimension: Mapped[str] = mapped_column(primary_key=True, comment="what is asked")
    proposal_id: Mapped[int | None] = mapped_column(
        ForeignKey("proposals.id"), index=True, comment="the current proposal; null where there is none"
    )
    kind: Mapped[QuestionKind] = mapped_column(
        enum_type(QuestionKind, "kind"), comment="the chief reason why it is asked"
    )
    proposes: Mapped[bool] = mapped_column(
        Boolean, comment="the proposal is a question by itself; false: only a dispute or a disagreement asks"
    )
    rating: Mapped[Rating | None] = mapped_column(
        enum_type(Rating, "rating"), comment="class proposed; null: none"
    )
    current_rating: Mapped[Rating | None] = mapped_column(
        enum_type(Rating, "current_rating"), comment="class of the rating; null: none yet"
    )
    change: Mapped[int] = mapped_column(Integer, comment="classes between the two; 0 without a rating")
    confidence: Mapped[float] = mapped_column(Double, comment="of the proposal, 0 to 1; 0 without one")
    gain: Mapped[float] = mapped_column(Double, comment="what a curator gains; the same every day")
    project_gain: Mapped[float] = mapped_column(Double, comment="the highest gain of the project's questions")
    since: Mapped[datetime] = mapped_column(comment="since when it is asked")
    defer_until: Mapped[datetime | None] = mapped_column(comment="when it comes back; null: not deferred")
    slug: Mapped[str] = mapped_column(comment="of the project")
    org: Mapped[str] = mapped_column(comment="of the project, its first 200 characters; empty when unknown")


class QuestionCountRow(Base):
    """How many questions that are not deferred are alike. Derived with them, so that nothing has to be counted."""

    __tablename__ = "question_counts"

    dimension: Mapped[str] = mapped_column(primary_key=True, comment="what is asked")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="as in questions")
    rating: Mapped[str] = mapped_column(primary_key=True, comment="class proposed, or empty")
    current_rating: Mapped[str] = mapped_column(primary_key=True, comment="class of the rating, or empty")
    proposes: Mapped[bool] = mapped_column(Boolean, primary_key=True, comment="as in questions")
    percent: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, comment="confidence in whole hundredths, rounded down"
    )
    number: Mapped[int] = mapped_column(Integer, comment="how many")


class QuestionOrgRow(Base):
    """How many questions that are not deferred an organisation has. Derived like `question_counts`."""

    __tablename__ = "question_orgs"
    __table_args__ = (Index("ix_question_orgs_number", "number"),)

    org: Mapped[str] = mapped_column(primary_key=True, comment="as in questions")
    number: Mapped[int] = mapped_column(Integer, comment="how many")
