"""`python -m bench.strategies`: run the grid, print where plan-and-execute loses, keep the results for the page."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.results import FOLDER, head, write_results
from bench.strategies.grid import measure
from bench.strategies.paper import print_table
from bench.strategies.report import terminal_text


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the options say; return the exit code."""
    options = _parser().parse_args(argv)
    if options.paper:
        print_table()
        return 0
    began = time.perf_counter()
    document = head("bench.strategies", sys.argv[1:] if argv is None else argv)
    document |= measure(
        lambda text: print(f"{time.perf_counter() - began:6.0f} s  {text}", file=sys.stderr, flush=True),
        tiny=options.tiny,
    )
    document |= {"tiny": options.tiny, "took_s": round(time.perf_counter() - began, 1)}
    write_results("strategies", document, options.results)
    print(terminal_text(document))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.strategies", description=__doc__)
    parser.add_argument("--paper", action="store_true", help="print the shapes of the paper instead")
    parser.add_argument("--results", metavar="FOLDER", type=Path, default=FOLDER, help="where the results are kept")
    parser.add_argument("--tiny", action="store_true", help="a few cells: does it run? The check means nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
