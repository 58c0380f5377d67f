"""`planloom analyse FILE…`: the built-in playbook on data files; tables on stdout, and a report in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from planloom.cli import options
from planloom.cli.asking import Question
from planloom.cli.options import Setting
from planloom.cli.runs import check_time_limit
from planloom.cli.sources import check_data_file, has_analysis
from planloom.cli.terminal import Terminal, check_writable
from planloom.errors import MissingExtraError, UsageError

REPORT_SUFFIX: Final = ".report.html"
REPORT_OF_MANY: Final = "analysis"
COMPRESSED: Final = (".gz", ".zst", ".bz2")

_EPILOG = """\b
Examples:
  planloom analyse sales.csv
  planloom analyse 2023.csv 2024.csv --output years.html
  planloom analyse sales.csv --ask "Which region sells most?"
  planloom analyse sales.parquet --json > result.json
"""


@click.command(epilog=_EPILOG, short_help="Find what is in data files, and what is odd about it.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--ask",
    cls=Setting,
    metavar="QUESTION",
    help="Answer a question about the data. Needs a model, which sees names, types and figures, never rows.",
)
@options.models_options
@options.budget_options
@options.json_option
@options.events_option
@click.option(
    "--output",
    cls=Setting,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where the HTML report goes. Default: the data file's name with .report.html, in this folder.",
)
@options.concurrency_option
@options.timeout_option
@options.no_input_option
@click.pass_context
def analyse(
    context: click.Context,
    files: tuple[str, ...],
    ask: str | None,
    output: Path | None,
    max_concurrency: int | None,
    timeout: float | None,
    **_flags: object,
) -> int:
    """Find what is in CSV, TSV and Parquet files, and what is odd about it. Needs no key and no network.

    Only a question (--ask) takes a model. What is found goes to stdout as tables, and into a report, one HTML file
    that needs nothing else.
    """
    mode = options.mode_of(context)
    time_limit_s = check_time_limit(timeout)
    if ask is not None and not ask.strip():
        raise UsageError("--ask needs a question, and it is empty")
    if not has_analysis():
        raise MissingExtraError("analysis", "`planloom analyse`")
    for name in files:
        check_data_file(name)
    report = _report_path(files, output)
    question: Question | None = None
    if ask is not None:
        from planloom.cli.model_options import budget_of, chosen_models  # models are for questions alone

        question = Question(ask, chosen_models(context), budget_of(context.params))
    terminal = Terminal.open()
    context.call_on_close(terminal.close)
    # what is above is checked in a moment; from here on DuckDB is needed, which takes 0.3 s to import
    from planloom.cli.findings import run_playbook

    return run_playbook(terminal, mode, files, report, max_concurrency, time_limit_s, question)


def _report_path(files: tuple[str, ...], output: Path | None) -> Path:
    """Return where the report goes, after making sure that it can be written and is none of the data files."""
    report = output
    if report is None:
        name = REPORT_OF_MANY if len(files) > 1 else _stem(Path(next(iter(files))))
        report = Path(name + REPORT_SUFFIX)
    check_writable(report)
    for name in files:
        if report.exists() and report.samefile(name):
            raise UsageError(f"--output `{report}` is one of the data files; it would be overwritten")
    return report


def _stem(path: Path) -> str:
    """Return a data file's name without its ending, also without the two of `sales.csv.gz`."""
    inner = Path(path.stem)
    return inner.stem if path.suffix.lower() in COMPRESSED else inner.name
