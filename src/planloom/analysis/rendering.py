"""Turns any output of any tool into blocks that a page can show: paragraphs, facts, tables, charts, lists. Pure.

Rule: every JSON value has a readable form, whatever its shape; nothing is unbounded, and what is left out is counted.
Texts stay plain text here: the template and the Markdown writer escape them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from planloom.analysis.wording import count, number
from planloom.drawing.words import clean

MAX_ROWS: Final = 200
MAX_COLUMNS: Final = 24
MAX_CELL_CHARS: Final = 300
MAX_METHOD_CHARS: Final = 1_200
MAX_TEXT_CHARS: Final = 20_000
MAX_ITEMS: Final = 100
MAX_BLOCKS: Final = 200
"""Of one output."""
MAX_DEPTH: Final = 4
MAX_JSON_CHARS: Final = 8_000
METHOD_KEYS: Final = frozenset(("method", "methods", "how", "test", "split", "note", "notes"))
"""Members of an output that say how it was made: they stand below its figures."""
_FLATTENED: Final = 3
_LISTED: Final = 10
_LONG_FACT: Final = 80
_GAPS: Final = ("", "–")
"""What stands for no value; in a column of numbers it stands on the right, too."""
_FEW: Final = 5

BlockKind = Literal["text", "facts", "table", "list", "chart", "json", "method"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: its text, and whether it is a number, which stands on the right."""

    text: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a page. What is used depends on the kind; `heading` may be empty."""

    kind: BlockKind
    heading: str = ""
    lines: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()
    hidden: str = ""
    """What was left out, in words."""
    drawing: str = ""
    """SVG that this package has drawn; empty when the drawing is not at hand."""


FindDrawing = Callable[[str], str | None]
"""Gives the SVG of a chart by its hash, None when it is not at hand."""


def blocks_of(value: Any, drawing: FindDrawing = lambda _: None) -> list[Block]:
    """The blocks that show a JSON value. Never raises, never empty."""
    found: list[Block] = []
    for block in _blocks("", value, drawing, 0):
        if len(found) == MAX_BLOCKS:
            found.append(Block("text", lines=("… and more, in the JSON of the run",)))
            break
        found.append(block)
    return found or [Block("text", lines=("nothing",))]


def methods_in(value: Any, depth: int = 0) -> list[str]:
    """How an output was computed, in the words of the tool that made it."""
    if not isinstance(value, Mapping) or depth > 2:
        if isinstance(value, list) and depth <= 2:
            return list(
                dict.fromkeys(
                    text for item in cast("list[Any]", value)[:_LISTED] for text in methods_in(item, depth + 1)
                )
            )
        return []
    found: list[str] = []
    for key, inner in cast("Mapping[str, Any]", value).items():
        if key in METHOD_KEYS:
            found += [f"{name}: {text}" if name else text for name, text in _texts(inner)]
        elif isinstance(inner, Mapping | list) and len(found) < _LISTED:
            found += methods_in(inner, depth + 1)
    return list(dict.fromkeys(found))[:_LISTED]


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield "", clean(value, MAX_METHOD_CHARS)
    elif isinstance(value, Mapping):
        for key, inner in list(cast("Mapping[str, Any]", value).items())[:_LISTED]:
            if not isinstance(inner, Mapping | list):
                yield str(key), cell_of(inner).text
    elif isinstance(value, list):
        for inner in cast("list[Any]", value)[:_LISTED]:
            if isinstance(inner, str):
                yield "", clean(inner, MAX_METHOD_CHARS)


def is_chart(value: Any) -> bool:
    """Whether a value is a handle to a drawing."""
    return isinstance(value, Mapping) and cast("Mapping[str, Any]", value).get("media_type") == "image/svg+xml"


def is_table(value: Any) -> bool:
    """Whether a value is a handle to a table."""
    return (
        isinstance(value, Mapping)
        and {"artifact", "columns", "rows", "decisions"} <= cast("Mapping[str, Any]", value).keys()
    )


def cell_of(value: Any) -> Cell:
    """A value as a table shows it."""
    if value is None:
        return Cell("–")
    if isinstance(value, bool):
        return Cell("yes" if value else "no")
    if isinstance(value, int):
        return Cell(
            f"{value:,}" if abs(value) < 10**18 else f"{float(value):.4g}" if abs(value) < 10**300 else "huge",
            is_number=True,
        )
    if isinstance(value, float):
        return Cell(number(value) if math.isfinite(value) else "–", is_number=True)
    if isinstance(value, str):
        return Cell(clean(value, MAX_CELL_CHARS))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        if all(not isinstance(item, list | Mapping) for item in items):
            more = f" … and {len(items) - _LISTED:,} more" if len(items) > _LISTED else ""
            return Cell(", ".join(cell_of(item).text for item in items[:_LISTED]) + more)
        if all(_is_flat(item) for item in items):
            more = f"; … and {len(items) - _FEW:,} more" if len(items) > _FEW else ""
            return Cell("; ".join(_in_words(item) for item in items[:_FEW]) + more)
    return Cell(clean(compact(value), MAX_CELL_CHARS) if value else "–")


def _is_flat(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        not isinstance(inner, list | Mapping) for inner in cast("Mapping[str, Any]", value).values()
    )


def _in_words(item: Mapping[str, Any]) -> str:
    """A small object in a cell: `West (118)` for a value with its count, else `row 58, value 240`."""
    if {"value", "count"} <= item.keys():
        return f"{cell_of(item['value']).text} ({cell_of(item['count']).text})"
    return ", ".join(f"{clean(key, MAX_CELL_CHARS)} {cell_of(inner).text}" for key, inner in item.items())


def compact(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _blocks(heading: str, value: Any, drawing: FindDrawing, depth: int) -> Iterator[Block]:
    if isinstance(value, str):
        yield Block("text", heading, tuple(_paragraphs(value)))
    elif is_chart(value):
        yield chart_block(cast("Mapping[str, Any]", value), drawing)
    elif is_table(value):
        yield from _table_handle(heading, cast("Mapping[str, Any]", value))
    elif isinstance(value, Mapping):
        yield from _object(heading, cast("Mapping[str, Any]", value), drawing, depth)
    elif isinstance(value, list):
        yield from _list(heading, cast("list[Any]", value), drawing, depth)
    else:
        yield Block("text", heading, (cell_of(value).text,))


def _paragraphs(text: str) -> list[str]:
    cut = text if len(text) <= MAX_TEXT_CHARS else f"{text[:MAX_TEXT_CHARS]}… (cut; the JSON of the run has all)"
    return [clean(part, MAX_TEXT_CHARS) for part in cut.split("\n\n") if part.strip()] or ["(empty text)"]


def chart_block(chart: Mapping[str, Any], drawing: FindDrawing) -> Block:
    """A chart with its title, its words and its drawing."""
    words = [clean(chart.get(key), MAX_TEXT_CHARS) for key in ("alt", "method")]
    return Block("chart", clean(chart.get("title")), tuple(words), drawing=drawing(str(chart.get("artifact"))) or "")


def _table_handle(heading: str, table: Mapping[str, Any]) -> Iterator[Block]:
    columns = cast("list[Any]", table["columns"]) if isinstance(table["columns"], list) else []
    described = [cast("Mapping[str, Any]", column) for column in columns if isinstance(column, Mapping)]
    named = [f"{column.get('name')} ({column.get('type')})" for column in described]
    facts = {"table": table.get("name"), "rows": table["rows"], "columns": named}
    yield Block("facts", heading, rows=tuple(_fact(key, value) for key, value in facts.items()))
    decisions = table["decisions"]
    if isinstance(decisions, list) and decisions:
        every = cast("list[Any]", decisions)
        lines = tuple(clean(text, MAX_CELL_CHARS) for text in every[:MAX_ITEMS])
        yield Block("list", "Decisions", lines, hidden=_hidden(len(every), MAX_ITEMS, "decision"))


def _object(heading: str, value: Mapping[str, Any], drawing: FindDrawing, depth: int) -> Iterator[Block]:
    """Scalars become facts, everything else a block of its own; how it was made comes last."""
    if depth >= MAX_DEPTH:
        yield _json(heading, value)
        return
    plain: dict[str, Any] = {}
    nested: dict[str, Any] = {}
    method: list[str] = []
    for key, inner in value.items():
        if key in METHOD_KEYS and (texts := list(_texts(inner))):
            method += [f"{name}: {text}" if name else text for name, text in texts]
        elif isinstance(inner, Mapping | list) or (isinstance(inner, str) and len(inner) > _LONG_FACT):
            nested[str(key)] = inner
        else:
            plain[str(key)] = inner
    if (
        nested
        and depth == 0
        and not heading
        and all(_is_row(inner) for inner in nested.values())
        and len(nested) > 1
        and not plain
    ):
        yield from _table("", nested)
        nested = {}
    if plain:
        rows = tuple(_fact(key, inner) for key, inner in list(plain.items())[:MAX_ROWS])
        yield Block("facts", heading, rows=rows, hidden=_hidden(len(plain), MAX_ROWS, "value"))
    for key, inner in nested.items():
        inner_heading = f"{heading} › {key}" if heading else key
        if _is_table_of_rows(inner):
            yield from _table(inner_heading, cast("Mapping[str, Any]", inner))
        else:
            yield from _blocks(inner_heading, inner, drawing, depth + 1)
    if method:
        yield Block("method", lines=tuple(method[:_LISTED]))
    if not value:
        yield Block("text", heading, ("nothing",))


def _is_table_of_rows(value: Any) -> bool:
    """Whether an object is several rows by name."""
    if not isinstance(value, Mapping) or is_chart(value) or is_table(value):
        return False
    members = list(cast("Mapping[str, Any]", value).values())
    return len(members) > 1 and all(map(_is_row, members))


def _is_row(value: Any) -> bool:
    """Whether a value reads well as one row of a table: an object, not too deep."""
    return (
        isinstance(value, Mapping)
        and not is_chart(value)
        and not is_table(value)
        and bool(cast("Mapping[str, Any]", value))
    )


def _list(heading: str, items: list[Any], drawing: FindDrawing, depth: int) -> Iterator[Block]:
    if items and all(map(_is_row, items)):
        yield from _table(heading, items)
    elif items and all(isinstance(item, list) and bool(cast("list[Any]", item)) for item in items):
        rows = [{str(place): inner for place, inner in enumerate(cast("list[Any]", item), start=1)} for item in items]
        yield from _table(heading, rows)
    elif all(not isinstance(item, list | Mapping) for item in items):
        lines = [cell_of(item).text for item in items[:MAX_ITEMS]] or ["nothing"]
        yield Block("list", heading, tuple(lines), hidden=_hidden(len(items), MAX_ITEMS, "item"))
    elif depth >= MAX_DEPTH:
        yield _json(heading, items)
    else:
        for place, item in enumerate(items[:MAX_ITEMS], start=1):
            name = "" if is_chart(item) else f"{heading} {place}".strip()
            yield from _blocks(name, item, drawing, depth + 1)
        if hidden := _hidden(len(items), MAX_ITEMS, "item"):
            yield Block("text", lines=(hidden,))


def _table(heading: str, rows: Sequence[Any] | Mapping[str, Any]) -> Iterator[Block]:
    """Rows that are objects, or an object of rows, whose keys become the first column."""
    keyed = isinstance(rows, Mapping)
    items: Iterable[tuple[str, Any]] = rows.items() if isinstance(rows, Mapping) else (("", row) for row in rows)
    shown: list[tuple[str, dict[str, Any]]] = []
    head: dict[str, None] = {}
    for key, row in items:
        if len(shown) == MAX_ROWS:
            break
        flat = dict(_flattened(row, "", 0))
        shown.append((key, flat))
        head |= dict.fromkeys(flat)
    order = [key for key, _ in shown if key in head] if keyed and len(head) <= len(shown) else []
    is_square = (
        len(order) == len(head) > 1
    )  # a matrix by name: both sides in one order, and a name meets itself in a gap
    names = (order if is_square else list(head))[:MAX_COLUMNS]
    first = ("",) if keyed else ()
    made = [
        [cell_of(flat[name]) if name in flat else Cell("–" if is_square and name == key else "") for name in names]
        for key, flat in shown
    ]
    numeric = {place for row in made for place, cell in enumerate(row) if cell.is_number}
    cells = tuple(
        (
            *((Cell(clean(key, MAX_CELL_CHARS)),) if keyed else ()),
            *(
                Cell(cell.text, place in numeric and (cell.is_number or cell.text in _GAPS))
                for place, cell in enumerate(row)
            ),
        )
        for (key, _), row in zip(shown, made, strict=True)
    )
    hidden = ", ".join(filter(None, (_hidden(len(rows), MAX_ROWS, "row"), _hidden(len(head), MAX_COLUMNS, "column"))))
    yield Block(
        "table", heading, head=(*first, *(clean(name, MAX_CELL_CHARS) for name in names)), rows=cells, hidden=hidden
    )


def _flattened(value: Mapping[str, Any], prefix: str, depth: int) -> Iterator[tuple[str, Any]]:
    for key, inner in value.items():
        name = f"{prefix} › {key}" if prefix else str(key)
        if isinstance(inner, Mapping) and inner and depth < _FLATTENED:
            yield from _flattened(cast("Mapping[str, Any]", inner), name, depth + 1)
        else:
            yield name, inner


def _fact(key: str, value: Any) -> tuple[Cell, Cell]:
    return Cell(clean(key, MAX_CELL_CHARS)), cell_of(value)


def _json(heading: str, value: Any) -> Block:
    text = json.dumps(value, ensure_ascii=False, indent=2, default=str)
    cut = text if len(text) <= MAX_JSON_CHARS else f"{text[:MAX_JSON_CHARS]}\n…"
    return Block("json", heading, (cut,))


def _hidden(total: int, shown: int, noun: str) -> str:
    return f"{count(total - shown, f'more {noun}')} not shown" if total > shown else ""
