"""Runs a benchmark by its name: `make bench ARGS="faults --seeds 1"`."""

from __future__ import annotations

import importlib
import sys

BENCHMARKS = {
    "run": "requests, bytes and agreement of three nights; what `make corpus` runs",
    "latency": "how long a night takes when every answer does",
    "faults": "nights with broken services",
    "kills": "nights that are killed",
    "altered": "nights over a corpus that says the same in other words, forms and orders",
    "scale": "nights with thousands of projects",
    "rerate": "how many projects a second are rated again from what is stored",
    "licences": "how well and how fast licence texts are recognised",
    "effort": "keystrokes and seconds a decision at the review desk, over the sandbox",
    "desk": "the review desk with 140,000 open questions while a night commits; needs no corpus",
    "invented": "agreement over twelve invented projects that were rated before any rule saw them",
    "demo": "what the rules find in the sandbox, against what a careful reader finds",
}


def main(arguments: list[str]) -> int:
    """Run the benchmark that the first argument names with the rest of them."""
    if arguments and arguments[0] in BENCHMARKS:
        return int(importlib.import_module(arguments[0]).main(arguments[1:]))
    print('Name a benchmark, such as make bench ARGS="faults --seeds 1"; each has --help.\n', file=sys.stderr)
    for name, meaning in BENCHMARKS.items():
        print(f"  {name:<8} {meaning}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
