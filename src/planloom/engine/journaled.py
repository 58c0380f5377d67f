"""A run in a journal: opened anew, or taken over with all that it holds.

Rule: a value that is large stands in a file named by its hash, and its record says which; a run that cannot be recorded
any more does not go on.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from planloom.engine.cache import Recalled
from planloom.engine.encoding import MAX_BYTES_PER_CHAR, inline_json
from planloom.engine.recorder import Recorder
from planloom.errors import JournalCorruptError, JournalError, UsageError
from planloom.journal import Artifacts, Journal, Record, SqliteJournal, open_journal
from planloom.journal.artifacts import ARTIFACT_KEY, MAX_INLINE_BYTES, ArtifactRef
from planloom.journal.base import RunWriter
from planloom.journal.records import RunRecords
from planloom.plan.bulk import without_collections
from planloom.plan.events import Event, RunFinished, StepCancelled, StepSkipped, StepSucceeded
from planloom.plan.history import BY_A_PERSON, DAMAGED_KEY, History, Words, fold, parent_of
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import StepStatus
from planloom.plan.values import normalise_output
from planloom.tools import Tool

JournalLike = str | Path | Journal
"""A file such as `runs.db`, the address of a PostgreSQL server, or a journal."""
ARTIFACTS_SUFFIX: Final = ".artifacts"
FOLDERS_SUFFIX: Final = ".folders"
WORKDIR_KEY: Final = "workdir"
"""In what a run was given: the folder of its tools, when the caller named it."""
COPIED_KEY: Final = "copied"
"""In what a fork was given: how many records it begins with."""


class RunBook:
    """One run in a journal. `history` is what it holds so far, `recorder` what the run writes to.

    `workdir` is the folder that the run's tools have, also when it goes on later, for tables stand there: the one that
    the caller gave, else one beside the journal, which goes with the run, by `prune_runs`. None without either.
    """

    def __init__(self, journal: Journal, writer: RunWriter, history: History, meta: Mapping[str, Any]) -> None:
        self.history = history
        self.meta = meta
        given = meta.get(WORKDIR_KEY)
        self._own_folder = work_folder(journal, history.run_id)
        self.workdir = self._own_folder if given is None or not Path(given).is_dir() else Path(given)
        artifacts = artifacts_of(journal)
        self.recorder = Recorder(
            writer,
            lambda event: record_of(event, artifacts),
            lambda key: _recall(journal, key),
            inline_json,
        )

    async def close(self) -> None:
        """Make everything durable at the end of the run. Raises `JournalError`."""
        await self.recorder.flush()
        if self._own_folder is not None:
            with contextlib.suppress(OSError):  # it is not there, or holds something
                self._own_folder.rmdir()

    async def keep(self, words: Words, at: float) -> None:
        """Make a person's words durable, given at a time in seconds since 1970: a crash must not lose them.

        A step that is to be called again is cancelled from then on, and so tried again whenever the run goes on.
        """
        history = self.history
        again = StepError("cancelled", "Retry", "to be called again, by a person's word")
        given: list[tuple[type[Event], str, tuple[Any, ...]]] = [
            *((StepCancelled, name, (again, 0, 0.0)) for name in sorted(words.retry)),
            *((StepSkipped, name, (BY_A_PERSON, None)) for name in sorted(words.skip)),
            *((StepSucceeded, name, (output, 0, 0.0)) for name, output in sorted((words.outputs or {}).items())),
        ]
        for kind, name, data in given:
            history.last_seq += 1
            self.recorder(kind(history.last_seq, history.run_id, at, name, *data))
        if given:
            await self.recorder.flush()


@asynccontextmanager
async def new_book(journal: JournalLike, run_id: str, goal: str, meta: Mapping[str, Any]) -> AsyncGenerator[RunBook]:
    """Begin a run in a journal, and make everything durable at the end. Raises `JournalError`."""
    async with opened_journal(journal) as opened:
        writer = await opened.open_run(run_id, goal, meta)
        book = RunBook(opened, writer, History(run_id, goal), meta)
        try:
            yield book
        finally:
            book.recorder.hand_over()
            await writer.close()


@asynccontextmanager
async def taken_over(journal: JournalLike, run_id: str, *, drop_damaged: bool = False) -> AsyncGenerator[RunBook]:
    """Become the owner of a run that nobody drives. Raises `RunOwnedError`, `RunNotFoundError`, `JournalError`.

    With `drop_damaged` a run goes on without what stands behind a damaged record.
    """
    async with opened_journal(journal) as opened:
        writer = await opened.take_over(run_id, drop_damaged=drop_damaged)
        book: RunBook | None = None
        try:
            assert writer.records is not None  # they were read when it was taken over
            book = RunBook(opened, writer, *told(opened, run_id, writer.records))
            yield book
        finally:
            if book is not None:
                book.recorder.hand_over()
            await writer.close()


async def read_history(journal: JournalLike, run_id: str) -> tuple[History, Mapping[str, Any]]:
    """Return what a journal holds of a run, and what the run was given. Raises `RunNotFoundError`, `JournalError`."""
    async with opened_journal(journal) as opened:
        return told(opened, run_id, await opened.read(run_id))


def told(
    journal: Journal, run_id: str, records: RunRecords, notes: list[str] | None = None
) -> tuple[History, Mapping[str, Any]]:
    """Return what records come to. Raises `JournalError`, also for an artifact that is not there.

    With `notes` such a value does not stand in the way: it is marked as damaged, and `notes` gets why.
    """
    if len(records) < records.meta.get(COPIED_KEY, 0):
        raise JournalError(
            f"run `{run_id}` was cut off while it was made out of another one, and has done nothing\n"
            "hint: make it again, by rerun or fork"
        )
    artifacts = artifacts_of(journal)
    with without_collections(len(records)):
        try:
            history = fold([whole(record, artifacts) for record in records])
        except JournalError:
            history = fold(readable(records, artifacts, notes))
    history.run_id = run_id
    history.goal = history.goal or records.goal
    return history, records.meta


@asynccontextmanager
async def opened_journal(journal: JournalLike) -> AsyncGenerator[Journal]:
    """Open what means a journal, and close it again if it was not open before. Raises `JournalError`."""
    opened = open_journal(journal)
    try:
        yield opened
    finally:
        if opened is not journal:
            await opened.close()


def artifacts_of(journal: Journal) -> Artifacts | None:
    """Return where a journal's large values are: in a folder beside its file, None for a journal without a file."""
    return Artifacts(f"{journal.where}{ARTIFACTS_SUFFIX}") if isinstance(journal, SqliteJournal) else None


async def _recall(journal: Journal, key: str) -> Recalled | None:
    """Return the newest output under a key. Raises `JournalError`, also for an artifact that is not there."""
    record = await journal.recall(key)
    if record is None:
        return None
    data = whole(record, artifacts_of(journal)).data
    return Recalled(data.get("reused_from") or record.run_id, data["output"])


def with_workdir(meta: Mapping[str, Any], workdir: str | os.PathLike[str] | None) -> dict[str, Any]:
    """Return what is kept of a run's options, with the folder that the caller named."""
    return dict(meta) if workdir is None else {**meta, WORKDIR_KEY: str(Path(workdir).absolute())}


def work_folder(journal: Journal, run_id: str) -> Path | None:
    """Return the folder of a run's tools beside its journal, which need not exist yet.

    None for a journal without a file, and for a run whose id is no name of a folder: those get a temporary one.
    """
    is_name = run_id not in ("", ".", "..") and Path(run_id).name == run_id
    return Path(f"{journal.where}{FOLDERS_SUFFIX}") / run_id if isinstance(journal, SqliteJournal) and is_name else None


def folder_of(journal: JournalLike, run_id: str) -> Path | None:
    """Return the folder that the tools of a run will have beside its journal; see `work_folder`."""
    return work_folder(open_journal(journal), run_id)


def record_of(event: Event, artifacts: Artifacts | None) -> Record:
    """Return the record of an event, without what other records say, and with large values elsewhere."""
    if isinstance(event, RunFinished):
        error = event.result.error
        result = {
            "answer": normalise_output(event.result.answer),
            "error": None if error is None else error.to_dict(),
        }
        data: dict[str, Any] = {"status": event.status.value, "result": result}
    else:
        data = event.data
    return stored(Record(event.seq, event.run_id, event.at, event.type, event.step_id, data), artifacts)


def stored(record: Record, artifacts: Artifacts | None) -> Record:
    """Return a record with its large values elsewhere; `whole` puts them back."""
    if artifacts is None:
        return record
    put = {name: _put(value, artifacts) for name, value in record.data.items() if isinstance(value, str | list | dict)}
    if all(record.data[name] is value for name, value in put.items()):
        return record
    data = {**record.data, **put}
    return Record(record.seq, record.run_id, record.at, record.type, record.step_id, data, record.version)


def _put(value: Any, artifacts: Artifacts) -> Any:
    """Return a value, or in its place where it is. What looks like such a place itself is put there too."""
    container = cast("list[Any] | dict[str, Any] | str", value)
    if isinstance(container, str) and len(container) * MAX_BYTES_PER_CHAR <= MAX_INLINE_BYTES:
        return container
    content = json.dumps(container, ensure_ascii=False, separators=(",", ":")).encode()
    looks_like_one = isinstance(container, dict) and ARTIFACT_KEY in container
    if len(content) <= MAX_INLINE_BYTES and not looks_like_one:
        return container
    return ArtifactRef(artifacts.put(content), "json", "json", len(content)).to_dict()


def whole(record: Record, artifacts: Artifacts | None) -> Record:
    """Return a record with its large values in it. Raises `JournalCorruptError` when one is lost."""
    data = {name: _get(value, artifacts) for name, value in record.data.items()}
    return Record(record.seq, record.run_id, record.at, record.type, record.step_id, data, record.version)


def _get(value: Any, artifacts: Artifacts | None) -> Any:
    if artifacts is None or not isinstance(value, dict) or ARTIFACT_KEY not in value:
        return cast("Any", value)
    return json.loads(artifacts.get(ArtifactRef.from_dict(cast("dict[str, Any]", value)).hash))


def readable(records: Iterable[Record], artifacts: Artifacts | None, notes: list[str] | None) -> list[Record]:
    """Return records with their large values in them, and a mark in the place of each output that cannot be read.

    Records of the run itself that need such a value are left out. `notes` gets why, and without it the first one raises
    `JournalCorruptError`, which names the way on.
    """
    found: list[Record] = []
    for record in records:
        try:
            found.append(whole(record, artifacts))
        except JournalError as error:
            problem, _, hint = str(error).partition("\n")
            what = f"the output of step `{record.step_id}`" if record.step_id else f"what `{record.type}` says"
            note = f"{what} cannot be read: {problem}"
            if notes is None:
                if record.step_id is not None:
                    again = f"planloom rerun {record.run_id} --from {parent_of(record.step_id)}"
                    hint = f"hint: `{again}` runs it again, in a new run"
                raise JournalCorruptError(f"{note}\n{hint}".rstrip()) from None
            notes.append(note)
            if record.step_id is not None:
                data = {name: _marked(value, problem) for name, value in record.data.items()}
                found.append(Record(record.seq, record.run_id, record.at, record.type, record.step_id, data))
    return found


def _marked(value: Any, problem: str) -> Any:
    is_elsewhere = isinstance(value, dict) and ARTIFACT_KEY in value
    return {DAMAGED_KEY: problem} if is_elsewhere else cast("Any", value)


def settled(history: History, effects: Mapping[str, bool], words: Words) -> dict[str, StepResult]:
    """Return the results that a resumed run takes over: what is finished, what nobody knows, and a person's words.

    `effects` says of each tool whether a call of it that was cut off leaves open what happened. What had failed, was
    cancelled or skipped because of that is left out, and so runs again.
    """
    known = history.finished()
    # a step with `for_each` is settled by its elements
    open_steps: dict[str, StepResult] = {
        name: result
        for name, result in history.steps.items()
        if result.status is StepStatus.UNKNOWN and not (result.error and result.error.elements)
    }
    for name, call in history.in_flight.items():
        if effects.get(call.tool, True):
            message = f"`{call.tool}` had begun when the run was cut off; it may or may not have had its effect"
            open_steps[name] = StepResult.unknown(name, call.attempt, message)
    _check_words(words, history, open_steps)
    known |= {name: result for name, result in open_steps.items() if name not in words.named()}
    for name in words.skip:
        known[name] = StepResult(name, StepStatus.SKIPPED, reason=BY_A_PERSON)
    for name, output in (words.outputs or {}).items():
        known[name] = StepResult(name, StepStatus.SUCCEEDED, output)
    return known


def _check_words(words: Words, history: History, open_steps: Mapping[str, StepResult]) -> None:
    """Raise `UsageError` for a word about a step that needs none."""
    failed = {name for name, result in history.steps.items() if result.status is StepStatus.FAILED}
    allowed = {*open_steps, *history.waiting, *failed}
    wrong = sorted(words.named() - allowed)
    if wrong:
        names = ", ".join(f"`{name}`" for name in sorted(allowed)[:20]) or "none"
        raise UsageError(f"step `{wrong[0]}` needs no word of a person\nhint: those that do: {names}")


def effects_of(tools: Mapping[str, Tool]) -> dict[str, bool]:
    """Say of each tool whether a call of it that was cut off leaves open what happened."""
    return {name: not (tool.read_only or tool.idempotent) for name, tool in tools.items()}


def finished_result(history: History, plan: Plan) -> RunResult:
    """Return the result of a run that has ended, as its journal tells it."""
    assert history.status is not None
    began, ended = history.began_at or 0.0, history.ended_at or 0.0
    known = {step.id: history.steps.get(step.id) or StepResult(step.id, StepStatus.PENDING) for step in plan.steps}
    return RunResult(
        history.run_id,
        history.status,
        history.answer,
        plan,
        known,
        history.usage,
        history.replans,
        datetime.fromtimestamp(began, UTC),
        (ended - began) * 1_000,
        history.error,
    )
