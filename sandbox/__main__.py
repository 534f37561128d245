"""Serve the sandbox until it is interrupted: `python -m sandbox [--port N] [--night N]`.

One line of JSON on stdout names the addresses, by the environment variables of the settings.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading

from sandbox.server import Sandbox


def main() -> None:
    """Parse the arguments, serve, and stop at SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=(__doc__ or "").split(":")[0])
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--night", type=int, default=1, help="the night to serve, from 1")
    arguments = parser.parse_args()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    with Sandbox(arguments.night, port=arguments.port) as sandbox:
        print(json.dumps(sandbox.addresses), flush=True)
        over.wait()


if __name__ == "__main__":
    main()
