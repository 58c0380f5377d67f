"""`planloom compare`: three strategies side by side, as a table and as a document."""

from __future__ import annotations

import json
from typing import Any

from goal_cases import COMPILER, JOINER, MODEL, SUM, TOOLS

from planloom.testing import ModelServer, ReceivedRequest, Served

CALLS = json.dumps({"calls": [{"id": "a", "tool": "add", "args": {"a": 3, "b": 4}}]})
NAMES = ["react", "plan-and-execute", "compile"]


def reply(request: ReceivedRequest) -> str:
    """Answer all three strategies: ReAct makes one call and then answers."""
    system = request.texts[0]
    if system.startswith(JOINER):
        return "It is 7."
    if system.startswith(COMPILER):
        return CALLS
    if '"thought"' in system:
        is_first = len(request.texts) <= 2
        return json.dumps(
            {"thought": "add", "tool": "add", "args": {"a": 3, "b": 4}}
            if is_first
            else {"thought": "", "answer": "Seven."}
        )
    return SUM


def compare(inside: Any, *argv: str, replies: Any = reply) -> Any:
    with ModelServer(replies) as server:
        return inside("compare", "add up", *MODEL, *TOOLS, "--base-url", server.base_url, *argv)


def test_all_fail(inside: Any) -> None:
    """When no strategy reaches the goal, each row says why, and the exit code is that of a model that failed."""
    ended = compare(inside, "--json", replies=lambda _request: Served.refusal())
    assert 4 == ended.code, ended.stderr
    rows = ended.document["strategies"]
    assert NAMES == [row["strategy"] for row in rows]
    assert all("refused" in row["error"] for row in rows)


def test_one_fails(inside: Any) -> None:
    """The others go on, and the command has done what it was asked for."""
    ended = compare(
        inside, replies=lambda request: "weather" if request.texts[0].startswith(COMPILER) else reply(request)
    )
    assert 0 == ended.code, ended.stderr
    assert "plan rejected" in ended.stdout
    assert "It is 7." in ended.stdout


def test_document(inside: Any) -> None:
    """`--json` is the comparison: a row per strategy, in order, with calls, tokens, steps and answer."""
    ended = compare(inside, "--json")
    assert 0 == ended.code, ended.stderr
    assert (1, "add up") == (ended.document["version"], ended.document["goal"])
    rows = {row["strategy"]: row for row in ended.document["strategies"]}
    assert NAMES == list(rows)
    assert {"react": (2, 1, "Seven."), "plan-and-execute": (2, 2, "It is 7."), "compile": (2, 1, "It is 7.")} == {
        name: (row["model_calls"], row["steps"], row["answer"]) for name, row in rows.items()
    }


def test_table(inside: Any) -> None:
    """People get a table with a line per strategy, its ratio to ReAct, and every answer below it."""
    ended = compare(inside)
    assert 0 == ended.code, ended.stderr
    lines = ended.stdout.splitlines()
    assert [
        name for name in NAMES if any(line.startswith(f"{name} ") and "succeeded" in line for line in lines)
    ] == NAMES
    assert "tokens in" in lines[0]
    assert "compile against react: " in ended.stdout
    assert "  Seven." in lines
    assert "react: succeeded in " in ended.stderr


def test_effects_are_announced(inside: Any) -> None:
    """Tools with effects may be called three times, which is said before."""
    assert "called by each of the three: maybe" in compare(inside).stderr
