"""From a goal to its answer over real HTTP, through the real client libraries: planned, streamed, mended, answered."""

from __future__ import annotations

import asyncio
import functools
import json
import ssl
from typing import Any

import pytest

from planloom import Agent, Budget, RunResult, RunStatus, Tool, ToolContext, tool
from planloom.errors import ModelError, PlanloomError
from planloom.models import ModelRequest
from planloom.models.modes import forget_refusals
from planloom.plan.events import AnswerDelta, Event, ModelCalled, Replanned, ReplanStarted
from planloom.testing import ModelServer, ReceivedRequest, Served

CANARY = "sk-canary-5up3r53cr3t"
GOAL = "Compare two teas and say which is the better one"
PROVIDERS = {
    "openai": ("openai:gpt-4o", "openai:gpt-4o-mini"),
    "groq": ("groq:llama-3.3-70b-versatile", "groq:llama-3.1-8b-instant"),
}
ROWS = [{"name": f"tea-{number}", "note": f"note {number} " + "leaf " * 30} for number in range(300)]
ANSWER = "The first tea is the better one: its page says so."

_create_default_context = functools.cache(ssl.create_default_context)


@pytest.fixture(params=list(PROVIDERS))
def models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """The two models of a provider; its key is in the environment, and is the canary."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(f"{request.param.upper()}_API_KEY", CANARY)
    monkeypatch.setattr(ssl, "create_default_context", _create_default_context)
    forget_refusals()
    return PROVIDERS[request.param]


def step(step_id: str, used: str, needs: list[str], **args: Any) -> dict[str, Any]:
    return {"id": step_id, "description": f"do {step_id}", "tool": used, "args": args, "depends_on": needs}


PLAN = {
    "version": 1,
    "goal": GOAL,
    "inputs": {},
    "steps": [
        step("left", "search", [], query="first"),
        step("right", "search", [], query="second"),
        step("page", "fetch", ["left"], url="{{left.output[0].name}}"),
        step("notes", "read_notes", ["right"], of="{{right.output[0].name}}"),
        step("both", "put_down", ["page", "notes"], text="{{page.output}} {{notes.output}}"),
    ],
}
RECOVERY = {
    "steps": [
        step("page", "fetch_archived", ["left"], url="{{left.output[0].name}}"),
        step("both", "put_down", ["page", "notes"], text="{{page.output}} and {{notes.output}}"),
    ]
}


class Kitchen:
    """Tools that wait for each other and for events, so that what has to overlap does, whatever the clock says."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.calls: list[str] = []
        self.searching = 0
        self.seen: dict[str, asyncio.Event] = {}

    def hear(self, event: Event) -> None:
        self.events.append(event)
        self._event(event.type).set()

    def _event(self, kind: str) -> asyncio.Event:
        return self.seen.setdefault(kind, asyncio.Event())

    async def until(self, kind: str) -> None:
        async with asyncio.timeout(20):
            await self._event(kind).wait()

    def tools(self) -> list[Tool]:
        @tool(read_only=True, calls_model=False)
        async def search(query: str) -> list[dict[str, str]]:
            """Search for teas."""
            self.calls.append(f"search {query}")
            self.searching += 1
            if self.searching == 2:
                self._event("both-search").set()
            await self.until("both-search")  # a scheduler that starts one after the other ends here
            return ROWS if query == "first" else ROWS[:1]

        @tool(read_only=True, open_world=True, retries=0)
        async def fetch(url: str) -> str:
            """Fetch the page of a tea."""
            self.calls.append(f"fetch {url}")
            raise ValueError(f"404 for {url}")

        @tool(read_only=True, open_world=True, retries=0)
        async def fetch_archived(url: str) -> str:
            """Fetch the page of a tea from the archive."""
            self.calls.append(f"fetch_archived {url}")
            return "a fine page"

        @tool(read_only=True)
        async def read_notes(of: str) -> str:
            """Read the notes on a tea."""
            self.calls.append(f"read_notes {of}")
            await self.until("replanned")  # the healthy branch runs on while the other is planned anew
            return "fair notes"

        @tool
        async def put_down(text: str) -> str:
            """Write something down."""
            self.calls.append(f"put_down {text}")
            return text.upper()

        return [search, fetch, fetch_archived, read_notes, put_down]

    def of_step(self, step_id: str) -> list[str]:
        return [event.type for event in self.events if event.step_id == step_id]

    def index(self, kind: str, step_id: str | None = None) -> int:
        return next(
            place for place, event in enumerate(self.events) if event.type == kind and step_id in (None, event.step_id)
        )


def system_and_user(request: ReceivedRequest) -> tuple[str, str]:
    return request.texts[0], "\n".join(request.texts[1:])


def test_goal_to_answer(models: tuple[str, str]) -> None:
    """Goal, streamed plan, parallel run, failing step, partial replan, joined answer: every event and every request."""
    planner, worker = models
    kitchen = Kitchen()
    replies = [Served(json.dumps(PLAN), tokens_per_s=2_000), json.dumps(RECOVERY), Served(ANSWER, tokens_per_s=2_000)]
    with ModelServer(replies) as server:
        agent = Agent(kitchen.tools(), planner, worker, base_url=server.base_url, budget=Budget(model_calls=3))
        result = asyncio.run(agent.run(GOAL, on_event=kitchen.hear))
        server.assert_finished()

    _check_result(result)
    _check_events(kitchen)
    _check_requests(server.requests, planner, worker)
    assert [
        "fetch tea-0",
        "fetch_archived tea-0",
        "put_down a fine page and fair notes",
        "read_notes tea-0",
        "search first",
        "search second",
    ] == sorted(kitchen.calls)
    _check_no_secret(kitchen, result, server)


def _check_result(result: RunResult) -> None:
    assert (RunStatus.SUCCEEDED, ANSWER, 1, None) == (result.status, result.answer, result.replans, result.error)
    assert ["left", "right", "notes", "page", "both"] == [each.id for each in result.plan.steps]
    assert {"succeeded"} == {each.status.value for each in result.steps.values()}
    assert "A FINE PAGE AND FAIR NOTES" == result.steps["both"].output
    assert 3 == result.usage.model_calls
    assert result.usage.input_tokens > 500
    assert result.usage.output_tokens > 200


def _check_events(kitchen: Kitchen) -> None:
    spine = {
        "run-started",
        "planning-started",
        "plan-created",
        "replan-started",
        "replanned",
        "join-started",
        "answer-ready",
        "run-finished",
    }
    assert [
        "run-started",
        "planning-started",
        "plan-created",
        "replan-started",
        "replanned",
        "join-started",
        "answer-ready",
        "run-finished",
    ] == [event.type for event in kitchen.events if event.type in spine]
    for name in ("left", "right"):
        assert ["step-arrived", "step-started", "step-succeeded"] == kitchen.of_step(name)
        assert kitchen.index("step-started", name) < kitchen.index("plan-created")
    assert ["step-arrived", "step-started", "step-succeeded"] == kitchen.of_step("notes")
    assert [
        "step-arrived",
        "step-started",
        "step-failed",
        "replan-started",
        "replanned",
        "step-started",
        "step-succeeded",
    ] == kitchen.of_step("page")
    assert ["step-arrived", "step-held", "step-started", "step-succeeded"] == kitchen.of_step("both")
    assert kitchen.index("plan-created") < kitchen.index("step-started", "page")  # open-world: never early
    assert kitchen.index("replanned") < kitchen.index("step-succeeded", "notes")  # the healthy branch ran meanwhile
    started = next(event for event in kitchen.events if isinstance(event, ReplanStarted))
    assert (("page", "both"), True) == (started.held, "404 for tea-0" in started.reason.message)
    replanned = next(event for event in kitchen.events if isinstance(event, Replanned))
    assert (("page", "both"), ("left", "right", "notes"), ("page", "both")) == (
        replanned.replaced,
        replanned.kept,
        replanned.added,
    )
    assert ["plan", "replan", "join"] == [each.purpose for each in kitchen.events if isinstance(each, ModelCalled)]
    deltas = [event.text for event in kitchen.events if isinstance(event, AnswerDelta)]
    assert ANSWER == "".join(deltas)
    assert len(deltas) > 3
    assert list(range(1, len(kitchen.events) + 1)) == [event.seq for event in kitchen.events]


def _check_requests(requests: list[ReceivedRequest], planner: str, worker: str) -> None:
    plan, replan, join = requests
    names = [model.partition(":")[2] for model in (planner, planner, worker)]
    assert names == [request.body["model"] for request in requests]
    assert [True, False, True] == [request.is_streamed for request in requests]
    assert [0.1, 0.1, 0.2] == [request.body["temperature"] for request in requests]

    system, user = system_and_user(plan)
    assert GOAL in user
    for name in ("search", "fetch", "fetch_archived", "read_notes", "put_down"):
        assert name in system

    system, user = system_and_user(replan)
    assert "fetch_archived" in system
    for shown in (GOAL, "404 for tea-0", "list of 300 {name: text, note: text}", "tea-0", "left", "notes"):
        assert shown in user
    for hidden in ("tea-299", "tea-100", ROWS[0]["note"] * 2):
        assert hidden not in user
    assert len(user) < 5_000

    system, user = system_and_user(join)
    for shown in (GOAL, "A FINE PAGE AND FAIR NOTES"):
        assert shown in user
    assert "tea-299" not in user


def _check_no_secret(kitchen: Kitchen, result: RunResult, server: ModelServer) -> None:
    told = json.dumps([event.to_dict() for event in kitchen.events]) + repr(kitchen.events)
    bodies = json.dumps([[request.body, request.headers] for request in server.requests])
    for text in (told, json.dumps(result.to_dict()), repr(result), result.explain(), bodies):
        assert CANARY not in text


def test_a_rejected_plan_is_mended_over_the_wire(models: tuple[str, str]) -> None:
    """The issues go back with the plan; what ran early stays; the answer is the plan's own, so no joiner is called."""
    kitchen = Kitchen()
    kitchen.searching = 1  # one search alone
    broken = {
        "steps": [step("left", "search", [], query="first"), step("out", "put_down", ["left"], text="{{lft.output}}")]
    }
    patch = {"steps": [step("out", "put_down", ["left"], text="{{left.output[0].name}}")], "answer": "{{out.output}}"}
    with ModelServer([Served(json.dumps(broken), tokens_per_s=2_000), json.dumps(patch)]) as server:
        agent = Agent(kitchen.tools(), *models, base_url=server.base_url)
        result = asyncio.run(agent.run(GOAL, on_event=kitchen.hear))
        server.assert_finished()
    assert (RunStatus.SUCCEEDED, "TEA-0") == (result.status, result.answer)
    assert ["search first", "put_down tea-0"] == kitchen.calls
    assert "unknown-reference" in server.requests[1].texts[-1]
    assert "lft" in server.requests[1].texts[-1]
    assert kitchen.index("plan-mending") < kitchen.index("plan-created")


@pytest.mark.parametrize("where", ["plan", "replan", "join", "tool"])
def test_no_secret_in_any_failure(models: tuple[str, str], where: str) -> None:
    """A provider that repeats the key in its refusal: it is in no event, result or error, wherever that happens."""
    echo = Served.http_error(401, f"Incorrect API key provided: {CANARY}")
    kitchen = Kitchen()

    @tool(read_only=True, calls_model=True, retries=0)
    async def ask(context: ToolContext) -> str:
        """Ask the worker model."""
        return (await context.worker_model.complete(ModelRequest.of("hello"))).text

    @tool(read_only=True, retries=0)
    async def fail() -> str:
        """Fail."""
        raise ValueError("down")

    used = {"plan": "fail", "replan": "fail", "join": "fail", "tool": "ask"}[where]
    plan = {"steps": [step("a", used, [])] if where != "join" else [step("a", "ask", [])]}
    replies = {
        "plan": [echo],
        "replan": [json.dumps(plan), echo],
        "join": [json.dumps(plan), "word", echo],
        "tool": [json.dumps(plan), echo, json.dumps({"steps": [], "give_up": "no way"})],
    }[where]
    with ModelServer(replies) as server:
        agent = Agent([ask, fail], *models, base_url=server.base_url)
        shown = ""
        try:
            result = asyncio.run(agent.run(GOAL, on_event=kitchen.hear))
        except ModelError as error:
            assert where == "plan"
            shown = f"{error}{error!r}{vars(error)}"
        else:
            assert RunStatus.FAILED is result.status
            shown = json.dumps(result.to_dict()) + repr(result) + result.explain()
        server.assert_finished()
    shown += json.dumps([event.to_dict() for event in kitchen.events]) + repr(kitchen.events)
    assert CANARY not in shown
    assert CANARY not in json.dumps([request.texts for request in server.requests])


@pytest.mark.parametrize(
    "fault",
    [
        Served.refusal(),
        Served.empty(),
        Served.cut(json.dumps(PLAN), after=40),
        Served.malformed(json.dumps(PLAN), after=40),
        Served.error_in_stream(json.dumps(PLAN), after=40),
        Served.http_error(400, "no"),
        Served.http_error(403, "no"),
    ],
    ids=["refusal", "empty", "cut", "malformed", "error-in-stream", "400", "403"],
)
def test_a_fault_while_the_plan_streams_is_one_clear_sentence(models: tuple[str, str], fault: Served) -> None:
    """Steps that began early are ended, no effect has happened, and the error says what to do."""
    kitchen = Kitchen()
    with ModelServer(lambda _: fault) as server:
        agent = Agent(kitchen.tools(), *models, base_url=server.base_url)
        with pytest.raises(PlanloomError) as caught:
            asyncio.run(agent.run(GOAL, on_event=kitchen.hear))
    assert isinstance(caught.value, ModelError)
    assert "hint: " in str(caught.value)
    assert not [call for call in kitchen.calls if call.startswith("put_down")]
    started = {event.step_id for event in kitchen.events if event.type == "step-started"}
    ended = {event.step_id for event in kitchen.events if event.type in ("step-cancelled", "step-succeeded")}
    assert started == ended
