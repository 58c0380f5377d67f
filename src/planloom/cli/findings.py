"""What `planloom analyse` runs and shows: the playbook, what it found as tables, and the report.

Names of columns and cells come from the data: every one passes `visible` or `one_line` before it is printed.
"""

from __future__ import annotations

import dataclasses
import secrets
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from planloom.analysis.analyst import Analysis, TableAnalysis, analysis_of
from planloom.analysis.anomalies import DEFAULT_THRESHOLD
from planloom.analysis.keepsakes import with_drawings
from planloom.analysis.playbook import USUAL_CHARTS, plan_for
from planloom.analysis.report import Section, page_of, render_report, section_of
from planloom.analysis.report_markdown import markdown_of
from planloom.analysis.tools import toolbox
from planloom.analysis.tracing import Figure, untraced
from planloom.cli.asking import Question
from planloom.cli.documents import write_answer
from planloom.cli.driver import Start
from planloom.cli.keeping import Keeper, Kept, folder_beside, starting
from planloom.cli.ledger import Ledger
from planloom.cli.options import Mode
from planloom.cli.runs import drive, say_outcome
from planloom.cli.tables import Column, table_text
from planloom.cli.terminal import OutputError, Terminal, paint
from planloom.cli.text import counted, one_line, took, visible
from planloom.engine.execute import execute_plan
from planloom.plan.model import Plan
from planloom.plan.results import RunResult
from planloom.plan.state import RunStatus

MAX_ROWS: Final = 60
"""Columns of a data file that a table on the terminal lists; the report and the JSON have more."""
MAX_TEXT_COLUMNS: Final = 110
"""Columns of running text, which is hard to read in wider lines."""
MAX_NAME_CHARS: Final = 40
MAX_PIPED_CHARS: Final = 4_000
"""Where there is no screen, a name is as long as it likes, within reason."""
MIN_LEFT_S: Final = 0.001
MAX_FIGURES: Final = 40
"""Numbers of an answer of which the terminal says where they come from; the report and the JSON have all."""
GIVEN: Final = "given by the question"
_ROOM_FOR_QUARTILES: Final = 96


def run_playbook(
    terminal: Terminal,
    mode: Mode,
    files: tuple[str, ...],
    report: Path,
    max_concurrency: int | None,
    time_limit_s: float | None,
    question: Question | None = None,
    *,
    as_markdown: bool = False,
    charts: int = USUAL_CHARTS,
    keeper: Keeper | None = None,
) -> int:
    """Run the playbook on files, answer the question, show what was found, write the report; return the exit code."""
    plan = plan_for(files, threshold=DEFAULT_THRESHOLD, overrides={}, charts=charts)
    ledger = Ledger(plan if question is None else dataclasses.replace(plan, goal=question.text), toolbox)
    findings = Findings(terminal, report, as_markdown=as_markdown, question=question)

    async def begin(kept: Kept) -> RunResult:
        run_id = secrets.token_hex(8)
        folder = kept.get("workdir") or folder_beside(kept, run_id)
        result = await execute_plan(
            plan,
            toolbox,
            max_concurrency=max_concurrency,
            timeout_s=time_limit_s,
            worker_model=None if question is None else question.models.worker,
            run_id=run_id,
            **kept,
        )
        found = findings.take(result, folder)
        if question is None or result.status is not RunStatus.SUCCEEDED:
            return result
        left_s = None if time_limit_s is None else max(MIN_LEFT_S, time_limit_s - result.duration_ms / 1_000)
        ledger.begin_again("asking about the data")
        ledger.note(f"looked at the data: {counted(len(result.steps), 'step')} in {took(result.duration_ms)}")
        findings.analysis = await question.ask(found, max_concurrency, {**kept, "workdir": folder, "timeout_s": left_s})
        return findings.analysis.result

    return drive_findings(findings, mode, plan, ledger, starting(keeper, begin), time_limit_s, keeper)


@dataclasses.dataclass(slots=True)
class Findings:
    """What a run of the playbook found, and where that goes: to stdout as tables, and into a report.

    Without a `report` none is written. With a `question`, its answer stands before the tables.
    """

    terminal: Terminal
    report: Path | None
    as_markdown: bool = False
    question: Question | None = None
    analysis: Analysis | None = None
    """Of a run that has ended; one that was cut off is read from its result alone."""

    def take(self, result: RunResult, folder: Path) -> Analysis:
        """Read a run that has ended, with the drawings in its folder."""
        self.analysis = with_drawings(analysis_of(result), folder)
        return self.analysis

    def prepare(self, result: RunResult) -> dict[str, Any]:
        """Write the report if anything was found; return what the document says of it. Raises `OutputError`."""
        analysis = self.analysis or analysis_of(result)
        if result.status is RunStatus.CANCELLED or not any(table.stats for table in analysis.tables):
            return {}
        added: dict[str, Any] = {}
        if self.report is not None:
            _write_report(self.report, analysis, as_markdown=self.as_markdown)
            added["report"] = str(self.report)
        if self.question is not None:
            added["figures"] = [figure.to_dict() for figure in analysis.figures]
        return added

    def show(self, result: RunResult) -> None:
        """Write the tables."""
        analysis, terminal = self.analysis or analysis_of(result), self.terminal
        terminal.text("\n".join([*_figures(terminal, analysis.figures), *_findings(terminal, analysis.tables)]))


def drive_findings(
    findings: Findings,
    mode: Mode,
    plan: Plan,
    ledger: Ledger,
    start: Start,
    time_limit_s: float | None,
    keeper: Keeper | None,
) -> int:
    """Run the playbook, anew or from where it stopped, and deliver what it finds; return the exit code.

    `start` is what has `findings` take its result.
    """
    terminal, has_question = findings.terminal, findings.question is not None
    return drive(
        terminal,
        mode,
        plan,
        toolbox,
        start,
        (lambda result: _show_answer(terminal, result)) if has_question else findings.show,
        time_limit_s,
        findings.prepare,
        streams_answer=has_question,
        outcome=None if has_question else _say_outcome,
        say_how_to_go_on=None if keeper is None else keeper.say_how_to_go_on,
        ledger=ledger,
        keeps_display=False,
        is_quiet=True,
        show_also=findings.show if has_question else None,
    )


def _show_answer(terminal: Terminal, result: RunResult) -> None:
    if result.answer is not None:
        terminal.data(write_answer(result.answer) + "\n")


def _write_report(report: Path, analysis: Analysis, *, as_markdown: bool) -> None:
    text = markdown_of(page_of(analysis)) if as_markdown else render_report(analysis)
    try:
        report.write_bytes(text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise OutputError(f"`{report}`", error) from error


def _say_outcome(terminal: Terminal, result: RunResult) -> None:
    """Say how it went, and that no model had a part in it."""
    say_outcome(terminal, result)
    terminal.say("no model was asked: this is the built-in playbook; --ask QUESTION asks one", "dim")


# ---- for people --------------------------------------------------------------------------------------------


def _figures(terminal: Terminal, figures: Sequence[Figure]) -> Iterator[str]:
    """Where each number of the answer comes from, and which of them no step gave."""
    sources: dict[str, list[str]] = {}
    for figure in figures[:MAX_FIGURES]:
        source = GIVEN if figure.status == "given" else figure.step
        if source is not None:
            sources.setdefault(source, []).append(one_line(figure.text.strip(), 40))
    if sources:
        yield _head(terminal, "Where the numbers come from")
        listed = (f"{one_line(source, 60)}: {', '.join(dict.fromkeys(texts))}" for source, texts in sources.items())
        yield "\n".join(_wrapped(terminal, line, "- ") for line in listed) + "\n"
    unknown = dict.fromkeys(one_line(figure.text.strip(), 40) for figure in untraced(list(figures)))
    if unknown:
        text = f"No step gave {', '.join(list(unknown)[:MAX_FIGURES])}: check before use."
        head = "Numbers that are not from the data"
        yield paint(head, "red") if terminal.data_has_colour else head
        yield _wrapped(terminal, text) + "\n"


def _findings(terminal: Terminal, tables: Sequence[TableAnalysis]) -> Iterator[str]:
    """Every part of the findings as text: per file the summary, the anomalies, the statistics, the columns."""
    for table in tables:
        if table.stats is None:
            continue
        if len(tables) > 1:
            yield _head(terminal, one_line(table.path, 120)) + "\n"
        yield from _of_table(terminal, section_of(table))


def _of_table(terminal: Terminal, section: Section) -> Iterator[str]:
    if section.sentences:
        yield _head(terminal, "Summary")
        yield "\n".join(_wrapped(terminal, sentence) for sentence in section.sentences) + "\n"
    if section.remarks:
        yield _head(terminal, "Worth knowing")
        yield "\n".join(_wrapped(terminal, remark, "- ") for remark in section.remarks) + "\n"
    yield _anomalies(terminal, section)
    if section.numeric:
        yield _head(terminal, "Statistics")
        yield _statistics(terminal, section)
    yield _head(terminal, "Columns")
    yield _columns(terminal, section)
    if section.decisions:
        yield _head(terminal, "How the file was read")
        yield "\n".join(_wrapped(terminal, decision, "- ") for decision in section.decisions) + "\n"


def _head(terminal: Terminal, text: str) -> str:
    return paint(text, "bold") if terminal.data_has_colour else text


def _wrapped(terminal: Terminal, text: str, first: str = "") -> str:
    width = min(terminal.width, MAX_TEXT_COLUMNS)
    line = one_line(text, 4_000)
    return textwrap.fill(
        line, width, initial_indent="  " + first, subsequent_indent="  " + " " * len(first), break_on_hyphens=False
    )


def _anomalies(terminal: Terminal, section: Section) -> str:
    head = _head(terminal, f"Anomalies: more than {section.threshold or '3'} standard deviations from the mean")
    if not section.findings:
        said = "none" if section.numeric else "there is no numeric column to look at"
        return f"{head}\n  {said}\n"
    columns = [
        Column("column", style="bold"),
        Column("number", align="right"),
        Column("share", align="right"),
        Column("usual range"),
        Column("farthest values", wraps=True),
    ]
    rows = [
        [_name(terminal, found.name), found.number, found.share, found.usual, _farthest(found.values, found.more)]
        for found in section.findings[:MAX_ROWS]
    ]
    return f"{head}\n{table_text(columns, rows, terminal)}{_hidden(len(section.findings))}"


def _name(terminal: Terminal, text: str) -> str:
    """The name of a column of the data: one that is cut ends in an ellipsis."""
    return one_line(text, MAX_NAME_CHARS if terminal.data_is_terminal else MAX_PIPED_CHARS)


def _farthest(values: tuple[tuple[str, str, str], ...], more: int) -> str:
    shown = [f"{one_line(value, 40)} (row {row}, {distance})" for value, row, distance in values[:3]]
    hidden = more + len(values) - len(shown)
    return "\n".join([*shown, f"and {hidden:,} more"] if hidden else shown)


def _statistics(terminal: Terminal, section: Section) -> str:
    names = ["mean", "std", "min", "25 %", "median", "75 %", "max"]
    shown = range(len(names)) if terminal.width >= _ROOM_FOR_QUARTILES else (0, 1, 2, 4, 6)
    columns = [
        Column("column", style="bold"),
        *[Column(name, align="right") for name in ("count", *[names[i] for i in shown])],
    ]
    rows = [
        [_name(terminal, row["name"]), row["count"], *[visible(row["figures"][i]) for i in shown]]
        for row in section.numeric[:MAX_ROWS]
    ]
    return table_text(columns, rows, terminal) + _hidden(len(section.numeric) + section.hidden_numeric)


def _columns(terminal: Terminal, section: Section) -> str:
    columns = [
        Column("column", style="bold"),
        Column("type"),
        Column("missing", align="right"),
        Column("distinct", align="right"),
        Column("note", wraps=True),
    ]
    rows = [
        [
            _name(terminal, row["name"]),
            row["type"],
            f"{row['missing']} ({row['missing_share']})" if row["missing_share"] else row["missing"],
            row["distinct"],
            one_line(row["note"], 80),
        ]
        for row in section.columns[:MAX_ROWS]
    ]
    return table_text(columns, rows, terminal) + _hidden(len(section.columns) + section.hidden_columns)


def _hidden(total: int) -> str:
    return f"  … and {counted(total - MAX_ROWS, 'more column')}, see the report\n" if total > MAX_ROWS else ""
