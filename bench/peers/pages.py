"""From the JSON document: the table on stdout, and docs/benchmarks with Markdown tables and SVG plots.

It says what was measured and what was not, and claims nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.peers.graphs import NO_OP, OWN_TIMES, SLEEP
from bench.peers.results import Cell, cell_of
from bench.peers.svg import Plot, draw

_HEAD = (
    f"{'contender':<36} {'run ms':>10} {'µs/step':>10} {'x floor':>9} {'(10th..90th)':>16} {'x Planloom':>11} "
    f"{'build ms':>9} {'MB':>6}  note"
)

_METHOD = """\
Each contender has its own environment and process, and they take turns, one run at a time. A step returns a number made
of its dependencies' numbers in their order; every value of every run is compared with what it has to be ({checked:,}
values). Times are medians over at most {rounds} turns; a ratio is the median over turns of a contender's time over that
of the floor, or of Planloom, in the same turn. Building the graph is timed apart from running it. The floor is raw
asyncio: a task per step, counters of unmet dependencies, nothing checked."""


def terminal_table(document: dict[str, Any]) -> str:
    """Return all cells, grouped by block, graph, body and mode."""
    titles = {c["name"]: c["title"] for c in document["contenders"]}
    lines: list[str] = []
    heading = ""
    for cell in map(cell_of, document["cells"]):
        shown = f"{cell.block} | {cell.graph} | {cell.body} | {cell.mode}"
        if shown != heading:
            heading = shown
            lines += ["", f"{shown} ({cell.steps} steps, critical path {cell.critical_path_s * 1e3:,.1f} ms)", _HEAD]
        if not cell.turns:
            lines.append(f"{titles[cell.contender]:<36} not run: {cell.not_run}")
            continue
        floor, ours = cell.ratio_to("floor"), cell.ratio_to("planloom")
        spread = f"({floor[1]:.2f}..{floor[2]:.2f})" if floor else ""
        lines.append(
            f"{titles[cell.contender]:<36} {cell.run_s * 1e3:>10,.2f} {cell.step_us:>10,.1f} {_times(floor):>9} "
            f"{spread:>16} {_times(ours):>11} {cell.build_s * 1e3:>9,.1f} {cell.own_mb + cell.children_mb:>6,.0f}  "
            f"{_note(cell)}".rstrip()
        )
    checked = sum(cell["checked"] for cell in document["cells"])
    lines += ["", f"{checked:,} values checked; {document['took_s']:.0f} s. Ratios are medians over pairs of one turn."]
    lines += [f"{c['title']}: {c['problem']}" for c in document["contenders"] if c["problem"]]
    lines += [f"{name}: {reason}" for name, reason in document["missing_graphs"].items()]
    return "\n".join(lines)


def write_pages(document: dict[str, Any], folder: Path) -> None:
    """Write peers.md and its plots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in render_pages(document).items():
        (folder / name).write_text(text, encoding="utf-8")


def render_pages(document: dict[str, Any]) -> dict[str, str]:
    """Return the text of peers.md and of its plots by file name."""
    cells = [cell_of(cell) for cell in document["cells"]]
    plots = _plots(document, cells)
    parts = [
        "# The same graphs, elsewhere",
        "<!-- written by `python -m bench.page` from bench/results; change bench/peers/pages.py instead -->",
        warning(document),
        _how(document),
        "## Who took part",
        _contenders(document),
        "## What they ran",
        _graphs(document),
        *[f"![{plots[plot].title}]({plot}.svg)" for plot in plots],
        *_tables(document, cells),
        "## What was not run",
        _not_run(document, cells),
    ]
    page = "\n\n".join(part for part in parts if part) + "\n"
    return {"peers.md": page, **{f"{name}.svg": draw(plot) for name, plot in plots.items()}}


def warning(document: dict[str, Any]) -> str:
    """Return what has to be said before any figure; empty for a run in full."""
    if document["tiny"]:
        return "**These are the smallest graphs, a check that everything runs. The numbers mean nothing.**"
    if document.get("quick"):
        return "**Measured with `--quick`: few turns each, so the figures are coarse.**"
    return ""


def summary(document: dict[str, Any]) -> str:
    """Return a short table: no-op async steps on three graphs, in microseconds a step, and times the floor."""
    cells = [cell_of(cell) for cell in document["cells"]]
    quiet = [cell for cell in cells if cell.body == NO_OP and cell.mode == "async"]
    durable = [cell for cell in quiet if cell.block == "durable"]
    firsts: dict[tuple[str, str], Cell] = {}
    for cell in quiet:
        if cell.block != "durable" and cell.graph.split()[0] in ("chain", "wide", "layered", "random"):
            firsts.setdefault((cell.contender, cell.graph), cell)
    parts = ["No-op steps with async bodies, µs per step; in brackets times the floor.", ""]
    parts += [_grid(document, list(firsts.values()), _overhead), "", "The same with every step durable.", ""]
    return "\n".join([*parts, _grid(document, durable, _overhead)])


def no_op_step_us(document: dict[str, Any], contender: str, shape: str) -> float | None:
    """Return what a no-op async step of a graph costs a contender, None where it was not run."""
    for cell in map(cell_of, document["cells"]):
        is_it = (cell.contender, cell.body, cell.mode) == (contender, NO_OP, "async")
        if is_it and cell.block != "durable" and cell.graph.startswith(shape) and cell.turns:
            return cell.step_us
    return None


def _how(document: dict[str, Any]) -> str:
    machine = document["machine"]
    measured = (
        f"Measured {document['date']} by `{document['command']}` in {document['took_s']:.0f} s",
        f"on {machine['processors']} processors ({machine['processor']})",
        f"{machine['memory_gb']} GB",
        machine["system"],
        f"Python {machine['python']}",
        f"load average {machine['load_before'][0]:.2f} before and {machine['load_after'][0]:.2f} after",
    )
    checked = sum(cell["checked"] for cell in document["cells"])
    return ", ".join(measured) + f".\n\n{_METHOD.format(checked=checked, rounds=document['effort']['rounds'])}"


def _contenders(document: dict[str, Any]) -> str:
    lines = ["| contender | version | how it is written |", "|---|---|---|"]
    for c in document["contenders"]:
        version = c["version"] or "not run"
        if c["environment"] == "standard" and c["version"]:
            version = f"Python {version}"
        lines.append(f"| {c['title']} | {version} | {c['about']} |")
    return "\n".join(lines)


def _graphs(document: dict[str, Any]) -> str:
    lines = ["| graph | steps | edges | |", "|---|---:|---:|---|"]
    lines += [f"| {g['name']} | {g['steps']:,} | {g['edges']:,} | {g['about']} |" for g in document["graphs"]]
    return "\n".join(lines)


def _tables(document: dict[str, Any], cells: list[Cell]) -> list[str]:
    parts: list[str] = []
    for block in dict.fromkeys(cell.block for cell in cells):
        mine = [cell for cell in cells if cell.block == block]
        for mode in dict.fromkeys(cell.mode for cell in mine):
            for body in (NO_OP, SLEEP, OWN_TIMES):
                found = [cell for cell in mine if cell.mode == mode and cell.body == body]
                if any(cell.turns for cell in found):
                    unit = "µs per step" if body == NO_OP else "ms per run, and times the critical path"
                    parts += [
                        f"## {block.capitalize()}: {body}, {mode} bodies",
                        f"{unit}; in brackets times the floor.",
                    ]
                    parts.append(_grid(document, found, _overhead if body == NO_OP else _makespan))
        if any(cell.turns for cell in mine):
            parts += [f"## {block.capitalize()}: building the graph", "µs per step, median over bodies."]
            parts.append(_grid(document, _least(mine), _built))
            parts += [f"## {block.capitalize()}: peak memory", "MB of the process, its libraries included."]
            parts.append(_grid(document, _most_memory(mine), _memory))
    return parts


def _overhead(cell: Cell) -> str:
    ratio = cell.ratio_to("floor")
    return f"{cell.step_us:,.1f}" + (f" ({ratio[0]:,.1f}x)" if ratio else "")


def _makespan(cell: Cell) -> str:
    ratio = cell.ratio_to("floor")
    text = f"{cell.run_s * 1e3:,.0f}, {cell.run_s / cell.critical_path_s:.2f}x"
    return text + (f" ({ratio[0]:,.2f}x)" if ratio else "")


def _built(cell: Cell) -> str:
    return f"{cell.build_s / cell.steps * 1e6:,.1f}"


def _memory(cell: Cell) -> str:
    children = f" + {cell.children_mb:,.0f} server" if cell.children_mb else ""
    return f"{cell.own_mb:,.0f}{children}"


def _least(cells: list[Cell]) -> list[Cell]:
    """Return of each contender and graph the cell whose build is the middle one."""
    return _picked(cells, lambda cell: cell.build_s, middle=True)


def _most_memory(cells: list[Cell]) -> list[Cell]:
    return _picked(cells, lambda cell: cell.own_mb + cell.children_mb, middle=False)


def _picked(cells: list[Cell], key: Any, *, middle: bool) -> list[Cell]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.turns:
            groups.setdefault((cell.contender, cell.graph), []).append(cell)
    return [sorted(group, key=key)[(len(group) - 1) // 2 if middle else -1] for group in groups.values()]


def _grid(document: dict[str, Any], cells: list[Cell], show: Any) -> str:
    graphs = list(dict.fromkeys(cell.graph for cell in cells))
    names = list(dict.fromkeys(cell.contender for cell in cells))
    titles = {c["name"]: c["title"] for c in document["contenders"]}
    at = {(cell.contender, cell.graph): cell for cell in cells}
    lines = ["| | " + " | ".join(graphs) + " |", "|---|" + "---:|" * len(graphs)]
    for name in names:
        shown = [show(cell) if (cell := at.get((name, graph))) and cell.turns else "–" for graph in graphs]
        lines.append(f"| {titles[name]} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def _not_run(document: dict[str, Any], cells: list[Cell]) -> str:
    titles = {c["name"]: c["title"] for c in document["contenders"]}
    groups: dict[tuple[str, str], list[str]] = {}
    for cell in cells:
        if reason := cell.not_run or cell.note:
            groups.setdefault((titles[cell.contender], reason), []).append(f"{cell.graph} ({cell.body}, {cell.mode})")
    lines = [f"- {title}: {reason}. {_listed(places)}" for (title, reason), places in groups.items()]
    lines += [f"- {c['title']}: {c['problem']}" for c in document["contenders"] if c["problem"]]
    lines += [f"- workflow {name}: {reason}" for name, reason in document["missing_graphs"].items()]
    return "\n".join(lines) or "Everything was run."


def _listed(places: list[str]) -> str:
    most = 4
    more = f" and {len(places) - most} more" if len(places) > most else ""
    return ", ".join(places[:most]) + more


def _plots(document: dict[str, Any], cells: list[Cell]) -> dict[str, Plot]:
    done = [cell for cell in cells if cell.turns]
    quiet = [cell for cell in done if cell.body == NO_OP and cell.block != "durable"]
    waiting = [cell for cell in done if cell.body != NO_OP and cell.block != "durable"]
    durable = [cell for cell in done if cell.block == "durable" and cell.body == NO_OP]
    overhead, makespan = "µs per step, logarithmic", "times the critical path, logarithmic"

    def plot(title: str, axis: str, chosen: list[Cell], value: Any) -> Plot:
        titles = {c["name"]: c["title"] for c in document["contenders"]}
        rows = [titles[name] for name in titles if any(cell.contender == name for cell in chosen)]
        series = list(dict.fromkeys(cell.graph for cell in chosen))
        points: dict[tuple[str, str], float] = {}
        for cell in chosen:
            points.setdefault((titles[cell.contender], cell.graph), value(cell))
        return Plot(title, axis, rows, series, points)

    found: dict[str, Plot] = {}
    for mode in ("async", "sync"):
        chosen = [cell for cell in quiet if cell.mode == mode]
        found[f"peers-no-op-{mode}"] = plot(
            f"Steps that do nothing, {mode}", overhead, chosen, lambda cell: cell.step_us
        )
        chosen = [cell for cell in waiting if cell.mode == mode]
        title = f"Steps that wait, {mode}: run time over critical path"
        found[f"peers-waiting-{mode}"] = plot(title, makespan, chosen, lambda cell: cell.run_s / cell.critical_path_s)
    found["peers-durable"] = plot("Durable steps that do nothing", overhead, durable, lambda cell: cell.step_us)
    built, memory = "µs per step to build, logarithmic", "MB, logarithmic"
    inside = [cell for cell in done if cell.block != "durable"]
    found["peers-build"] = plot(
        "Building the graph", built, _least(inside), lambda cell: cell.build_s / cell.steps * 1e6
    )
    found["peers-memory"] = plot(
        "Peak memory", memory, _most_memory(inside), lambda cell: cell.own_mb + cell.children_mb
    )
    return found


def _times(ratio: tuple[float, float, float] | None) -> str:
    return f"{ratio[0]:,.2f}x" if ratio else ""


def _note(cell: Cell) -> str:
    turns = f"{len(cell.turns)} turns, {sum(len(turn.run_s) for turn in cell.turns)} runs"
    return f"{turns}; {cell.note}" if cell.note else turns
