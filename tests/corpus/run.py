"""The main job on recorded real input: `make corpus`.

Starts the server of recorded services beside the checkout, imports its projects as seeds, runs
`openness nightly` twice over the command line, evaluates against the published ratings, prints one
table, and fails when a bound of BOUNDS is not kept. Where the recorded corpus is: `--shared`, by
default `../shared` next to the checkout.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OPENNESS = [sys.executable, "-m", "crawler"]

BOUNDS = {
    "accuracy": (">=", 0.60),
    "cells with a class or an explicit cannot_tell": (">=", 1.0),
    "proposals with evidence or a list of what was searched": (">=", 1.0),
    "recorded files and cards captured": (">=", 0.99),
    "internal errors": ("<=", 0),
    "GitHub requests a repository, cold": ("<=", 12.0),
    "GitHub requests a repository, warm, charged": ("<=", 2.0),
    "new snapshots, warm": ("<=", 0),
    "new proposals, warm": ("<=", 0),
}


def start_upstreams(shared: Path, *options: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
    """The server over the corpus; the process and its addresses."""
    command = [sys.executable, "-m", "upstreams", "--corpus", str(shared / "corpus"), "--port", "0", *options]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": str(shared)}, stdout=subprocess.PIPE, text=True, cwd=shared
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit("the server of recorded services did not start")
    return process, json.loads(line)


def settings(addresses: dict[str, str], folder: Path, token: str | None) -> dict[str, str]:
    """The environment of a run: INTERFACES' settings pointed at the loopback server."""
    host = addresses["base"].removeprefix("http://")
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("OPENNESS_", "GITHUB_", "HF_"))},
        "OPENNESS_DATABASE_URL": f"sqlite:///{folder}/openness.db",
        "OPENNESS_ARCHIVE": str(folder / "archive"),
        "GITHUB_API_URL": addresses["github_api"],
        "GITHUB_GRAPHQL_URL": addresses["github_graphql"],
        "HF_ENDPOINT": addresses["hf_endpoint"],
        "HF_HOME": str(folder / "hf"),
        "OPENNESS_PYPI_URL": addresses["base"],
        "OPENNESS_ARXIV_URL": addresses["arxiv_query"],
        "OPENNESS_ARXIV_DELAY": "0",
        "OPENNESS_WEB_GATEWAY": addresses["base"] + "/web/{scheme}/{host}{path}",
        "OPENNESS_ALLOW_PRIVATE_HOSTS": host,
        "OPENNESS_PAGE_DELAY": "0",
        "OPENNESS_LINEAGE": str(ROOT / "lineage.yaml"),
        "OPENNESS_CONTACT": "corpus-run@example.org",
        "PYTHONPATH": str(ROOT),
    }
    if token:
        environment["GITHUB_TOKEN"] = token
    return environment


def openness(environment: dict[str, str], *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run the command; its stdout. Any other exit code than expected ends this run."""
    done = subprocess.run(
        [*OPENNESS, *arguments],
        env=environment,
        cwd=environment["HF_HOME"].rsplit("/", 1)[0],
        capture_output=True,
        text=True,
    )
    if done.returncode not in codes:
        sys.stderr.write(done.stdout[-3000:] + done.stderr[-6000:])
        raise SystemExit(
            f"openness {' '.join(arguments)} ended with {done.returncode}, expected one of {codes}"
        )
    return done.stdout


def count_requests(addresses: dict[str, str]) -> dict[str, int]:
    """Requests by service as the server counted them, then forget them."""
    with urllib.request.urlopen(addresses["control"] + "/requests?limit=200000") as answer:
        log = json.load(answer)
    entries = log["requests"] if isinstance(log, dict) else log
    counted: dict[str, int] = {}
    for entry in entries:
        counted[entry["service"]] = counted.get(entry["service"], 0) + 1
    request = urllib.request.Request(
        addresses["control"] + "/reset",
        data=b'{"only": ["log", "limits"]}',
        method="POST",
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request).close()
    return counted


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--keep", type=Path, help="folder to keep database, archive and exports in")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--no-token", action="store_true", help="run without a GitHub token")
    options = parser.parse_args()
    if not (options.shared / "corpus").is_dir():
        print(f"no recorded corpus at {options.shared}: nothing was run", file=sys.stderr)
        return 2
    server, addresses = start_upstreams(options.shared)
    try:
        with tempfile.TemporaryDirectory(prefix="openness-corpus-") as temporary:
            folder = options.keep or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            token = None if options.no_token else "recorded-corpus-token"
            figures = run(options.shared, folder, addresses, token)
            # Without a token a night reads what 60 requests allow: the bounds are for whole nights.
            return report(figures, {} if options.no_token else BOUNDS, options.json)
    finally:
        server.terminate()
        server.wait(10)


def run(shared: Path, folder: Path, addresses: dict[str, str], token: str | None) -> dict[str, object]:
    """Both nights, export and evaluation; the figures."""
    environment = settings(addresses, folder, token)
    (folder / "hf").mkdir(exist_ok=True)
    ratings = shared / "corpus" / "ratings.csv"
    openness(environment, "import", "seeds", str(shared / "corpus" / "projects.yaml"))
    cold = json.loads(openness(environment, "nightly", "--json", codes=(0, 3)))
    cold_requests = count_requests(addresses)
    warm = json.loads(openness(environment, "nightly", "--json", codes=(0, 3)))
    warm_requests = count_requests(addresses)
    openness(environment, "export", "proposals", str(folder / "proposals.csv"))
    evaluation = json.loads(openness(environment, "evaluate", str(ratings), "--json"))
    print(openness(environment, "evaluate", str(ratings)))
    with open(ratings, newline="", encoding="utf-8") as file:
        cells = {(row["slug"], row["dimension"]) for row in csv.DictReader(file)}
    with open(folder / "proposals.csv", newline="", encoding="utf-8") as file:
        proposals = {(row["slug"], row["dimension"]): row for row in csv.DictReader(file)}
    # Linked repositories that are not there cost a question each; what is bounded is the cost of those that are.
    repositories = sum(1 for _ in (shared / "corpus" / "github").glob("*/*/repo.json"))
    github = cold["sources"]["github"]
    return {
        "projects rated": cold["projects"],
        "repositories recorded": repositories,
        "repositories visited": cold["artifacts_by_kind"].get("github", 0),
        "artifacts visited": cold["artifacts"],
        "recorded files and cards captured": captured(shared / "corpus", folder),
        "failed visits, cold": cold["failed"],
        "internal errors": len(cold["internal_errors"]) + len(warm["internal_errors"]),
        "cells with a class or an explicit cannot_tell": sum(c in proposals for c in cells) / len(cells),
        "cells that cannot be told": sum(
            proposals[c]["class"] == "cannot_tell" for c in cells if c in proposals
        ),
        "proposals with evidence or a list of what was searched": with_grounds(environment, proposals),
        "accuracy": evaluation["accuracy"],
        "kappa_weighted": evaluation["kappa_weighted"],
        "flips": evaluation["flips"],
        "coverage": evaluation["coverage"],
        "baseline": evaluation["baseline"],
        "requests, cold": cold_requests,
        "requests, warm": warm_requests,
        "GitHub requests a repository, cold": github["requests"] / repositories,
        "GitHub requests a repository, warm, charged": warm["sources"]["github"]["charged"] / repositories,
        "seconds, cold": cold["seconds"],
        "seconds, warm": warm["seconds"],
        "new snapshots, cold": cold["new_snapshots"],
        "new snapshots, warm": warm["new_snapshots"],
        "new proposals, warm": warm["new_proposals"],
    }


def captured(corpus: Path, folder: Path) -> float:
    """The share of recorded repository files and of cards whose bytes are in the archive."""
    recorded = [p for p in corpus.glob("github/*/*/files/**/*") if p.is_file()]
    recorded += corpus.glob("huggingface/*/*/*/README.md")
    digests = {path.name.split(".")[0] for path in (folder / "archive").rglob("*") if path.is_file()}
    missed = [p for p in recorded if hashlib.sha256(p.read_bytes()).hexdigest() not in digests]
    for path in missed:
        print(f"not captured: {path.relative_to(corpus)}", file=sys.stderr)
    return 1 - len(missed) / len(recorded)


def with_grounds(environment: dict[str, str], proposals: dict[tuple[str, str], dict[str, str]]) -> float:
    """The share of proposals that carry evidence, or say what was searched in vain."""
    export = json.loads(openness(environment, "proposals", "list", "--all", "--json"))
    grounded = {(p["slug"], p["dimension"]) for p in export if p["evidence"] or p["searched"]}
    return sum(key in grounded for key in proposals) / max(1, len(proposals))


def report(figures: dict[str, object], bounds: dict[str, tuple[str, float]], json_file: Path | None) -> int:
    """Print the table; 1 when a bound is not kept."""
    width = max(len(name) for name in figures)
    broken = []
    for name, value in figures.items():
        shown = f"{value:.3f}" if isinstance(value, float) else str(value)
        verdict = ""
        if name in bounds:
            sign, bound = bounds[name]
            kept = value >= bound if sign == ">=" else value <= bound  # type: ignore[operator]
            verdict = f"   {'ok' if kept else 'BROKEN'} ({sign} {bound})"
            broken += [] if kept else [name]
        print(f"{name:<{width}}  {shown}{verdict}")
    if json_file:
        json_file.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
