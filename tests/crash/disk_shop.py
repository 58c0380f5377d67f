"""Tools and a plan for a run whose disk fails. Each effect is seen outside, by its key, in a file beside this one."""

from __future__ import annotations

from pathlib import Path

from planloom import ToolContext, tool

CALLS = Path(__file__).with_name("calls")
TEXT_CHARS = 100_000
"""More than a record holds itself, so that an artifact is written."""
ARTIFACT_BYTES = TEXT_CHARS + 2
STEPS = [
    {"id": "a", "description": "", "tool": "put", "args": {"name": "a"}, "depends_on": []},
    {"id": "big", "description": "", "tool": "load", "args": {}, "depends_on": ["a"]},
    {"id": "size", "description": "", "tool": "measure", "args": {"text": "{{big.output}}"}, "depends_on": ["big"]},
    {"id": "b", "description": "", "tool": "put", "args": {"name": "b {{size.output}}"}, "depends_on": ["size"]},
]
PLAN = {"goal": "put two things", "steps": STEPS, "answer": "{{b.output}}"}
ANSWER = f"put b {TEXT_CHARS}"


@tool(idempotent=True, retries=0)
async def put(name: str, context: ToolContext) -> str:
    """Put something."""
    with CALLS.open("a") as calls:
        calls.write(f"{name} {context.idempotency_key}\n")
    return f"put {name}"


@tool(read_only=True, retries=0)
async def load() -> str:
    """Load much."""
    return "x" * TEXT_CHARS


@tool(read_only=True, retries=0)
async def measure(text: str) -> int:
    """Say how much was loaded."""
    return len(text)
