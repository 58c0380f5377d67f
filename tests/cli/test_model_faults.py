"""Every fault of a model's server ends `planloom run` in time, with its exit code and one clear sentence; no key."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import pytest
from goal_cases import MODEL, SUM, TOOLS, answering, plan_text, step

from planloom.testing import ModelServer, Served

SHORT_S = 1.0
"""For one call of a model, its retries included, where the call would go on for long without a limit."""
ROOMY_S = 20.0
"""Where the call ends by itself, however busy the machine is."""
SLACK_S = 8.0
"""For everything else: the first use imports the client library, and the machine may be busy."""
CANARY = "sk-canary-7c1f93e2b04d5a68"


class Fault(NamedTuple):
    served: Served | str
    words: tuple[str, ...]
    code: int = 4
    limit_s: float = ROOMY_S


FAULTS = {
    "rate limit, seconds": Fault(Served.rate_limit(0.1), ("openai:test", "rate limit")),
    "rate limit, long": Fault(Served.rate_limit(600), ("openai:test", "rate limit", "600")),
    "rate limit, date": Fault(Served.rate_limit(1, as_date=True), ("openai:test", "rate limit"), limit_s=SHORT_S),
    "rate limit, no word": Fault(Served.rate_limit(), ("openai:test", "rate limit"), limit_s=SHORT_S),
    "error 500": Fault(Served.http_error(500), ("openai:test", "500"), limit_s=SHORT_S),
    "error 400": Fault(Served.http_error(400, "no such thing"), ("openai:test", "no such thing")),
    "error 401": Fault(Served.http_error(401, f"Incorrect API key provided: {CANARY}"), ("openai:test", "key")),
    "error 404": Fault(Served.http_error(404, "The model `test` does not exist"), ("openai:test", "does not exist")),
    "overloaded": Fault(Served.overloaded(), ("openai:test", "503"), limit_s=SHORT_S),
    "stall before the first token": Fault(Served.stall(), ("openai:test", "1 s"), limit_s=SHORT_S),
    "stall in the middle": Fault(Served.stall(SUM, after=6), ("openai:test", "1 s"), limit_s=SHORT_S),
    "cut": Fault(Served.cut(SUM, after=6), ("openai:test", "off after")),
    "cut as if it were the end": Fault(Served.cut(SUM, after=6, cleanly=True), ("openai:test", "off after")),
    "malformed": Fault(Served.malformed(SUM, after=3), ("openai:test",)),
    "error in the stream": Fault(Served.error_in_stream(SUM, after=3), ("openai:test", "error")),
    "refusal": Fault(Served.refusal(), ("openai:test", "refused")),
    "empty": Fault(Served.empty(), ("openai:test", "empty")),
    "at the limit of tokens": Fault(Served.length("{"), ("plan rejected", "holds no plan"), 3),
    "prose": Fault("I would rather talk about the weather.", ("plan rejected",), 3),
    "a tool that is none": Fault(plan_text(step("a", "subtract", a=1)), ("plan rejected", "unknown-tool"), 3),
}


def run(inside: Any, purpose: str, fault: Fault, *argv: str) -> Any:
    """Run a goal whose model fails at one purpose, and hold it to its time."""
    with ModelServer(answering(**{purpose: fault.served})) as server:
        began = time.monotonic()
        ended = inside("run", "add up", *MODEL, *TOOLS, "--base-url", server.base_url,
                       "--model-timeout", str(fault.limit_s), *argv)  # fmt: skip
        assert time.monotonic() - began < fault.limit_s * 3 + SLACK_S
        return ended


def problems(ended: Any, fault: Fault) -> list[str]:
    """What is wrong with how a command took a fault."""
    said = ended.stderr.lower()
    found = [f"nothing says {word!r}" for word in fault.words if word.lower() not in said]
    found += [f"{word!r} is said" for word in ("traceback", "internal error", CANARY) if word in said + ended.stdout]
    if ended.code != fault.code:
        found.append(f"exit code {ended.code}, not {fault.code}")
    return found


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch, inside: Any) -> None:
    """A key that must not be seen anywhere."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


@pytest.mark.parametrize("name", FAULTS)
def test_planner_fails(inside: Any, name: str) -> None:
    """Without a plan nothing has run: one sentence, the exit code, and nothing on stdout."""
    fault = FAULTS[name]
    ended = run(inside, "plan", fault)
    assert [] == problems(ended, fault), ended.stderr
    assert "" == ended.stdout


@pytest.mark.parametrize("name", ["rate limit, seconds", "stall before the first token", "cut", "refusal"])
def test_joiner_fails(inside: Any, name: str) -> None:
    """The steps have run, and the document has them with the reason; the answer was not written."""
    fault = FAULTS[name]
    ended = run(inside, "answer", fault, "--json")
    assert [] == problems(ended, fault), ended.stderr
    document = ended.document
    assert ("failed", None, "model") == (document["status"], document["answer"], document["error"]["kind"])
    assert 7 == document["steps"]["second"]["output"]


def test_document_without_a_plan(inside: Any) -> None:
    """`--json` says what happened also when there was never a plan: the run's document, and the issues."""
    ended = run(inside, "plan", FAULTS["refusal"], "--json")
    document = ended.document
    assert (4, "failed", {}, "model") == (
        ended.code, document["status"], document["steps"], document["error"]["kind"],
    )  # fmt: skip
    ended = run(inside, "plan", FAULTS["a tool that is none"], "--json")
    document = ended.document
    assert (3, "failed", False) == (ended.code, document["status"], document["valid"])
    assert "unknown-tool" in [issue["code"] for issue in document["issues"]]
    assert document["usage"]["model_calls"] == 3


def test_nobody_listens(inside: Any) -> None:
    """An address where nothing is: said, with the address's model, and soon."""
    with ModelServer() as server:
        address = server.base_url
    ended = inside("run", "add up", *MODEL, *TOOLS, "--base-url", address, "--model-timeout", "1")
    assert 4 == ended.code
    assert "openai:test" in ended.stderr


def test_events_end_with_the_run(inside: Any) -> None:
    """`--events` ends with `run-finished` also when there was no plan, and holds no key."""
    ended = run(inside, "plan", FAULTS["error 401"], "--events")
    assert 4 == ended.code
    assert ["run-started", "planning-started"] == [event["type"] for event in ended.events][:2]
    assert "run-finished" == ended.events[-1]["type"]
    assert CANARY not in ended.stdout + ended.stderr


def test_a_process_of_its_own(command: Any) -> None:
    """The same from outside, all at once: a wrong key, a stall and a cut, each with its code and sentence."""
    started: dict[str, Any] = {}
    servers: list[ModelServer] = []
    for name in ("error 401", "stall in the middle", "cut"):
        servers.append(ModelServer(answering(plan=FAULTS[name].served)).start())
        started[name] = command.start("run", "add up", *MODEL, *TOOLS, "--base-url", servers[-1].base_url,
                                      "--model-timeout", str(FAULTS[name].limit_s),
                                      env={"OPENAI_API_KEY": CANARY})  # fmt: skip
    try:
        for name, process in started.items():
            stdout, stderr = process.communicate(timeout=30)
            assert (b"", FAULTS[name].code) == (stdout, process.returncode), stderr
            assert CANARY.encode() not in stderr
            assert b"error: " in stderr
            assert b"openai:test" in stderr
    finally:
        for server in servers:
            server.stop()
