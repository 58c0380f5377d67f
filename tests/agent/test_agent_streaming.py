"""Steps that start while their plan still arrives: when, which, and that no effect has happened whatever comes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from agent_cases import GOAL, Goal, look, plan_text, purposes, ref, send, step
from hypothesis import given
from hypothesis import strategies as st

from planloom import Plan, PlanValidationError, RunStatus, find_issues
from planloom.errors import ModelError, ModelReplyError, PlanloomError
from planloom.models import ModelReply, ModelRequest
from planloom.planning.early import EarlySteps
from planloom.planning.stream import StreamReader
from planloom.testing import HANG, ScriptedModel
from planloom.tools import Toolbox


class PieceModel:
    """A planner that writes its first reply in pieces of given sizes, a second apart, and the others whole."""

    name = "pieces"

    def __init__(self, replies: list[str], sizes: list[int], *, cut_at: int | None = None) -> None:
        self.replies = replies
        self.sizes = sizes
        self.cut_at = cut_at
        self.requests: list[ModelRequest] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        return ModelReply(self.replies[min(len(self.requests), len(self.replies)) - 1])

    async def stream(self, request: ModelRequest) -> Any:
        reply = await self.complete(request)
        at = number = 0
        text = reply.text if self.cut_at is None else reply.text[: self.cut_at]
        while at < len(text):
            size = self.sizes[number % len(self.sizes)]
            yield text[at : at + size]
            at, number = at + size, number + 1
            await asyncio.sleep(1.0)
        if self.cut_at is not None:
            raise ModelReplyError("cut", reason="malformed", text=text, reply=None, model=self.name, tries=1)
        yield reply


# ---- when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 20, 200])
def test_a_step_starts_in_the_instant_in_which_its_brace_arrives(count: int) -> None:
    """On the virtual clock no time at all passes between the closing brace and the start; the rest still arrives."""
    text = plan_text(*(step(f"s{number}", "look", n=number) for number in range(count)), answer="done")
    braces: list[float] = []
    at = 0
    for _ in range(count):
        at = text.index('"depends_on": []}', at) + len('"depends_on": []}')
        braces.append((at - 1) // 4 / 100)  # pieces of four characters, a hundred a second
    made = Goal([look()], ScriptedModel([text], tokens_per_s=100, name="planner"))

    assert "done" == made.run().answer

    starts = {event.step_id: event.at - 1_700_000_000.0 for event in made.events if event.type == "step-started"}
    assert [round(seconds, 4) for seconds in braces] == [round(starts[f"s{number}"], 4) for number in range(count)]
    assert starts[f"s{count - 1}"] < made.at_s("plan-created")


def test_arrival_and_completion_wake_the_scheduler_independently() -> None:
    """A step that arrives after its dependency ended starts on arrival, one that arrived before on completion."""
    text = plan_text(
        step("a"), step("b", "look", ["a"], of=ref("a")), step("c"), step("d", "look", ["c"], of=ref("c")), answer="x"
    )
    made = Goal(
        [look("A", "B", "C", "D", takes_s=(3.0, 0.0, 0.0, 0.0))], ScriptedModel([text], tokens_per_s=10, name="planner")
    )
    made.run()
    assert made.at_s("step-arrived", "b") < made.at_s("step-succeeded", "a") == made.at_s("step-started", "b")
    assert made.at_s("step-arrived", "c") == made.at_s("step-started", "c") < made.at_s("plan-created")
    assert made.at_s("step-arrived", "d") == made.at_s("step-started", "d")


def test_a_step_that_arrives_before_what_it_needs_waits_for_it() -> None:
    """Order in the array means nothing: `b` starts when `a` has arrived and ended."""
    text = plan_text(step("b", "look", ["a"], of=ref("a")), step("a"), step("z", "send"), answer="x")
    made = Goal([look("A", "B"), send()], ScriptedModel([text], tokens_per_s=10, name="planner"))
    made.run()
    assert ["step-arrived b", "step-arrived a", "step-started a", "step-started b"] == made.types(
        "step-arrived", "step-started"
    )[:4]
    assert made.at_s("step-arrived", "a") == made.at_s("step-started", "a") == made.at_s("step-started", "b")


@pytest.mark.parametrize("size", [1, 7, 4_000, 10_000_000])
def test_two_thousand_steps_are_read_in_linear_time(size: int) -> None:
    """The characters looked at are those of the text, once, whatever the pieces; each step is checked by itself."""
    text = plan_text(*(step(f"s{number}", "look", n=number) for number in range(2_000)))
    reader = StreamReader()
    found = sum(len(reader.feed(text[at : at + size])) for at in range(0, len(text), size))
    assert 2_000 == found
    assert reader.characters_scanned <= 2 * len(text)


def test_two_thousand_early_steps_are_checked_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each check sees the step and what it needs, never the plan so far."""
    sizes: list[int] = []

    def find(plan: Plan, *args: Any, **options: Any) -> Any:
        sizes.append(len(plan.steps))
        return find_issues(plan, *args, **options)

    monkeypatch.setattr("planloom.planning.early.find_issues", find)
    steps = [step("s0"), *(step(f"s{number}", "look", [f"s{number - 1}"]) for number in range(1, 2_000))]
    early = EarlySteps(Toolbox([look().tool]), {})
    assert 2_000 == len(early.feed(plan_text(*steps)))
    assert (2_000, 2) == (len(sizes), max(sizes))


# ---- which -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "starts"),
    [
        ({}, True),
        ({"calls_model": None}, True),
        ({"open_world": True}, False),
        ({"calls_model": True}, False),
        ({"read_only": False}, False),
        ({"read_only": False, "idempotent": True}, False),
    ],
)
def test_only_what_reads_here_and_asks_no_model_starts_early(facts: dict[str, Any], *, starts: bool) -> None:
    """A tool that is open-world, calls a model, or has any effect waits for the whole plan."""
    text = plan_text(step("a"), step("z", "send"), answer="x")
    made = Goal([look("A", **facts), send()], ScriptedModel([text], tokens_per_s=10, name="planner"))
    made.run()
    assert starts == (made.at_s("step-started", "a") < made.at_s("plan-created"))


@pytest.mark.parametrize(
    "bad",
    [
        step("b", "look", ["z"], of=ref("z")),  # needs a step with an effect
        step("b", "look", ["nobody"]),
        step("b", "nothing"),
        step("b", "look", of="{{inputs.unknown}}"),
        {**step("b"), "when": "import os"},
        {**step("b"), "for_each": 7},
        {**step("b"), "retries": "many"},
        step("a"),  # an id that is taken
        {"id": "b", "tool": "look"},
    ],
)
def test_a_step_that_is_not_valid_by_itself_does_not_start(bad: dict[str, Any]) -> None:
    """Whatever is wrong with it, and whatever depends on it, waits; the good one before it does not."""
    early = EarlySteps(Toolbox([look().tool, send().tool]), {})
    started = early.feed(plan_text(step("a"), step("z", "send"), bad, step("c", "look", ["b"], of=ref("b"))))
    allowed = {"a", "b"} if bad == {"id": "b", "tool": "look"} else {"a"}
    assert {each.id for each in started} <= allowed | ({"c"} if "b" in {each.id for each in started} else set())
    assert "a" == started[0].id


# ---- a plan that is rejected, mended, cut ----------------------------------------------------------------


def test_a_rejected_plan_ends_what_had_begun() -> None:
    """The issues are raised, the early step was cancelled, and no effect has happened."""
    text = plan_text(step("a"), step("b", "send", to=ref("nobody")))
    mail = send()
    made = Goal([look(HANG), mail], [text, "no", "no"])
    with pytest.raises(PlanValidationError):
        made.run()
    assert [] == mail.calls
    assert ["step-started a", "step-cancelled a"] == made.types("step-started", "step-cancelled")


@pytest.mark.parametrize("error", [ModelError("gone"), RuntimeError("a bug")])
def test_a_stream_that_breaks_ends_what_had_begun(error: Exception) -> None:
    """The error comes as it is; the early step is cancelled and nothing is left behind."""
    text = plan_text(step("a"), step("b", "send"))
    mail = send()

    class Broken(PieceModel):
        async def stream(self, request: ModelRequest) -> Any:
            async for piece in super().stream(request):
                if isinstance(piece, ModelReply):
                    raise error
                yield piece

    made = Goal([look(HANG), mail], [])
    made.agent._planner_model = Broken([text], [10])
    with pytest.raises(type(error)):
        made.run()
    assert [] == mail.calls
    assert ["step-cancelled a"] == made.types("step-cancelled")


def test_a_mended_plan_keeps_what_is_the_same_and_runs_the_rest_again() -> None:
    """Same id, tool and arguments: run once. Changed, or needing what changed: run again, with the new values."""
    first = plan_text(
        step("same", n=1),
        step("other", n=2),
        step("after_same", "look", ["same"], of=ref("same")),
        step("after_other", "look", ["other"], of=ref("other")),
        step("bad", "send", ["other"], to=ref("nobody")),
    )
    # only broken steps may be replaced by a mending reply, so the planner breaks `other` too
    first = first.replace('"args": {"n": 2}', '"args": {"n": 2}, "retries": 99, "timeout_s": -1')
    patch = plan_text(step("other", n=3), step("bad", "send", ["other"], to=ref("other")))
    used = look()
    mail = send()
    made = Goal([used, mail], [first, patch], ["ok"])

    result = made.run()

    assert RunStatus.SUCCEEDED is result.status
    starts = made.types("step-started")
    assert 1 == starts.count("step-started same") == starts.count("step-started after_same")
    assert {"of": {"n": 3}} == result.steps["after_other"].output
    assert [{"to": {"n": 3}}] == [call.args for call in mail.calls]


@pytest.mark.parametrize("second", [2, 3])
def test_a_reply_with_two_plans_runs_the_one_that_counts(second: int) -> None:
    """A model may think better of it: whichever plan is taken, what ran early counts only where it is the same."""
    one = plan_text(step("same", n=1), step("a", n=2), step("b", "look", ["a"], of=ref("a")))
    two = plan_text(step("same", n=1), step("a", n=second), step("b", "look", ["a"], of=ref("a")), answer=ref("b"))
    made = Goal([look()], ScriptedModel([f"{one}\nOn second thought:\n{two}"], tokens_per_s=10, name="p"), ["joined"])
    made.worker = ScriptedModel([])
    result = made.clock.run(made.agent.run(GOAL, **made.options()))
    assert RunStatus.SUCCEEDED is result.status
    for each in result.plan.steps:
        if "n" in each.args:
            assert each.args == result.steps[each.id].output
    assert {"of": result.steps["a"].output} == result.steps["b"].output
    assert 1 == made.types("step-started").count("step-started same")


def test_a_mended_input_runs_again_what_used_the_old_one() -> None:
    """The arguments of a step are the values that it gets: with another input they are others."""
    text = plan_text(step("a", q="{{inputs.word}}"), step("b", "send", to=ref("nobody")), inputs={"word": "tea"})
    patch = plan_text(step("b", "send", ["a"], to=ref("a")), inputs={"word": "coffee"})
    mail = send()
    made = Goal([look(), mail], [text, patch], ["ok"])
    result = made.run()
    assert {"word": "coffee"} == result.plan.inputs
    assert [{"to": {"q": "coffee"}}] == [call.args for call in mail.calls]


def test_an_early_failure_is_planned_around_once_the_plan_is_whole() -> None:
    """No replanner is asked while the plan still arrives."""
    text = plan_text(step("a"), step("b", "look", ["a"], of=ref("a")), step("z", "send"), answer=ref("b"))
    recovery = plan_text(step("a", "look", n=2), step("b", "look", ["a"], of=ref("a")))
    model = ScriptedModel([text, recovery], tokens_per_s=10, name="planner")
    made = Goal([look(ValueError("no"), "A", "B"), send()], model)
    result = made.run()
    assert (RunStatus.SUCCEEDED, "B", 1) == (result.status, result.answer, result.replans)
    assert made.at_s("step-failed", "a") < made.at_s("plan-created") <= made.at_s("replan-started", "a")


def test_compile_starts_early_too() -> None:
    """The calls of the LLM Compiler arrive one by one."""
    text = '{"calls": [{"id": "a", "tool": "look", "args": {}}, {"id": "b", "tool": "send", "args": {}}]}'
    made = Goal([look("A"), send("B")], ScriptedModel([text], tokens_per_s=10, name="planner"), ["ok"])
    made.run(mode="compile")
    assert made.at_s("step-started", "a") < made.at_s("plan-created")


def test_a_length_stop_keeps_whole_steps_and_mends_the_rest() -> None:
    """What was cut off is an issue; what ran early is kept by the mended plan."""
    text = plan_text(step("a"), step("b", "send", ["a"], to=ref("a")), answer=ref("b"))
    cut = ModelReply(text[:-60], finish_reason="length")
    patch = plan_text(step("b", "send", ["a"], to=ref("a")), answer=ref("b"))
    used = look("A")
    made = Goal([used, send("sent")], [cut, patch])
    result = made.run()
    assert (RunStatus.SUCCEEDED, "sent", 1) == (result.status, result.answer, len(used.calls))
    assert ["plan", "mend"] == purposes(made.planner)


# ---- the property: no effect before the whole plan is valid ----------------------------------------------

KINDS = ("look", "send", "roam", "think")
TAILS = ("", " and so on", "]}]}", '"', '{"id": "x", "tool": "nothing", "args": {}}', "\n```\nmore prose {")


@st.composite
def plans(draw: st.DrawFn) -> tuple[str, list[dict[str, Any]]]:
    """A plan of up to eight steps in any order, valid or not, and its text with any tail."""
    count = draw(st.integers(1, 8))
    written: list[dict[str, Any]] = []
    for number in range(count):
        needs = draw(st.lists(st.integers(0, count), max_size=2, unique=True))
        known = [f"s{need}" for need in needs if need < number or draw(st.integers(0, 15)) == 0]
        made = step(f"s{number}", draw(st.sampled_from(KINDS)), known, **{f"v{need}": ref(need) for need in known})
        flaw = draw(st.sampled_from([None] * 8 + ["tool", "reference", "field"]))
        if flaw == "tool":
            made["tool"] = "nothing"
        elif flaw == "reference":
            made["args"]["bad"] = ref("nobody")
        elif flaw == "field":
            made["timeout_s"] = "soon"
        written.append(made)
    order = draw(st.permutations(written))
    text = plan_text(*order, answer="done")
    cut = draw(st.one_of(st.none(), st.integers(0, len(text))))
    return (text if cut is None else text[:cut]) + draw(st.sampled_from(TAILS)), list(order)


@given(
    made=plans(),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
    needs_approval=st.booleans(),
    loses_connection=st.booleans(),
    patch=st.sampled_from(["no", "plan"]),
)
def test_no_effect_before_the_whole_plan_is_valid(
    made: tuple[str, list[dict[str, Any]]],
    sizes: list[int],
    *,
    needs_approval: bool,
    loses_connection: bool,
    patch: str,
) -> None:
    """Over random plans, orders of arrival, cuts, tails and pieces; `look` reads, `send` acts, `roam` is open-world,
    `think` calls a model. Before the whole plan is there only `look` starts, once what it needs has arrived and ended.
    """
    text, _ = made
    tools = {
        "look": look(),
        "send": send(),
        "roam": look(name="roam", open_world=True),
        "think": look(name="think", calls_model=True),
    }
    goal = Goal(
        list(tools.values()), [], ["joined"], max_replans=0, approve=(lambda _: True) if needs_approval else None
    )
    replies = [text, plan_text(step("s0"), answer="mended") if patch == "plan" else "no"]
    goal.agent._planner_model = PieceModel(replies, sizes, cut_at=len(text) if loses_connection else None)
    options = goal.options()

    try:
        result = goal.clock.run(goal.agent.run(GOAL, **options))
    except PlanloomError:
        result = None

    arrived: set[str] = set()
    ended: set[str] = set()
    is_whole = False
    needs = _needs_of(text)
    for event in goal.events:
        if event.type == "step-arrived":
            arrived.add(event.step_id or "")
        elif event.type == "plan-created":
            is_whole = True
        elif event.type == "step-succeeded":
            ended.add(event.step_id or "")
        elif event.type == "step-started" and not is_whole:
            assert not needs_approval
            assert "look" == event.data["tool"]
            assert event.step_id in arrived
            assert needs[event.step_id or ""] <= ended
    if not is_whole:
        assert [] == [call for name in ("send", "roam", "think") for call in tools[name].calls]
        assert result is None
    else:
        assert result is not None
        assert [each.id for each in result.plan.steps] == list(result.steps)
        # what stayed the same ran once: a step starts twice only when the plan that came differs from what ran
        starts = goal.types("step-started")
        if not goal.types("plan-mending"):
            assert len(starts) == len(set(starts))


def _needs_of(text: str) -> dict[str, set[str]]:
    """What each step in the text needs, by the first reading of its id."""
    needs: dict[str, set[str]] = {}
    decoder = json.JSONDecoder()
    at = text.find('{"id"')
    while at >= 0:
        try:
            found, end = decoder.raw_decode(text, at)
        except ValueError:
            end = at + 1
        else:
            needs.setdefault(found["id"], set(found.get("depends_on", [])))
        at = text.find('{"id"', end)
    return needs
