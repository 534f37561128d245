"""The review desk with 140,000 open questions while a night commits: `make bench ARGS=desk`.

Needs no recorded corpus. A SQLite database of `--projects` invented projects is made, every one of their 14
cells an open question, a third of them beside a published rating; those of a few hundred rest on
evidence with bytes in the archive, and theirs are the question pages that are asked for. Then
`openness review` serves it as users start it, a process commits proposals as a night does, one
project after the other without a pause longer than `--night-ms`, and `--clients` curators sign in and work:
each loads a page of the queue with some filter and order, opens a question of it and confirms it, with
`--think-ms` between two requests.

Times are those of the clients, to the last byte of the answer. They mean something on a machine with
nothing else to do; the CPU time of the server for a request is given beside them. Needs /proc.
"""

from __future__ import annotations

import argparse
import html
import http.client
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from world import OPENNESS, ROOT, report, say

sys.path.insert(0, str(ROOT))

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from crawler.archive import Archive
from db.models import (
    Base,
    DecisionRow,
    ProjectRow,
    ProposalRow,
    RunStatus,
)
from db.question_index import rebuild_questions
from db.review_values import UserRole
from db.save import begin_run, end_run, save_extraction, save_projects, save_proposals, save_visit
from db.session import make_engine, session_scope, upgrade
from db.users import add_user
from pipelines.model import (
    Artifact,
    ArtifactKind,
    ArtifactRef,
    Capture,
    Evidence,
    Finding,
    Outcome,
    Project,
    Proposal,
    Quote,
    Rating,
    Role,
    Visit,
    VisitStatus,
    digest_bytes,
    digest_of,
)
from pipelines.rubric import load_rubric

PAGES = ("queue page", "question page", "decision")
MILLISECONDS, MEGABYTES = 60.0, 300.0
BOUNDS = {
    **{f"{page}, p95, ms": ("<=", MILLISECONDS) for page in PAGES},
    "peak memory of the server, MB": ("<=", MEGABYTES),
    "answers that were not as expected": ("<=", 0),
}

NOW = datetime.now(UTC).replace(microsecond=0)
PASSWORD = "a bench of oak and ash"
CONFIDENCES = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
CLASSES = (Rating.CLOSED, Rating.PARTIAL, Rating.OPEN, Rating.OPEN, Rating.NOT_APPLICABLE)
TICKS = os.sysconf("SC_CLK_TCK")

SENTENCES = (
    "The weights of {name} can be downloaded under the Apache License, Version 2.0.",
    "{name} was tuned on forty thousand dialogues, which are published with this card.",
    "Training code and configuration are in the repository named above.",
    "The pretraining corpus is described in the paper; parts of it cannot be given away.",
    "A demonstration is served on weekdays; there is no interface for programs.",
)
FILLER = "Latency was measured on one machine, batch after batch, and came out about as expected. " * 12


def main(arguments: list[str] | None = None) -> int:
    made = argparse.ArgumentParser(prog="desk", description=(__doc__ or "").splitlines()[0])
    made.add_argument("--projects", type=int, default=10_000, metavar="N", help="invented projects (10000)")
    made.add_argument("--rich", type=int, default=300, metavar="N", help="of them with evidence (300)")
    made.add_argument("--clients", type=int, default=4, metavar="N", help="curators at work (4)")
    made.add_argument("--think-ms", type=float, default=150, help="between two requests of a client (150)")
    made.add_argument("--night-ms", type=float, default=20, help="between two commits of the night (20)")
    made.add_argument("--seconds", type=float, default=60, help="how long they work (60)")
    made.add_argument(
        "--keep", type=Path, help="folder to keep the database in; one that is there is used again"
    )
    made.add_argument("--json", type=Path, help="write the figures to this file")
    made.add_argument("--night", metavar="URL", help=argparse.SUPPRESS)
    options = made.parse_args(arguments)
    if options.night:
        return play_night(options.night, options.night_ms / 1000)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with tempfile.TemporaryDirectory(prefix="openness-desk-", ignore_cleanup_errors=True) as temporary:
        folder = (options.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        figures: dict[str, object] = {}
        url = f"sqlite:///{folder / 'openness.db'}"
        if not (folder / "openness.db").exists():
            figures |= build(url, folder, options)
        with serving(url, folder) as (address, server), playing_night(url, options) as night:
            work = Work(address=address, slugs=rich_slugs(options.rich), think=options.think_ms / 1000)
            before = cpu_of(server)
            work.run(options.clients, options.seconds)
            figures |= measured(work, (cpu_of(server) - before), server)
            night.send_signal(signal.SIGTERM)
            figures["commits of the night meanwhile"] = int(night.communicate(timeout=60)[0] or 0)
        return report(figures, BOUNDS, options.json)


def build(url: str, folder: Path, options: argparse.Namespace) -> dict[str, object]:
    """The database: projects and accounts, proposals, published ratings, the index."""
    started = time.monotonic()
    engine = make_engine(url)
    upgrade(engine)
    chance = random.Random(7)
    dimensions = load_rubric().dimension_ids
    projects = [invented(number, options.projects) for number in range(options.projects)]
    archive = Archive(folder / "archive")
    say(f"making {len(projects)} projects…")
    with session_scope(engine, write=True) as session:
        save_projects(session, projects, NOW)
        run_id = begin_run(session, "nightly", NOW, os.getpid(), "bench")
        add_user(session, "Curator", UserRole.CURATOR, now=NOW, created_by="-", password=PASSWORD)
    for start in range(0, options.rich, 50):
        with session_scope(engine, write=True) as session:
            for project in projects[start : min(start + 50, options.rich)]:
                save_rich(session, archive, run_id, project, dimensions, chance)
    with session_scope(engine, write=True) as session:
        ids = dict(session.execute(select(ProjectRow.slug, ProjectRow.id)).all())
        plain = [ids[project.slug] for project in projects[options.rich :]]
        save_plain(session, plain, dimensions, run_id, chance)
        cells = [(project_id, dimension) for project_id in sorted(ids.values()) for dimension in dimensions]
        save_published(session, chance.sample(cells, len(cells) // 3))
        end_run(session, run_id, NOW, RunStatus.DONE, 0, {})
    begun = time.process_time()
    with session_scope(engine, write=True) as session:
        questions = rebuild_questions(session)
    made_index = time.process_time() - begun
    engine.dispose()
    return {
        "projects": options.projects,
        "open questions": questions,
        "making the database, s": time.monotonic() - started,
        "making its index, CPU s": made_index,
        "size of the database, MB": (folder / "openness.db").stat().st_size / 1e6,
    }


def slug_of(number: int) -> str:
    return f"model-{number:05}"


def rich_slugs(number: int) -> list[str]:
    return [slug_of(each) for each in range(number)]


def invented(number: int, of: int) -> Project:
    # Some makers have hundreds of models, most have a few.
    maker = int(of / 4 * (number * 7919 % of / of) ** 3)
    ref = ArtifactRef(kind=ArtifactKind.HF_MODEL, id=f"maker-{maker}/{slug_of(number)}")
    return Project(
        slug=slug_of(number),
        name=f"Model {number}",
        org=f"Maker {maker}",
        artifacts=(Artifact(ref=ref, role=Role.RL_WEIGHTS),),
    )


def save_rich(
    session: Session,
    archive: Archive,
    run_id: int,
    project: Project,
    dimensions: Sequence[str],
    chance: random.Random,
) -> None:
    """A card that was read, evidence of it, and a proposal a dimension that rests on some."""
    said = [sentence.format(name=project.name) for sentence in SENTENCES]
    text = f"# {project.name}\n\n" + "\n\n".join(f"{FILLER}{sentence}" for sentence in said * 3)
    ref = project.artifacts[0].ref
    url = f"https://models.example/{ref.id}"
    body = text.encode()
    visit = Visit(
        ref=ref,
        part="card",
        url=url,
        at=NOW,
        status=VisitStatus.OK,
        capture=Capture(body=body, media_type="text/markdown"),
        reason="",
    )
    snapshot = save_visit(session, archive, run_id, visit).snapshot_id
    assert snapshot is not None
    evidence = [
        Evidence(
            kind="statement",
            ref=ref,
            part="card",
            url=url,
            fetched_at=NOW,
            sha256=digest_bytes(body),
            where=Quote(start=start, end=start + len(sentence), text=sentence),
            value={"says": "open_claim", "about": None, "n": place},
        )
        for place, sentence in enumerate(said)
        for start in [text.index(sentence)]
    ]
    save_extraction(session, snapshot, "bench", evidence)
    proposals = [proposed(project.slug, dimension, chance, evidence) for dimension in dimensions]
    save_proposals(session, proposals, run_id, NOW)


def proposed(slug: str, dimension: str, chance: random.Random, evidence: Sequence[Evidence] = ()) -> Proposal:
    chosen = tuple(chance.sample(list(evidence), min(3, len(evidence))))
    findings = tuple(
        Finding(
            check=f"check_{number}",
            outcome=chance.choice(list(Outcome)),
            evidence=chosen[:number],
            searched=("card", "paper"),
            note="what the card says",
        )
        for number in range(5)
    )
    return Proposal(
        slug=slug,
        dimension=dimension,
        rating=chance.choice(CLASSES),
        confidence=chance.choice(CONFIDENCES),
        rationale="The card names its terms, and the repository has a licence file that agrees with them.",
        rule=dimension,
        rule_version=1,
        rubric_digest="bench",
        evidence_digest=digest_of([slug, dimension, chance.random()]),
        findings=findings,
        evidence=chosen,
        searched=("paper",),
        link="https://models.example/terms",
    )


def save_plain(
    session: Session, projects: Sequence[int], dimensions: Sequence[str], run_id: int, chance: random.Random
) -> None:
    """A proposal without evidence for every cell of these projects."""
    rows = [
        {
            "identity": digest_of([project_id, dimension, "bench"]),
            "run_id": run_id,
            "project_id": project_id,
            "dimension": dimension,
            "rating": chance.choice(CLASSES),
            "confidence": chance.choice(CONFIDENCES),
            "rationale": "The places that were read tell nothing of it, and all of them could be read.",
            "rule": dimension,
            "rule_version": 1,
            "rubric_digest": "bench",
            "evidence_digest": digest_of([project_id, dimension]),
            "searched": ["card", "paper"],
            "link": "",
            "created_at": NOW,
            "is_current": True,
            "current_since": NOW - timedelta(hours=chance.randrange(24 * 90)),
        }
        for project_id in projects
        for dimension in dimensions
    ]
    session.execute(insert(_table(ProposalRow)), rows)


def save_published(session: Session, cells: Sequence[tuple[int, str]]) -> None:
    """An imported rating for each of the cells that is not what its proposal says."""
    proposed_now = {
        (project_id, dimension): rating
        for project_id, dimension, rating in session.execute(
            select(ProposalRow.project_id, ProposalRow.dimension, ProposalRow.rating).where(
                ProposalRow.is_current
            )
        )
    }
    rows = [
        {
            "project_id": project_id,
            "dimension": dimension,
            "ordinal": 1,
            "kind": "confirm",
            "rating": Rating.CLOSED
            if proposed_now[project_id, dimension] is not Rating.CLOSED
            else Rating.OPEN,
            "link": "https://index.example/row",
            "note": "as published",
            "reason": "",
            "curator": "an index",
            "imported": True,
            "at": NOW,
        }
        for project_id, dimension in cells
    ]
    session.execute(insert(_table(DecisionRow)), rows)


def _table(row: type[Base]) -> Table:
    table = row.__table__
    assert isinstance(table, Table)
    return table


def play_night(url: str, pause: float) -> int:
    """Commit proposals, a project at a time, until told to end; prints how many commits there were."""
    going = True

    def stop(number: int, frame: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    engine = make_engine(url)
    chance = random.Random(os.getpid())
    dimensions = load_rubric().dimension_ids
    with session_scope(engine) as session:
        slugs = list(session.scalars(select(ProjectRow.slug).order_by(ProjectRow.id.desc())))
    commits = 0
    for slug in slugs:
        proposals = [proposed(slug, dimension, chance) for dimension in dimensions]
        with session_scope(engine, write=True) as session:
            save_proposals(session, proposals, None, datetime.now(UTC))
        commits += 1
        time.sleep(pause)
        if not going:
            break
    engine.dispose()
    print(commits)
    return 0


@contextmanager
def playing_night(url: str, options: argparse.Namespace) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, __file__, "--night", url, "--night-ms", str(options.night_ms)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        _end(process)


@contextmanager
def serving(url: str, folder: Path) -> Iterator[tuple[str, int]]:
    """`openness review` over the database: its address and its process id."""
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("OPENNESS_")},
        "OPENNESS_DATABASE_URL": url,
        "OPENNESS_ARCHIVE": str(folder / "archive"),
        "OPENNESS_SEEDS": str(folder / "seeds.yaml"),
    }
    log = (folder / "server.log").open("w+", encoding="utf-8")
    process = subprocess.Popen(
        [*OPENNESS, "review", "--port", "0"], env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=log
    )
    try:
        yield _address(process, Path(log.name)), process.pid
    finally:
        _end(process)
        log.close()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    for _ in range(600):
        if found := re.search(r"http://\S+", log.read_text(encoding="utf-8")):
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit(f"the desk did not start:\n{log.read_text(encoding='utf-8')}")


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)"')
DECIDE = re.compile(r'<form method="post" action="([^"]*/decide[^"]*)".*?</form>', re.DOTALL)
QUESTION = re.compile(r'href="(/questions/[^"]+)"')
FIELD = re.compile(r'name="link"[^>]*value="([^"]*)"')
NOTE = re.compile(r'name="note"[^>]*>(.*?)</textarea>', re.DOTALL)


class Client:
    """A browser without scripts, pictures and style."""

    def __init__(self, address: str, times: dict[str, list[float]]) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._cookies: dict[str, str] = {}
        self._times = times

    def get(self, path: str, name: str = "") -> tuple[int, str]:
        return self._ask("GET", path, None, name)

    def post(self, path: str, fields: Mapping[str, str], name: str = "") -> tuple[int, str]:
        return self._ask("POST", path, urlencode(fields), name)

    def _ask(self, method: str, path: str, body: str | None, name: str) -> tuple[int, str]:
        headers = {"Cookie": "; ".join(f"{key}={value}" for key, value in self._cookies.items())}
        if body is not None:
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Origin": self._origin}
        started = time.perf_counter()
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if name:
            self._times[name].append((time.perf_counter() - started) * 1000)
        for cookie in answer.headers.get_all("Set-Cookie") or ():
            key, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[key] = value
        return answer.status, text

    def sign_in(self) -> None:
        _, page = self.get("/sign-in")
        fields = dict(HIDDEN.findall(page)) | {"name": "Curator", "password": PASSWORD}
        status, page = self.post("/sign-in", fields)
        if status != 303:
            raise SystemExit(f"nobody could sign in: {status}\n{page[:2000]}")


@dataclass(kw_only=True)
class Work:
    """What curators do at the desk, and how long each answer took (milliseconds)."""

    address: str
    slugs: Sequence[str]
    think: float
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    statuses: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def run(self, clients: int, seconds: float) -> None:
        made = [Client(self.address, self.times) for _ in range(clients)]
        for client in made:
            client.sign_in()
        until = time.monotonic() + seconds
        threads = [
            threading.Thread(target=self._work, args=(client, self.slugs[number::clients], number, until))
            for number, client in enumerate(made)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, client: Client, slugs: Sequence[str], number: int, until: float) -> None:
        chance = random.Random(number)
        dimensions = load_rubric().dimension_ids
        cells = [(slug, dimension) for slug in slugs for dimension in dimensions]
        chance.shuffle(cells)
        while cells and time.monotonic() < until:
            self._queue(client, chance, dimensions)
            slug, dimension = cells.pop()
            form = self._question(client, f"/questions/{slug}/{dimension}")
            if form is not None:
                self._decide(client, *form)

    def _queue(self, client: Client, chance: random.Random, dimensions: Sequence[str]) -> None:
        query = chance.choice(
            (
                {},
                {},
                {"sort": "age"},
                {"sort": "confidence", "min_confidence": "0.8"},
                {"dimension": chance.choice(dimensions)},
                {"dimension": chance.choice(dimensions), "class": "open", "sort": "change"},
                {"change": "closed>partial"},
                {"kind": "new_project", "sort": "project"},
                {"org": f"Maker {chance.randrange(300)}"},
            )
        )
        status, page = client.get(f"/queue?{urlencode(query)}", "queue page")
        self._expect("queue page", status, 200, bool(QUESTION.search(page)) or "org" in query)

    def _question(self, client: Client, path: str) -> tuple[str, dict[str, str]] | None:
        status, page = client.get(path, "question page")
        found = DECIDE.search(page)
        self._expect("question page", status, 200, found is not None)
        # In a database that is used again some are decided.
        if found is None or 'value="confirm"' not in found[0]:
            return None
        fields = {name: html.unescape(value) for name, value in HIDDEN.findall(found[0])}
        link, note = FIELD.search(found[0]), NOTE.search(found[0])
        fields |= {
            "action": "confirm",
            "link": html.unescape(link[1]) if link else "",
            "note": html.unescape(note[1]).strip() if note else "",
        }
        return html.unescape(found[1]), fields

    def _decide(self, client: Client, path: str, fields: Mapping[str, str]) -> None:
        status, _ = client.post(path, fields, "decision")
        self._expect("decision", status, 303, True)

    def _expect(self, what: str, status: int, wanted: int, holds: bool) -> None:
        self.statuses[f"{what} {status}"] += 1
        if status != wanted or not holds:
            self.wrong.append(f"{what}: {status}")
        time.sleep(self.think)


def measured(work: Work, cpu: float, server: int) -> dict[str, object]:
    figures: dict[str, object] = {}
    for name in PAGES:
        times = sorted(work.times[name])
        figures[f"{name}, requests"] = len(times)
        for share in (50, 95, 99):
            figures[f"{name}, p{share}, ms"] = (
                times[min(len(times) * share // 100, len(times) - 1)] if times else float("inf")
            )
    requests = sum(map(len, work.times.values()))
    figures["CPU time of the server a request, ms"] = cpu / max(requests, 1) * 1000
    figures["answers that were not as expected"] = len(work.wrong)
    if work.wrong:
        figures["for example"] = work.wrong[0]
    figures["peak memory of the server, MB"] = peak_of(server)
    return figures


def cpu_of(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def peak_of(pid: int) -> float:
    """The most memory that a process has ever had, in megabytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else float("inf")


if __name__ == "__main__":
    sys.exit(main())
