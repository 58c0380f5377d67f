"""The same goal by several strategies: rows, ratios, the table, and failures that stay where they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from planloom import Plan, RunResult, RunStatus, StepStatus, UsageError
from planloom.agent.compare import Comparison, StrategyRow, compare
from planloom.errors import BudgetExceededError, ModelRateLimitError
from planloom.models import ModelReply, ModelRequest, ModelUsage
from planloom.models.paid import PaidModel
from planloom.plan.budget import Account, Budget
from planloom.plan.results import StepError, StepResult, Usage
from planloom.testing import ScriptedModel, VirtualClock

DONE = StepStatus.SUCCEEDED
STEPS = {
    "a": StepResult("a", DONE, attempts=2),
    "b": StepResult("b", DONE, attempts=1, elements=(StepResult("b[0]", DONE, attempts=1),) * 3),
    "c": StepResult("c", StepStatus.SKIPPED),
}
NOTHING = Usage()
Made = Callable[[Account], Awaitable[RunResult]]


def strategy(
    takes_s: float = 0.0,
    replies: tuple[ModelReply | BaseException, ...] = (),
    status: RunStatus = RunStatus.SUCCEEDED,
    answer: object = "tea",
    error: StepError | None = None,
    usage: Usage = NOTHING,
) -> Made:
    """A strategy that calls a model some times, takes its time, and ends as it is told."""

    async def reach(account: Account) -> RunResult:
        model = PaidModel(ScriptedModel(replies), account)
        for _ in replies:
            await model.complete(ModelRequest.of("hello"))
        await asyncio.sleep(takes_s)
        return RunResult("run", status, answer, Plan(()), dict(STEPS), usage, error=error)

    return reach


def reply(tokens_in: int, tokens_out: int, cost_usd: float | None = None) -> ModelReply:
    return ModelReply("hi", ModelUsage(tokens_in, tokens_out), cost_usd)


def made(**strategies: Made) -> Comparison:
    return VirtualClock().run(compare("find tea", {name.replace("_", "-"): each for name, each in strategies.items()}))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ModelRateLimitError("groq:x was refused"), "groq:x was refused"),
        (BudgetExceededError("model_calls", 1, 1, 1), "the budget of 1 model calls"),
        (ValueError("a bug"), "ValueError: a bug"),
        (RuntimeError(), "RuntimeError: no message"),
    ],
    ids=["model", "budget", "bug", "silence"],
)
def test_one_that_raises_is_a_row_and_the_others_go_on(raised: Exception, expected: str) -> None:
    """Its error stands in its row, with what it had spent until then."""
    compared = made(react=strategy(replies=(reply(10, 1), raised)), compile=strategy())

    row = compared.row("react")
    assert (RunStatus.FAILED, None) == (row.status, row.answer)
    assert expected in (row.error or "")
    assert (2, 1) == (row.model_calls, row.output_tokens)
    assert row.input_tokens >= 10  # a call that broke in the middle is paid by estimate
    assert RunStatus.SUCCEEDED is compared.row("compile").status


def test_one_that_fails_says_why() -> None:
    """A run that did not succeed is a row with the run's own words, and with no ratio to the others."""
    limit = StepError("react-limit", "ReactLimitError", "there was no answer after 15 turns")
    failed = strategy(9, status=RunStatus.FAILED, answer=None, error=limit)
    compared = made(react=failed, compile=strategy(1))

    assert "there was no answer after 15 turns" in (compared.row("react").error or "")
    assert {None} == set(compared.ratios("compile").values())
    assert "times less" not in compared.render()
    assert "error: run run failed: there was no answer" in compared.render()


def test_each_has_an_account_of_its_own() -> None:
    """What one strategy spent is not taken from the next: the budget is for each."""
    compared = VirtualClock().run(
        compare(
            "x",
            {
                "react": strategy(replies=(reply(5, 5), reply(5, 5))),
                "plan-and-execute": strategy(replies=(reply(5, 5),) * 3),
                "compile": strategy(replies=(reply(5, 5),)),
            },
            budget=Budget(model_calls=2),
        )
    )
    assert [2, 2, 1] == [row.model_calls for row in compared.rows]
    assert [True, False, True] == [row.error is None for row in compared.rows]


def test_a_cost_that_nobody_knows_is_unknown() -> None:
    """One call without a price makes the cost unknown, in the row, the JSON and the table; never 0."""
    compared = made(
        react=strategy(replies=(reply(5, 5, 0.5), reply(5, 5))),
        plan_and_execute=strategy(replies=(reply(5, 5, 0.25),)),
        compile=strategy(),
    )
    assert [None, 0.25, 0.0] == [row.cost_usd for row in compared.rows]
    assert [None, 0.25, 0.0] == [row["cost_usd"] for row in compared.to_dict()["strategies"]]
    table = compared.render().splitlines()
    assert "unknown" in table[4]
    assert "$0.2500" in table[5]
    assert None is compared.ratios("plan-and-execute")["cost_usd"]


def test_rows_and_ratios() -> None:
    """Wall time is the loop's, steps are tool calls that started, and ratios are the baseline over the strategy."""
    compared = made(
        react=strategy(8, (reply(900, 90, 0.4),) * 4), plan_and_execute=strategy(2, (reply(600, 180, 0.8),))
    )
    base, row = compared.rows
    assert (8.0, 4, 3600, 360, 4) == (
        base.wall_s,
        base.model_calls,
        base.input_tokens,
        base.output_tokens,
        base.steps,
    )
    assert ("plan-and-execute", RunStatus.SUCCEEDED, 2.0, "tea", None) == (
        row.strategy,
        row.status,
        row.wall_s,
        row.answer,
        row.error,
    )
    assert {
        "wall_s": 4.0,
        "model_calls": 4.0,
        "input_tokens": 6.0,
        "output_tokens": 2.0,
        "cost_usd": 2.0,
    } == compared.ratios("plan-and-execute")


def test_usage_may_stand_in_the_result_alone() -> None:
    """A strategy that pays from elsewhere has told its usage in its result."""
    compared = made(react=strategy(usage=Usage(3, 30, 3, None)))

    row = compared.row("react")
    assert (3, 30, 3, None) == (row.model_calls, row.input_tokens, row.output_tokens, row.cost_usd)


def test_they_run_one_after_another() -> None:
    """So that none takes another's time; each row is told as it is made."""
    told: list[str] = []
    clock = VirtualClock()
    strategies = {"react": strategy(3), "compile": strategy(2)}
    compared = clock.run(compare("x", strategies, on_row=lambda row: told.append(row.strategy)))

    assert [3.0, 2.0] == [row.wall_s for row in compared.rows]
    assert ["react", "compile"] == told


def test_the_document() -> None:
    """`to_dict` is JSON: version, goal, and each row with its whole answer."""
    answer = {"text": "x" * 5_000}
    document = made(react=strategy(1.23456, answer=answer)).to_dict()

    assert document == json.loads(json.dumps(document))
    assert (1, "find tea") == (document["version"], document["goal"])
    assert [
        {
            "strategy": "react",
            "status": "succeeded",
            "wall_s": 1.235,
            "model_calls": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "cost_usd": 0.0,
            "steps": 4,
            "answer": answer,
            "error": None,
        }
    ] == document["strategies"]


def test_the_table() -> None:
    """Plain text: one line a strategy, its ratios to the baseline, then every answer."""
    compared = made(
        react=strategy(8, (reply(900, 90, 0.4),) * 4),
        plan_and_execute=strategy(2, (reply(600, 180, 0.8),), answer=["tea\n", 1]),
        compile=strategy(status=RunStatus.FAILED, error=StepError("timeout", "TimeoutError", "too\nslow")),
    )
    assert (
        "goal: find tea\n"
        "\n"
        "strategy          status       wall  model calls  tokens in  tokens out     cost  steps\n"
        "---------------------------------------------------------------------------------------\n"
        "react             succeeded  8.00 s            4      3,600         360  $1.6000      4\n"
        "plan-and-execute  succeeded  2.00 s            1        600         180  $0.8000      4\n"
        "compile           failed     0.00 s            0          0           0  $0.0000      4\n"
        "\n"
        "times less than react\n"
        "strategy           wall  model calls  tokens in  tokens out   cost\n"
        "------------------------------------------------------------------\n"
        "plan-and-execute  4.00x        4.00x      6.00x       2.00x  2.00x\n"
        "\n"
        "react:\n"
        "  tea\n"
        "\n"
        "plan-and-execute:\n"
        '  ["tea\\n", 1]\n'
        "\n"
        "compile:\n"
        "  error: run run failed: too slow\n"
    ) == compared.render()


def test_text_from_outside_cannot_change_the_terminal() -> None:
    """Goals, names and answers are shown without control characters, and long ones are cut and say so."""
    row = StrategyRow("a\x1b[2J", RunStatus.SUCCEEDED, answer="\x1b]0;x\x07" + "y" * 3_000)
    text = Comparison("goal\x1b[1m\nsecond line", (row,)).render()

    assert text.replace("\n", "").isprintable()
    assert "(3,006 characters)" in text
    assert "goal: goal\\x1b[1m second line" in text


def test_after_a_cancelled_run_nothing_is_started() -> None:
    """A run that comes back cancelled ends the comparison; what was not run says so and has no numbers."""
    compared = made(
        react=strategy(1), plan_and_execute=strategy(status=RunStatus.CANCELLED), compile=strategy(5), last=strategy(5)
    )
    assert ["succeeded", "cancelled", "not-run", "not-run"] == [str(row.status) for row in compared.rows]
    assert 0.0 == compared.row("last").wall_s


def test_a_cancelled_comparison_is_cancelled() -> None:
    """Cancellation that no run has swallowed goes through."""

    async def main() -> None:
        running = asyncio.create_task(compare("x", {"react": strategy(60)}))
        await asyncio.sleep(1)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        VirtualClock().run(main())


def test_nothing_to_compare() -> None:
    """No strategy at all is the caller's mistake."""
    with pytest.raises(UsageError, match="react, plan-and-execute, compile"):
        made()
    with pytest.raises(KeyError):
        made(react=strategy()).row("compile")
