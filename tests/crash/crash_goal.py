"""A goal of twenty steps whose process may die anywhere, and what the outside has seen of it.

Arguments: the journal, the file in which the outside keeps what was asked and called, the run's id. As a module it
holds the same agent, for going on in the test's own process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from planloom import Agent, ToolContext, tool
from planloom.journal import SqliteJournal
from planloom.testing import ScriptedModel

NAMES = ["ann", "bob", "cleo"]
BLOB_CHARS = 100_000
"""More than a record holds itself, so that an artifact is written."""
Seen = dict[str, Any]


class Counting(str):  # noqa: SLOT000 (it has a journal)
    """The name of the file in which the outside sees calls, with the journal whose commits are counted with them."""

    journal: SqliteJournal


def note(calls: str, **seen: Any) -> None:
    """Let the outside see something: one line, which survives this process, in one call of the system."""
    if isinstance(calls, Counting):
        seen["commits"] = calls.journal.commits
    descriptor = os.open(calls, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, json.dumps(seen).encode() + b"\n")
    finally:
        os.close(descriptor)


def seen_in(calls: str | Path) -> list[Seen]:
    """Return what the outside has seen, in order, over all processes."""
    path = Path(calls)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def place(context: ToolContext) -> str:
    """Return how the journal names a call."""
    return context.step_id if context.index is None else f"{context.step_id}[{context.index}]"


def note_call(context: ToolContext, used: str, name: str) -> None:
    """Let the outside see a call."""
    note(context.deps, tool=used, step=place(context), name=name[:40], key=context.idempotency_key)


@tool(read_only=True, open_world=True)
async def look(name: str, context: ToolContext) -> str:
    """Look something up."""
    note_call(context, "look", name)
    if name == "wrong":
        raise ValueError("no such name")
    return name.upper()


@tool(read_only=True)
async def peek(name: str, context: ToolContext) -> str:
    """Look at something near, which may begin while the plan still arrives."""
    note_call(context, "peek", name)
    return name


@tool(read_only=True, open_world=True)
async def people(context: ToolContext) -> list[str]:
    """Say who is to be paid."""
    note_call(context, "people", "")
    return NAMES


@tool(read_only=True, open_world=True)
async def load(name: str, context: ToolContext) -> dict[str, str]:
    """Load much."""
    note_call(context, "load", name)
    return {"name": name, "text": "x" * BLOB_CHARS}


@tool(read_only=True, open_world=True)
async def measure(value: dict[str, str], context: ToolContext) -> int:
    """Say how much was loaded."""
    note_call(context, "measure", value["name"])
    return len(value["text"])


@tool
async def pay(name: str, context: ToolContext) -> str:
    """Pay somebody: whoever is called twice pays twice."""
    note_call(context, "pay", name)
    return f"paid {name}"


@tool(idempotent=True)
async def put(name: str, context: ToolContext) -> dict[str, str]:
    """Put something under the key of the call: the outside knows a key that it has seen."""
    note_call(context, "put", name)
    return {"put": name, "receipt": name * (80_000 // len(name) if name == "booking" else 1)}


TOOLS = [look, peek, people, load, measure, pay, put]
PLAIN = {"pay"}


def step(step_id: str, used: str, needs: str = "", for_each: str | None = None, **args: Any) -> dict[str, Any]:
    """A step in the form of a plan; `needs` are ids with spaces between them."""
    made = {"id": step_id, "description": step_id, "tool": used, "args": args, "depends_on": needs.split()}
    return made if for_each is None else {**made, "for_each": for_each}


STEPS = [
    step("start", "peek", name="start"),
    step("left", "look", "start", name="{{start.output}}-left"),
    step("right", "look", "start", name="{{start.output}}-right"),
    step("joined", "look", "left right", name="{{left.output}} {{right.output}}"),
    step("blob", "load", name="blob"),
    step("size", "measure", "blob", value="{{blob.output}}"),
    step("names", "people"),
    step("pays", "pay", "names", "{{names.output}}", name="{{item}}"),
    step("puts", "put", "names", "{{names.output}}", name="put {{item}}"),
    step("deposit", "pay", "joined", name="deposit"),
    step("booked", "put", "deposit", name="booking"),
    step("wrong", "look", "start", name="wrong"),
    step("fix", "pay", "wrong", name="fix {{wrong.output}}"),
    step("fixed", "put", "fix", name="fixed {{fix.output}}"),
    step("report", "look", "fixed size", name="report {{size.output}}"),
    step("notice", "pay", "pays puts", name="notice"),
    step("archive", "put", "notice", name="archive"),
    step("check", "look", "archive booked", name="check"),
    step("close", "pay", "check", name="close {{check.output}}"),
    step("last", "look", "close report", name="last {{report.output}}"),
]
MENDED_STEPS = [step("wrong", "look", "start", name="found")]
REPLACED = {"wrong", "fix", "fixed", "report", "last"}
RECOVERY = json.dumps({"steps": [*MENDED_STEPS, *[each for each in STEPS if each["id"] in REPLACED - {"wrong"}]]})
MENDED = json.dumps({"steps": STEPS})
BAD = json.dumps({"steps": [*STEPS[:-1], step("last", "look", "close report nobody", nam="last")]})
REPLIES = {"plan": BAD, "mend": MENDED, "replan": RECOVERY, "join": "all is paid"}
"""What the models answer, by what they are asked for."""
NEEDS = {each["id"]: each["depends_on"] for each in STEPS}
PAID = {
    **{f"pays[{index}]": name for index, name in enumerate(NAMES)},
    "deposit": "deposit",
    "fix": "fix FOUND",
    "notice": "notice",
    "close": "close CHECK",
}
"""What each payment pays, by the name of its call."""
PUT = {
    **{f"puts[{index}]": f"put {name}" for index, name in enumerate(NAMES)},
    "booked": "booking",
    "fixed": "fixed paid fix FOUND",
    "archive": "archive",
}


def saying(calls: str, text: str, purpose: str) -> Callable[[Any], str]:
    """A reply that the outside sees asked for."""

    def say(_: Any) -> str:
        note(calls, ask=purpose)
        return text

    return say


def agent(journal: Any, calls: str, **options: Any) -> Agent:
    """The agent; its models answer by what they are asked for."""

    def planned(request: Any) -> str:
        return saying(calls, REPLIES[request.purpose], request.purpose)(request)

    planner = ScriptedModel([planned] * 4, name="planner")
    worker = ScriptedModel([saying(calls, REPLIES["join"], "join")] * 2, name="worker")
    return Agent(TOOLS, planner, worker, journal=journal, deps=calls, **options)


async def leave_the_log(path: str, calls: str) -> None:
    """Reach the goal, and leave the log of the journal as it is; say of each call what was durable by then."""
    counting = Counting(calls)
    counting.journal = SqliteJournal(path)
    await agent(counting.journal, counting).run("pay everybody", run_id="r1")
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[3:] == ["leave"]:
        asyncio.run(leave_the_log(sys.argv[1], sys.argv[2]))
    result = asyncio.run(agent(sys.argv[1], sys.argv[2]).run("pay everybody", run_id=sys.argv[3]))
    note(sys.argv[2], told=result.status.value)
