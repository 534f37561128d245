"""Gathering, with sources that are invented: what is asked for, when, and what is stored."""

from __future__ import annotations

import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import crawler.gather
from crawler.archive import Archive
from crawler.context import Context
from crawler.gather import Gathering
from crawler.gather_feed import Manner
from crawler.gathered import Gathered
from crawler.nightly import run
from crawler.rating import rate_projects
from crawler.settings import Settings
from crawler.sources.base import Usage
from db.load import load_evidence, load_projects, load_proposals, load_runs, load_visited
from db.save import begin_run, save_projects
from db.session import make_engine, session_scope, upgrade
from pipelines.errors import StorageError
from pipelines.model import (
    MAIN_PART,
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Capture,
    Project,
    Role,
    Visit,
    VisitRequest,
    VisitStatus,
    canonical_json,
)

NOW = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
KINDS = {
    "github": {ArtifactKind.GITHUB},
    "huggingface": {ArtifactKind.HF_MODEL, ArtifactKind.HF_DATASET},
    "pypi": {ArtifactKind.PYPI},
    "arxiv": {ArtifactKind.ARXIV},
    "web": {ArtifactKind.WEB},
    "lineage": {ArtifactKind.LINEAGE},
}


def model(name: str) -> ArtifactRef:
    return ArtifactRef(kind=ArtifactKind.HF_MODEL, id=name)


def paper(number: str) -> ArtifactRef:
    return ArtifactRef(kind=ArtifactKind.ARXIV, id=number)


def card(*links: str, base: str = "") -> dict[str, bytes]:
    """A model's documents: its card links to addresses, and names its base."""
    lines = "\n\n".join(
        f"We describe it in [our report {number}]({link})." for number, link in enumerate(links)
    )
    info = {"id": "x", "cardData": {"base_model": base} if base else {}, "siblings": [], "tags": []}
    return {"card": f"# A model\n\n{lines}\n".encode(), "info": canonical_json(info)}


@dataclass
class Invented:
    """A source that reads an invented world, in an order of its own."""

    name: str
    world: dict[ArtifactRef, dict[str, bytes]]
    chance: random.Random | None = None
    calls: list[list[ArtifactRef]] = field(default_factory=list)
    known: dict[ArtifactRef, set[str]] = field(default_factory=dict)
    most: int = 0

    def __post_init__(self) -> None:
        self.kinds = frozenset(KINDS[self.name])
        self._running = 0
        self._lock = threading.Lock()

    @property
    def usage(self) -> Usage:
        return Usage(requests=sum(map(len, self.calls)))

    def fetch_allowance(self) -> None:
        return None

    def close(self) -> None:
        pass

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
            self.calls.append([request.ref for request in requests])
        requests = list(requests)
        if self.chance:
            self.chance.shuffle(requests)
        for request in requests:
            self.known[request.ref] = set(request.known)
            if self.chance:
                time.sleep(self.chance.random() / 200)
            yield from self.visits_of(request.ref)
        with self._lock:
            self._running -= 1

    def visits_of(self, ref: ArtifactRef) -> Iterator[Visit]:
        parts = self.world.get(ref)
        if parts is None:
            yield Visit(
                ref=ref, part=MAIN_PART[ref.kind], url="u:", at=NOW, status=VisitStatus.MISSING, reason="no"
            )
            return
        for part, body in parts.items():
            capture = Capture(body=body, media_type="application/json" if part == "info" else "text/markdown")
            yield Visit(ref=ref, part=part, url="u:", at=NOW, status=VisitStatus.OK, capture=capture)

    @property
    def asked(self) -> list[ArtifactRef]:
        return [ref for call in self.calls for ref in call]


EMPTY: list[Path] = []


@pytest.fixture(scope="module", autouse=True)
def _empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A database with the newest schema: making one takes longer than copying it."""
    file = tmp_path_factory.mktemp("empty") / "openness.db"
    engine = make_engine(f"sqlite:///{file}")
    upgrade(engine)
    engine.dispose()
    EMPTY[:] = [file]
    yield
    EMPTY.clear()


class World:
    """Sources over one invented world, and a database to gather into."""

    def __init__(self, folder: Path, documents: dict[ArtifactRef, dict[str, bytes]]) -> None:
        self.documents = documents
        folder.mkdir(exist_ok=True)
        shutil.copy(EMPTY[0], folder / "openness.db")
        engine = make_engine(f"sqlite:///{folder}/openness.db")
        self.context = Context(
            settings=Settings(_env_file=None, lineage=folder / "none.yaml"),
            engine=engine,
            archive=Archive(folder / "archive"),
            clock=lambda: NOW,
        )
        self.sources: dict[str, Invented] = {}

    def seed(self, **projects: list[ArtifactRef]) -> None:
        made = [
            Project(
                slug=slug,
                name=slug,
                artifacts=tuple(Artifact(ref=ref, role=Role.RL_WEIGHTS) for ref in refs),
            )
            for slug, refs in projects.items()
        ]
        with session_scope(self.context.engine, write=True) as session:
            save_projects(session, made, NOW)

    def make_sources(self, chance: random.Random | None = None) -> list[Invented]:
        made = [Invented(name, self.documents, chance) for name in KINDS]
        self.sources = {source.name: source for source in made}
        return made

    def gather(self, *slugs: str, run_id: int = 0, sources=None, **options) -> Gathered:
        with session_scope(self.context.engine, write=True) as session:
            run_id = run_id or begin_run(session, "crawl", NOW, 1, "larch")
            projects = load_projects(session)
        result = Gathered()
        self.finished: list[str] = []

        def finish(done: Sequence[Project]) -> None:
            rate_projects(self.context, done, run_id)
            self.finished += [project.slug for project in done]

        gathering = Gathering(
            self.context, sources or self.make_sources(), [], run_id, finish=finish, result=result, **options
        )
        gathering.go(slugs or [project.slug for project in projects])
        return result

    def stored(self) -> tuple[object, ...]:
        """Everything that a night comes to, without the numbers of rows and the times."""
        with session_scope(self.context.engine) as session:
            projects = load_projects(session)
            refs = sorted({artifact.ref for project in projects for artifact in project.artifacts})
            evidence = [(e.ref, e.part, e.kind, e.where, dict(e.value)) for e in load_evidence(session, refs)]
            proposals = [
                (s.proposal.identity, s.proposal.rationale, s.is_current) for s in load_proposals(session)
            ]
        return projects, evidence, sorted(proposals)

    def rows(self, query: str) -> list[tuple]:
        with session_scope(self.context.engine) as session:
            return [tuple(row) for row in session.execute(text(query))]


def documents(number: int = 6) -> dict[ArtifactRef, dict[str, bytes]]:
    """Models that link to papers and pages; each is built on a base, and that on another."""
    found: dict[ArtifactRef, dict[str, bytes]] = {}
    for n in range(number):
        found[model(f"lab/tuned-{n}")] = card(
            f"https://arxiv.org/abs/2301.{n:05}", f"https://page-{n}.example/report", base=f"lab/base-{n % 2}"
        )
        found[paper(f"2301.{n:05}")] = {"entry": canonical_json({"id": f"2301.{n:05}", "title": "T"})}
        page = ArtifactRef(kind=ArtifactKind.WEB, id=f"https://page-{n}.example/report")
        found[page] = {"page": b"<html><body><p>A page about a model.</p></body></html>"}
    for n in range(2):
        found[model(f"lab/base-{n}")] = card(f"https://arxiv.org/abs/2202.{n:05}", base="lab/root")
        found[paper(f"2202.{n:05}")] = {"entry": canonical_json({"id": f"2202.{n:05}", "title": "B"})}
    found[model("lab/root")] = card("https://arxiv.org/abs/2002.00001")
    found[paper("2002.00001")] = {"entry": canonical_json({"id": "2002.00001", "title": "R"})}
    return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path, documents())
    made.seed(**{f"p{n}": [model(f"lab/tuned-{n}"), paper("1901.00001")] for n in range(6)})
    return made


def test_everything_that_leads_on_is_followed_and_nothing_is_asked_for_twice(world: World) -> None:
    result = world.gather()
    asked = [ref for source in world.sources.values() for ref in source.asked]
    assert len(asked) == len(set(asked))
    assert set(world.documents) <= set(asked)
    assert result.artifacts[ArtifactKind.HF_MODEL] == 9
    assert sorted(world.finished) == [f"p{n}" for n in range(6)]


def test_all_papers_of_a_night_go_into_two_questions(world: World) -> None:
    world.gather()
    first, second = world.sources["arxiv"].calls
    assert first == [paper("1901.00001")]
    assert len(second) == 9


def test_what_can_lead_on_is_asked_for_before_what_was_only_linked_to(tmp_path: Path) -> None:
    data = ArtifactRef(kind=ArtifactKind.HF_DATASET, id="lab/words")
    linking = card("https://huggingface.co/datasets/lab/words")
    world = World(tmp_path, {model("lab/one"): linking, data: card(), model("lab/two"): card()})
    world.seed(one=[model("lab/one")], two=[model("lab/two")])
    world.gather()
    assert world.sources["huggingface"].calls == [[model("lab/one"), model("lab/two")], [data]]
    world.gather()
    assert world.sources["huggingface"].calls == [[model("lab/one"), model("lab/two"), data]]


def test_pages_do_not_wait_for_each_other(world: World) -> None:
    world.gather()
    assert sum(len(call) for call in world.sources["web"].calls) == 6


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_the_answers_changes_nothing(world: World, tmp_path: Path, seed: int) -> None:
    world.gather()
    other = World(tmp_path / "other", documents())
    other.seed(**{f"p{n}": [model(f"lab/tuned-{n}"), paper("1901.00001")] for n in range(6)})
    other.gather(sources=other.make_sources(random.Random(seed)))
    assert other.stored() == world.stored()


def test_many_projects_are_taken_up_one_after_another(world: World, tmp_path: Path, monkeypatch) -> None:
    world.gather()
    monkeypatch.setattr(crawler.gather, "UNDER_WAY", 2)
    monkeypatch.setattr(crawler.gather, "PORTION", 1)
    other = World(tmp_path / "other", documents())
    other.seed(**{f"p{n}": [model(f"lab/tuned-{n}"), paper("1901.00001")] for n in range(6)})
    most = 0
    gathering_take_up = Gathering._take_up

    def watched(self):
        nonlocal most
        gathering_take_up(self)
        most = max(most, len(self._under))

    monkeypatch.setattr(Gathering, "_take_up", watched)
    other.gather()
    assert most == 2
    assert other.stored() == world.stored()
    asked = [ref for source in other.sources.values() for ref in source.asked]
    assert len(asked) == len(set(asked))


def test_a_project_that_is_done_does_not_wait_for_the_others(world: World, monkeypatch) -> None:
    """A source that does not answer for one project lets the others be finished meanwhile."""
    done: list[str] = []

    class Slow(Invented):
        def visits_of(self, ref):
            if ref == model("lab/tuned-5"):
                deadline = time.monotonic() + 20
                while len(world.finished) < 5 and time.monotonic() < deadline:
                    time.sleep(0.01)
                done.extend(world.finished)
            yield from super().visits_of(ref)

    sources = world.make_sources()
    sources[1] = Slow("huggingface", world.documents)
    # Papers and pages go at once, where they would wait for those of the slow one.
    monkeypatch.setattr("crawler.gather_feed.MANNERS", {"huggingface": Manner(calls=2)})
    world.gather(sources=sources)
    assert sorted(done) == [f"p{n}" for n in range(5)]
    assert len(world.finished) == 6


def test_what_answers_will_need_is_got_ready_once_while_they_are_on_their_way(world: World) -> None:
    known: list[int] = []

    def get_ready() -> None:
        deadline = time.monotonic() + 10
        while not any(source.calls for source in world.sources.values()) and time.monotonic() < deadline:
            time.sleep(0.001)
        assert any(source.calls for source in world.sources.values())
        ((visits,),) = world.rows("SELECT count(*) FROM visits")
        known.append(visits)

    world.gather(meanwhile=get_ready)
    assert known == [0]
    assert len(world.finished) == 6


def test_a_source_that_breaks_off_costs_its_own_artifacts_only(world: World) -> None:
    class Broken(Invented):
        def visits_of(self, ref):
            if ref == model("lab/tuned-1"):
                raise RuntimeError("a defect of the source")
            yield from super().visits_of(ref)

    sources = world.make_sources()
    sources[1] = Broken("huggingface", world.documents)
    result = world.gather(sources=sources)
    assert "a defect of the source" in result.internal_errors[0]
    failed = {visit.ref for visit in result.unread if visit.status is VisitStatus.FAILED}
    assert model("lab/tuned-1") in failed
    assert len(world.finished) == 6


def test_what_a_document_no_longer_links_to_is_let_go_unasked(world: World) -> None:
    world.gather()
    world.documents[model("lab/tuned-0")] = card("https://arxiv.org/abs/2301.00001", base="lab/base-0")
    world.gather()
    with session_scope(world.context.engine) as session:
        (project,) = load_projects(session, ["p0"])
    refs = {artifact.ref for artifact in project.artifacts}
    assert paper("2301.00000") not in refs
    assert paper("2301.00001") in refs


def test_an_archive_that_cannot_be_written_ends_the_run_with_what_is_stored_whole(
    world: World, monkeypatch
) -> None:
    put = Archive.put
    left = [8]

    def full(self, body):
        left[0] -= 1
        if left[0] < 0:
            raise StorageError(f"the archive {self.path} cannot be written: No space left on device")
        return put(self, body)

    monkeypatch.setattr(Archive, "put", full)
    with pytest.raises(StorageError, match="No space left"):
        world.gather()
    monkeypatch.undo()
    # No visit without its bytes, no artifact half read.
    digests = {row[0] for row in world.rows("SELECT sha256 FROM snapshots")}
    assert all(digest in world.context.archive for digest in digests)
    halves = world.rows(
        "SELECT p.artifact_id FROM visits v JOIN parts p ON p.id = v.part_id"
        " JOIN artifacts a ON a.id = p.artifact_id WHERE a.kind = 'hf_model' AND v.status = 'ok'"
        " GROUP BY p.artifact_id HAVING count(*) <> 2"
    )
    assert halves == []


def test_stored_validators_are_told_unless_everything_is_to_be_read_anew(world: World) -> None:
    world.gather()
    assert world.sources["huggingface"].known[model("lab/tuned-0")] == set()
    world.gather()
    assert world.sources["huggingface"].known[model("lab/tuned-0")] == {"card", "info"}
    world.gather(full=True)
    assert world.sources["huggingface"].known[model("lab/tuned-0")] == set()


def test_no_source_is_called_more_often_at_a_time_than_it_takes(world: World) -> None:
    world.gather(sources=world.make_sources(random.Random(1)))
    assert world.sources["arxiv"].most == world.sources["web"].most == 1
    assert world.sources["huggingface"].most <= 2


# --- whole runs -----------------------------------------------------------------------------------


@pytest.fixture
def runs(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """A world that `run` works in."""
    monkeypatch.setattr("crawler.nightly.make_sources", lambda context, bases, soon: world.make_sources())
    monkeypatch.setattr("crawler.nightly.discover_safely", lambda *_, **__: None)
    return world


def cut_off(monkeypatch: pytest.MonkeyPatch, world: World, *, after: int) -> None:
    """A night in which somebody presses Ctrl-C when so many projects are done."""
    from crawler.rating import rate_safely

    left = [after]

    def rate(context, projects, *arguments):
        for project in projects:
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            rate_safely(context, [project], *arguments)

    with monkeypatch.context() as patch:
        patch.setattr("crawler.rating.rate_safely", rate)
        with pytest.raises(KeyboardInterrupt):
            run(world.context, "nightly")


def test_a_night_that_was_cut_off_is_gone_on_with_and_told_of_as_a_whole(
    runs: World, tmp_path: Path, monkeypatch
) -> None:
    cut_off(monkeypatch, runs, after=2)
    with session_scope(runs.context.engine) as session:
        (cut,) = load_runs(session)
    assert cut.status.value == cut.report["status"] == "interrupted"
    assert cut.report["projects"] == 2
    with session_scope(runs.context.engine) as session:
        # What was asked for but not stored yet is asked for again.
        read = load_visited(session, cut.id)
    result = run(runs.context, "nightly")
    assert result.run_id == cut.id
    assert read
    assert not read & {ref for source in runs.sources.values() for ref in source.asked}
    assert (result.report["status"], result.report["projects"]) == ("done", 6)
    assert result.report["proposals"] == result.report["new_proposals"] == 6 * 14
    assert result.report["artifacts"] == len({a for (a,) in runs.rows("SELECT artifact_id FROM parts")})
    assert result.report["requests"] >= cut.report["requests"]
    other = World(tmp_path / "other", documents())
    other.seed(**{f"p{n}": [model(f"lab/tuned-{n}"), paper("1901.00001")] for n in range(6)})
    other.gather()
    assert other.stored() == runs.stored()


def test_a_new_night_begins_once_the_other_is_done(runs: World) -> None:
    first = run(runs.context, "nightly")
    assert run(runs.context, "nightly").run_id == first.run_id + 1


def test_a_whole_new_reading_does_not_go_on_with_a_night_that_was_none(runs: World, monkeypatch) -> None:
    cut_off(monkeypatch, runs, after=1)
    assert run(runs.context, "nightly", full=True).run_id == 2
    assert runs.sources["huggingface"].known[model("lab/tuned-0")] == set()


def test_a_crawl_of_some_projects_leaves_out_what_the_cut_off_run_has_read(runs: World, monkeypatch) -> None:
    cut_off(monkeypatch, runs, after=0)
    with session_scope(runs.context.engine) as session:
        # What was asked for but not stored yet is asked for again.
        read = load_visited(session, 1)
    result = run(runs.context, "crawl", ["p1"], resume=True)
    assert result.run_id == 2
    assert read
    assert not read & {ref for source in runs.sources.values() for ref in source.asked}
    assert run(runs.context, "nightly").run_id == 1


def test_a_crawl_of_some_projects_is_gone_on_with_as_one(runs: World, monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("crawler.nightly.save_done", stop)
        with pytest.raises(KeyboardInterrupt):
            run(runs.context, "crawl", ["p1", "p2"])
    result = run(runs.context, "crawl", resume=True)
    assert result.run_id == 1
    assert runs.rows("SELECT count(*) FROM run_projects") == [(2,)]


def test_a_rule_that_breaks_off_costs_one_project_and_is_told(runs: World, monkeypatch) -> None:
    from pipelines.propose import propose

    def fail(evidence, rubric):
        if evidence.project.slug == "p3":
            raise RuntimeError("a defect of a rule")
        return propose(evidence, rubric)

    monkeypatch.setattr("crawler.rating.propose", fail)
    result = run(runs.context, "nightly")
    assert result.exit_code == 1
    assert result.report["internal_errors"] == ["rating of p3: RuntimeError: a defect of a rule"]
    assert result.report["projects"] == 5


def test_rules_that_cannot_be_loaded_cost_nothing_that_was_gathered(runs: World, monkeypatch) -> None:
    def fail() -> str:
        raise RuntimeError("a broken rule")

    monkeypatch.setattr("pipelines.propose.rules_version", fail)
    result = run(runs.context, "crawl")
    assert result.exit_code == 0
    assert runs.rows("SELECT count(*) FROM run_projects") == [(6,)]


def test_a_report_that_cannot_be_stored_does_not_hide_why_the_run_ended(runs: World, monkeypatch) -> None:
    def full(self, body):
        raise StorageError("the archive cannot be written: No space left on device")

    def no_room(*_: object, **__: object) -> None:
        raise StorageError("the database failed: database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Archive, "put", full)
        patch.setattr("crawler.nightly.end_run", no_room)
        with pytest.raises(StorageError, match="archive cannot be written"):
            run(runs.context, "nightly")
    result = run(runs.context, "nightly")
    assert (result.run_id, result.exit_code) == (1, 0)


GONE = ArtifactRef(kind=ArtifactKind.GITHUB, id="lab/gone")


@dataclass
class Mentions(Invented):
    """A GitHub that knows no repository, and looks twice only where the absence counts."""

    before: Callable[[], object] = lambda: None
    counted: list[bool] = field(default_factory=list)

    def visit(self, requests: Sequence[VisitRequest]) -> Iterator[Visit]:
        for request in requests:
            self.counted.append(request.absence_counts)
            self.before()
            status = 404 if request.absence_counts else None
            yield replace(next(self.visits_of(request.ref)), http_status=status)


@dataclass
class Slow(Invented):
    """A Hub that keeps everybody waiting for one model."""

    before: Callable[[], object] = lambda: None

    def visits_of(self, ref: ArtifactRef) -> Iterator[Visit]:
        if ref == model("lab/tuned"):
            self.before()
        return super().visits_of(ref)


class TestWhatIsMentionedFirst:
    """One project's card mentions a repository that is another one's code, and that is not there."""

    @pytest.fixture
    def world(self, tmp_path, monkeypatch) -> World:
        monkeypatch.setattr("crawler.gather_feed.MANNERS", {})
        link = f"https://github.com/{GONE.id}"
        made = World(tmp_path, {model("else/a"): card(link), model("lab/tuned"): card(link)})
        made.seed(mentions=[model("else/a")], owns=[model("lab/tuned")])
        return made

    def gather(
        self, world: World, *slugs: str, github=lambda: None, hub=lambda: None, **options
    ) -> list[bool]:
        sources = [source for source in world.make_sources() if source.name not in ("github", "huggingface")]
        mentions = Mentions("github", world.documents, before=github)
        slow = Slow("huggingface", world.documents, before=hub)
        world.gather(*slugs, sources=[*sources, mentions, slow], **options)
        return mentions.counted

    def until(self, world: World, query: str):
        def wait() -> None:
            deadline = time.monotonic() + 20
            while not world.rows(query):
                assert time.monotonic() < deadline, query
                time.sleep(0.01)

        return wait

    def statuses(self, world: World) -> list[int | None]:
        return [
            status
            for (status,) in world.rows(
                "SELECT v.http_status FROM visits v JOIN parts p ON p.id = v.part_id"
                " WHERE p.name = 'repository' ORDER BY v.id"
            )
        ]

    VISITED = "SELECT 1 FROM visits v JOIN parts p ON p.id = v.part_id WHERE p.name = 'repository'"
    IS_CODE = "SELECT 1 FROM project_artifacts WHERE role = 'code' AND origin = 'link'"

    def test_it_is_asked_for_again_when_it_turns_out_to_be_code(self, world):
        assert self.gather(world, hub=self.until(world, self.VISITED)) == [False, True]
        assert self.statuses(world) == [None, 404]
        assert sorted(world.finished) == ["mentions", "owns"]

    def test_so_it_is_when_that_shows_while_the_answer_is_on_its_way(self, world):
        asked, is_code = threading.Event(), self.until(world, self.IS_CODE)

        def answer() -> None:
            asked.set()
            is_code()

        assert self.gather(world, github=answer, hub=lambda: asked.wait(20)) == [False, True]
        assert self.statuses(world) == [None, 404]
        assert sorted(world.finished) == ["mentions", "owns"]

    def test_so_it_is_when_the_run_was_cut_off_in_between(self, world):
        assert self.gather(world, "mentions") == [False]
        assert self.gather(world, run_id=1) == [True]
        assert self.statuses(world) == [None, 404]

    def test_a_mere_mention_is_asked_for_once(self, world):
        assert self.gather(world, "mentions") == [False]
        assert self.gather(world, "mentions", run_id=1) == []

    def test_the_order_of_answers_makes_no_difference(self, world, tmp_path):
        other = World(tmp_path / "other", world.documents)
        other.seed(mentions=[model("else/a")], owns=[model("lab/tuned")])
        self.gather(world, hub=self.until(world, self.VISITED))
        assert self.gather(other, "owns") == [True]
        self.gather(other, "mentions", run_id=1)
        assert world.stored()[2] == other.stored()[2]
