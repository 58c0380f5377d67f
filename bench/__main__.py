"""`python -m bench`: every question, one table, exit 1 when a bound is missed or a benchmark breaks.

With `--save` each question's rows also replace what bench/results/engine.json has of it, as soon as they are there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.measure import Row
from bench.results import FOLDER, VERSION, head, read_results, write_results

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
        measured = head("bench", ["--save", "--only", name]) if options.save else {}
        asked = time.perf_counter()
        try:
            rows = import_module(f"bench.{name}").rows(tiny=options.tiny)
        except Exception:  # noqa: BLE001 (one broken benchmark must not hide the others)
            broken.append(name)
            traceback.print_exc()
            continue
        found += rows
        if options.save:
            took_s = round(time.perf_counter() - asked, 1)
            _save(name, {**measured, "took_s": took_s, "tiny": options.tiny}, rows, options.results)
        if not options.json:
            print(*map(_line, rows), sep="\n", flush=True)
    missed = [row.question for row in found if row.is_met is False]
    if options.json:
        document = {"version": 1, "rows": _documents(found), "missed": missed, "broken": broken}
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        print(_summary(found, missed, broken, time.perf_counter() - began))
    return 1 if missed or broken else 0


def _documents(rows: list[Row]) -> list[dict[str, Any]]:
    return [{**asdict(row), "is_met": row.is_met} for row in rows]


def _save(name: str, measured: dict[str, Any], rows: list[Row], folder: Path) -> None:
    """Replace what is kept of one question; an interruption later on loses nothing of it."""
    about = (sys.modules[import_module(f"bench.{name}").rows.__module__].__doc__ or "").strip()
    document = read_results("engine", folder) or {"version": VERSION, "questions": {}}
    known = {**document["questions"], name: {**measured, "about": about, "rows": _documents(rows)}}
    document["questions"] = {one: known[one] for one in QUESTIONS if one in known}
    write_results("engine", document, folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=QUESTIONS, help=f"one of {', '.join(QUESTIONS)}"
    )
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--save", action="store_true", help="keep the rows in bench/results/engine.json, for the page")
    parser.add_argument("--results", metavar="FOLDER", type=Path, default=FOLDER, help="where --save keeps them")
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
