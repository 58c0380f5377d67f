"""One goal by several strategies, one after another, each with an account of its own: what each took and gave.

A strategy that fails or raises is a row that says so, and the others go on. What is not known is said to be unknown:
a cost is never 0 because nobody knew the price.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from planloom.errors import PlanloomError, UsageError
from planloom.plan.budget import Account, Budget
from planloom.plan.issues import printable, shorten
from planloom.plan.results import RunResult, Usage
from planloom.plan.state import RunStatus

COMPARISON_VERSION: Final = 1
STRATEGIES: Final = ("react", "plan-and-execute", "compile")
"""The names of the strategies that every agent has. Ratios are against the first of them."""
BASELINE: Final = STRATEGIES[0]
MAX_ANSWER_CHARS: Final = 2_000
"""How much of an answer the table shows; `to_dict` has all of it."""
MAX_ERROR_CHARS: Final = 400

Strategy = Callable[[Account], Awaitable[RunResult]]
"""Reaches the goal once, and pays its model calls from the account."""
RowStatus = RunStatus | Literal["not-run"]


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """What one strategy took and gave.

    `wall_s` is seconds of wall time. `steps` counts tool calls that were started, each element of a `for_each` as one
    and retries not. `cost_usd` None means unknown. `error` is None when the goal was reached. `status` is "not-run"
    after a comparison was cancelled.
    """

    strategy: str
    status: RowStatus
    wall_s: float = 0.0
    model_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    steps: int = 0
    answer: Any = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {
            "strategy": self.strategy,
            "status": str(self.status),
            "wall_s": round(self.wall_s, 3),
            "model_calls": self.model_calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": self.cost_usd,
            "steps": self.steps,
            "answer": self.answer,
            "error": self.error,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rows of all strategies, in the order in which they ran."""

    goal: str
    rows: tuple[StrategyRow, ...]

    def row(self, strategy: str) -> StrategyRow:
        """Return the row of a strategy. Raises `KeyError`."""
        for row in self.rows:
            if row.strategy == strategy:
                return row
        raise KeyError(strategy)

    def ratios(self, strategy: str) -> dict[str, float | None]:
        """Return how many times less than the baseline a strategy took: 2.0 is half.

        Of `wall_s`, `model_calls`, `input_tokens`, `output_tokens` and `cost_usd`; None where one of the two is unknown
        or nothing, or did not reach the goal, since an end without an answer is no cheaper way to one.
        """
        base, row = self.row(BASELINE), self.row(strategy)
        names = ("wall_s", "model_calls", "input_tokens", "output_tokens", "cost_usd")
        if not base.status == row.status == RunStatus.SUCCEEDED:
            return dict.fromkeys(names)
        return {name: _ratio(getattr(base, name), getattr(row, name)) for name in names}

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as the JSON document of `planloom compare --json`."""
        return {
            "version": COMPARISON_VERSION,
            "goal": self.goal,
            "strategies": [row.to_dict() for row in self.rows],
        }

    def render(self) -> str:
        """Return the comparison as plain text: a table, the ratios to the baseline, every answer and error."""
        parts = [f"goal: {shorten(self.goal, 200)}", "", *_aligned([_HEAD, *map(_cells, self.rows)])]
        if any(row.strategy == BASELINE for row in self.rows):
            ratios = [
                [row.strategy, *map(_times, self.ratios(row.strategy).values())]
                for row in self.rows
                if row.strategy != BASELINE and any(self.ratios(row.strategy).values())
            ]
            if ratios:
                parts += ["", f"times less than {BASELINE}", *_aligned([_RATIO_HEAD, *ratios])]
        for row in self.rows:
            text = _answer_text(row.answer) if row.error is None else f"error: {shorten(row.error, MAX_ERROR_CHARS)}"
            parts += ["", f"{shorten(row.strategy, 40)}:", *(f"  {line}" for line in text.split("\n"))]
        return "\n".join(line.rstrip() for line in parts) + "\n"


async def compare(
    goal: str,
    strategies: Mapping[str, Strategy],
    *,
    budget: Budget | None = None,
    on_row: Callable[[StrategyRow], None] | None = None,
) -> Comparison:
    """Reach `goal` by each strategy, one after another, and return what each took and gave.

    `strategies` are coroutine functions by name, in the order in which they run; each gets an `Account` of its own with
    `budget`, to pay its model calls from, and returns a `RunResult`. `on_row` is called with each row as it is made.
    One that raises becomes a row with its error. When a run comes back cancelled, the rest is not run. Raises
    `UsageError` for no strategy at all, and `CancelledError` when it is cancelled itself.
    """
    if not strategies:
        raise UsageError(f"there is nothing to compare: name strategies, such as {', '.join(STRATEGIES)}")
    rows: list[StrategyRow] = []
    for name, strategy in strategies.items():
        if rows and rows[-1].status in (RunStatus.CANCELLED, "not-run"):
            row = StrategyRow(name, "not-run", cost_usd=0.0, error="not run: the comparison was cancelled")
        else:
            row = await _run(name, strategy, Account(budget))
        rows.append(row)
        if on_row is not None:
            on_row(row)
    return Comparison(goal, tuple(rows))


async def _run(name: str, strategy: Strategy, account: Account) -> StrategyRow:
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        result = await strategy(account)
    except Exception as error:  # noqa: BLE001 - whatever one strategy raises, the others are still to be seen
        wall_s = loop.time() - began
        return _row(name, RunStatus.FAILED, wall_s, account.usage(), error=_said(error))
    wall_s = loop.time() - began
    # a strategy that was given its models from elsewhere has told its usage in the result alone
    usage = account.usage() if account.model_calls else result.usage
    error = None if result.status is RunStatus.SUCCEEDED else result.explain()
    return _row(name, result.status, wall_s, usage, _calls_in(result), result.answer, error)


def _row(
    name: str,
    status: RunStatus,
    wall_s: float,
    usage: Usage,
    steps: int = 0,
    answer: Any = None,
    error: str | None = None,
) -> StrategyRow:
    return StrategyRow(
        name,
        status,
        wall_s,
        usage.model_calls,
        usage.input_tokens,
        usage.output_tokens,
        usage.cost_usd,
        steps,
        answer,
        error,
    )


def _calls_in(result: RunResult) -> int:
    """Return the number of tool calls that were started."""
    units = [unit for step in result.steps.values() for unit in (step.elements or (step,))]
    return sum(1 for unit in units if unit.attempts)


def _said(error: Exception) -> str:
    message = str(error) or "no message"
    return message if isinstance(error, PlanloomError) else f"{type(error).__name__}: {message}"


def _ratio(base: float | None, other: float | None) -> float | None:
    return base / other if base and other else None


_HEAD: Final = ["strategy", "status", "wall", "model calls", "tokens in", "tokens out", "cost", "steps"]
_RATIO_HEAD: Final = ["strategy", "wall", "model calls", "tokens in", "tokens out", "cost"]


def _cells(row: StrategyRow) -> list[str]:
    return [
        row.strategy,
        str(row.status),
        f"{row.wall_s:.2f} s",
        f"{row.model_calls:,}",
        f"{row.input_tokens:,}",
        f"{row.output_tokens:,}",
        "unknown" if row.cost_usd is None else f"${row.cost_usd:.4f}",
        f"{row.steps:,}",
    ]


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.2f}x"


def _aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows with columns of one width each, words to the left and numbers to the right."""
    shown = [[shorten(cell, 40) for cell in row] for row in table]
    widths = [max(len(row[column]) for row in shown) for column in range(len(shown[0]))]
    words = {column for column, name in enumerate(shown[0]) if name in ("strategy", "status")}
    lines = [
        "  ".join(
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in shown
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _answer_text(answer: Any) -> str:
    """Return an answer for a terminal: text as it is, anything else as JSON, bounded."""
    text = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False, default=str)
    cut = text if len(text) <= MAX_ANSWER_CHARS else f"{text[:MAX_ANSWER_CHARS]}… ({len(text):,} characters)"
    return "\n".join(map(printable, cut.split("\n")))
