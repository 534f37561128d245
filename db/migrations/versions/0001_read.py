"""What was read: projects, artifacts, visits, snapshots, evidence."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from db.guards import create_guard

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "artifacts",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False, comment="sha256 over kind and identifier"),
        sa.Column(
            "kind",
            sa.Enum(
                "github",
                "hf_model",
                "hf_dataset",
                "pypi",
                "arxiv",
                "web",
                "lineage",
                name="kind",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="which service has it",
        ),
        sa.Column("identifier", sa.Text(), nullable=False, comment="its name at the service"),
        sa.PrimaryKeyConstraint("id", name="pk_artifacts"),
        sa.UniqueConstraint("key", name="uq_artifacts_key"),
    )
    op.create_table(
        "projects",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False, comment="its name in seeds.yaml and in every export"),
        sa.Column("name", sa.Text(), nullable=False, comment="as people write it"),
        sa.Column("org", sa.Text(), nullable=False, comment="who makes it; empty when unknown"),
        sa.Column("llmbase", JSON, nullable=False, comment="list of base models as curators name them"),
        sa.Column("rlbase", JSON, nullable=False, comment="list of tuning data as curators name them"),
        sa.Column("homepage", sa.Text(), nullable=False, comment="address, or empty"),
        sa.Column("active", sa.Boolean(), nullable=False, comment="false once the seeds have dropped it"),
        sa.Column("added_at", TIME, nullable=False, comment="when the seeds first named it"),
        sa.Column("changed_at", TIME, nullable=False, comment="when an import last changed it"),
        sa.PrimaryKeyConstraint("id", name="pk_projects"),
        sa.UniqueConstraint("slug", name="uq_projects_slug"),
    )
    op.create_table(
        "runs",
        sa.Column("id", ID, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="the command: nightly, crawl, rate, discover"),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME, nullable=True, comment="null while it runs"),
        sa.Column(
            "status",
            sa.Enum(
                "running",
                "done",
                "interrupted",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
        ),
        sa.Column("exit_code", sa.Integer(), nullable=True, comment="of the process; null while it runs"),
        sa.Column("pid", ID, nullable=False, comment="process that runs it"),
        sa.Column("host", sa.Text(), nullable=False, comment="machine that runs it"),
        sa.Column("report", JSON, nullable=False, comment="the run report; empty object until it ends"),
        sa.PrimaryKeyConstraint("id", name="pk_runs"),
    )
    op.create_index("ix_runs_started_at", "runs", ["started_at"])

    op.create_table(
        "parts",
        sa.Column("id", ID, nullable=False),
        sa.Column("artifact_id", ID, nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False, comment="sha256 over artifact and name"),
        sa.Column("name", sa.Text(), nullable=False, comment="such as card, or file:README.md"),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name="fk_parts_artifact_id"),
        sa.PrimaryKeyConstraint("id", name="pk_parts"),
        sa.UniqueConstraint("key", name="uq_parts_key"),
    )
    op.create_index("ix_parts_artifact_id", "parts", ["artifact_id"])

    op.create_table(
        "project_artifacts",
        sa.Column("id", ID, nullable=False),
        sa.Column("project_id", ID, nullable=False),
        sa.Column("artifact_id", ID, nullable=False),
        sa.Column(
            "role",
            sa.Enum(
                "code",
                "llm_weights",
                "rl_weights",
                "llm_data",
                "rl_data",
                "preprint",
                "paper",
                "package",
                "api",
                "homepage",
                "other",
                name="role",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="what it is to the project",
        ),
        sa.Column(
            "origin",
            sa.Enum(
                "seed", "link", "lineage", name="origin", native_enum=False, create_constraint=True, length=20
            ),
            nullable=False,
            comment="how it came to belong to it",
        ),
        sa.Column(
            "position", sa.Integer(), nullable=False, comment="order in the seed entry; links come after"
        ),
        sa.Column("active", sa.Boolean(), nullable=False, comment="false once the seed entry has dropped it"),
        sa.Column(
            "named_by_artifact_id", ID, nullable=True, comment="the artifact that names it; null for seeds"
        ),
        sa.Column("named_by_part", sa.Text(), nullable=True, comment="the part that names it"),
        sa.Column("named_by_text", sa.Text(), nullable=True, comment="the words that name it"),
        sa.ForeignKeyConstraint(["artifact_id"], ["artifacts.id"], name="fk_project_artifacts_artifact_id"),
        sa.ForeignKeyConstraint(
            ["named_by_artifact_id"], ["artifacts.id"], name="fk_project_artifacts_named_by_artifact_id"
        ),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name="fk_project_artifacts_project_id"),
        sa.PrimaryKeyConstraint("id", name="pk_project_artifacts"),
        sa.UniqueConstraint(
            "project_id", "artifact_id", "role", name="uq_project_artifacts_project_id_artifact_id_role"
        ),
    )
    op.create_index("ix_project_artifacts_artifact_id", "project_artifacts", ["artifact_id"])

    op.create_table(
        "snapshots",
        sa.Column("id", ID, nullable=False),
        sa.Column("part_id", ID, nullable=False),
        sa.Column(
            "sha256",
            sa.String(length=64),
            nullable=False,
            comment="digest of the bytes, their name in the archive",
        ),
        sa.Column("url", sa.Text(), nullable=False, comment="address at which a person sees the part"),
        sa.Column("media_type", sa.Text(), nullable=False, comment="as the service gave it"),
        sa.Column("size", ID, nullable=False, comment="bytes, uncompressed"),
        sa.Column("fetched_at", TIME, nullable=False, comment="when these bytes were first read"),
        sa.Column("etag", sa.Text(), nullable=False, comment="HTTP validator at that time, or empty"),
        sa.Column(
            "last_modified", sa.Text(), nullable=False, comment="HTTP validator at that time, or empty"
        ),
        sa.Column(
            "token",
            sa.Text(),
            nullable=False,
            comment="the source's own change signal at that time, or empty",
        ),
        sa.ForeignKeyConstraint(["part_id"], ["parts.id"], name="fk_snapshots_part_id"),
        sa.PrimaryKeyConstraint("id", name="pk_snapshots"),
        sa.UniqueConstraint("part_id", "sha256", name="uq_snapshots_part_id_sha256"),
    )
    op.create_index("ix_snapshots_sha256", "snapshots", ["sha256"])

    op.create_table(
        "extractions",
        sa.Column("id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column(
            "extractor_version", sa.Text(), nullable=False, comment="version of the extractors as a whole"
        ),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_extractions_snapshot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_extractions"),
        sa.UniqueConstraint(
            "snapshot_id", "extractor_version", name="uq_extractions_snapshot_id_extractor_version"
        ),
    )
    op.create_table(
        "visits",
        sa.Column("id", ID, nullable=False),
        sa.Column("run_id", ID, nullable=False),
        sa.Column("part_id", ID, nullable=False),
        sa.Column("url", sa.Text(), nullable=False, comment="address at which a person sees the part"),
        sa.Column("at", TIME, nullable=False, comment="when it was asked for"),
        sa.Column(
            "status",
            sa.Enum(
                "ok",
                "unchanged",
                "missing",
                "denied",
                "failed",
                name="status",
                native_enum=False,
                create_constraint=True,
                length=20,
            ),
            nullable=False,
            comment="only missing is a fact",
        ),
        sa.Column("http_status", sa.Integer(), nullable=True, comment="null when nothing was requested"),
        sa.Column("reason", sa.Text(), nullable=False, comment="why the part was not read, in one line"),
        sa.Column("snapshot_id", ID, nullable=True, comment="what was read; exactly with ok and unchanged"),
        sa.Column("etag", sa.Text(), nullable=False, comment="HTTP validator for the next visit, or empty"),
        sa.Column(
            "last_modified", sa.Text(), nullable=False, comment="HTTP validator for the next visit, or empty"
        ),
        sa.Column(
            "token",
            sa.Text(),
            nullable=False,
            comment="the source's change signal for the next visit, or empty",
        ),
        sa.CheckConstraint(
            "(snapshot_id IS NOT NULL) = (status IN ('ok', 'unchanged'))",
            name=op.f("ck_visits_snapshot_when_read"),
        ),
        sa.ForeignKeyConstraint(["part_id"], ["parts.id"], name="fk_visits_part_id"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.id"], name="fk_visits_run_id"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_visits_snapshot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_visits"),
    )
    op.create_index("ix_visits_part_id_id", "visits", ["part_id", "id"])
    op.create_index("ix_visits_run_id", "visits", ["run_id"])
    op.create_index("ix_visits_snapshot_id", "visits", ["snapshot_id"])
    op.create_index(
        "ix_visits_standing",
        "visits",
        ["part_id", "id"],
        sqlite_where=sa.text("snapshot_id IS NOT NULL"),
        postgresql_where=sa.text("snapshot_id IS NOT NULL"),
    )

    op.create_table(
        "evidence",
        sa.Column("id", ID, nullable=False),
        sa.Column("snapshot_id", ID, nullable=False),
        sa.Column("extraction_id", ID, nullable=True, comment="null when only a proposal names it"),
        sa.Column("ordinal", sa.Integer(), nullable=False, comment="order within the extraction"),
        sa.Column("kind", sa.Text(), nullable=False, comment="what was found"),
        sa.Column(
            "key",
            sa.String(length=64),
            nullable=False,
            comment="identity: what was found, not when or where in the file",
        ),
        sa.Column("quote_start", sa.Integer(), nullable=True, comment="first character in the decoded text"),
        sa.Column("quote_end", sa.Integer(), nullable=True, comment="character after the last"),
        sa.Column("quote_text", sa.Text(), nullable=True, comment="the passage"),
        sa.Column("field_path", sa.Text(), nullable=True, comment="JSON path of a field"),
        sa.Column(
            "field_value", sa.Text(), nullable=True, comment="what the field holds, as JSON; null for quotes"
        ),
        sa.Column("value", sa.Text(), nullable=False, comment="normalised value that rules read, as JSON"),
        sa.CheckConstraint(
            "(quote_text IS NULL) <> (field_path IS NULL)"
            " AND (quote_text IS NULL) = (quote_start IS NULL)"
            " AND (quote_text IS NULL) = (quote_end IS NULL)",
            name=op.f("ck_evidence_quote_or_field"),
        ),
        sa.ForeignKeyConstraint(["extraction_id"], ["extractions.id"], name="fk_evidence_extraction_id"),
        sa.ForeignKeyConstraint(["snapshot_id"], ["snapshots.id"], name="fk_evidence_snapshot_id"),
        sa.PrimaryKeyConstraint("id", name="pk_evidence"),
        sa.UniqueConstraint("extraction_id", "ordinal", name="uq_evidence_extraction_id_ordinal"),
    )
    op.create_index("ix_evidence_snapshot_id_key", "evidence", ["snapshot_id", "key"])

    create_guard(op.get_bind(), "snapshots", "UPDATE")
