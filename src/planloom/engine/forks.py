"""A new run that begins with what another one has done: run again from a step, or forked at one.

Rule: the other run stays as it is. The new one has an id and idempotency keys of its own, and goes on by being resumed.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from planloom.engine.clock import SystemClock
from planloom.engine.journaled import (
    COPIED_KEY,
    JournalLike,
    artifacts_of,
    opened_journal,
    readable,
    stored,
    whole,
    work_folder,
)
from planloom.errors import JournalCorruptError, UsageError
from planloom.journal import Journal, Record
from planloom.journal.records import RunRecords
from planloom.plan.events import StepSucceeded
from planloom.plan.forking import Copied, fork_records, rerun_records
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan
from planloom.plan.values import OutputError, normalise_output

FORKED_KEY: Final = "forked_from"
_NEVER_CHANGES: Final = re.compile(r"[0-9a-f]{64}\..+")
"""Files that are named by the hash of their content."""


@dataclass(frozen=True, slots=True)
class Fork:
    """A new run, and the run and step that it comes from."""

    run_id: str
    source_id: str
    step_id: str


async def rerun_from(journal: JournalLike, run_id: str, step_id: str, *, drop_damaged: bool = False) -> Fork:
    """Make a new run in which a step and all that depends on it run again; what else was done stays done.

    With `drop_damaged` what stands behind a damaged record counts as not done. Raises `RunNotFoundError`,
    `JournalError`, and `UsageError` for a step that is not in the plan.
    """
    async with opened_journal(journal) as opened:
        source = await _source(opened, run_id, drop_damaged)
        copied = _whole(rerun_records(source, _given(source.meta), step_id), opened, run_id)
        return await _begin(opened, source, Fork(secrets.token_hex(8), run_id, step_id), copied)


async def fork_at(
    journal: JournalLike,
    run_id: str,
    step_id: str,
    outputs: Mapping[str, Any] | None = None,
    *,
    drop_damaged: bool = False,
) -> Fork:
    """Make a new run of one as it was when a step began: what had begun by then stays, with what it came to.

    `outputs` replaces outputs by step id, also of the step itself; what depends on them runs again. `drop_damaged` as
    for `rerun_from`. Raises
    `RunNotFoundError`, `JournalError`, and `UsageError` for steps that are not in the plan or have not begun.
    """
    given: dict[str, Any] = {}
    for name, output in (outputs or {}).items():
        try:
            given[name] = normalise_output(output, DEFAULT_LIMITS)
        except OutputError as error:
            raise UsageError(f"the output of `{name[:80]}` cannot be used: {error}") from None
    async with opened_journal(journal) as opened:
        source = await _source(opened, run_id, drop_damaged)
        copied = _whole(fork_records(source, _given(source.meta), step_id, given), opened, run_id)
        copied += [Copied("step-succeeded", name, _succeeded(output)) for name, output in sorted(given.items())]
        return await _begin(opened, source, Fork(secrets.token_hex(8), run_id, step_id), copied)


def _given(meta: Mapping[str, Any]) -> Plan | None:
    return None if meta.get("plan") is None else Plan.from_json(meta["plan"])


async def _source(journal: Journal, run_id: str, drop_damaged: bool) -> RunRecords:
    """Return the records of the other run, so far only those of the run itself with their large values."""
    records, artifacts = await journal.read(run_id), artifacts_of(journal)
    if records.dropped is not None and not records.dropped.is_torn_end and not drop_damaged:
        raise JournalCorruptError(records.dropped.refusal())
    of_run = (whole(record, artifacts) if record.step_id is None else record for record in records)
    return RunRecords(of_run, records.goal, records.meta, records.dropped)


def _whole(copied: list[Copied], journal: Journal, run_id: str) -> list[Copied]:
    """Return what stays, with its large values: those of steps that run again need not be readable any more."""
    artifacts = artifacts_of(journal)
    of_steps = [Record(0, run_id, 0.0, one.type, one.step_id, one.data) for one in copied if one.step_id is not None]
    read = iter(readable(of_steps, artifacts, None))
    return [one if one.step_id is None else replace(one, data=next(read).data) for one in copied]


def _succeeded(output: Any) -> dict[str, Any]:
    return StepSucceeded(0, "", 0.0, None, output, 0, 0.0).data


async def _begin(journal: Journal, source: RunRecords, fork: Fork, copied: list[Copied]) -> Fork:
    now, artifacts = SystemClock().now(), artifacts_of(journal)
    records = [
        stored(Record(number, fork.run_id, now, one.type, one.step_id, one.data), artifacts)
        for number, one in enumerate(copied, start=1)
    ]
    _copy_folder(work_folder(journal, fork.source_id), work_folder(journal, fork.run_id))
    origin = {"run_id": fork.source_id, "step": fork.step_id}
    meta = {**source.meta, FORKED_KEY: origin, COPIED_KEY: len(records)}
    writer = await journal.open_run(fork.run_id, source.goal, meta)
    try:
        if records:
            writer.append(records)
        await writer.flush()
    finally:
        await writer.close()
    return fork


def _copy_folder(source: Path | None, target: Path | None) -> None:
    """Give the new run copies of the files that the other one's tools have left."""
    if source is None or target is None or not source.is_dir():
        return

    def link(old: str, new: str) -> None:
        try:
            if not _NEVER_CHANGES.fullmatch(Path(old).name):
                raise OSError
            os.link(old, new)
        except OSError:  # also a file system without links
            shutil.copy2(old, new)

    try:
        shutil.copytree(source, target, copy_function=link, symlinks=True)
    except (OSError, shutil.Error) as error:
        raise UsageError(f"the files of run `{source.name}` cannot be copied to {target}: {error}") from error
