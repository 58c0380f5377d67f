"""`planloom resume RUN`: go on with a kept run that was cut off, failed, or waits for a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from planloom.cli import options
from planloom.cli.journals import journal_to_read
from planloom.cli.resuming import go_on, opened
from planloom.errors import UsageError
from planloom.plan.history import Words

_EPILOG = """\b
Examples:
  planloom resume last
  planloom resume 3f2a --retry pay
  planloom resume 3f2a --journal runs.db --set 'pay={"id": 7}'

\b
Exit codes: 0 done; 1 the run failed; 2 wrong usage, or another process drives
the run; 3 the plan does not fit the tools, or there is no valid plan; 4 a model
or its provider failed; 5 waiting for a person; 6 over budget; 130, 143
interrupted.
"""


@click.command(epilog=_EPILOG, short_help="Go on with a run that was cut off, failed or waits.")
@click.argument("run", metavar="RUN")
@options.journal_option
@options.word_options
@options.resuming_options
@click.pass_context
def resume(context: click.Context, run: str, **_options: object) -> int:
    """Go on with a kept run. RUN is its id, the beginning of it, or `last`.

    What has succeeded is never run again, and what a model has answered is never asked again. A step that may or may
    not have had its effect waits for your word: --retry, --skip or --set. Failed steps are tried again. Tools and
    models are those of the run, if nothing else is said.
    """
    words = read_words(context.params)
    start = opened(context, journal_to_read(context), run)
    return go_on(context, start, words)


def read_words(given: Mapping[str, Any]) -> Words:
    """Return what --retry, --skip and --set say. Raises `UsageError`."""
    outputs: dict[str, Any] = {}
    for pair in given["set"]:
        step_id, equals, value = pair.partition("=")
        if not equals or not step_id:
            raise UsageError(f"--set takes STEP=JSON; got `{pair[:200]}`\nhint: --set 'pay={{\"id\": 7}}'")
        if step_id in outputs:
            raise UsageError(f"step `{step_id[:80]}` has two outputs by --set")
        outputs[step_id] = _read_json(step_id, value)
    said = [*dict.fromkeys(given["retry"]), *dict.fromkeys(given["skip"]), *outputs]
    twice = sorted({name for name in said if said.count(name) > 1})
    if twice:
        raise UsageError(f"step `{twice[0][:80]}` has more than one word: only one of --retry, --skip and --set")
    return Words.of(given["retry"], given["skip"], outputs)


def _read_json(step_id: str, text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise UsageError(
            f"--set {step_id[:80]}: `{text[:80]}` is not JSON\n"
            f"hint: text stands in quotes: --set '{step_id[:80]}=\"…\"'"
        ) from None


def _refuse(name: str) -> Any:
    raise ValueError(name)
