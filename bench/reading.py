"""What does it cost to read and check a plan, and does that grow with its size? Against `json.loads`.

The plan is what a machine would write: typed references into the outputs of three tools with schemas, flat
and nested arguments, dependencies declared. Everything in it is right, so every check runs to its end. As for
users, `json.loads` and the reading of the plan run with the garbage collector on, and the validation of a large
plan pauses it for itself; since that flatters the ratio, the one with the collector off on both sides is shown
beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from bench.measure import PROCESSOR, Comparison, Row, called, compare
from planloom import Plan, Toolbox, find_issues, tool

BOUND = 12.0
GROWTH_BOUND = 1.5


@dataclass
class Page:
    """A page that was fetched."""

    text: str
    words: int
    links: list[str]


@dataclass
class Summary:
    """What a page says."""

    summary: str
    score: float


@dataclass
class Weighted:
    """A summary and its weight."""

    text: str
    weight: float


@tool(read_only=True)
async def fetch(url: str, limit: int = 10) -> Page:
    """Fetch a page."""
    raise NotImplementedError


@tool(read_only=True)
async def summarise(text: str, words: int, style: Literal["short", "long"] = "short") -> Summary:
    """Summarise a text."""
    raise NotImplementedError


@tool(read_only=True)
async def merge(parts: list[Weighted], title: str) -> Summary:
    """Merge summaries into one."""
    raise NotImplementedError


TOOLBOX = Toolbox([fetch, summarise, merge])


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure a small and a large plan, and how the ratio grew."""
    small, large, small_pairs, large_pairs = (30, 300, 2, 2) if tiny else (10_000, 100_000, 12, 6)
    compared_small = _compare(small, small_pairs)
    compared_large = _compare(large, large_pairs)
    uncollected = _compare(large, large_pairs // 2, collects=False)
    growth = compared_large.ratio / compared_small.ratio
    return [
        _row(compared_small, f"{small:,} steps over json.loads", small, None),
        _row(compared_large, f"{large:,} steps over json.loads", large, BOUND),
        _row(uncollected, f"{large:,} steps, garbage collector off", large, None),
        Row(
            question=f"the same, how the ratio grows from {small:,} to {large:,} steps",
            unit="x",
            floor=compared_small.ratio,
            planloom=compared_large.ratio,
            ratio=growth,
            bound=GROWTH_BOUND,
        ),
    ]


def _row(compared: Comparison, size: str, steps: int, bound: float | None) -> Row:
    return compared.row(f"read and validate {size}", per=steps, unit="µs/step", scale=1e6, bound=bound)


def _compare(steps: int, pairs: int, *, collects: bool = True) -> Comparison:
    text = plan_text(steps)

    def read() -> Plan:
        plan = Plan.from_json(text)
        assert find_issues(plan, TOOLBOX) == []
        return plan

    return compare(called(lambda: json.loads(text), PROCESSOR), called(read, PROCESSOR), pairs, collects=collects)


def plan_text(steps: int) -> str:
    """Return the JSON text of a plan of so many steps (a multiple of five is used up whole)."""
    written: list[dict[str, Any]] = []
    for number in range(0, steps, 5):
        written += _five_steps(number)
    plan = {"version": 1, "goal": "summarise the pages", "inputs": {"title": "all"}, "steps": written[:steps]}
    return json.dumps(plan)


def _five_steps(number: int) -> list[dict[str, Any]]:
    """Two pages, a summary of each, and one of both, which also waits for the five steps before."""
    left, right = f"page_{number}", f"page_{number + 1}"
    short, long, both = f"summary_{number}", f"summary_{number + 1}", f"merged_{number}"
    parts = [_weighted(short), _weighted(long), *([_weighted(f"merged_{number - 5}")] if number else [])]
    merged = [short, long, *([f"merged_{number - 5}"] if number else [])]
    return [
        _step(left, "fetch", {"url": f"https://example.org/{number}", "limit": 20}, []),
        _step(right, "fetch", {"url": f"https://example.org/{number + 1}"}, []),
        _step(short, "summarise", _summary_args(left, "short"), [left]),
        _step(long, "summarise", _summary_args(right, "long"), [right]),
        _step(both, "merge", {"parts": parts, "title": "{{inputs.title}}"}, merged),
    ]


def _step(step_id: str, used: str, args: dict[str, Any], depends_on: list[str]) -> dict[str, Any]:
    description = f"{used} for part {step_id}"
    return {"id": step_id, "description": description, "tool": used, "args": args, "depends_on": depends_on}


def _summary_args(page: str, style: str) -> dict[str, Any]:
    return {"text": f"{{{{{page}.output.text}}}}", "words": f"{{{{{page}.output.words}}}}", "style": style}


def _weighted(summary: str) -> dict[str, Any]:
    return {"text": f"{{{{{summary}.output.summary}}}}", "weight": f"{{{{{summary}.output.score}}}}"}
