"""How do plans compare with ReAct on the same goal? A scripted model with stated latencies, in virtual time.

`python -m bench.strategies --paper` prints the whole table. The model takes 0.5 s to its first token and writes 80
tokens a second (four characters are one token), a tool takes 0.8 s; what it writes stands in `paper_shapes`. Nothing of
it is measured on this machine's clock, so the same code gives the same numbers everywhere.
"""

from __future__ import annotations

from typing import Final

from bench.measure import Row
from bench.strategies.paper_shapes import SHAPES, TOOL_S, Shape
from planloom import Agent, RunResult
from planloom.agent.compare import BASELINE, Comparison, Strategy, StrategyRow, compare
from planloom.plan.budget import Account
from planloom.testing import ScriptedModel, VirtualClock

FIRST_TOKEN_S: Final = 0.5
TOKENS_PER_S: Final = 80.0
BOUND: Final = 1.0
"""Wall time over ReAct's: a plan that is slower than thinking step by step would be no gain at all."""


def rows(*, tiny: bool = False) -> list[Row]:  # noqa: ARG001 (virtual time costs next to nothing at full size)
    """Compare the strategies on each shape."""
    return [
        _row(shape, compared, strategy)
        for shape in SHAPES
        for compared in [compare_shape(shape)]
        for strategy in ("plan-and-execute", "compile")
    ]


def compare_shape(shape: Shape) -> Comparison:
    """Reach the goal of a shape by each strategy, in virtual time, and check that each has the answer."""
    clock = VirtualClock()
    models: list[ScriptedModel] = []

    def scripted(replies: list[str]) -> ScriptedModel:
        models.append(ScriptedModel(replies, first_token_s=FIRST_TOKEN_S, tokens_per_s=TOKENS_PER_S))
        return models[-1]

    def agent(replies: list[str]) -> Agent:
        model = scripted(replies)
        return Agent(shape.tools, planner_model=model, worker_model=model)

    async def by_react(account: Account) -> RunResult:
        return await agent(shape.react_replies).react(shape.goal, account=account, clock=clock)

    async def by_plan(account: Account) -> RunResult:
        return await agent(shape.plan_replies).run(shape.goal, account=account, clock=clock)

    async def by_compiling(account: Account) -> RunResult:
        return await agent(shape.compile_replies).compile(shape.goal, account=account, clock=clock)

    strategies: dict[str, Strategy] = {
        BASELINE: by_react,
        "plan-and-execute": by_plan,
        "compile": by_compiling,
    }
    compared = clock.run(compare(shape.goal, strategies))
    for row, model in zip(compared.rows, models, strict=True):
        model.assert_finished()
        assert row.answer == shape.joined, f"{shape.name}, {row.strategy}: {row.error or row.answer}"
    return compared


def _row(shape: Shape, compared: Comparison, strategy: str) -> Row:
    base, row = compared.row(BASELINE), compared.row(strategy)
    ratios = compared.ratios(strategy)
    paper = "" if shape.paper_times is None else f", paper {shape.paper_times}x"
    less = [f"{ratios[name] or 0:.2f}x {words}" for name, words in _LESS.items()]
    return Row(
        question=f"{shape.name}: {strategy}, wall",
        unit="s",
        floor=base.wall_s,
        planloom=row.wall_s,
        ratio=row.wall_s / base.wall_s,
        bound=BOUND,
        note=f"{ratios['wall_s'] or 0:.2f}x faster than ReAct{paper}; less by {', '.join(less)}",
    )


_LESS: Final = {"model_calls": "calls", "input_tokens": "tokens in", "output_tokens": "tokens out"}
_HEAD: Final = (
    f"{'shape':<40} {'strategy':<17} {'wall':>8} {'calls':>6} {'in':>7} {'out':>6}"
    f"  {'wall':>6} {'paper':>6} {'calls':>6} {'in':>6} {'out':>6}"
)


def print_table() -> None:
    """Print what each strategy took, and how many times less than ReAct that is."""
    print(
        f"model: {FIRST_TOKEN_S} s to the first token, {TOKENS_PER_S:g} tokens a second; tools: {TOOL_S} s. "
        "Tokens in include the JSON Schema of the reply. The right half: times less than ReAct.",
        "",
        _HEAD,
        "-" * len(_HEAD),
        sep="\n",
    )
    for shape in SHAPES:
        compared = compare_shape(shape)
        print(*(_line(shape, compared, row) for row in compared.rows), sep="\n")


def _line(shape: Shape, compared: Comparison, row: StrategyRow) -> str:
    taken = (
        f"{row.strategy:<17} {row.wall_s:>6.2f} s {row.model_calls:>6} {row.input_tokens:>7,} {row.output_tokens:>6,}"
    )
    if row.strategy == BASELINE:
        return f"{shape.name:<40} {taken}"
    wall, calls, given, written, _ = (f"{ratio or 0:.2f}x" for ratio in compared.ratios(row.strategy).values())
    paper = "" if shape.paper_times is None else f"{shape.paper_times}x"
    return f"{'':<40} {taken}  {wall:>6} {paper:>6} {calls:>6} {given:>6} {written:>6}"
