"""A process that runs a plan into a journal and is cut off where the test says. Arguments: journal, run id, where."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from planloom import Plan, ToolContext, execute_plan, tool

WHERE = sys.argv[3] if len(sys.argv) > 3 else ""


def note(journal: str, text: str) -> None:
    """Append a line that survives the process."""
    with Path(f"{journal}.calls").open("a") as calls:
        calls.write(text + "\n")


def leave_at(place: str) -> None:
    """End the process without a word, as a crash does."""
    if place == WHERE:
        os._exit(9)


@tool(read_only=True)
async def look(name: str, context: ToolContext) -> dict[str, str]:
    """Look something up."""
    note(context.deps, f"look {name} {context.idempotency_key}")
    leave_at(f"look {name}")
    return {"name": name}


@tool
async def pay(name: str, context: ToolContext) -> str:
    """Pay somebody."""
    leave_at(f"before pay {name}")
    note(context.deps, f"pay {name}")
    leave_at(f"pay {name}")
    return f"paid {name}"


@tool(idempotent=True)
async def put(name: str, context: ToolContext) -> str:
    """Put something, with the same effect however often."""
    note(context.deps, f"put {name} {context.idempotency_key}")
    leave_at(f"put {name}")
    return f"put {name}"


PLAN = Plan.from_json(
    {
        "goal": "pay everybody",
        "steps": [
            {"id": "who", "description": "", "tool": "look", "args": {"name": "bob"}, "depends_on": []},
            {
                "id": "first", "description": "", "tool": "pay", "args": {"name": "{{who.output.name}}"},
                "depends_on": ["who"],
            },
            {"id": "stored", "description": "", "tool": "put", "args": {"name": "x"}, "depends_on": ["first"]},
            {
                "id": "each", "description": "", "tool": "pay", "for_each": ["ann", "cleo", "dan"],
                "args": {"name": "{{item}}"}, "depends_on": ["stored"],
            },
            {"id": "last", "description": "", "tool": "look", "args": {"name": "end"}, "depends_on": ["each"]},
        ],
    }
)  # fmt: skip
TOOLS = [look, pay, put]

if __name__ == "__main__":
    result = asyncio.run(
        execute_plan(PLAN, TOOLS, journal=sys.argv[1], run_id=sys.argv[2], deps=sys.argv[1], max_concurrency=1)
    )
    print(result.status)
