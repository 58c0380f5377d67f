"""The grid of strategies: every cell is answered right, its token counts and times add up, and losses are found."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _root_is_importable(monkeypatch):
    """`bench` is found from the root of the repository, as `python -m bench` finds it."""
    monkeypatch.syspath_prepend(str(ROOT))


def part(name):
    return importlib.import_module(f"bench.strategies.{name}")


def reached(kind, calls, failing=(), *, first_token_s=0.5, tokens_per_s=80.0, tool_s=1.0):
    """Return the rows of one cell in virtual time; `run_virtually` checks every answer."""
    cells, goals = part("cells"), part("goals")
    goal = goals.Goal(kind, calls, failing)
    return cells.run_virtually(cells.Cell(goal, cells.Speed(first_token_s, tokens_per_s), tool_s))


@pytest.mark.parametrize(
    ("kind", "calls", "failing", "model_calls"),
    [
        ("independent", 1, (), {"react": 2, "parallel calls": 2, "plan-and-execute": 2, "compile": 2}),
        ("independent", 4, (), {"react": 5, "parallel calls": 2, "plan-and-execute": 2, "compile": 2}),
        ("independent", 4, (0, 2), {"react": 7, "parallel calls": 3, "plan-and-execute": 4}),
        ("listed", 4, (), {"react": 5, "parallel calls": 2, "plan-and-execute": 2, "compile": 2}),
        ("chain", 4, (), {"react": 5, "parallel calls": 5, "plan-and-execute": 1, "compile": 2}),
        ("chain", 4, (1,), {"react": 6, "parallel calls": 6, "plan-and-execute": 2}),
        ("chains", 6, (), {"react": 7, "parallel calls": 4, "plan-and-execute": 2, "compile": 2}),
        ("reading", 3, (), {"react": 4, "parallel calls": 4, "plan-and-execute": 6}),
        ("asked", 3, (), {"react": 4, "parallel calls": 4, "plan-and-execute": 4, "compile": 5}),
    ],
)
def test_each_strategy_asks_the_model_as_often_as_it_must(kind, calls, failing, model_calls):
    """Counted by hand: turns, rounds, a replan for each failing call. Who cannot reach the goal is not there."""
    rows = reached(kind, calls, failing)

    assert model_calls == {name: row.model_calls for name, row in rows.items()}


def test_a_cell_takes_what_its_tokens_and_tools_take():
    """Rounds of parallel calls have no engine: their time is the sum of prompts read, tokens written and tools."""
    cells = part("cells")
    speed = cells.Speed(0.5, 80.0)
    row = reached("independent", 4)["parallel calls"]

    reads_s = row.input_tokens / (80.0 * cells.READS_PER_TOKEN_WRITTEN)
    expected_s = 2 * speed.first_token_s + reads_s + (row.output_tokens - 2) / 80.0 + 1.0
    assert expected_s == pytest.approx(row.wall_s, abs=0.001)


def test_a_plan_can_lose_and_win():
    """One call needs no plan; a chain that a plan can write down saves a model call for every step but the first."""
    one, chain, reading = reached("independent", 1), reached("chain", 8), reached("reading", 4)

    assert one["plan-and-execute"].wall_s > one["parallel calls"].wall_s
    assert chain["plan-and-execute"].wall_s < chain["parallel calls"].wall_s
    assert reading["plan-and-execute"].wall_s > reading["react"].wall_s
    assert one["plan-and-execute"].input_tokens > one["react"].input_tokens


def test_a_cell_is_the_same_everywhere():
    """Virtual time and scripted words: twice the same rows."""
    first, second = reached("independent", 4, (1,)), reached("independent", 4, (1,))

    assert {name: (row.wall_s, row.output_tokens) for name, row in first.items()} == {
        name: (row.wall_s, row.output_tokens) for name, row in second.items()
    }


def test_the_grid_covers_what_it_says():
    """Every goal with every speed and tool; shares that fail are rounded up to whole calls, each goal stands once."""
    grid = part("grid")
    goals = grid.goals()

    assert len(goals) == len(set(goals))
    assert {1, 2, 4, 8, 16} == {goal.calls for goal in goals if goal.kind == "independent"}
    assert {(2, 1), (4, 2), (8, 4), (16, 8)} <= {(goal.calls, len(goal.failing)) for goal in goals}
    assert set(part("goals").KINDS) == {goal.kind for goal in goals}
    assert len(grid.cells()) == len(goals) * 27


def line(kind, react, parallel, plan, *, calls=2, failing=0):
    walls = {"react": react, "parallel calls": parallel, "plan-and-execute": plan}
    key = {"goal": f"{calls} {kind}", "kind": kind, "calls": calls, "failing": failing}
    speed = {"first_token_s": 0.5, "tokens_per_s": 80.0, "tool_s": 1.0}
    return {**key, **speed, "rows": {name: [wall, 2, 100, 10] for name, wall in walls.items()}}


def test_losses_are_counted_and_the_worst_is_named():
    """By hand: ratios to parallel calls of 0.5, 1 and 2; only slower is lost."""
    verdicts = part("verdicts")
    lines = [line("independent", 4, 4, 2), line("independent", 4, 2, 2), line("independent", 4, 1, 2)]

    one = verdicts.standing(lines, "parallel calls")

    assert (0.5, 1.0, 2.0) == (one.least, one.median, one.most)
    assert (1, 3) == (one.lost, one.count)
    assert lines[2] is one.worst
    assert verdicts.standing(lines, "compile") is None


def test_the_check_says_how_far_off_virtual_time_is():
    """By hand: 10 % and 30 % longer, on one model call each; the ratio is off by 1.3 / 1.1."""
    sample = [
        {"strategy": name, "virtual_s": virtual_s, "real_s": real_s, "model_calls": 1}
        for name, virtual_s, real_s in (("plan-and-execute", 1.0, 1.3), ("parallel calls", 2.0, 2.2))
    ]

    found = part("grid").check(sample)

    assert [0.3, 0.3] == pytest.approx(found["error"]["plan-and-execute"])
    assert [0.1, 0.1] == pytest.approx(found["error"]["parallel calls"])
    assert [1.3 / 1.1 - 1] * 2 == pytest.approx(found["ratio_error"])
    assert (1, 1, 1) == (found["same_side"], found["clear"], found["pairs"])
    assert found["added_ms_per_call"] == pytest.approx(250)


@pytest.mark.slow
def test_the_command_keeps_what_it_prints(tmp_path, capsys):
    """At its smallest: four goals in virtual time and one cell over HTTP, a document, and sentences made of it."""
    assert 0 == importlib.import_module("bench.strategies.__main__").main(["--tiny", "--results", str(tmp_path)])

    document = importlib.import_module("bench.results").read_results("strategies", tmp_path)
    assert 4 == len(document["grid"])
    assert {"react", "parallel calls", "plan-and-execute"} <= {one["strategy"] for one in document["sample"]}
    assert "plan-and-execute is slower than parallel calls in" in capsys.readouterr().out
