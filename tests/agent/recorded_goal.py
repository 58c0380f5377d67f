"""A goal in a journal, in a process that is cut off where the test says.

Arguments: the journal, the run's id or "resume", where to be cut off, words.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from planloom import Agent, Words, tool
from planloom.testing import ScriptedModel

JOURNAL = sys.argv[1] if len(sys.argv) > 1 else ""
WHERE = sys.argv[3] if len(sys.argv) > 3 else ""


def note(text: str) -> None:
    """Append a line that survives the process, and end the process where it is to be cut off."""
    with Path(f"{JOURNAL}.calls").open("a") as calls:
        calls.write(text + "\n")
    if text == WHERE:
        os._exit(9)


@tool(read_only=True, open_world=True)  # so it does not start while the plan still arrives, and is not yet bought
async def look(name: str) -> str:
    """Look something up."""
    note(f"look {name}")
    if name == "wrong":
        raise ValueError("no such name")
    return name.upper()


@tool
async def pay(name: str) -> str:
    """Pay somebody."""
    note(f"pay {name}")
    return f"paid {name}"


def step(step_id: str, used: str, needs: list[str], **args: Any) -> dict[str, Any]:
    """A step in the form of a plan."""
    return {"id": step_id, "description": step_id, "tool": used, "args": args, "depends_on": needs}


BAD = json.dumps({"steps": [step("a", "lok", [], name="ann"), step("b", "look", [], name="wrong")]})
MENDED = json.dumps({"steps": [step("a", "look", [], name="ann")]})
RECOVERY = json.dumps(
    {
        "steps": [
            step("b", "look", [], name="bob"),
            step("p", "pay", ["a", "b"], name="{{a.output}}"),
            step("c", "look", ["p"], name="end"),
        ]
    }
)


def saying(text: str, name: str) -> Callable[[Any], str]:
    """A reply that is noted when it is asked for."""

    def say(_: Any) -> str:
        note(f"ask {name}")
        return text

    return say


def agent() -> Agent:
    """An agent whose models are asked for a plan, a mend, a recovery and an answer; which, the question decides."""

    def planned(request: Any) -> str:
        name, text = {"plan": ("plan", BAD), "mend": ("mend", MENDED), "replan": ("replan", RECOVERY)}[request.purpose]
        return saying(text, name)(request)

    planner = ScriptedModel([planned] * 3, name="planner")
    worker = ScriptedModel([saying("done", "join")], name="worker")
    return Agent([look, pay], planner, worker, journal=JOURNAL)


async def main() -> None:
    """Reach the goal, or go on with it."""
    if sys.argv[2] == "resume":
        words = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
        result = await agent().resume("r1", words=Words.of(**words))
    else:
        result = await agent().run("pay ann", run_id=sys.argv[2])
    print(json.dumps(result.to_dict()))


if __name__ == "__main__":
    asyncio.run(main())
