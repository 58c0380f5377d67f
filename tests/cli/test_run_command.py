"""`planloom run` and `planloom compile`: from a goal to an answer, with what happens on the way."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from goal_cases import MODEL, SUM, SUM_ALONE, TOOLS, answering, plan_text, step

from planloom.testing import ModelServer, ReceivedRequest, Served

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
BROKEN = plan_text(
    step("first", "boom"), step("second", "echo", "first", value="{{first.output}}"), step("apart", "add", a=1)
)
RECOVERY = json.dumps({"steps": [step("again", "add", a=5), step("last", "add", "again", a="{{again.output}}")]})
Reply = Callable[[ReceivedRequest], str | Served]


def run(inside: Any, reply: Reply, *argv: str, name: str = "run") -> Any:
    """Run a command with a goal against a server of its own."""
    with ModelServer(reply) as server:
        ended = inside(name, *argv, *MODEL, *TOOLS, "--base-url", server.base_url)
        ended.__dict__["requests"] = server.requests
        return ended


# ---- what goes wrong ---------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "no goal": (("run",), ("name a goal", "--plan plan.json")),
    "empty goal": (("run", "  ", *MODEL), ("the goal is empty",)),
    "no model": (("run", "add up"), ("needs a model", "GROQ_API_KEY", "--model", "planloom doctor")),
    "no model to compile": (("compile", "add up"), ("needs a model", "GROQ_API_KEY")),
    "no model to plan": (("plan", "add up"), ("needs a model", "GROQ_API_KEY")),
    "no model to compare": (("compare", "add up"), ("needs a model", "GROQ_API_KEY")),
    "no key": (("run", "add up", *MODEL), ("OPENAI_API_KEY",)),
    "unknown provider": (("run", "add up", "--model", "acme:x"), ("acme",)),
    "no such plan": (("run", "--plan", "plan.jsn"), ("no file `plan.jsn`",)),
    "two from stdin": (("run", "-", "--plan", "-"), ("both",)),
    "unknown approval": (("run", "x", "--approve", "everything"), ("effects",)),
    "budget below nothing": (("run", "x", "--max-tokens", "-1"), ("--max-tokens",)),
    "model timeout of nothing": (("run", "x", "--model-timeout", "0"), ("--model-timeout",)),
    "events into a file": (("run", "x", *MODEL, "--events", "--output", "x.json"), ("--events",)),
    "edit without a person": (("plan", "x", *MODEL, "--edit", "--no-input"), ("--edit",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(inside: Any, name: str) -> None:
    """A wrong command line, or a missing key, is exit code 2 and says what to do; nothing goes to stdout."""
    argv, words = REFUSED[name]
    ended = inside(*argv)
    assert (2, "") == (ended.code, ended.stdout), ended.stderr
    assert [] == [word for word in words if word not in ended.stderr], ended.stderr


def test_a_step_fails_and_there_is_no_way_around(inside: Any) -> None:
    """The run fails with exit code 1, and says which step, why, and why nothing was planned instead."""
    ended = run(inside, answering(plan=BROKEN), "add up")
    assert 1 == ended.code, ended.stderr
    for words in ("step `first` failed: ValueError: no luck", "no other way", "1 later step was skipped: `second`"):
        assert words in ended.stderr


def test_no_replans(inside: Any) -> None:
    """With `--max-replans 0` nothing is planned around."""
    ended = run(inside, answering(plan=BROKEN, recovery=RECOVERY), "add up", "--max-replans", "0", "--json")
    assert (1, 0) == (ended.code, ended.document["replans"])


def test_over_budget(inside: Any) -> None:
    """Exit code 6 when a model may not be asked any more: before the plan, and after the steps have run."""
    ended = run(inside, answering(), "add up", "--max-model-calls", "0", "--json")
    assert (6, "budget", {}) == (ended.code, ended.document["error"]["kind"], ended.document["steps"])
    ended = run(inside, answering(), "add up", "--max-model-calls", "1", "--json")
    assert (6, "budget", 7) == (
        ended.code, ended.document["error"]["kind"], ended.document["steps"]["second"]["output"],
    )  # fmt: skip
    assert "hint: raise it, --max-model-calls 2 would do" in ended.stderr
    ended = run(inside, answering(), "add up", "--max-cost", "1")
    assert 6 == ended.code
    assert "price of the model is not known" in ended.stderr
    assert 6 == run(inside, answering(), "add up", "--max-tokens", "10").code


def test_plan_file_is_not_valid(inside: Any) -> None:
    """A plan that is given is checked before anything runs: exit code 3, and the issues as the document."""
    (inside.folder / "plan.json").write_text(plan_text(step("a", "subtract")))
    ended = run(inside, answering(), "--plan", "plan.json", "--json")
    assert (3, False, []) == (ended.code, ended.document["valid"], ended.requests)
    (inside.folder / "plan.json").write_text("no plan")
    assert 3 == run(inside, answering(), "--plan", "plan.json").code


# ---- what goes well -------------------------------------------------------------------------------------------


def test_goal_to_answer(inside: Any) -> None:
    """The answer is on stdout, once; stderr tells of the plan, the steps, and what the models took."""
    ended = run(inside, answering(), "add up")
    assert (0, "The sum is 7.\n") == (ended.code, ended.stdout), ended.stderr
    lines = ended.stderr.splitlines()
    told = [line.split()[0] for line in lines if line.split()[0] in ("run", "plan", "start", "done", "answer")]
    assert ["run", "plan", "answer", "run"] == [told[0], told[1], told[-2], told[-1]]
    assert "plan    2 steps, 2 waves" in lines
    assert re.search(r"succeeded: 2 steps in .*; 2 model calls, [\d,]+ tokens in, \d+ out, price unknown$", lines[-1])


def test_document(inside: Any) -> None:
    """`--json` is the run, with the plan, what the models took, and the answer."""
    ended = run(inside, answering(plan=SUM_ALONE), "add up", "--json", "--input", "unused=1")
    document = ended.document
    assert (0, "succeeded", 3, 1) == (
        ended.code, document["status"], document["answer"], document["usage"]["model_calls"],
    )  # fmt: skip
    assert ["first"] == [each["id"] for each in document["plan"]["steps"]]


def test_goal_from_stdin_and_answer_to_a_file(command: Any) -> None:
    """The goal may come through a pipe, and the answer go to a file; the plan may be given."""
    command.write("sum.json", SUM)
    with ModelServer(answering()) as server:
        ended = command("run", "-", "--plan", "sum.json", *MODEL, *TOOLS, "--base-url", server.base_url,
                        "--output", "answer.txt", stdin="say what 1 and 2 and 4 make\n")  # fmt: skip
    assert (0, "", "The sum is 7.\n") == (ended.code, ended.stdout, (command.folder / "answer.txt").read_text())
    assert ["join"] == ["join" for request in server.requests if "1 and 2 and 4" in request.texts[-1]]


def test_replanned(inside: Any) -> None:
    """What failed is planned around: the document counts it, the events give the reason, and the lines say both."""
    ended = run(inside, answering(plan=BROKEN, recovery=RECOVERY), "add up", "--json")
    document = ended.document
    assert (0, 1, ["apart", "again", "last"]) == (ended.code, document["replans"], list(document["steps"]))
    assert "replan  first failed (ValueError: no luck); 2 steps held" in ended.stderr
    assert "replan  `first`, `second` became `again`, `last`, because `first` failed" in ended.stderr
    ended = run(inside, answering(plan=BROKEN, recovery=RECOVERY), "add up", "--events")
    kinds = [event["type"] for event in ended.events]
    order = ["run-started", "planning-started", "plan-created", "replan-started", "replanned", "join-started",
             "answer-ready", "run-finished"]  # fmt: skip
    assert order == [kind for kind in kinds if kind in order]
    assert list(range(1, len(kinds) + 1)) == [event["seq"] for event in ended.events]


def test_mended(inside: Any) -> None:
    """A plan with a mistake goes back to the model with its issues, and that is said."""
    replies = [
        plan_text(step("a", "subtract", a=1), answer="{{a.output}}"),
        json.dumps({"steps": [step("a", "add", a=1)]}),
    ]
    ended = run(inside, lambda request: replies[min(1, request.number)], "add up")
    assert (0, "2\n") == (ended.code, ended.stdout), ended.stderr
    assert "plan    mending the plan, round 1, 1 problem: " in ended.stderr


def test_compile(inside: Any) -> None:
    """All calls in one pass; what fails is not planned around."""
    calls = json.dumps(
        {"calls": [{"id": "a", "tool": "add", "args": {"a": 1}}, {"id": "b", "tool": "boom", "args": {}}]}
    )
    ended = run(inside, answering(compiled=calls, recovery=RECOVERY), "add up", "--json", name="compile")
    assert (1, 0, "failed") == (ended.code, ended.document["replans"], ended.document["status"])
    good = json.dumps({"calls": [{"id": "a", "tool": "add", "args": {"a": 1}}]})
    ended = run(inside, answering(compiled=good, answer="It is 2."), "add up", name="compile")
    assert (0, "It is 2.\n") == (ended.code, ended.stdout)


# ---- at a terminal --------------------------------------------------------------------------------------------


def test_live(command: Any) -> None:
    """The display shows planning, steps, the replan with its reason; the answer streams below it, and stands once."""
    with ModelServer(answering(plan=BROKEN, recovery=RECOVERY), first_token_s=0.3, tokens_per_s=200) as server:
        terminal = command.in_terminal("run", "add up", *MODEL, *TOOLS, "--base-url", server.base_url, columns=110)
        code, shown = terminal.end()
    plain = CODES.sub("", shown).replace("\r", "")
    assert 0 == code
    for words in (
        "planning with openai:test",
        "replanning: first failed, 2 steps held",
        "held: `first` failed",
        "replanned: `first`, `second` became `again`, `last`, because `first` failed: ValueError: no luck",
        "writing the answer with openai:test",
        "✓ last",
        "3 of 3 steps ended · 2 model calls",
    ):
        assert words in plain
    assert 1 == plain.count("The sum is 7.")
    assert re.search(r"\nThe sum is 7.\nrun \w+ succeeded: 3 steps in .*; 3 model calls, ", plain)


def test_ctrl_c_while_planning(command: Any, stop_when_seen: Any) -> None:
    """A goal that is still being planned is stopped at once, with the signal's exit code."""
    import signal

    with ModelServer(answering(plan=Served.stall())) as server:
        process = command.start("run", "add up", *MODEL, *TOOLS, "--base-url", server.base_url)
        ended, took_s = stop_when_seen(process, "asking openai:test", [signal.SIGINT])
    assert (130, "") == (ended.code, ended.stdout)
    assert took_s < 8
