"""`python -m bench.page`: docs/benchmarks.md, its plots and the README's speed block, from bench/results alone.

Nothing on these pages is typed by hand: a test renders them again and compares. With `--check` nothing is written.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.charts import Ranges, draw_panels, draw_ranges
from bench.page_words import METHOD, NOT_MEASURED, README_LEAD, SECTIONS
from bench.peers import pages as peers_pages
from bench.results import FOLDER, ROOT, read_results
from bench.strategies import report

PAGE: Final = "docs/benchmarks.md"
PLOTS: Final = "docs/benchmarks"
README: Final = "README.md"
BEGIN: Final = "<!-- speed: written by `python -m bench.page` from bench/results -->"
END: Final = "<!-- end of speed -->"
_HEAD: Final = "| | floor | Planloom | ratio (10th to 90th percentile) | aim | |\n|---|---:|---:|---:|---:|---|"
_HEADLINES: Final = {"overhead": 2, "analysis": 2}
"""Rows of a question that the README shows; one of all others."""
_IN_README: Final = (
    *("overhead", "threads", "durable", "makespan", "many_runs", "memory", "reading", "importing", "analysis"),
)
_BUSY: Final = 0.5
"""A load average from which on a machine is called busy, for each of its processors."""

Document = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or say which are not what they would be."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a page is not up to date")
    options = parser.parse_args(argv)
    rendered = render()
    stale = [path for path, text in rendered.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in stale:
        print(f"{'not up to date' if options.check else 'written'}: {path.relative_to(ROOT)}")
    if options.check:
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rendered[path], encoding="utf-8")
    return 0


def render(folder: Path = FOLDER, root: Path = ROOT) -> dict[Path, str]:
    """Return what every page and plot has to be, from the results in a folder."""
    engine = read_results("engine", folder) or {"questions": {}}
    peers, strategies = read_results("peers", folder), read_results("strategies", folder)
    found = {f"{PLOTS}/engine.svg": draw_ranges(_engine_chart(engine["questions"]))}
    if strategies:
        found[f"{PLOTS}/{report.RANGES}.svg"] = draw_ranges(report.ratios_chart(strategies))
        found[f"{PLOTS}/{report.LINES}.svg"] = draw_panels(report.lines_chart(strategies))
    if peers:
        found |= {f"{PLOTS}/{name}": text for name, text in peers_pages.render_pages(peers).items()}
    found[PAGE] = _page(engine["questions"], peers, strategies)
    readme = (root / README).read_text(encoding="utf-8")
    found[README] = _replaced(readme, _block(engine["questions"], peers, strategies))
    return {root / name: text for name, text in found.items()}


# ---- the page -----------------------------------------------------------------------------------------


def _page(questions: dict[str, Document], peers: Document | None, strategies: Document | None) -> str:
    parts = [
        "# How fast it is",
        "<!-- written by `python -m bench.page` from bench/results; change bench/page.py or measure again instead -->",
        METHOD,
        _verdict(questions),
        "![Planloom over its floors](benchmarks/engine.svg)",
        *_engine_sections(questions),
        "## The same graphs, elsewhere",
        _peers_section(peers),
        "## Where plans lose",
        *_strategies_section(strategies),
        "## How it was measured",
        _commands(questions, peers, strategies),
        "## What was not measured",
        NOT_MEASURED,
        _missing(questions, peers, strategies),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _verdict(questions: dict[str, Document]) -> str:
    rows = [row for document in questions.values() for row in document["rows"] if row["is_met"] is not None]
    missed = [row for row in rows if not row["is_met"]]
    said = f"{len(rows) - len(missed)} of {len(rows)} aims are met."
    return said + (
        " Missed:\n\n" + "\n".join(f"- {row['question']}: {_ratio(row)}, {_aim(row)}" for row in missed)
        if missed
        else ""
    )


def _engine_sections(questions: dict[str, Document]) -> list[str]:
    named = {name for _, names in SECTIONS for name in names}
    rest = tuple(name for name in questions if name not in named)
    parts: list[str] = []
    for heading, names in (*SECTIONS, ("More", rest)):
        known = [questions[name] for name in names if name in questions]
        if known:
            parts.append(f"## {heading}")
            for document in known:
                parts += [document["about"], _table(document["rows"])]
    return parts


def _table(rows: list[Document]) -> str:
    return "\n".join([_HEAD, *map(_line, rows)])


def _line(row: Document) -> str:
    verdict = {None: "", True: "met", False: "**missed**"}[row["is_met"]]
    note = "; ".join(part for part in (verdict, row["note"]) if part)
    floor, ours = (f"{_number(row[side])} {row['unit']}" for side in ("floor", "planloom"))
    return f"| {row['question']} | {floor} | {ours} | {_ratio(row)} | {_aim(row)} | {note} |"


def _ratio(row: Document) -> str:
    spread = row["spread"]
    return f"{row['ratio']:.2f}x" + (f" ({spread[0]:.2f} to {spread[1]:.2f})" if spread else "")


def _aim(row: Document) -> str:
    if row["bound"] is None:
        return "–"
    return f"at most {row['bound']:g}" + ("x" if row["bound_on"] == "ratio" else f" {row['unit']}")


def _number(value: float) -> str:
    """Three digits that mean something, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _engine_chart(questions: dict[str, Document]) -> Ranges:
    """Every row with a ratio to a floor, and the aim where it is on the ratio."""
    rows = [row for name, document in questions.items() if name != "strategies" for row in document["rows"]]
    found: dict[tuple[str, str], tuple[float, float, float]] = {}
    for row in rows:
        low, high = row["spread"] or (row["ratio"], row["ratio"])
        found[row["question"], "Planloom over its floor"] = (
            min(low, row["ratio"]),
            row["ratio"],
            max(high, row["ratio"]),
        )
        if row["bound"] is not None and row["bound_on"] == "ratio":
            found[row["question"], "aim: at most"] = (row["bound"],) * 3
    return Ranges(
        "Planloom over its floors",
        "times the floor (mark: median, bar: 10th to 90th percentile of the pairs)",
        [row["question"] for row in rows],
        ["Planloom over its floor", "aim: at most"],
        found,
        left=480,
    )


def _peers_section(peers: Document | None) -> str:
    if peers is None:
        return "Not measured yet: `make bench-peers`."
    more = (
        "Every graph, body and contender, and what could not be run: [the same graphs, elsewhere](benchmarks/peers.md)."
    )
    plots = [
        "![Steps that do nothing, async](benchmarks/peers-no-op-async.svg)",
        "![Durable steps](benchmarks/peers-durable.svg)",
    ]
    parts = [peers_pages.warning(peers), peers_pages.summary(peers), *plots, more]
    return "\n\n".join(part for part in parts if part)


def _strategies_section(strategies: Document | None) -> list[str]:
    if strategies is None:
        return ["Not measured yet: `python -m bench.strategies`."]
    speed, tool_s = report.TYPICAL
    first, rate = speed.first_token_s, speed.tokens_per_s
    return [
        report.method(),
        report.kinds(),
        f"![Plan-and-execute over the others](benchmarks/{report.RANGES}.svg)",
        f"![Seconds to the answer](benchmarks/{report.LINES}.svg)",
        "### Where it loses, and by how much",
        "\n".join(f"- {said}" for said in report.verdicts(strategies)),
        "### Every goal",
        "Medians over the grid (least to most). Under 1x plan-and-execute is quicker, or cheaper.",
        report.table(strategies),
        f"### At {first:g} s to the first token, {rate:g} tokens a second, and tools of {tool_s:g} s",
        report.typical_table(strategies),
        "### How good virtual time is",
        *report.checked(strategies),
    ]


# ---- how it was measured --------------------------------------------------------------------------------


def _commands(questions: dict[str, Document], peers: Document | None, strategies: Document | None) -> str:
    documents = [*questions.values(), *(one for one in (strategies, peers) if one)]
    lines = ["| command | date | took | load before | commit |", "|---|---|---:|---:|---|"]
    for one in documents:
        load = one["machine"]["load"]
        busy = " (busy)" if load > _BUSY * one["machine"]["processors"] else ""
        day = one["date"][:16].replace("T", " ")
        lines.append(
            f"| `{one['command']}` | {day} UTC | {one['took_s']:,.0f} s | {load:.2f}{busy} | {one['commit']} |"
        )
    machines = dict.fromkeys(_machine(one) for one in documents)
    installed = dict.fromkeys(_versions(one) for one in documents if one.get("versions"))
    said = (
        "A commit with `+` had changes beside it. Busy: other work went on, and figures are worse than they would be."
    )
    return "\n\n".join([*machines, *installed, "\n".join(lines), said] if documents else ["Nothing was measured yet."])


def _machine(document: Document) -> str:
    one = document["machine"]
    return (
        f"{one['processors']} processors ({one['processor']}), {one['memory_gb']} GB, {one['system']}, "
        f"Python {one['python']}."
    )


def _versions(document: Document) -> str:
    return "Versions: " + ", ".join(f"{name} {version}" for name, version in document["versions"].items()) + "."


def _missing(questions: dict[str, Document], peers: Document | None, strategies: Document | None) -> str:
    named = [name for _, names in SECTIONS for name in names]
    lines = [f"- `python -m bench --only {name}` has no results yet." for name in named if name not in questions]
    small = [name for name, document in questions.items() if document["tiny"]]
    lines += [f"- `{name}` was run at its smallest size: its figures mean nothing." for name in small]
    if strategies and strategies["tiny"]:
        lines.append("- The grid of strategies was run at its smallest size.")
    if peers is None:
        lines.append("- What others would use instead has no results yet.")
    else:
        lines += [f"- {c['title']}: {c['problem']}" for c in peers["contenders"] if c["problem"]]
    return "\n".join(lines)


# ---- the README -----------------------------------------------------------------------------------------


def _block(questions: dict[str, Document], peers: Document | None, strategies: Document | None) -> str:
    """The few rows that a reader of the README needs, those with an aim first."""
    rows: list[Document] = []
    for name in _IN_README:
        known = questions.get(name, {"rows": []})["rows"]
        aimed = [row for row in known if row["bound"] is not None]
        rows += (aimed or known)[: _HEADLINES.get(name, 1)]
    lines = [README_LEAD]
    lines += ["", "| | Planloom | times the floor | aim |", "|---|---:|---:|---:|"] if rows else []
    for row in rows:
        met = {None: "", True: ", met", False: ", **missed**"}[row["is_met"]]
        ours = f"{_number(row['planloom'])} {row['unit']}"
        lines.append(f"| {row['question']} | {ours} | {row['ratio']:.2f}x | {_aim(row)}{met} |")
    others = [] if peers is None else [_others(peers)]
    plans = [] if strategies is None else [report.headline(strategies)]
    return "\n".join([*lines, *(line for said in (*others, *plans) if said for line in ("", said))])


def _others(peers: Document) -> str:
    """What a no-op step costs elsewhere, in one sentence."""
    shape = "layered"
    ours = peers_pages.no_op_step_us(peers, "planloom", shape)
    found = [
        f"{c['title']} {_number(cost)} µs"
        for c in peers["contenders"]
        if c["name"] != "planloom" and (cost := peers_pages.no_op_step_us(peers, c["name"], shape)) is not None
    ]
    if ours is None or not found:
        return ""
    said = (
        f"An async step that only takes the values of those before it and makes one of them, on the same {shape} graph "
        f"in one run: Planloom {_number(ours)} µs, {', '.join(found)}."
    )
    return textwrap.fill(said, report.WRAPPED)


def _replaced(readme: str, block: str) -> str:
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{README} has no place for its figures: expected the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


if __name__ == "__main__":
    sys.exit(main())
