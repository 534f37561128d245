"""Where the stages meet: what could not be read is no verdict, and what is not named any more is let go."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from crawler.context import Context, open_context
from crawler.nightly import SOME_FAILED, run
from crawler.rating import load_evidence_set
from crawler.settings import load_settings
from db.load import load_projects, load_runs
from db.session import session_scope
from pipelines.artifacts import LINEAGE_DEPTH, base_artifacts, linked_artifacts
from pipelines.evidence import EvidenceSet
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Evidence,
    FieldValue,
    Origin,
    Project,
    Rating,
    Role,
    VisitStatus,
)
from pipelines.rules import all_rules
from pipelines.rules.engine import apply
from sandbox import LINEAGE, SEEDS, Sandbox

Place = tuple[ArtifactRef, str]


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@contextmanager
def desk(running: Sandbox, folder: Path, seeds: Path = SEEDS) -> Iterator[Context]:
    """A database and an archive with which runs go to the sandbox."""
    env = {
        **running.addresses,
        "GITHUB_TOKEN": "sandbox-token-of-nobody",
        "OPENNESS_DATABASE_URL": f"sqlite:///{folder / 'openness.db'}",
        "OPENNESS_ARCHIVE": str(folder / "archive"),
        "OPENNESS_SEEDS": str(seeds),
        "OPENNESS_LINEAGE": str(LINEAGE),
        "OPENNESS_ARXIV_DELAY": "0",
        "OPENNESS_PAGE_DELAY": "0",
        "HF_HOME": str(folder / "hub"),
    }
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("OPENNESS_", "GITHUB_", "HF_")):
                patch.delenv(name)
        for name, value in env.items():
            patch.setenv(name, value)
        settings = load_settings(env_file=None)
    with open_context(settings) as context:
        yield context


@pytest.fixture(scope="module")
def nights(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> list[EvidenceSet]:
    """What is known of every project after a first night on which everything was read."""
    running.set_night(1)
    running.clear_faults()
    with desk(running, tmp_path_factory.mktemp("joints")) as context:
        run(context, "crawl")
        with session_scope(context.engine) as session:
            projects = load_projects(session)
        return [load_evidence_set(context, project) for project in projects]


# --- a failure is no verdict ----------------------------------------------------------------------


def ratings_of(evidence: EvidenceSet) -> dict[str, Rating | None]:
    verdicts = {dimension: apply(rule, evidence) for dimension, rule in all_rules().items()}
    return {dimension: verdict.row.rating if verdict.row else None for dimension, verdict in verdicts.items()}


def without(evidence: EvidenceSet, place: Place) -> EvidenceSet:
    """The same night, had this place failed without an earlier reading; a main part takes its artifact with it."""
    ref, part = place
    is_main = part == MAIN_PART[ref.kind]

    def is_lost(other: ArtifactRef, its_part: str) -> bool:
        return other == ref and (is_main or its_part == part)

    readings = tuple(
        replace(reading, status=VisitStatus.FAILED, reason="no answer", stale=False)
        if (reading.ref, reading.part) == place
        else reading
        for reading in evidence.readings
        if (reading.ref, reading.part) == place or not is_lost(reading.ref, reading.part)
    )
    kept = tuple(item for item in evidence.evidence if not is_lost(item.ref, item.part))
    return EvidenceSet(project=evidence.project, evidence=kept, readings=readings)


def as_found(evidence: EvidenceSet) -> EvidenceSet:
    """The same night with only the artifacts to which this evidence leads."""
    artifacts = tuple(
        artifact
        for artifact in evidence.project.artifacts
        if artifact.origin is Origin.SEED or artifact.ref.kind is ArtifactKind.LINEAGE
    )
    named = artifacts
    for _ in range(LINEAGE_DEPTH + 2):
        project = replace(evidence.project, artifacts=artifacts)
        refs = {artifact.ref for artifact in artifacts}
        read = [item for item in evidence.evidence if item.ref in refs]
        artifacts = (
            *named,
            *base_artifacts(project, read),
            *linked_artifacts(project, read, links=24, pages=8),
        )
    refs = {artifact.ref for artifact in artifacts}
    return EvidenceSet(
        project=replace(evidence.project, artifacts=artifacts),
        evidence=tuple(item for item in evidence.evidence if item.ref in refs),
        readings=tuple(reading for reading in evidence.readings if reading.ref in refs),
    )


def test_no_place_that_fails_changes_a_class(nights: list[EvidenceSet]) -> None:
    """Every artifact and every part alone, with and without what it would have led to: same class, or none."""
    changed: list[str] = []
    for evidence in map(as_found, nights):
        before = ratings_of(evidence)
        for reading in evidence.readings:
            if not reading.is_readable:
                continue
            poorer = without(evidence, (reading.ref, reading.part))
            lost = as_found(poorer)
            for after in (poorer,) if lost.project == poorer.project else (poorer, lost):
                changed += [
                    f"{evidence.project.slug} {dimension}: {before[dimension]} became {rating} without {reading.ref} {reading.part}"
                    for dimension, rating in ratings_of(after).items()
                    if rating is not None and rating is not before[dimension]
                ]
    assert changed == []


# --- what is not named any more -------------------------------------------------------------------


def write_seeds(folder: Path, **changes: object) -> Path:
    entry = {
        "slug": "sorrel-chat",
        "name": "Sorrel-Chat-7B",
        "org": "Quillwort",
        "llmbase": [],
        "rlbase": [],
        "homepage": "",
        "artifacts": [{"kind": "hf_model", "id": "quillwort/sorrel-chat-7b", "role": "rl_weights"}],
    }
    path = folder / "seeds.yaml"
    path.write_text(yaml.safe_dump([entry | changes]), encoding="utf-8")
    return path


def lineage_of(context: Context) -> list[str]:
    with session_scope(context.engine) as session:
        (project,) = load_projects(session)
    return sorted(str(artifact.ref) for artifact in project.artifacts if artifact.origin is Origin.LINEAGE)


def test_a_base_that_the_card_no_longer_names_is_let_go(running: Sandbox, tmp_path: Path) -> None:
    running.set_night(1)
    card = "hub/models/quillwort/sorrel-chat-7b/files/README.md"
    with desk(running, tmp_path, write_seeds(tmp_path)) as context:
        run(context, "crawl")
        assert lineage_of(context) == ["hf_model:tansycomputing/tansy-7b"]
        running.fault("quillwort/sorrel-chat-7b", "status", status=503)
        run(context, "crawl")
        assert lineage_of(context) == ["hf_model:tansycomputing/tansy-7b"], "a failure lets nothing go"
        running.clear_faults()
        running.change(card, replace=[["tansycomputing/tansy-7b", "fennelhollow/fennel-3b"]])
        run(context, "crawl")
        assert lineage_of(context) == ["hf_model:fennelhollow/fennel-3b"]
    running.set_night(1)


def test_a_base_of_the_lineage_file_that_the_seed_no_longer_names_is_let_go(
    running: Sandbox, tmp_path: Path
) -> None:
    running.set_night(1)
    name = yaml.safe_load(LINEAGE.read_text(encoding="utf-8"))[0]["name"]
    with desk(running, tmp_path, write_seeds(tmp_path, llmbase=[name])) as context:
        run(context, "crawl")
        assert f"lineage:{name}" in lineage_of(context)
        write_seeds(tmp_path)
        run(context, "crawl")
        assert f"lineage:{name}" not in lineage_of(context)


def model(name: str, origin: Origin, role: Role) -> Artifact:
    return Artifact(ref=ArtifactRef(kind=ArtifactKind.HF_MODEL, id=name), role=role, origin=origin)


def names_base(of: Artifact, *names: str) -> Evidence:
    return Evidence(
        kind="hub.base_model",
        ref=of.ref,
        part="info",
        url="https://hub.example/",
        fetched_at=None,  # type: ignore[arg-type]
        sha256="0" * 64,
        where=FieldValue(path="$.base_model", value=list(names)),
        value={"ids": list(names), "relation": None},
    )


def bases_of(evidence: list[Evidence], *artifacts: Artifact) -> list[str]:
    project = Project(slug="sorrel", name="Sorrel", artifacts=artifacts)
    return [artifact.ref.id for artifact in base_artifacts(project, evidence)]


def test_a_model_that_was_only_linked_can_become_the_base() -> None:
    tuned = model("meadow/sorrel-chat", Origin.SEED, Role.RL_WEIGHTS)
    linked = model("meadow/sorrel", Origin.LINK, Role.OTHER)
    assert bases_of([names_base(tuned, "meadow/sorrel")], tuned, linked) == ["meadow/sorrel"]


def test_a_base_that_the_seed_writes_with_other_capitals_is_the_same_base() -> None:
    tuned = model("meadow/sorrel-chat", Origin.SEED, Role.RL_WEIGHTS)
    base = model("Meadow/Sorrel", Origin.SEED, Role.LLM_WEIGHTS)
    assert bases_of([names_base(tuned, "meadow/sorrel")], tuned, base) == []


def test_entries_of_the_lineage_file_leave_the_bases_their_room() -> None:
    tuned = model("meadow/sorrel-chat", Origin.SEED, Role.RL_WEIGHTS)
    entries = [
        Artifact(
            ref=ArtifactRef(kind=ArtifactKind.LINEAGE, id=name), role=Role.LLM_WEIGHTS, origin=Origin.LINEAGE
        )
        for name in ("Bramble", "Thistle", "Yarrow")
    ]
    assert bases_of([names_base(tuned, "meadow/sorrel")], tuned, *entries) == ["meadow/sorrel"]


# --- a run that was cut off -----------------------------------------------------------------------


def test_a_resumed_run_tells_of_what_failed_before_it_was_cut_off(
    running: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running.set_night(1)
    running.fault("tansycomputing/tansy-7b", "status", status=503)
    try:
        with desk(running, tmp_path, write_seeds(tmp_path)) as context:
            monkeypatch.setattr("crawler.rating.rate_safely", cut_off)
            with pytest.raises(KeyboardInterrupt):
                run(context, "nightly")
            monkeypatch.undo()
            with session_scope(context.engine) as session:
                (cut,) = load_runs(session)
            resumed = run(context, "crawl", resume=True)
    finally:
        running.clear_faults()
    assert (resumed.run_id, resumed.exit_code) == (cut.id, SOME_FAILED)
    for told in ("artifacts", "artifacts_by_kind", "new_snapshots", "failed", "missing", "unread"):
        assert resumed.report[told] == cut.report[told]
    assert resumed.report["failed"] == 1


def cut_off(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
