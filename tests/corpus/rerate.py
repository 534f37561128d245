"""How many projects a second are rated again from what is stored: `make bench ARGS=rerate`.

Takes a database with the evidence of the recorded corpus, by a night over the recorded services or from
an earlier run (`--database FILE --archive FOLDER`; both are only read), and gives every project copies
that share its artifacts and have proposals of their own. No two copies of a project are loaded
together. Then all of them are rated, in this process and on one core: for the first time; with
nothing changed, once with every rule applied and once with what is unchanged passed over; and with
a new version of every rule, so that every proposal is new. What is counted is CPU time.

Rating anew must change no byte of what stands, nor must evidence in another order.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from world import ROOT, Desk, parser, report, say, serve, set_up, working_folder

sys.path.insert(0, str(ROOT))

from crawler import evidence_sets, rating
from crawler.archive import Archive
from crawler.context import Context, open_engine, utc_now
from crawler.settings import load_settings
from db.load import load_projects, load_proposals
from db.save import begin_run, save_artifacts, save_projects
from db.session import session_scope
from pipelines.evidence import EvidenceSet
from pipelines.model import Origin
from pipelines.propose import propose
from pipelines.rules import all_rules

PASSED_OVER = "projects a second, nothing changed"
ANEW = "projects a second, nothing changed, every rule applied"
NEW_RULES = "projects a second, every proposal new"
BOUNDS = {
    PASSED_OVER: (">=", 200.0),
    "proposals that rating anew has changed": ("<=", 0),
    "proposals that another order of the evidence has changed": ("<=", 0),
}

STEPS = {
    "what was read": (rating, "load_inputs"),
    "evidence": (rating, "load_sets"),
    "rules": (rating, "gists"),
    "findings of what has changed": (rating, "propose"),
    "proposals compared with what stands": (rating, "load_changed"),
    "proposals stored": (rating, "save_proposals"),
}
"""The steps of rating, by the functions that take them."""


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "rerate")
    made.add_argument("--database", type=Path, metavar="FILE", help="SQLite database of an earlier run")
    made.add_argument("--archive", type=Path, metavar="FOLDER", help="its archive")
    made.add_argument("--copies", type=int, default=9, help="copies of every project (9)")
    made.add_argument("--rounds", type=int, default=3, help="how often to rate; the best round counts (3)")
    made.add_argument("--profile", type=Path, help="write a profile of rating everything anew to this file")
    options = made.parse_args(arguments)
    if (options.database is None) != (options.archive is None):
        made.error("--database and --archive belong together")
    with prepared(options) as desk, opened(desk) as context:
        projects = copy_projects(context, options.copies)
        figures = measure(context, projects, options)
    return report(figures, BOUNDS, options.json)


@contextmanager
def prepared(options: argparse.Namespace) -> Iterator[Desk]:
    """A desk whose database holds the evidence of the corpus, found by the extractors of today."""
    if options.database is None:
        with working_folder(options) as folder:
            with serve(options.shared) as services:
                desk = set_up(services, folder)
                desk.night()
            yield desk
        return
    with tempfile.TemporaryDirectory(prefix="openness-rerate-") as temporary:
        folder = Path(temporary)
        shutil.copyfile(options.database, folder / "openness.db")
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("OPENNESS_", "GITHUB_", "HF_"))}
        desk = Desk(
            folder=folder,
            env={
                **kept,
                "OPENNESS_DATABASE_URL": f"sqlite:///{folder}/openness.db",
                "OPENNESS_ARCHIVE": str(options.archive.resolve()),
                "PYTHONPATH": str(ROOT),
            },
        )
        desk.run("rate")
        yield desk


@contextmanager
def opened(desk: Desk) -> Iterator[Context]:
    """The database of a desk, in this process."""
    os.environ |= {name: desk.env[name] for name in ("OPENNESS_DATABASE_URL", "OPENNESS_ARCHIVE")}
    settings = load_settings(env_file=None)
    with open_engine(settings) as engine:
        yield Context(settings=settings, engine=engine, archive=Archive(settings.archive), clock=utc_now)


def copy_projects(context: Context, copies: int) -> int:
    """Give every project copies with the same artifacts; how many projects there are now."""
    with session_scope(context.engine, write=True) as session:
        projects = load_projects(session)
        # In the order of slugs a copy of every project comes before the next copy of any.
        copied = [
            replace(project, slug=f"zz-{number:03}-{project.slug}")
            for number in range(copies)
            for project in projects
        ]
        save_projects(session, [*projects, *copied], utc_now())
        for project in copied:
            found = [artifact for artifact in project.artifacts if artifact.origin is not Origin.SEED]
            save_artifacts(session, project.slug, found, utc_now())
    return len(projects) + len(copied)


def measure(context: Context, projects: int, options: argparse.Namespace) -> dict[str, object]:
    """Rate in every way; the figures."""
    with session_scope(context.engine, write=True) as session:
        run_id = begin_run(session, "rate", utc_now(), os.getpid(), "benchmark")

    def rate(full: bool) -> None:
        rating.rate(context, None, run_id, full=full)

    # Once without a watch: caches of queries, tables of licences, modules.
    rating.rate(context, None, run_id)
    before = shown(context)
    anew = best(options.rounds, lambda: rate(full=True))
    after = shown(context)
    figures: dict[str, object] = {
        "projects": projects,
        "pieces of evidence a project": evidence_of_each(context),
        ANEW: projects / anew["all"],
        **per_project("nothing changed, every rule applied", anew, projects),
    }
    over = best(options.rounds, lambda: rate(full=False))
    figures |= {
        PASSED_OVER: projects / over["all"],
        **per_project("nothing changed", over, projects),
    }
    renewed = []
    for _ in range(options.rounds):
        for rule in all_rules().values():
            object.__setattr__(rule, "version", rule.version + 1000)
        renewed.append(timed(lambda: rate(full=False)))
    new_rules = min(renewed, key=lambda times: times["all"])
    figures |= {
        NEW_RULES: projects / new_rules["all"],
        **per_project("every proposal new", new_rules, projects),
        "proposals that rating anew has changed": len(before ^ after),
        "proposals that another order of the evidence has changed": changed_by_order(context),
    }
    if options.profile:
        import cProfile

        profile = cProfile.Profile()
        for rule in all_rules().values() if options.profile.stem.endswith("-new") else ():
            object.__setattr__(rule, "version", rule.version + 1000)
        profile.runcall(rate, True)
        profile.dump_stats(options.profile)
        say(f"profile in {options.profile}: python -m pstats {options.profile}")
    return figures


def best(rounds: int, action: Callable[[], None]) -> dict[str, float]:
    """The times of the quickest of some rounds."""
    return min((timed(action) for _ in range(rounds)), key=lambda times: times["all"])


def timed(action: Callable[[], None]) -> dict[str, float]:
    """CPU seconds of an action, all of it and by step."""
    times: Counter[str] = Counter()
    originals = {step: getattr(module, name) for step, (module, name) in STEPS.items()}

    def watched(step: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            began = time.process_time()
            try:
                return originals[step](*arguments, **named)
            finally:
                times[step] += time.process_time() - began

        return call

    for step, (module, name) in STEPS.items():
        setattr(module, name, watched(step))
    began = time.process_time()
    try:
        action()
    finally:
        for step, (module, name) in STEPS.items():
            setattr(module, name, originals[step])
    return {**times, "all": time.process_time() - began}


def per_project(what: str, times: Mapping[str, float], projects: int) -> dict[str, object]:
    """Milliseconds of CPU a project, by step."""
    steps = {step: 1000 * times.get(step, 0.0) / projects for step in STEPS}
    steps["all else"] = 1000 * times["all"] / projects - sum(steps.values())
    return {f"  ms a project, {what}: {step}": spent for step, spent in steps.items()}


def shown(context: Context) -> set[str]:
    """Everything about the current proposals but when they were made."""
    with session_scope(context.engine) as session:
        return {repr(stored.proposal) for stored in load_proposals(session)}


def evidence_of_each(context: Context) -> float:
    sets = list(first_sets(context))
    return sum(len(evidence.evidence) for evidence in sets) / len(sets)


def changed_by_order(context: Context) -> int:
    """How many proposals of the projects themselves another order of their evidence changes."""
    chance = random.Random(20)
    changed = 0
    for evidence in first_sets(context):
        shuffled = replace(
            evidence,
            evidence=tuple(chance.sample(evidence.evidence, len(evidence.evidence))),
            readings=tuple(chance.sample(evidence.readings, len(evidence.readings))),
        )
        pairs = zip(propose(evidence, context.rubric), propose(shuffled, context.rubric), strict=True)
        changed += sum(repr(one) != repr(other) for one, other in pairs)
    return changed


def first_sets(context: Context) -> Iterator[EvidenceSet]:
    """What is known of the projects of which the others are copies."""
    with session_scope(context.engine) as session:
        projects = [project for project in load_projects(session) if not project.slug.startswith("zz-")]
    return evidence_sets.load_evidence_sets(context, projects)


if __name__ == "__main__":
    sys.exit(main())
