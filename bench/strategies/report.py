"""The grid's results in words, tables and plots. It claims only what the figures say."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any, Final

from bench.charts import Panel, Panels, Ranges
from bench.strategies.cells import COMPILE, PARALLEL, PLAN, REACT, READS_PER_TOKEN_WRITTEN, STRATEGIES
from bench.strategies.goals import KINDS
from bench.strategies.grid import CLEAR, FIRST_TOKEN_S, OUTPUT_PRICE, TOKENS_PER_S, TOOL_S, TYPICAL
from bench.strategies.verdicts import Line, Standing, bill, standing, standings, title, titles

RANGES: Final = "strategies-ratios"
LINES: Final = "strategies-lines"
WRAPPED: Final = 118
"""Characters of a line of the README."""


def terminal_text(document: dict[str, Any]) -> str:
    """Return where plan-and-execute stands, for a terminal."""
    grid = document["grid"]
    lines = [f"{'goal':<40} {'over react':>24} {'over parallel calls':>28}   (median, least to most, slower in)"]
    over_react, over_parallel = standings(grid, REACT), standings(grid, PARALLEL)
    lines += [f"{name:<40} {_ranged(over_react[name]):>24} {_ranged(over_parallel[name]):>28}" for name in titles(grid)]
    return "\n".join([*lines, "", *verdicts(document), "", *checked(document)])


def verdicts(document: dict[str, Any]) -> list[str]:
    """Return where plan-and-execute loses and wins, one sentence each, worst first."""
    grid = document["grid"]
    found = [_overall(grid, PARALLEL), _overall(grid, REACT)]
    for kind in KINDS:
        mine = [line for line in grid if line["kind"] == kind]
        for failing in (False, True):
            lines = [line for line in mine if bool(line["failing"]) == failing]
            if lines:
                found.append(_about(kind, lines, failing=failing))
    return found


def _overall(grid: list[Line], other: str) -> str:
    one = standing(grid, other)
    assert one is not None
    return (
        f"Over the whole grid plan-and-execute is slower than {other} in {one.lost} of {one.count} cells (median "
        f"{one.median:.2f}x its time, from {one.least:.2f}x to {one.most:.2f}x), and its tokens cost "
        f"{one.bill:.2f}x as much (median). The worst cell is {_cell(one.worst)}."
    )


def _about(kind: str, lines: list[Line], *, failing: bool) -> str:
    called = {
        "independent": "Independent calls",
        "listed": "Independent calls planned as one for_each",
        "chain": "Chains by reference",
        "chains": "Chains side by side, by reference",
        "reading": "Chains by reading",
        "asked": "Chains by reading, with ask_model between",
    }[kind]
    parts = [f"{called}{', some of which fail' if failing else ''}:"]
    for other in (PARALLEL, REACT):
        one = standing(lines, other)
        assert one is not None
        parts.append(
            f"{one.median:.2f}x the time of {other} ({one.least:.2f}x to {one.most:.2f}x, slower in {one.lost} of"
        )
        parts.append(f"{one.count} cells), {one.bill:.2f}x its bill" + (";" if other == PARALLEL else "."))
    if compiled := standing(lines, PARALLEL, COMPILE):
        parts.append(f"Compile: {compiled.median:.2f}x the time of {PARALLEL}, {compiled.bill:.2f}x its bill.")
    return " ".join(parts)


def _cell(line: Line) -> str:
    return (
        f"“{title(line)}” with {line['first_token_s']:g} s to the first token, {line['tokens_per_s']:g} tokens "
        f"a second and tools of {line['tool_s']:g} s"
    )


def _ranged(one: Standing) -> str:
    return f"{one.median:.2f}x ({one.least:.2f} to {one.most:.2f}), {one.lost} of {one.count}"


def checked(document: dict[str, Any]) -> list[str]:
    """Return how far virtual time is from what HTTP took."""
    check = document["check"]
    errors = [f"{name} {found[0]:+.1%} (at most {found[1]:+.1%})" for name, found in check["error"].items()]
    median, most = check["ratio_error"]
    return [
        f"Virtual time against {len(document['sample'])} runs over HTTP, everything {document['faster']:g} times as "
        f"quick: the runs took longer by {', '.join(errors)}; a model call by {check['added_ms_per_call']:.1f} ms. The "
        f"ratio of plan-and-execute to parallel calls is off by {median:+.1%} (at most {most:+.1%}). In "
        f"{check['clear']} of {check['pairs']} cells the two are more than {CLEAR:.0%} apart; the quicker one is the "
        f"same in {check['same_side']} of these."
    ]


_METHOD: Final = """\
Every goal with a model of {first} s to the first token and {rates} tokens a second, and tools of {tools} s. The model
also reads its prompt, the tools' schemas and the schema of the reply included, {reads} times faster than it writes;
four characters are a token. What it writes is scripted, right at once, and as short as the prompts allow. *Parallel
calls* asks the model for tool calls, runs them all at once, and asks again with what they gave back: one round and the
answer where nothing fails and no call needs another. A call that fails does so for good at the first source and has to
be made at a second one; plan-and-execute buys a replan for each such call, one after another (`max_replans` is raised
from 3 for that), and rounds for what only a reader can know (`max_rounds` is raised from 2). A bill counts an output
token as {price} input tokens and knows no discount for cached prompts. The grid is in virtual time, with the real
agents; a sample of it runs over HTTP on the loopback address."""


def method() -> str:
    """Return how the grid was made, from its own constants."""
    first, rates, tools = (", ".join(f"{value:g}" for value in axis) for axis in (FIRST_TOKEN_S, TOKENS_PER_S, TOOL_S))
    return _METHOD.format(first=first, rates=rates, tools=tools, reads=READS_PER_TOKEN_WRITTEN, price=OUTPUT_PRICE)


def kinds() -> str:
    """Return the kinds of goals as a list."""
    return "\n".join(f"- *{kind}*: {about}" for kind, about in KINDS.items())


def table(document: dict[str, Any]) -> str:
    """Return a Markdown table: every goal, plan-and-execute over the others."""
    grid = document["grid"]
    lines = [
        "| goal | over ReAct: time | slower in | bill | over parallel calls: time | slower in | bill | "
        "compile over parallel calls: time | bill |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    others = (standings(grid, REACT), standings(grid, PARALLEL))
    compiled = standings(grid, PARALLEL, COMPILE)
    for name in titles(grid):
        cells = [text for other in others for text in _columns(other[name])]
        last = compiled.get(name)
        cells += [_times(last), f"{last.bill:.2f}x"] if last else ["–", "–"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _columns(one: Standing) -> list[str]:
    return [_times(one), f"{one.lost} of {one.count}", f"{one.bill:.2f}x"]


def _times(one: Standing) -> str:
    return f"{one.median:.2f}x ({one.least:.2f} to {one.most:.2f})"


def typical_table(document: dict[str, Any]) -> str:
    """Return a Markdown table of seconds, model calls and bills at one speed in the middle of the grid."""
    heads = [f"{name}: s, calls, bill" for name in STRATEGIES]
    lines = ["| goal | " + " | ".join(heads) + " |", "|---|" + "---:|" * len(heads)]
    for line in typical(document):
        cells = [
            f"{row[0]:.2f}, {row[1]}, {bill(row):,}" if (row := line["rows"].get(name)) else "–" for name in STRATEGIES
        ]
        lines.append(f"| {title(line)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def typical(document: dict[str, Any]) -> list[Line]:
    """Return the cells at the speed in the middle."""
    speed, tool_s = TYPICAL
    return [line for line in document["grid"] if _has(line, speed.first_token_s, speed.tokens_per_s, tool_s)]


def _has(line: Line, first_token_s: float, tokens_per_s: float, tool_s: float) -> bool:
    return (line["first_token_s"], line["tokens_per_s"], line["tool_s"]) == (first_token_s, tokens_per_s, tool_s)


def ratios_chart(document: dict[str, Any]) -> Ranges:
    """Return the chart of plan-and-execute's time over that of the others, per goal."""
    grid = document["grid"]
    found: dict[tuple[str, str], tuple[float, float, float]] = {}
    for other in (REACT, PARALLEL):
        for name, one in standings(grid, other).items():
            found[name, f"over {other}"] = (one.least, one.median, one.most)
    return Ranges(
        "Plan-and-execute over the others: wall time, over all speeds of model and tool",
        "times as long; right of 1x plan-and-execute loses (mark: median, bar: least to most)",
        titles(grid),
        [f"over {REACT}", f"over {PARALLEL}"],
        found,
    )


def lines_chart(document: dict[str, Any]) -> Panels:
    """Return the chart of seconds by number of calls, for slow and quick models, chains and failures."""
    grid = document["grid"]
    speed, tool_s = TYPICAL

    def panel(name: str, axis: str, chosen: list[Line], place: Callable[[Line], str]) -> Panel:
        walls = {strategy: [line["rows"].get(strategy, (None,))[0] for line in chosen] for strategy in STRATEGIES}
        return Panel(name, axis, [place(line) for line in chosen], walls)

    def chosen(kind: str, rate: float) -> list[Line]:
        at_speed = [line for line in grid if _has(line, speed.first_token_s, rate, tool_s)]
        return [line for line in at_speed if line["kind"] == kind]

    def by_calls(name: str, kind: str, rate: float) -> Panel:
        lines = [line for line in chosen(kind, rate) if not line["failing"]]
        return panel(name, "calls", lines, lambda line: str(line["calls"]))

    rates = sorted({line["tokens_per_s"] for line in grid})
    most = max((line["calls"] for line in grid if line["kind"] == "independent" and line["failing"]), default=0)
    failing = [line for line in chosen("independent", speed.tokens_per_s) if line["calls"] == most]
    return Panels(
        f"Seconds to the answer ({speed.first_token_s:g} s to the first token, tools of {tool_s:g} s)",
        "s",
        STRATEGIES,
        [
            [by_calls(f"independent, {rate:g} tokens/s", "independent", rate) for rate in rates],
            [
                by_calls(f"chain by reference, {speed.tokens_per_s:g} tokens/s", "chain", speed.tokens_per_s),
                by_calls(f"chain by reading, {speed.tokens_per_s:g} tokens/s", "reading", speed.tokens_per_s),
                panel(f"{most} independent, some fail", "calls that fail", failing, lambda line: str(line["failing"])),
            ],
        ],
    )


def headline(document: dict[str, Any]) -> str:
    """Return what may be said elsewhere: overall, by kind of goal, and the compiler beside it."""
    grid = document["grid"]

    def of(other: str, strategy: str = PLAN, kind: str = "") -> Standing:
        one = standing(
            [line for line in grid if not kind or (line["kind"], line["failing"]) == (kind, 0)], other, strategy
        )
        assert one is not None
        return one

    def times(kind: str) -> str:
        return f"{of(PARALLEL, kind=kind).median:.2f}x"

    react, parallel, compiled = of(REACT), of(PARALLEL), of(PARALLEL, COMPILE)
    said = (
        f"On a grid of {len(grid)} scripted goals and speeds, with a model that is always right, plan-and-execute "
        f"takes {react.median:.2f}x the time of ReAct (median; slower in {_share(react)} of the cells) and "
        f"{parallel.median:.2f}x that of rounds of parallel tool calls (slower in {_share(parallel)}): "
        f"{times('chain')} where calls form a chain that a plan can write down, {times('independent')} where they "
        f"need nothing of each other, {times('reading')} where each next call depends on reading the result before. "
        f"The LLM Compiler takes {compiled.median:.2f}x the time of parallel calls at {compiled.bill:.2f}x their "
        "bill, where it can reach the goal at all."
    )
    return textwrap.fill(said, WRAPPED)


def _share(one: Standing) -> str:
    return f"{one.lost / one.count:.0%}"
