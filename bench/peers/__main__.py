"""`python -m bench.peers`: install the contenders, measure, print the table, write results and pages.

What is measured is kept after every graph: the same command goes on where an interrupted one was.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.peers.contenders import BLOCKS, NAMES, PLANLOOM, STANDARD
from bench.peers.graphs import make_graphs
from bench.peers.harness import Bench, Effort
from bench.peers.install import ROOT, InstallError, install, versions
from bench.peers.pages import terminal_table, write_pages
from bench.peers.results import VERSION, cell_of
from bench.results import FOLDER, commit, machine, write_results

CACHE = ROOT / "build" / "peers"
PROGRESS = "progress"
PAGES = ROOT / "docs" / "benchmarks"
WORKFLOWS = ROOT.parent / "shared" / "data" / "graphs" / "wfcommons.jsonl"
_TINY = Effort(rounds=1, budget_s=0.2, slow_s=5.0, too_slow_s=10.0)
_QUICK = Effort(rounds=2, budget_s=0.3, slow_s=4.0, too_slow_s=8.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the options say; return 1 when a contender could not be installed or a cell failed."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    began = time.perf_counter()
    effort = _TINY if options.tiny else _QUICK if options.quick else Effort(options.rounds, options.budget_s)
    graphs, missing = make_graphs(options.workflows, tiny=options.tiny)
    if options.graph:
        graphs = [graph for graph in graphs if any(word in graph.name for word in options.graph)]
    wanted = set(options.only or NAMES)
    bench = Bench(CACHE, effort, lambda text: print(f"{time.perf_counter() - began:6.0f} s  {text}", file=sys.stderr))
    installed = _install(bench, wanted)
    if options.install_only:
        return 1 if bench.broken else 0
    load_before = os.getloadavg()
    fingerprint = {
        "effort": vars(effort), "graphs": [graph.name for graph in graphs], "wanted": sorted(wanted),
        "versions": {name: facts.get("versions") for name, facts in installed.items()}, "commit": commit(),
    }  # fmt: skip
    before_s = _go_on(bench, fingerprint, is_fresh=options.fresh)
    bench.keep = lambda: _keep(bench, fingerprint, before_s + time.perf_counter() - began)
    bench.run(BLOCKS, graphs, wanted)
    document = {
        "version": VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "bench.peers", *(sys.argv[1:] if argv is None else argv)]),
        "took_s": round(before_s + time.perf_counter() - began, 1),
        "machine": machine() | {"load_before": load_before, "load_after": os.getloadavg()},
        "commit": commit(),
        "effort": vars(effort),
        "tiny": options.tiny,
        "quick": options.quick,
        "contenders": _contenders(bench, installed),
        "graphs": [
            {"name": g.name, "about": g.about, "steps": len(g.dependencies), "edges": sum(map(len, g.dependencies))}
            for g in graphs
        ],
        "missing_graphs": missing,
        "cells": [cell.document() for cell in bench.cells],
    }
    write_results("peers", document, options.results)
    (CACHE / f"{PROGRESS}.json").unlink(missing_ok=True)
    write_pages(document, options.pages)
    print(terminal_table(document))
    failed = [cell for cell in bench.cells if cell.not_run.startswith("failed")]
    return 1 if bench.broken or failed else 0


def _install(bench: Bench, wanted: set[str]) -> dict[str, dict[str, Any]]:
    """Make every environment; contenders whose environment cannot be made are out of it, with the reason."""
    found: dict[str, dict[str, Any]] = {}
    contenders = {c.name: c for block in BLOCKS for c in block.contenders}
    partners = {name for block in BLOCKS for name in (block.floor, block.planloom)}
    needed = {contenders[name].environment for name in wanted | partners} | {STANDARD, PLANLOOM}
    for environment in sorted(needed):
        began = time.perf_counter()
        try:
            install(bench.cache, environment)
            found[environment] = {"versions": versions(bench.cache, environment)}
        except InstallError as error:
            found[environment] = {"error": str(error)}
            for contender in contenders.values():
                if contender.environment == environment:
                    bench.broken[contender.name] = f"could not be installed: {error}"
        found[environment]["install_s"] = round(time.perf_counter() - began, 1)
        bench.say(f"environment {environment}: {found[environment].get('error', 'ready')}")
    return found


def _contenders(bench: Bench, installed: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    found = {
        c.name: {
            "name": c.name,
            "title": c.title,
            "about": c.about,
            "block": block.name,
            "version": bench.reported.get(c.name),
            "problem": bench.broken.get(c.name),
            "environment": c.environment,
        }
        for block in reversed(BLOCKS)
        for c in block.contenders
    }
    environments = {name: {"name": name, **facts} for name, facts in installed.items()}
    return [found[name] | {"installed": environments.get(found[name]["environment"])} for name in NAMES]


def _go_on(bench: Bench, fingerprint: dict[str, Any], *, is_fresh: bool) -> float:
    """Take over what an interrupted run of the same measurement has kept; return the seconds that it took."""
    path = CACHE / f"{PROGRESS}.json"
    if is_fresh or not path.exists():
        return 0.0
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["fingerprint"] != json.loads(json.dumps(fingerprint)):
        bench.say("an interrupted run was of something else, and is not gone on with")
        return 0.0
    bench.cells += map(cell_of, kept["cells"])
    bench.reported |= kept["reported"]
    bench.say(f"goes on after {len(bench.cells)} cells, {kept['took_s']:.0f} s")
    return kept["took_s"]


def _keep(bench: Bench, fingerprint: dict[str, Any], took_s: float) -> None:
    cells = [cell.document() for cell in bench.cells]
    document = {"fingerprint": fingerprint, "took_s": took_s, "reported": bench.reported, "cells": cells}
    write_results(PROGRESS, document, CACHE)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", choices=NAMES, help=f"one of {', '.join(NAMES)}")
    parser.add_argument("--graph", metavar="WORD", action="append", help="only graphs whose name has this word")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="turns per contender and cell, at most")
    parser.add_argument("--budget-s", type=float, default=Effort.budget_s, help="seconds per contender and cell")
    parser.add_argument("--quick", action="store_true", help="the same graphs, but few turns each: about half as long")
    parser.add_argument("--fresh", action="store_true", help="begin anew, also where an interrupted run could go on")
    parser.add_argument("--tiny", action="store_true", help="smallest graphs: does it run? The numbers mean nothing")
    parser.add_argument("--workflows", type=Path, default=WORKFLOWS, help="WfCommons shapes, one JSON object per line")
    parser.add_argument("--results", metavar="FOLDER", type=Path, default=FOLDER, help="where peers.json is written")
    parser.add_argument("--pages", type=Path, default=PAGES, help="where Markdown and SVG are written")
    parser.add_argument("--install-only", action="store_true", help="make the environments and stop")
    return parser


if __name__ == "__main__":
    sys.exit(main())
