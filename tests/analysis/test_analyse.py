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
from planloom.analysis import Analysis, analyse, load_playbook, render_report, toolbox
from planloom.analysis.report import page_of
from planloom.analysis.report_markdown import markdown_of
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
    assert ["load_data", "compute_stats", "find_anomalies", "generate_summary"] == list(tools)[:4]
    assert {"profile_table", "correlate", "choose_charts", "draw_chart", "report"} <= set(tools)
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


@pytest.mark.slow
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
    # what only the report shows (profile, missing values, charts) is used by no other step
    assert {"unused-step"} == {issue.code for issue in find_issues(analysis.plan, toolbox)}
    assert [9, 9, 9] == [sum(step.id.endswith(f"_{n}") for step in analysis.plan.steps) for n in (1, 2, 3)]
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
    assert {"load", "stats", "anomalies", "summary", "charts"} <= set(steps)
    assert ("run-started", "run-finished") == (events[0], events[-1])


def test_question_needs_a_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question is refused before anything runs, with the variables that would give a model."""
    for provider in PROVIDERS.values():
        for name in provider.key_variables:
            monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"GROQ_API_KEY, OPENAI_API_KEY"):
        run(SALES, question="Which region sells most?")
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


def test_a_question_reads_no_other_file(tmp_path: Path) -> None:
    """Whatever a plan says, only the files that were given are read: a column name may have talked to the planner."""
    (tmp_path / "private.csv").write_text("name,salary\nann,7\n")
    plan = {"steps": [{"id": "table", "tool": "load_data", "args": {"path": str(tmp_path / "private.csv")}}]}
    model = ScriptedModel([json.dumps(plan), '{"steps": [], "give_up": "not allowed"}'])
    analysis = run(SALES, question="What does ann earn?", model=model)
    error = analysis.steps["table"].error
    assert error is not None
    assert (RunStatus.FAILED, True) == (analysis.status, "none of the files" in error.message)


REGIONS: dict[str, list[dict[str, Any]]] = {
    "steps": [
        {"id": "table", "tool": "load_data", "args": {"path": "{{inputs.path}}"}},
        {"id": "regions", "tool": "group_summary", "args": {"data": "{{table.output}}", "by": ["region"],
                                                            "columns": ["revenue"], "measures": ["sum"]}},
        {"id": "picture", "tool": "draw_chart", "args": {"data": "{{table.output}}", "kind": "bar", "x": "region"}},
    ]
}  # fmt: skip


def test_numbers_of_the_answer_are_traced() -> None:
    """Each number of an answer has the step that gave it; one that no step gave is flagged, in page and document."""
    model = ScriptedModel([json.dumps(REGIONS), "West has 118 of 400 orders, 54,620.03 in all, and 777 more."])
    analysis = run(SALES, question="Which region sells most?", model=model)
    traced = [(figure.text, figure.status, figure.step) for figure in analysis.figures]
    assert [("118", "regions"), ("400", "table")] == [(text, step) for text, _, step in traced[:2]]
    assert ("777", "untraced", None) == traced[-1]
    assert "untraced" == analysis.to_dict()["figures"][-1]["status"]
    page = render_report(analysis)
    assert '<a href="#step-regions">regions</a>' in page
    assert '<mark class="untraced" title="no step gave this number">777</mark>' in page
    # the question's chart is one that the playbook drew too: the same drawing, shown in both places
    assert (9, 8) == (page.count('<figure class="chart">'), len(analysis.drawings))


def test_given_numbers_are_said_to_be_given() -> None:
    """A number that the question says is marked as given, in the page and in Markdown, and so are the run's inputs."""
    model = ScriptedModel([json.dumps(REGIONS), "Of the top 17, West has 118."])
    analysis = run(SALES, question="Which region sells most of the top 17?", model=model, charts=0)
    assert [("17", "given"), ("118", "traced")] == [(figure.text, figure.status) for figure in analysis.figures]
    page, text = render_report(analysis), markdown_of(page_of(analysis))
    assert '17<a href="#given">given</a>' in page
    assert "Of the answer's numbers 17 is given by the question, an input or an argument" in " ".join(page.split())
    assert "Given as inputs: <code>path</code>" in page
    assert "**17** (given)" in text
    assert "Given as inputs: `path` = " in text


def test_a_model_without_a_question() -> None:
    """A model alone is asked to load, compute, find anomalies and sum up."""
    model = ScriptedModel([json.dumps(REGIONS), "All is well."])
    analysis = run(SALES, model=model, charts=0)
    assert analysis.question is not None
    assert "anomalies" in analysis.question
    assert "All is well." == analysis.answer
    assert "no model is configured" not in analysis.summary


@pytest.mark.parametrize("allow_rows", [False, True])
def test_rows_are_shown_only_when_allowed(tmp_path: Path, allow_rows: bool) -> None:
    """The planner sees names, types and figures; cells of rows only with leave."""
    (tmp_path / "t.csv").write_text("who,n\nSecretville,1\nOther,2\n")
    model = ScriptedModel([json.dumps({"steps": REGIONS["steps"][:1]}), "Done."])
    run(tmp_path / "t.csv", question="Who?", model=model, allow_rows=allow_rows, charts=0)
    planner = "\n".join(message.text for message in model.requests[0].messages)
    assert allow_rows == ("Secretville" in planner)


@pytest.mark.parametrize("allow_rows", [False, True])
def test_categories_are_shown_only_when_allowed(tmp_path: Path, allow_rows: bool) -> None:
    """Common values of a column with few are cells of the data too, even where they stand in no row that is shown."""
    lines = [f"many{number},{kind},{number}\n" for number, kind in enumerate(["a"] * 30 + ["Rareville"] * 9)]
    (tmp_path / "t.csv").write_text("key,kind,n\n" + "".join(lines))
    model = ScriptedModel([json.dumps({"steps": REGIONS["steps"][:1]}), "Done."])
    run(tmp_path / "t.csv", question="Which kinds?", model=model, allow_rows=allow_rows, charts=0)
    planner = "\n".join(message.text for message in model.requests[0].messages)
    assert allow_rows == ('"common": ["a", "Rareville"]' in planner)
    assert allow_rows == ("Rareville" in planner)
    assert "many38" not in planner


@pytest.mark.parametrize("text", ["x\n", "x\n1\n", "x,y\na,b\nc,d\n", "x\n5\n5\n5\n", "x,y\n1,\n2,\n"])
def test_playbook_on_small_tables(tmp_path: Path, text: str) -> None:
    """Tables without numbers, with one column, one row or no row end well: what there is nothing of is left out."""
    (tmp_path / "t.csv").write_text(text)
    analysis = run(tmp_path / "t.csv")
    if text != "x\n":  # a head without rows is refused, or is a table without rows; either way there is a page
        analysis.raise_for_status()
    assert "How each number was made" in render_report(analysis)


ODD_TABLES = {
    "columns that are never filled in the same row": "day,n,g\n"
    + "2024-01-01,,\n" * 3
    + "".join(f"2024-02-{day:02d},,\n,{day}.5,\n,,{'ab'[day % 2]}\n" for day in range(1, 29)),
    "dates at the ends of the calendar": "day,n\n0001-01-01,1.5\n9999-12-31,2.5\n2024-01-01,3.5\n",
    "numbers at the ends of the range": "a,b,c\n" + "".join(f"{n}e307,{n}e-300,{n}.5\n" for n in range(1, 15)),
    "names that are SQL": '"a"";--","x\'y","{{b}}"\n' + "".join(f"{n},{n % 3},{n * 7 % 5}\n" for n in range(30)),
}


@pytest.mark.parametrize("name", ODD_TABLES)
def test_playbook_on_odd_tables(tmp_path: Path, name: str) -> None:
    """A chart that could not be drawn is not chosen, so that it fails no analysis."""
    (tmp_path / "t.csv").write_text(ODD_TABLES[name])
    analysis = run(tmp_path / "t.csv").raise_for_status()
    assert len(analysis.tables[0].charts) == len(analysis.steps["chosen"].output["charts"])


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
