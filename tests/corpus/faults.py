"""Nights with broken services: `make bench ARGS=faults`.

A faultless night says what there is to be found. Then, for each seed, three nights in a row on a new
database against services of which many answers are 5xx, hang until the crawler gives up, are reset,
come truncated or as garbage, or are a limit. After the last night the evidence has to be that of the
faultless night, and on no night may a class be nearer to closed than in the faultless night or than on
the night before. "Cannot tell" is no class and no move.

What was used of the services' limits is forgotten between two nights.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from state import State, difference, load_state, lowered, shown
from world import Services, load_seeds, parser, report, say, serve, set_up, working_folder, write_seeds

BOUNDS = {
    "evidence that is off after the last night": ("<=", 0),
    "proposals that are off after the last night": ("<=", 0),
    "cells nearer to closed than in the faultless night, on any night": ("<=", 0),
    "cells nearer to closed than on the night before, on any night": ("<=", 0),
    "internal errors": ("<=", 0),
    "unsound databases or archives": ("<=", 0),
}

NIGHTS = 3


def rules(scale: float, retry_after: int) -> list[dict[str, Any]]:
    """The faults; the first that fires wins, so the later ones are a little rarer than they say.

    Of 5xx all kinds that a proxy or a service sends. What asks to wait, asks for `retry_after` seconds.
    """
    fifth = 0.10 / 4 * scale
    return [
        *({"kind": "status", "status": code, "probability": fifth} for code in (500, 502, 503, 504)),
        {"kind": "hang", "probability": 0.05 * scale},
        {"kind": "reset", "probability": 0.05 * scale},
        {"kind": "truncate", "probability": 0.03 * scale},
        {"kind": "garbage", "probability": 0.02 * scale},
        {"kind": "garbage", "raw": True, "probability": 0.01 * scale},
        {
            "kind": "secondary_limit",
            "service": "github",
            "retry_after": retry_after,
            "probability": 0.015 * scale,
        },
        {"kind": "rate_limit", "service": "hf", "retry_after": retry_after, "probability": 0.015 * scale},
        {"kind": "rate_limit", "service": "web", "retry_after": retry_after, "probability": 0.015 * scale},
    ]


def main(arguments: list[str] | None = None) -> int:
    made = parser(__doc__, "faults")
    made.add_argument("--seeds", type=int, default=3, help="how often, each time with other chances (3)")
    made.add_argument("--first-seed", type=int, default=1, metavar="N", help="the chances to begin with (1)")
    made.add_argument("--nights", type=int, default=NIGHTS, help=f"nights for each seed ({NIGHTS})")
    made.add_argument("--projects", type=int, metavar="N", help="the first N projects only")
    made.add_argument("--scale", type=float, default=1.0, help="factor for all probabilities (1)")
    made.add_argument(
        "--timeout", type=float, default=2.0, help="seconds that the crawler waits for an answer (2)"
    )
    made.add_argument("--retry-after", type=int, default=1, help="seconds that limits ask to wait (1)")
    options = made.parse_args(arguments)
    figures: Counter[str] = Counter(dict.fromkeys(BOUNDS, 0))
    with working_folder(options) as folder:
        seeds = write_seeds(folder / "seeds.yaml", load_seeds(options.shared)[: options.projects])
        with serve(options.shared) as services:
            desk = set_up(services, folder / "faultless", seeds=seeds)
            desk.night()
            faultless = load_state(desk)
        say(
            f"a faultless night: {len(faultless.evidence)} pieces of evidence, {len(faultless.classes)} proposals"
        )
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            with serve(options.shared, "--seed", str(seed)) as services:
                figures += nights(services, folder / f"seed-{seed}", seeds, options, faultless)
    whole = {name: figures[name] for name in BOUNDS}
    return report({**whole, **dict(sorted(figures.items()))}, BOUNDS, options.json)


def nights(
    services: Services, folder: Path, seeds: Path, options: argparse.Namespace, faultless: State
) -> Counter[str]:
    """The nights of one seed, and what was wrong with them."""
    found: Counter[str] = Counter()
    desk = set_up(services, folder, seeds=seeds, OPENNESS_HTTP_TIMEOUT=str(options.timeout))
    services.control("faults", rules(options.scale, options.retry_after))
    before: State | None = None
    for night in range(1, options.nights + 1):
        services.take_log()
        # A night in which nothing could be read (4) is one, and so is one with a bug (1), which is counted.
        done = desk.night(codes=(0, 1, 3, 4))
        log = services.take_log()
        state = load_state(desk)
        found["internal errors"] += len(done.report["internal_errors"])
        found["seconds of nights with faults"] += round(done.seconds)
        found["requests"] += len(log)
        found["requests that met a fault"] += sum(entry["fault"] is not None for entry in log)
        off = difference(state, faultless)
        say(
            f"{folder.name}, night {night}: ended with {done.code} after {done.seconds:.0f} s,"
            f" {sum(e['fault'] is not None for e in log)} of {len(log)} requests met a fault,"
            f" {done.report['failed']} visits failed; {len(off.artifacts)} artifacts,"
            f" {len(off.evidence)} kinds of evidence, {len(off.proposals)} proposals are not yet as they should be"
        )
        for error in done.report["internal_errors"]:
            say(f"  INTERNAL ERROR {error}")
        for other, name in ((faultless, "in the faultless night"), (before, "on the night before")):
            cells = lowered(state, other) if other else []
            found[f"cells nearer to closed than {name}, on any night"] += len(cells)
            for cell in cells:
                was = shown(other.classes[cell]) if other else ""
                say(f"  {' '.join(cell)}: {shown(state.classes[cell])}, {was} {name}")
        before = state
    for line in off.lines():
        say(f"  {line}")
    found["evidence that is off after the last night"] += len(off.artifacts) + len(off.evidence)
    found["proposals that are off after the last night"] += len(off.proposals)
    services.forget("faults")
    problems = desk.problems()
    for problem in problems:
        say(f"  {problem}")
    found["unsound databases or archives"] += bool(problems)
    return found


if __name__ == "__main__":
    sys.exit(main())
