"""Every benchmark runs at its smallest size and says something; no time is asserted here."""

from __future__ import annotations

import asyncio
import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOUNDED = {
    *("journal", "journal_scale", "overhead", "makespan", "reading"),
    *("importing", "memory", "strategies", "streaming"),
}


@pytest.fixture(autouse=True)
def _root_is_importable(monkeypatch):
    """`bench` is found from the root of the repository, as `python -m bench` finds it."""
    monkeypatch.syspath_prepend(str(ROOT))


def bench(name):
    return importlib.import_module(f"bench.{name}" if name else "bench")


@pytest.mark.parametrize(
    "name",
    [
        "overhead",
        "makespan",
        "reading",
        pytest.param("importing", marks=pytest.mark.slow),
        "command",
        "memory",
        "threads",
        "arguments",
        "many_runs",
        "journal",
        pytest.param("journal_scale", marks=pytest.mark.slow),
        "strategies",
        "streaming",
    ],
)
def test_a_benchmark_answers_its_question(name):
    """Its rows have positive numbers on both sides, and a bound where one is promised."""
    rows = bench(name).rows(tiny=True)

    assert rows
    assert [] == [row for row in rows if not (row.floor > 0 and row.planloom > 0 and row.ratio > 0)]
    assert (name in BOUNDED) == any(row.bound is not None for row in rows)


def test_every_file_with_a_question_is_asked():
    """The table covers exactly the modules and packages of `bench` that have rows."""
    asked = set(bench("__main__").QUESTIONS)
    modules = {path.stem for path in (ROOT / "bench").glob("*.py") if "def rows(" in path.read_text()}
    packages = {path.parent.name for path in (ROOT / "bench").glob("*/*.py") if "def rows(" in path.read_text()}

    assert asked == modules | packages


def test_json_is_one_document_with_a_verdict_per_row(capsys):
    """`--only NAME --json` prints the rows of one question and nothing else."""
    bench("__main__").main(["--tiny", "--only", "many_runs", "--json"])

    document = json.loads(capsys.readouterr().out)
    assert [None, None] == [row["is_met"] for row in document["rows"]]
    assert ([], []) == (document["missed"], document["broken"])


@pytest.mark.parametrize(("ratio", "code", "word"), [(2.0, 0, "met"), (2.5, 1, "MISSED")])
def test_a_missed_bound_is_exit_code_1(monkeypatch, capsys, ratio, code, word):
    """The verdict is in the table and in the exit code."""
    row = bench("measure").Row(question="q", unit="ms", floor=1.0, planloom=ratio, ratio=ratio, bound=2.0)
    monkeypatch.setattr(bench("threads"), "rows", lambda *, tiny: [row])

    assert code == bench("__main__").main(["--only", "threads"])
    assert word in capsys.readouterr().out


def test_a_bound_on_the_value_looks_at_the_value():
    """Memory is bounded in MB, whatever the ratio to the floor."""
    row = bench("measure").Row(
        question="q", unit="MB", floor=10.0, planloom=90.0, ratio=9.0, bound=100.0, bound_on="value"
    )

    assert row.is_met


def test_a_broken_benchmark_does_not_hide_the_others(monkeypatch, capsys):
    """It is named, the rest still runs, and the exit code is 1."""

    def break_down(*, tiny):
        raise RuntimeError("no such tool")

    monkeypatch.setattr(bench("threads"), "rows", break_down)

    assert 1 == bench("__main__").main(["--tiny", "--only", "threads", "--only", "many_runs"])
    captured = capsys.readouterr()
    assert "did not run: threads" in captured.out
    assert "concurrent runs" in captured.out
    assert "no such tool" in captured.err


def test_the_floor_keeps_the_order_of_the_graph():
    """Each step sees the outputs of what it depends on, and runs once."""
    floors, plans = bench("floors"), importlib.import_module("planloom.testing")
    graph = floors.graph_by_hand(plans.layered(4, 5))
    ran = []

    async def work(position, outputs):
        assert all(outputs[needed] == needed for needed in graph.dependencies[position])
        ran.append(position)
        return position

    assert list(range(20)) == asyncio.run(floors.run_by_hand(graph, work))
    assert list(range(20)) == sorted(ran)


def test_the_critical_path_is_the_longest_way_through():
    """Computed by hand, so that it does not lean on what it measures."""
    floors, plans = bench("floors"), importlib.import_module("planloom.testing")

    assert 6.0 == floors.critical_path_s(floors.graph_by_hand(plans.fan(3)), [1.0, 2.0, 4.0, 3.0, 1.0])


def test_strategies_are_the_same_everywhere():
    """They are compared in virtual time: twice the same numbers, and a plan is never slower than ReAct."""
    strategies = bench("strategies")
    first, second = strategies.rows(), strategies.rows()

    assert first == second
    assert all(row.is_met for row in first)
