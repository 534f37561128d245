"""The main job on recorded real input: `make corpus`.

Starts the server of recorded services beside the checkout, imports its projects as seeds, and runs
`openness nightly` three times over the command line: cold, with an empty database; warm, when nothing
has changed; and after nothing but counters has changed (stars, forks, watchers, downloads, likes).
Evaluates against the published ratings, prints one table, and fails when a bound of BOUNDS is not
kept. Where the recorded corpus is: `--shared`, by default `../shared` next to the checkout.

Requests, bytes and what GitHub charges are the server's own count, not the crawler's.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Tests read the bounds of this file without running it as a script.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from world import (
    TOKEN,
    WHOLE,
    Desk,
    Services,
    bytes_by_service,
    parser,
    report,
    requests_by_service,
    serve,
    set_up,
    working_folder,
)

BOUNDS = {
    "accuracy": (">=", 0.72),
    "kappa_weighted": (">=", 0.68),
    "flips": ("<=", 0.05),
    "coverage": (">=", 0.92),
    "dimensions below their most frequent class": ("<=", 0),
    "cells left out by family with confidence 0.9 or more": (">=", 0.40),
    "accuracy of these cells": (">=", 0.90),
    "cells with a class or an explicit cannot_tell": (">=", 1.0),
    "proposals with evidence or a list of what was searched": (">=", 1.0),
    "recorded files and cards captured": (">=", 0.99),
    "internal errors": ("<=", 0),
    "GitHub requests a repository, cold": ("<=", 3.0),
    "arXiv requests, cold": ("<=", 2),
    "Hub requests a model or dataset, cold": ("<=", 3.0),
    "GitHub requests for fifty repositories, warm, charged": ("<=", 1.0),
    "bytes, warm, as a share of cold": ("<=", 0.05),
    "new snapshots, warm": ("<=", 0),
    "new proposals, warm": ("<=", 0),
    "GitHub requests for fifty repositories, counters changed, charged": ("<=", 1.0),
    "bytes, counters changed, as a share of cold": ("<=", 0.05),
    "new snapshots, counters changed": ("<=", 0),
    "new proposals, counters changed": ("<=", 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """One night: its report, the server's log of it, and what GitHub charged for it."""

    report: dict[str, Any]
    log: list[dict[str, Any]]
    charged: int
    seconds: float

    @property
    def bytes(self) -> int:
        """Body bytes that the server sent."""
        return sum(bytes_by_service(self.log).values())

    @property
    def requests(self) -> dict[str, int]:
        return requests_by_service(self.log)

    @property
    def for_fifty(self) -> float:
        """Charged requests for each fifty repositories that were visited, begun fifties counted whole."""
        return self.charged / max(1, math.ceil(self.visited("github") / 50))

    def visited(self, *kinds: str) -> int:
        return sum(self.report["artifacts_by_kind"].get(kind, 0) for kind in kinds)


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "run")
    made.add_argument("--no-token", action="store_true", help="run without a GitHub token")
    options = made.parse_args(arguments)
    token = None if options.no_token else TOKEN
    with working_folder(options) as folder, serve(options.shared) as services:
        figures = measure(services, set_up(services, folder, token=token), token)
        # Without a token a night reads what 60 requests allow: the bounds are for whole nights.
        return report(figures, {} if options.no_token else BOUNDS, options.json)


def night(services: Services, desk: Desk, token: str | None) -> Night:
    services.take_log()
    done = desk.night(codes=WHOLE)
    charged = services.charged(token)
    return Night(report=done.report, log=services.take_log(), charged=charged, seconds=done.seconds)


def measure(services: Services, desk: Desk, token: str | None) -> dict[str, object]:
    """All nights, export and evaluation; the figures."""
    corpus = services.shared / "corpus"
    cold = night(services, desk, token)
    warm = night(services, desk, token)
    services.control("touch", list(changes_of_counters(corpus)))
    counters = night(services, desk, token)
    ratings = corpus / "ratings.csv"
    proposals_file = desk.folder / "proposals.csv"
    desk.run("export", "proposals", str(proposals_file))
    evaluation = json.loads(desk.run("evaluate", str(ratings), "--json").out)
    left_out = json.loads(desk.run("calibrate", str(ratings), "--json").out)["family_left_out"]
    print(desk.run("evaluate", str(ratings)).out)
    with open(ratings, newline="", encoding="utf-8") as file:
        cells = {(row["slug"], row["dimension"]) for row in csv.DictReader(file)}
    with open(proposals_file, newline="", encoding="utf-8") as file:
        proposals = {(row["slug"], row["dimension"]): row for row in csv.DictReader(file)}
    # Linked repositories that are not there cost a question each; what is bounded is the cost of those that are.
    repositories = sum(1 for _ in corpus.glob("github/*/*/repo.json"))
    hub = {"/".join(path.parts[-3:-1]) for path in corpus.glob("huggingface/*/*/*/info.json")}
    figures: dict[str, object] = {
        "projects rated": cold.report["projects"],
        "repositories recorded": repositories,
        "repositories visited": cold.visited("github"),
        "models and datasets recorded": len(hub),
        "models and datasets visited": cold.visited("hf_model", "hf_dataset"),
        "artifacts visited": cold.report["artifacts"],
        "recorded files and cards captured": captured(corpus, desk.archive),
        "failed visits, cold": cold.report["failed"],
        "internal errors": sum(len(each.report["internal_errors"]) for each in (cold, warm, counters)),
        "cells with a class or an explicit cannot_tell": sum(c in proposals for c in cells) / len(cells),
        "cells that cannot be told": sum(
            proposals[c]["class"] == "cannot_tell" for c in cells if c in proposals
        ),
        "proposals with evidence or a list of what was searched": with_grounds(desk, set(proposals)),
        **{
            name: evaluation[name] for name in ("accuracy", "kappa_weighted", "flips", "coverage", "baseline")
        },
        "dimensions below their most frequent class": sum(
            below_most_frequent(found) for found in evaluation["per_dimension"].values()
        ),
        "cells left out by family with confidence 0.9 or more": left_out["coverage"],
        "accuracy of these cells": left_out["accuracy"],
        "requests, cold": cold.requests,
        "GitHub requests a repository, cold": cold.charged / repositories,
        "arXiv requests, cold": cold.requests.get("arxiv", 0),
        "Hub requests a model or dataset, cold": hub_requests(cold, hub) / len(hub),
        "Hub requests a model or dataset visited, cold": cold.requests.get("hf", 0)
        / max(1, cold.visited("hf_model", "hf_dataset")),
        "seconds, cold": cold.seconds,
        "bytes, cold": bytes_by_service(cold.log),
        "new snapshots, cold": cold.report["new_snapshots"],
        "new proposals, cold": cold.report["new_proposals"],
    }
    for name, each in (("warm", warm), ("counters changed", counters)):
        figures |= {
            f"requests, {name}": each.requests,
            f"GitHub requests for fifty repositories, {name}, charged": each.for_fifty,
            f"seconds, {name}": each.seconds,
            f"bytes, {name}": bytes_by_service(each.log),
            f"bytes, {name}, as a share of cold": each.bytes / max(1, cold.bytes),
            f"new snapshots, {name}": each.report["new_snapshots"],
            f"new proposals, {name}": each.report["new_proposals"],
        }
    return figures


def below_most_frequent(found: dict[str, Any]) -> bool:
    """Would always naming the dimension's most frequent published class be right more often?"""
    most = max(sum(row.values()) for row in found["confusion"].values())
    return bool(found["accuracy"] * found["n"] < most - 1e-6)


def hub_requests(cold: Night, recorded: set[str]) -> int:
    """Requests to the Hub but for those that ask for one model or dataset which is not in the record.

    Lists are asked for all of them, so they count.
    """
    asked = [entry["path"].partition("?")[0] for entry in cold.log if entry["service"] == "hf"]
    return sum(names_recorded(path, recorded) for path in asked)


def names_recorded(path: str, recorded: set[str]) -> bool:
    """Does the path name a recorded model or dataset, or none at all (a list)?"""
    segments = path.removeprefix("/hf").strip("/").split("/")
    if segments[0] == "api":
        segments = segments[2:]
    elif segments[0] == "datasets":
        segments = segments[1:]
    return len(segments) < 2 or "/".join(segments[:2]) in recorded


def changes_of_counters(corpus: Path) -> Iterator[dict[str, object]]:
    """What people's clicks and downloads change at GitHub and the Hub: no commit, no date of the content.

    A star does change when GitHub says that a repository was updated.
    """
    for path in sorted(corpus.glob("github/*/*/repo.json")):
        stars = json.loads(path.read_text("utf-8")).get("stargazers_count") or 0
        merge: dict[str, object] = {
            "stargazers_count": stars + 7,
            "watchers_count": stars + 7,
            "forks_count": stars + 3,
            "subscribers_count": stars + 2,
            "updated_at": "2031-05-06T07:08:09Z",
        }
        yield {"path": str(path.relative_to(corpus)), "merge": merge, "bump": False}
    for path in sorted(corpus.glob("huggingface/*/*/*/info.json")):
        info = json.loads(path.read_text("utf-8"))
        merge = {name: (info.get(name) or 0) + 11 for name in ("downloads", "likes")}
        yield {"path": str(path.relative_to(corpus)), "merge": merge, "bump": False}


def captured(corpus: Path, archive: Path) -> float:
    """The share of recorded repository files and of cards whose bytes are in the archive."""
    recorded = [p for p in corpus.glob("github/*/*/files/**/*") if p.is_file()]
    recorded += corpus.glob("huggingface/*/*/*/README.md")
    digests = {path.name.split(".")[0] for path in archive.rglob("*") if path.is_file()}
    missed = [p for p in recorded if hashlib.sha256(p.read_bytes()).hexdigest() not in digests]
    for path in missed:
        print(f"not captured: {path.relative_to(corpus)}", file=sys.stderr)
    return 1 - len(missed) / len(recorded)


def with_grounds(desk: Desk, proposals: set[tuple[str, str]]) -> float:
    """The share of proposals that carry evidence, or say what was searched in vain."""
    export = json.loads(desk.run("proposals", "list", "--all", "--json").out)
    grounded = {(p["slug"], p["dimension"]) for p in export if p["evidence"] or p["searched"]}
    return len(proposals & grounded) / max(1, len(proposals))


if __name__ == "__main__":
    sys.exit(main())
