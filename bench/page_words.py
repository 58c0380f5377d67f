"""The words of docs/benchmarks.md that no measurement changes: headings, the method, what was not measured."""

from __future__ import annotations

from typing import Final

SECTIONS: Final = (
    ("Steps that do nothing", ("overhead", "arguments")),
    ("Sync tools on threads", ("threads",)),
    ("Steps that wait: makespan", ("makespan",)),
    ("Durable steps", ("durable", "journal", "journal_scale")),
    ("Many runs at once", ("many_runs",)),
    ("Memory", ("memory",)),
    ("Reading and checking plans", ("reading",)),
    ("Importing, and starting the command", ("importing", "command")),
    ("From the wire to a step", ("streaming",)),
    ("Analysis against pandas", ("analysis",)),
    ("Plans against ReAct: the shapes of the LLMCompiler paper", ("strategies",)),
)
"""Headings, and the questions of `python -m bench` below each."""

METHOD: Final = """\
Every figure is measured against a floor in the same run, side by side: raw asyncio as lean as it can be and still be
right, a bare writer with grouped commits, `json.loads`, a pandas script. The floor checks nothing, contains nothing and
forgets everything; what Planloom adds is the price of what it does. A ratio is the median over adjacent pairs, A B B
A. An aim is what the project holds itself to; it says so here when one is missed."""

NOT_MEASURED: Final = """\
- No real provider's model: what models write here is scripted, right at once, and timed by stated speeds. How good the
  plans of a real model are, how often it has to mend them, what a provider's load does to its speed, and discounts for
  cached prompts are not in any figure.
- Only Linux, one version of Python (CPython) and one small machine; no macOS, no Windows, no free-threaded build.
- Journals on SQLite on this machine's disk; PostgreSQL, network file systems and several machines are not timed.
- Tools that do nothing or sleep, and the data tools on one generated file; no tool that works hard on a processor, and
  no `run_in="process"`.
- The floors are written by the same people as Planloom. They stand in `bench/`, short, to be checked."""

README_LEAD: Final = """\
Figures are from [the benchmarks](docs/benchmarks.md), which say the machine, the commands, every other figure, where
plans lose, and what was not measured."""
