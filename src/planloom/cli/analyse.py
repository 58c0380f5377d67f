"""`planloom analyse FILE…`: the built-in playbook on data files; tables on stdout, and a report in one HTML file."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, Final

import click

from planloom.cli import options
from planloom.cli.asking import Question
from planloom.cli.options import Setting
from planloom.cli.recalling import MARKDOWN, files_to_keep, report_to_keep
from planloom.cli.runs import check_time_limit
from planloom.cli.sources import check_data_file, has_analysis
from planloom.cli.terminal import Terminal, check_writable
from planloom.errors import MissingExtraError, UsageError

REPORT_SUFFIX: Final = ".report.html"
MARKDOWN_SUFFIX: Final = ".report.md"
MAX_CHARTS: Final = 20
USUAL_CHARTS: Final = 8
REPORT_OF_MANY: Final = "analysis"
COMPRESSED: Final = (".gz", ".zst", ".bz2")

_EPILOG = """\b
Examples:
  planloom analyse sales.csv
  planloom analyse 2023.csv 2024.csv --output years.html
  planloom analyse sales.csv --ask "Which region sells most?"
  planloom analyse sales.csv --format md --charts 0
  planloom analyse sales.parquet --json > result.json
"""


@click.command(epilog=_EPILOG, short_help="Find what is in data files, and what is odd about it.")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option(
    "--ask",
    cls=Setting,
    metavar="QUESTION",
    help="Answer a question about the data. Needs a model, which plans from names, types and figures, without rows.",
)
@click.option(
    "--allow-rows",
    cls=Setting,
    is_flag=True,
    help="Show the model that plans the first rows of each file, and common values of text columns, too.",
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
    help="Where the report goes. Default: the data file's name with .report.html or .report.md, in this folder.",
)
@click.option(
    "--format",
    cls=Setting,
    type=click.Choice(["html", MARKDOWN]),
    default="html",
    help="What the report is written in: one HTML page, or Markdown without the drawings. Default: html.",
)
@click.option(
    "--charts",
    cls=Setting,
    type=click.IntRange(0, MAX_CHARTS),
    default=USUAL_CHARTS,
    show_default=True,
    metavar="N",
    help="At most so many charts of each file, 0 for none.",
)
@options.concurrency_option
@options.timeout_option
@options.keep_options
@options.no_input_option
@click.pass_context
def analyse(
    context: click.Context,
    files: tuple[str, ...],
    ask: str | None,
    allow_rows: bool,
    output: Path | None,
    format: str,
    charts: int,
    max_concurrency: int | None,
    timeout: float | None,
    **_flags: object,
) -> int:
    """Find what is in data files, and what is odd about it: CSV, TSV, JSON Lines, JSON, Excel and Parquet files, packed
    with gzip or zip too. Needs no key and no network.

    A model is asked only for a question (--ask), or when --model is given here: then, without a question, it describes
    the data. What is found goes to stdout as tables, and into a report, one file that needs nothing else.
    """
    mode = options.mode_of(context)
    time_limit_s = check_time_limit(timeout)
    if ask is not None and not ask.strip():
        raise UsageError("--ask needs a question, and it is empty")
    if not has_analysis():
        raise MissingExtraError("analysis", "`planloom analyse`")
    for name in files:
        _check_link(Path(name))
        check_data_file(name)
    report = _report_path(files, output, MARKDOWN_SUFFIX if format == MARKDOWN else REPORT_SUFFIX)
    question: Question | None = None
    chosen: dict[str, Any] = files_to_keep(files)
    if ask is not None or options.rank_of(context, "model") == options.ON_THE_COMMAND_LINE:
        from planloom.cli.model_options import budget_of, chosen_models  # models are for questions alone

        models = chosen_models(context)
        if ask is None:
            from planloom.analysis.question import USUAL_QUESTION

            ask = USUAL_QUESTION
        question = Question(ask, models, budget_of(context.params), allow_rows)
        chosen |= {"model": models.planner.name, "worker_model": models.worker.name}
    else:
        chosen |= report_to_keep(report, format)
    terminal = Terminal.open()
    context.call_on_close(terminal.close)
    # what is above is checked in a moment; from here on DuckDB is needed, which takes 0.3 s to import
    from planloom.cli.findings import run_playbook
    from planloom.cli.keeping import keeper_for

    return run_playbook(
        terminal,
        mode,
        files,
        report,
        max_concurrency,
        time_limit_s,
        question,
        as_markdown=format == MARKDOWN,
        charts=charts,
        keeper=keeper_for(context, terminal, **chosen),
    )


def _report_path(files: tuple[str, ...], output: Path | None, suffix: str) -> Path:
    """Return where the report goes, after making sure that it can be written, is no link and none of the data files."""
    report = output
    if report is None:
        name = REPORT_OF_MANY if len(files) > 1 else _stem(Path(next(iter(files))))
        report = Path(name + suffix)
    _check_links(report)
    check_writable(report)
    for name in files:
        if report.exists() and report.samefile(name):
            raise UsageError(f"--output `{report}` is one of the data files; it would be overwritten")
    return report


def _check_links(report: Path) -> None:
    """Refuse to write through a symbolic link, which may have come with the data: at the name itself, and, of a name in
    the current folder, at a folder that leads out of it. An absolute name and one with `..` say where they lead.

    Raises `UsageError`. `/dev/stdout` and its like are links by nature, and are taken.
    """
    if report.is_absolute() and report.parts[:2] == (report.anchor, "dev"):
        return
    if report.is_symlink():
        raise UsageError(
            f"cannot write the report to `{report}`: it is a symbolic link to `{report.readlink()}`, which would be "
            "overwritten\nhint: take another name with --output, or remove the link"
        )
    here = Path.cwd().resolve()
    meant = Path(os.path.normpath(here / report.parent))
    leads_to = Path(os.path.realpath(report.parent))
    if not report.is_absolute() and meant.is_relative_to(here) and not leads_to.is_relative_to(here):
        raise UsageError(
            f"cannot write the report to `{report}`: a symbolic link leads it out of this folder, to `{leads_to}`\n"
            "hint: name that folder itself with --output if you mean it"
        )


def _check_link(path: Path) -> None:
    """Refuse a data file that is a link to nothing, or to itself. Raises `UsageError`."""
    try:
        if not path.is_symlink() or path.exists():
            return
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UsageError(f"`{path}` is a symbolic link that leads back to itself") from None
        raise UsageError(f"`{path}` is a symbolic link to `{path.readlink()}`, which is not there") from None


def _stem(path: Path) -> str:
    """Return a data file's name without its ending, also without the two of `sales.csv.gz`."""
    inner = Path(path.stem)
    return inner.stem if path.suffix.lower() in COMPRESSED else inner.name
