"""`python -m bench`: every question, one table, exit 1 when a bound is missed or a benchmark breaks."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module

from bench.measure import Row

QUESTIONS = (
    "overhead",
    "makespan",
    "reading",
    "importing",
    "command",
    "memory",
    "threads",
    "arguments",
    "many_runs",
    "journal",
    "journal_scale",
    "durable",
    "analysis",
    "strategies",
    "streaming",
)
_HEAD = f"{'question':<70} {'floor':>9} {'planloom':>9} {'unit':<8} {'ratio':>7} {'bound':>8}  verdict"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the questions asked for and print them; return the exit code."""
    options = _parser().parse_args(argv)
    began = time.perf_counter()
    found: list[Row] = []
    broken: list[str] = []
    if not options.json:
        print(_HEAD, "-" * len(_HEAD), sep="\n", flush=True)
    for name in options.only or QUESTIONS:
        try:
            rows = import_module(f"bench.{name}").rows(tiny=options.tiny)
        except Exception:  # noqa: BLE001 (one broken benchmark must not hide the others)
            broken.append(name)
            traceback.print_exc()
            continue
        found += rows
        if not options.json:
            print(*map(_line, rows), sep="\n", flush=True)
    missed = [row.question for row in found if row.is_met is False]
    if options.json:
        rows = [{**asdict(row), "is_met": row.is_met} for row in found]
        document = {"version": 1, "rows": rows, "missed": missed, "broken": broken}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(_summary(found, missed, broken, time.perf_counter() - began))
    return 1 if missed or broken else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=QUESTIONS, help=f"one of {', '.join(QUESTIONS)}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: does it run? The numbers mean nothing")
    return parser


def _line(row: Row) -> str:
    bound = "" if row.bound is None else f"{row.bound:g}x" if row.bound_on == "ratio" else f"{row.bound:g} {row.unit}"
    verdict = {None: "", True: "met", False: "MISSED"}[row.is_met]
    spread = "" if row.spread is None else f"({row.spread[0]:.2f} to {row.spread[1]:.2f})"
    note = ", ".join(part for part in (spread, row.note) if part)
    line = f"{row.question:<70} {row.floor:>9.2f} {row.planloom:>9.2f} {row.unit:<8} {row.ratio:>6.2f}x {bound:>8}"
    return f"{line}  {verdict:<7} {note}".rstrip()


def _summary(found: list[Row], missed: list[str], broken: list[str], took_s: float) -> str:
    bounds = sum(row.bound is not None for row in found)
    broke = f"; did not run: {', '.join(broken)}" if broken else ""
    return (
        f"\n{bounds - len(missed)} of {bounds} bounds met{broke}; {took_s:.0f} s. "
        "Ratios are medians over adjacent pairs (10th to 90th percentile)."
    )


if __name__ == "__main__":
    sys.exit(main())
