"""The review desk: accounts, the audit log, comments, disputes, second opinions, and the index of questions.

The index is filled by `db.session.upgrade`, like after every migration: it is derived.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from db.guards import create_guard

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")
CLASSES = ("closed", "partial", "open", "not_applicable")


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, create_constraint=True, length=20)


def upgrade() -> None:
    _add_accounts()
    _add_judgements()
    _add_questions()
    for table in ("audit", "comments", "opinions"):
        for action in ("UPDATE", "DELETE"):
            create_guard(op.get_bind(), table, action)


def _add_accounts() -> None:
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False, comment="name of the account, or - for nobody"),
        sa.Column("action", sa.Text(), nullable=False, comment="what was done, such as decision or sign-in"),
        sa.Column("subject", sa.Text(), nullable=False, comment="what it was done to: a cell, an account"),
        sa.Column("detail", JSON, nullable=False, comment="object with particulars, no secrets"),
        sa.Column("address", sa.Text(), nullable=False, comment="address of the client, or empty"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_action_at", "audit", ["action", "at"])
    op.create_index("ix_audit_actor_id", "audit", ["actor", "id"])
    op.create_index("ix_audit_at", "audit", ["at"])
    op.create_table(
        "users",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what decisions record as curator"),
        sa.Column(
            "role",
            _enum("role", "reader", "curator", "admin"),
            nullable=False,
            comment="what the account may do",
        ),
        sa.Column(
            "password_hash", sa.Text(), nullable=True, comment="argon2 hash; null: no sign-in by password"
        ),
        sa.Column(
            "github_login", sa.Text(), nullable=True, comment="account at GitHub in lower case; null: none"
        ),
        sa.Column("active", sa.Boolean(), nullable=False, comment="false once it was disabled"),
        sa.Column("created_at", TIME, nullable=False, comment="when it was made"),
        sa.Column("created_by", sa.Text(), nullable=False, comment="who made it"),
        sa.CheckConstraint("name <> ''", name=op.f("ck_users_named")),
        sa.PrimaryKeyConstraint("id", name="pk_users"),
        sa.UniqueConstraint("github_login", name="uq_users_github_login"),
        sa.UniqueConstraint("name", name="uq_users_name"),
    )
    op.create_table(
        "api_tokens",
        sa.Column("id", ID, nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="what it is for"),
        sa.Column("token_digest", sa.String(length=64), nullable=False, comment="sha256 of the token"),
        sa.Column(
            "scope",
            _enum("scope", "read", "write"),
            nullable=False,
            comment="what it may do",
        ),
        sa.Column("created_at", TIME, nullable=False, comment="when it was made"),
        sa.Column("last_used_at", TIME, nullable=True, comment="to the minute; null: never"),
        sa.Column("revoked_at", TIME, nullable=True, comment="from when on it is no good; null: it is good"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_api_tokens_user_id"),
        sa.PrimaryKeyConstraint("id", name="pk_api_tokens"),
        sa.UniqueConstraint("token_digest", name="uq_api_tokens_token_digest"),
    )
    op.create_index("ix_api_tokens_user_id", "api_tokens", ["user_id"])
    op.create_table(
        "user_sessions",
        sa.Column(
            "token_digest", sa.String(length=64), nullable=False, comment="sha256 of the cookie's token"
        ),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("csrf", sa.Text(), nullable=False, comment="what the forms of the session have to repeat"),
        sa.Column("created_at", TIME, nullable=False, comment="when it signed in"),
        sa.Column("last_seen_at", TIME, nullable=False, comment="when it was last seen, to the minute"),
        sa.Column("expires_at", TIME, nullable=False, comment="from when on it is no good"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_user_sessions_user_id"),
        sa.PrimaryKeyConstraint("token_digest", name="pk_user_sessions"),
    )
    op.create_index("ix_user_sessions_expires_at", "user_sessions", ["expires_at"])
    op.create_index("ix_user_sessions_user_id", "user_sessions", ["user_id"])


def _add_judgements() -> None:
    op.create_table(
        "batches",
        sa.Column("id", ID, nullable=False),
        sa.Column("curator", sa.Text(), nullable=False, comment="who confirmed"),
        sa.Column("at", TIME, nullable=False, comment="when it was confirmed"),
        sa.Column("filter", JSON, nullable=False, comment="which questions were meant"),
        sa.Column("min_confidence", sa.Double(), nullable=False, comment="least confidence, 0 to 1"),
        sa.Column("undone_at", TIME, nullable=True, comment="when all of it was taken back; null: it stands"),
        sa.Column("undone_by", sa.Text(), nullable=False, comment="who took it back, or empty"),
        sa.CheckConstraint("(undone_at IS NULL) = (undone_by = '')", name=op.f("ck_batches_who_undid")),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
    )
    op.create_table(
        "comments",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="what it is about"),
        sa.Column("curator", sa.Text(), nullable=False, comment="who said it"),
        sa.Column("text", sa.Text(), nullable=False, comment="what was said"),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("text <> ''", name=op.f("ck_comments_says_something")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_comments_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_comments"),
    )
    op.create_index("ix_comments_cell", "comments", ["project_id", "dimension", "id"])
    op.create_table(
        "disputes",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="what is disputed"),
        sa.Column("link", sa.Text(), nullable=False, comment="address that shows it"),
        sa.Column("text", sa.Text(), nullable=False, comment="what the producer says"),
        sa.Column(
            "contact",
            sa.Text(),
            nullable=False,
            comment="how to reach the producer, or empty; never published",
        ),
        sa.Column("filed_at", TIME, nullable=False, comment="when it was filed"),
        sa.Column(
            "status",
            _enum("status", "open", "dismissed"),
            nullable=False,
            comment="open also once it was answered by a decision",
        ),
        sa.Column("closed_at", TIME, nullable=True, comment="when it was dismissed; null while open"),
        sa.Column("closed_by", sa.Text(), nullable=False, comment="who dismissed it; empty while open"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why it was dismissed; empty while open"),
        sa.CheckConstraint("(closed_at IS NULL) = (status = 'open')", name=op.f("ck_disputes_when_closed")),
        sa.CheckConstraint("(closed_by <> '') = (status <> 'open')", name=op.f("ck_disputes_who_closed")),
        sa.CheckConstraint("status = 'open' OR reason <> ''", name=op.f("ck_disputes_reason_given")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_disputes_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_disputes"),
    )
    op.create_index("ix_disputes_cell", "disputes", ["project_id", "dimension", "id"])
    op.create_index("ix_disputes_status", "disputes", ["status"])
    op.create_table(
        "opinions",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="what was asked about"),
        sa.Column(
            "proposal_id", ID, nullable=True, comment="the proposal whose evidence was shown; null: none"
        ),
        sa.Column("about_decision_id", ID, nullable=False, comment="the decision whose class was hidden"),
        sa.Column("curator", sa.Text(), nullable=False, comment="whose opinion it is"),
        sa.Column(
            "rating",
            _enum("rating", *CLASSES),
            nullable=False,
            comment="the class given",
        ),
        sa.Column("reason", sa.Text(), nullable=False, comment="why, or empty"),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("curator <> ''", name=op.f("ck_opinions_curator_named")),
        sa.ForeignKeyConstraint(
            ["about_decision_id"], ["decisions.id"], name="fk_opinions_about_decision_id"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_opinions_project_id"),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name="fk_opinions_proposal_id"),
        sa.PrimaryKeyConstraint("id", name="pk_opinions"),
    )
    op.create_index("ix_opinions_about_decision_id", "opinions", ["about_decision_id"])
    op.create_index("ix_opinions_at", "opinions", ["at"])
    op.create_index("ix_opinions_cell", "opinions", ["project_id", "dimension", "id"])
    op.create_index("ix_opinions_proposal_id", "opinions", ["proposal_id"])
    _add_reference(
        "decisions",
        "batch_id",
        "batches",
        "the confirmation of many that it was made with; null: decided by itself",
    )
    op.create_index("ix_decisions_batch_id", "decisions", ["batch_id"])
    _add_reference(
        "proposals",
        "claim_evidence_id",
        "evidence",
        "a claim of openness that stands against it; null: none, or not looked for yet",
    )
    # Claims are looked for when a project is rated: each is to be rated once more.
    op.execute("UPDATE projects SET rated_from = NULL")


def _add_reference(table: str, column: str, parent: str, comment: str) -> None:
    """Add a column that refers to a parent, or to nothing.

    In SQL, since SQLite adds a constraint to a table only together with its column, and rebuilding the
    table would lose its guards.
    """
    sqlite = op.get_bind().dialect.name == "sqlite"
    kind = "INTEGER" if sqlite else "BIGINT"
    constraint = f"CONSTRAINT fk_{table}_{column} REFERENCES {parent} (id)"
    op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind} {constraint}")
    if not sqlite:
        op.execute(f"COMMENT ON COLUMN {table}.{column} IS '{comment}'")


def _add_questions() -> None:
    op.create_table(
        "question_counts",
        sa.Column("dimension", sa.Text(), nullable=False, comment="what is asked"),
        sa.Column("kind", sa.Text(), nullable=False, comment="as in questions"),
        sa.Column("rating", sa.Text(), nullable=False, comment="class proposed, or empty"),
        sa.Column("current_rating", sa.Text(), nullable=False, comment="class of the rating, or empty"),
        sa.Column("proposes", sa.Boolean(), nullable=False, comment="as in questions"),
        sa.Column(
            "percent",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="confidence in whole hundredths, rounded down",
        ),
        sa.Column("number", sa.Integer(), nullable=False, comment="how many"),
        sa.PrimaryKeyConstraint(
            "dimension", "kind", "rating", "current_rating", "proposes", "percent", name="pk_question_counts"
        ),
    )
    op.create_table(
        "question_orgs",
        sa.Column("org", sa.Text(), nullable=False, comment="as in questions"),
        sa.Column("number", sa.Integer(), nullable=False, comment="how many"),
        sa.PrimaryKeyConstraint("org", name="pk_question_orgs"),
    )
    op.create_index("ix_question_orgs_number", "question_orgs", ["number"])
    op.create_table(
        "questions",
        sa.Column("project_id", ID, nullable=False),
        sa.Column("dimension", sa.Text(), nullable=False, comment="what is asked"),
        sa.Column("proposal_id", ID, nullable=True, comment="the current proposal; null where there is none"),
        sa.Column(
            "kind",
            _enum(
                "kind",
                "dispute",
                "disagreement",
                "evidence_gone",
                "licence_conflict",
                "claim",
                "new_evidence",
                "new_project",
            ),
            nullable=False,
            comment="the chief reason why it is asked",
        ),
        sa.Column(
            "proposes",
            sa.Boolean(),
            nullable=False,
            comment="the proposal is a question by itself; false: only a dispute or a disagreement asks",
        ),
        sa.Column(
            "rating",
            _enum("rating", *CLASSES),
            nullable=True,
            comment="class proposed; null: none",
        ),
        sa.Column(
            "current_rating",
            _enum("current_rating", *CLASSES),
            nullable=True,
            comment="class of the rating; null: none yet",
        ),
        sa.Column(
            "change", sa.Integer(), nullable=False, comment="classes between the two; 0 without a rating"
        ),
        sa.Column(
            "confidence", sa.Double(), nullable=False, comment="of the proposal, 0 to 1; 0 without one"
        ),
        sa.Column("gain", sa.Double(), nullable=False, comment="what a curator gains; the same every day"),
        sa.Column(
            "project_gain", sa.Double(), nullable=False, comment="the highest gain of the project's questions"
        ),
        sa.Column("since", TIME, nullable=False, comment="since when it is asked"),
        sa.Column("defer_until", TIME, nullable=True, comment="when it comes back; null: not deferred"),
        sa.Column("slug", sa.Text(), nullable=False, comment="of the project"),
        sa.Column(
            "org",
            sa.Text(),
            nullable=False,
            comment="of the project, its first 200 characters; empty when unknown",
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_questions_project_id"),
        sa.ForeignKeyConstraint(["proposal_id"], ["proposals.id"], name="fk_questions_proposal_id"),
        sa.PrimaryKeyConstraint("project_id", "dimension", name="pk_questions"),
    )
    classes = ["rating", "current_rating"]
    for name, columns in {
        "by_age": ["since", "project_id", "dimension", "kind", *classes, "confidence", "defer_until"],
        "by_change": ["change", "confidence", "project_id", "dimension", "kind", *classes, "defer_until"],
        "by_confidence": ["confidence", "change", "project_id", "dimension", "kind", *classes, "defer_until"],
        "by_gain": [
            *("project_gain", "project_id", "gain", "dimension"),
            *("kind", *classes, "confidence", "defer_until"),
        ],
        "by_project": ["slug", "dimension", "kind", *classes, "confidence", "defer_until", "project_id"],
        "facets": ["dimension", "kind", *classes, "confidence", "proposes", "defer_until", "project_id"],
        "org": ["org", "dimension", "kind", *classes, "confidence", "proposes", "defer_until", "project_id"],
        "proposal_id": ["proposal_id"],
    }.items():
        op.create_index(f"ix_questions_{name}", "questions", columns)
    op.create_index(
        "ix_questions_deferred",
        "questions",
        ["defer_until"],
        sqlite_where=sa.text("defer_until IS NOT NULL"),
        postgresql_where=sa.text("defer_until IS NOT NULL"),
    )
