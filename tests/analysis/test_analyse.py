"""The analyst: the playbook is sound, runs on real files through the engine, and names its parts."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from planloom import (
    Plan,
    RunStatus,
    StepExecutionError,
    UsageError,
    execute_plan,
    find_issues,
    load_toolbox,
    topological_waves,
)
from planloom.analysis import Analysis, analyse, load_playbook, toolbox
from planloom.models.providers import PROVIDERS
from planloom.testing import ScriptedModel

SALES = Path(__file__).resolve().parents[2] / "examples" / "sales.csv"

REAL_TABLES = {
    "2014_q4.csv": (92, 9, 8),
    "2015.csv": (158, 12, 10),
    "20170413_000000_group_statistics.csv": (96, 10, 7),
    "DES=+2006261.csv": (329, 5, 4),
    "Zip_MedianSoldPricePerSqft_AllHomes.csv": (5124, 9, 4),
    "beauty and the labor market.csv": (1260, 19, 19),
    "gapminder_gdp_asia.csv": (33, 13, 12),
    "insurance.csv": (1338, 7, 4),
    "percent-bachelors-degrees-women-usa.csv": (42, 18, 18),
    "random_stock_data.csv": (750, 6, 5),
    "test_x.csv": (418, 8, 8),
    "titanic_train.csv": (891, 12, 7),
    "tr_eikon_eod_data.csv": (2216, 13, 12),
    "unemployement_industry.csv": (68, 10, 9),
}
"""Name: rows, columns, numeric columns."""


def run(*paths: Any, **options: Any) -> Analysis:
    """Analyse files in a loop of their own."""
    return asyncio.run(analyse(paths[0] if len(paths) == 1 else list(paths), **options))


def test_playbook_is_valid() -> None:
    """The playbook has no error and no warning, and its middle steps stand side by side."""
    assert [] == find_issues(load_playbook(), toolbox)
    waves = [[step.id for step in wave] for wave in topological_waves(load_playbook())]
    assert [["load"], ["stats", "anomalies"], ["summary"]] == waves


def test_wrong_references_are_caught() -> None:
    """The output types let the validator see a reference that cannot be, before anything runs."""
    text = load_playbook().to_json()
    broken = Plan.from_json(text.replace("{{load.output}}", "{{load.output.tabel}}"))
    assert {"reference-path"} == {issue.code for issue in find_issues(broken, toolbox)}
    swapped = Plan.from_json(text.replace("{{stats.output}}", "{{load.output}}"))
    assert {"reference-type"} <= {issue.code for issue in find_issues(swapped, toolbox)}


def test_toolbox_can_be_named() -> None:
    """A command line can name the toolbox, and every tool in it is read-only."""
    tools = load_toolbox("planloom.analysis:toolbox")
    assert ["load_data", "compute_stats", "find_anomalies", "generate_summary"] == list(tools)
    assert all(tool.read_only and not tool.open_world for tool in tools.values())


def test_sales() -> None:
    """The example finds its planted mistakes and gives exactly three sentences that name the template."""
    analysis = run(SALES)
    assert "succeeded" == analysis.status
    assert analysis.stats is not None
    assert analysis.anomalies is not None
    assert 400 == analysis.stats["rows"]
    planted = {"units": 58, "delivery_days": 132, "unit_price": 199}
    found = analysis.anomalies["columns"]
    assert planted == {name: found[name]["values"][0]["row"] for name in planted}
    sentences = analysis.tables[0].summary["sentences"] if analysis.tables[0].summary else []
    assert 3 == len(sentences)
    assert analysis.answer == analysis.summary == " ".join(sentences)
    assert "template, as no model is configured" in analysis.summary
    assert 3 == len(re.findall(r"\.(?: |$)", analysis.summary))


@pytest.mark.parametrize("name", REAL_TABLES)
def test_real_table(name: str, dabench: Path) -> None:
    """Every real table loads and is analysed, dirty headers and cells included, into plain JSON."""
    analysis = run(dabench / name).raise_for_status()
    assert analysis.stats is not None
    found = (analysis.stats["rows"], len(analysis.stats["columns"]), len(analysis.stats["numeric"]))
    assert REAL_TABLES[name] == found
    json.dumps(analysis.to_dict(), allow_nan=False)


# file, column, figure, answer published with the questions
PUBLISHED = [
    ("insurance.csv", "age", "mean", 39.21),
    ("titanic_train.csv", "Fare", "mean", 32.20),
    ("2015.csv", "Happiness Score", "mean", 5.38),
]


@pytest.mark.parametrize(("name", "column", "figure", "answer"), PUBLISHED)
def test_published_answer(name: str, column: str, figure: str, answer: float, dabench: Path) -> None:
    """Figures agree with the answers that were published for these tables."""
    stats = run(dabench / name).stats
    assert stats is not None
    assert pytest.approx(answer, abs=0.006) == stats["numeric"][column][figure]


def test_several_files(tmp_path: Path) -> None:
    """Each file has its own branch; one that cannot be read does not hold up the others."""
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    (tmp_path / "b.csv").write_text("")
    analysis = run(tmp_path / "a.csv", str(tmp_path / "b.csv"), SALES)
    assert [] == find_issues(analysis.plan, toolbox)
    assert [4, 4, 4] == [sum(step.id.endswith(f"_{n}") for step in analysis.plan.steps) for n in (1, 2, 3)]
    assert "failed" == analysis.status
    assert [2, None, 400] == [table.stats and table.stats["rows"] for table in analysis.tables]
    assert ["a.csv", "b.csv", "sales.csv"] == [table.name for table in analysis.tables]
    error = analysis.steps["load_2"].error
    assert error is not None
    assert "is empty" in error.message
    with pytest.raises(StepExecutionError):
        analysis.raise_for_status()


def test_plan_runs_again() -> None:
    """The plan of an analysis runs by itself, without `analyse`, to the same answer."""
    analysis = run(SALES)
    again = asyncio.run(execute_plan(Plan.from_json(analysis.plan.to_json()), toolbox))
    assert analysis.answer == again.answer


def test_overrides(tmp_path: Path) -> None:
    """What the caller says about the file stands in the plan's arguments."""
    (tmp_path / "t.txt").write_text("1:2\n3:4\n")
    analysis = run(tmp_path / "t.txt", separator=":", header=False, threshold=2)
    assert {"path": "{{inputs.path}}", "separator": ":", "header": False} == analysis.plan.step("load").args
    assert 2.0 == (analysis.anomalies or {})["threshold"]
    assert "Separator: ':', as asked." in analysis.decisions


def test_callbacks() -> None:
    """Events and finished steps are passed on while the run goes."""
    steps: list[str] = []
    events: list[str] = []
    run(SALES, on_step_complete=lambda step: steps.append(step.id), on_event=lambda event: events.append(event.type))
    assert {"load", "stats", "anomalies", "summary"} == set(steps)
    assert ("run-started", "run-finished") == (events[0], events[-1])


def test_question_needs_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question is refused before anything runs, with the variables that would give a model; so is a model alone."""
    for provider in PROVIDERS.values():
        for name in provider.key_variables:
            monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"GROQ_API_KEY, OPENAI_API_KEY"):
        run(SALES, question="Which region sells most?")
    with pytest.raises(UsageError, match="only for a question"):
        run(SALES, model="groq:x")
    with pytest.raises(UsageError, match="empty"):
        run(SALES, question=" ", model=ScriptedModel([]))


def test_question() -> None:
    """The answer is the analysis's answer, beside what the playbook found; a missing file is not asked about."""
    plan = {"steps": [{"id": "table", "tool": "load_data", "args": {"path": "{{inputs.path}}"}}]}
    model = ScriptedModel([json.dumps(plan), "West sells most."])
    analysis = run(SALES, question="Which region sells most?", model=model)
    assert (RunStatus.SUCCEEDED, "West sells most.", 2) == (
        analysis.status, analysis.answer, analysis.result.usage.model_calls,
    )  # fmt: skip
    assert analysis.stats is not None
    model.assert_finished()
    failed = run("nowhere.csv", question="Which region sells most?", model=ScriptedModel([]))
    assert RunStatus.FAILED is failed.status


def test_no_file() -> None:
    """No file at all is the caller's mistake."""
    with pytest.raises(UsageError, match="no file"):
        run(*[], [])


def test_example_is_reproducible(capsys: pytest.CaptureFixture[str]) -> None:
    """The example is what its script writes."""
    namespace: dict[str, Any] = {"__name__": "make_sales"}
    exec((SALES.parent / "make_sales.py").read_text(), namespace)
    namespace["main"]()
    assert SALES.read_text() == capsys.readouterr().out


def test_a_listener_that_blocks_the_loop_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """`on_blocked` is called from another thread while the loop is held up, as for any run."""
    monkeypatch.setattr("planloom.engine.watchdog.BLOCKED_AFTER_S", 0.02)
    told, threads = threading.Event(), set[str]()

    def on_blocked(step_id: str, blocked_s: float) -> None:
        threads.add(threading.current_thread().name)
        told.set()

    analysis = run(SALES, on_event=lambda event: told.wait(60), on_blocked=on_blocked)
    assert ("succeeded", {"planloom-watchdog"}) == (analysis.status, threads)
