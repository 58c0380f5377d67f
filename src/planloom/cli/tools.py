"""`planloom tools`: what a plan may call, with arguments, types and effects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import click

from planloom.cli import options
from planloom.cli.documents import DOCUMENT_VERSION, write_document
from planloom.cli.sources import tools_required
from planloom.cli.tables import Column, table_text
from planloom.cli.terminal import Terminal
from planloom.cli.text import first_line, one_line
from planloom.tools import Tool

_MAX_ARGUMENTS = 40
_EPILOG = """\b
Examples:
  planloom tools
  planloom tools --tools my_tools.py
  planloom tools --tools shop.tools:toolbox --json
"""


@click.command(epilog=_EPILOG, short_help="List tools, their arguments and their effects.")
@options.tools_option
@options.json_option
@options.output_option
@options.no_input_option
@click.pass_context
def tools(context: click.Context, tools: tuple[str, ...], json: bool, output: Path | None, **_flags: bool) -> int:
    """List tools: name, arguments (a ? marks those that may be left out), effects, and what each is for."""
    terminal = Terminal.open(output)
    context.call_on_close(terminal.close)
    toolbox = tools_required(tools, "tools")
    if json:
        document = {"version": DOCUMENT_VERSION, "tools": toolbox.describe()}
        terminal.data(write_document(document, for_people=terminal.data_is_terminal))
        return 0
    columns = [
        Column("name", style="bold"),
        Column("arguments", wraps=True),
        Column("effects", wraps=True),
        Column("what it does", wraps=True),
    ]
    rows = [
        [one_line(tool.name), "\n".join(_arguments(tool)), effects(tool), first_line(tool.description, 400)]
        for tool in toolbox.values()
    ]
    terminal.text(table_text(columns, rows, terminal))
    return 0


def effects(tool: Tool) -> str:
    """Say in MCP's words what calling a tool may do, and whether a model may be asked, which costs."""
    words = [word for fact, word in _EFFECTS.items() if getattr(tool, fact)]
    if tool.read_only and "idempotent" in words:
        words.remove("idempotent")
    if tool.may_call_model:
        words.append("calls a model" if tool.calls_model else "may call a model")
    return ", ".join(words) if tool.read_only else ", ".join(["has effects", *words])


_EFFECTS = {
    "read_only": "read-only",
    "idempotent": "idempotent",
    "destructive": "destructive",
    "open_world": "open world",
}


def _arguments(tool: Tool) -> Iterator[str]:
    properties = cast("dict[str, Any]", tool.parameters.get("properties", {}))
    required = cast("list[str]", tool.parameters.get("required", []))
    for number, (name, schema) in enumerate(properties.items()):
        if number == _MAX_ARGUMENTS:
            yield f"… {len(properties) - number} more"
            return
        yield f"{one_line(name, 60)}{'' if name in required else '?'}: {type_words(schema)}"


def type_words(schema: Any, depth: int = 0) -> str:
    """Say in a few characters what a JSON Schema takes: "string", "list of number", "string or null"."""
    if not isinstance(schema, Mapping) or depth > 3:
        return "any"
    known = cast("Mapping[str, Any]", schema)
    if isinstance(known.get("$ref"), str):
        return one_line(known["$ref"].rpartition("/")[2], 40)
    if isinstance(known.get("enum"), list):
        return one_line(" | ".join(str(value) for value in known["enum"][:8]), 60)
    for combiner in ("anyOf", "oneOf"):
        if isinstance(known.get(combiner), list):
            return " or ".join(dict.fromkeys(type_words(branch, depth + 1) for branch in known[combiner][:6]))
    kind = known.get("type")
    if isinstance(kind, list):
        return " or ".join(str(name) for name in cast("list[Any]", kind))
    if kind == "array":
        return f"list of {type_words(known.get('items'), depth + 1)}" if "items" in known else "list"
    return str(kind) if kind else "any"
