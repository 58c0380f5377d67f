"""Writes the report as Markdown: the same page as text, for a wiki, an issue, a mail. Pure.

Rule: no text of the data is markup. Markdown's own characters and HTML are escaped, a cell cannot leave its table, and
a text that a spreadsheet would run as a formula begins with an apostrophe.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from planloom.analysis.rendering import Block, Cell
from planloom.analysis.report import Page, Section
from planloom.analysis.report_answer import Piece
from planloom.analysis.report_parts import split_code
from planloom.drawing.words import clean

FORMULA: Final = re.compile(r"^\s*[=+\-@]|^[\t\r]")
_NUMBER: Final = r"[-+−]?[\d.,]*\d(?:[eE][-+]?\d+)?\s?%?"
NUMBER: Final = re.compile(rf"\s*{_NUMBER}(?: to {_NUMBER})?")
MAX_CELL_CHARS: Final = 300
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!$^&])")


def markdown_of(page: Page) -> str:
    """The report as Markdown text that ends with a newline."""
    return "\n".join(_lines(page)).rstrip("\n") + "\n"


def escaped(text: str) -> str:
    """Text as Markdown shows it literally, on one line."""
    return (
        _SPECIAL.sub(r"\\\1", clean(text, 20_000)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
    )


def cell_text(text: str) -> str:
    """Text for a cell of a table: escaped, on one line, and never a formula."""
    short = clean(text, MAX_CELL_CHARS)
    if FORMULA.match(short) and NUMBER.fullmatch(short) is None:
        short = f"'{short}"
    return escaped(short)


def _lines(page: Page) -> Iterator[str]:
    yield f"# {escaped(page.title)}\n"
    facts = [page.run["status"], page.run["started"], f"{page.run['steps']} in {page.run['duration']}"]
    yield " · ".join(escaped(fact) for fact in facts if fact) + "\n"
    if page.problems:
        yield "## What went wrong\n"
        for problem in page.problems:
            step = f"Step {_code(problem['step'])} {problem['status']}: " if problem["step"] else ""
            hint = f" Hint: {_said(problem['hint'])}" if problem["hint"] else ""
            yield f"- {step}{_said(problem['reason'])}{hint}"
        yield ""
    if page.question is not None:
        yield from _answer(page)
    for section in page.sections:
        yield from _section(section, 3 if len(page.sections) > 1 else 2)
    if page.results:
        yield "## What each step gave\n"
        for result in page.results:
            yield f"### {escaped(result.heading)} ({_code(result.step)})\n"
            for block in result.blocks:
                yield from _block(block, 4)
    yield "## How each number was made\n"
    yield f"{page.run['how']} Run {_code(page.run['id'])} took {page.run['duration']}.\n"
    if page.inputs:
        listed = ", ".join(f"{_code(name)} = {escaped(value)}" for name, value in page.inputs)
        yield f"Given as inputs: {listed}.\n"
    if page.given:
        listed, are = ", ".join(map(escaped, page.given)), "are" if len(page.given) > 1 else "is"
        yield f"Of the answer's numbers {listed} {are} given by the question, an input or an argument.\n"
    rows = [(o.step, o.description, f"{o.tool} {o.args}", o.method, o.status, o.took) for o in page.origins]
    yield from _table(("Step", "What for", "Tool and arguments", "Method", "State", "Took"), rows)
    yield "### The plan as JSON, to run again\n"
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", page.plan_json)), 3)
    yield f"{fence}json\n{page.plan_json}\n{fence}\n"


def _answer(page: Page) -> Iterator[str]:
    yield f"## {escaped(page.question or '')}\n"
    for paragraph in page.answer:
        yield "".join(map(_piece, paragraph)) + "\n"
    if page.untraced:
        listed = ", ".join(escaped(figure.text) for figure in page.untraced[:20])
        yield f"**Not from the data:** no step gave {listed}. Check before use.\n"
    for block in page.drawn:
        yield from _block(block, 3)


def _piece(piece: Piece) -> str:
    text = "\n".join(escaped(line) if line.strip() else "" for line in piece.text.split("\n"))
    if piece.text[:1] == " " and not text.startswith(" "):  # `clean` takes the blanks at the ends away
        text = f" {text}"
    if piece.text[-1:] == " " and not text.endswith(" "):
        text = f"{text} "
    if piece.status == "traced":
        return f"**{text.strip()}** ({_code(piece.step or '')})"
    if piece.status == "given":
        return f"**{text.strip()}** (given)"
    return f"**{text.strip()}** (no step gave this number)" if piece.status == "untraced" else text


def _section(section: Section, level: int) -> Iterator[str]:
    mark = "#" * level
    if level > 2:
        yield f"## {escaped(section.name)}\n"
    if section.sentences or section.tiles:
        yield f"{mark} Key findings\n"
        yield " ".join(map(_said, section.sentences)) + "\n"
        for tile in section.tiles:
            yield f"- **{escaped(tile.label)}**: {escaped(tile.value)} ({escaped(tile.note)})"
        for remark in section.remarks:
            yield f"- {_said(remark)}"
        yield ""
    if section.charts:
        yield f"{mark} Charts\n"
        for block in section.charts:
            yield from _block(block, level + 1)
    if section.findings:
        yield f"{mark} Anomalies\n"
        yield f"Values more than {section.threshold} standard deviations from the mean of their column.\n"
        rows = [
            (
                f.name,
                f.number,
                f.share,
                f.usual,
                "; ".join(f"{value} (row {row}, {far})" for value, row, far in f.values),
            )
            for f in section.findings
        ]
        yield from _table(("Column", "Found", "Share", "Expected range", "Most extreme"), rows)
    if section.numeric:
        yield f"{mark} Numbers\n"
        head = ("Column", "Mean", "Deviation", "Least", "25 %", "Median", "75 %", "Greatest", "Values")
        yield from _table(head, [(row["name"], *row["figures"], row["count"]) for row in section.numeric])
    if section.columns:
        yield f"{mark} Columns\n"
        head = ("Column", "Type", "Values", "Missing", "Distinct", "Remark")
        keys = ("name", "type", "count", "missing", "distinct", "note")
        yield from _table(head, [tuple(row[key] for key in keys) for row in section.columns])
    if section.decisions:
        yield f"{mark} How the file was read\n"
        for decision in section.decisions:
            yield f"- {_said(decision)}"
        yield ""


def _block(block: Block, level: int) -> Iterator[str]:
    if block.heading:
        yield f"{'#' * min(level, 6)} {escaped(block.heading)}\n"
    if block.kind == "table":
        yield from _table(block.head, [tuple(cell.text for cell in row) for row in block.rows])
    elif block.kind == "facts":
        for key, value in block.rows:
            yield f"- {escaped(key.text)}: {_fact(value)}"
        yield ""
    elif block.kind == "list":
        for line in block.lines:
            yield f"- {_said(line)}"
        yield ""
    elif block.kind == "json":
        yield f"{_code(clean(block.lines[0], 2_000))}\n"
    elif block.kind == "method":
        yield f"How: {'; '.join(map(_said, block.lines))}\n"
    else:
        for line in block.lines:
            if line:
                yield f"{_said(line)}\n"
    if block.hidden:
        yield f"{escaped(block.hidden)}\n"


def _fact(cell: Cell) -> str:
    return cell.text if cell.is_number else cell_text(cell.text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(cell_text, head))} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(cell_text, row))} |"
    yield ""


def _said(text: str) -> str:
    """A sentence with its names in backticks kept as code."""
    return "".join(_code(piece) if is_name else _kept(piece) for is_name, piece in split_code(text))


def _kept(piece: str) -> str:
    """A piece of a sentence, escaped, with the blanks at its ends."""
    inner = escaped(piece)
    return f"{' ' if piece[:1].isspace() else ''}{inner}{' ' if inner and piece[-1:].isspace() else ''}"


def _code(text: str) -> str:
    """Text as code, whatever backticks and bars are in it; a bar would end a cell even there."""
    line = clean(text, 2_000).replace("|", "¦")
    ticks = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}" if line else ""
