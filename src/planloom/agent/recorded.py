"""Goals in a journal: kept while they are reached, and gone on with after a crash.

Rule: what a model answered is never asked again, and what a step has done is never done again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from planloom.agent.answering import AnswerForm
from planloom.agent.nesting import secrets_of_outer
from planloom.agent.session import Session
from planloom.agent.settings import AgentSettings, GoalOptions
from planloom.engine import journaled
from planloom.engine.clock import SystemClock
from planloom.engine.secrecy import check_keepable, clean_words, kept_inputs, make_redactor, read_inputs
from planloom.errors import UsageError
from planloom.plan.history import Words
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import Plan
from planloom.plan.redacted import clean_part
from planloom.plan.results import RunResult, StepResult
from planloom.plan.state import RunStatus, StepStatus

if TYPE_CHECKING:
    from planloom.engine.journaled import JournalLike, RunBook

INSTRUCTIONS_KEY: Final = "instructions"
"""In what a goal was given: what its planner was told beside it."""
MakeSession = Callable[["Resumption"], Session]


class Resumption:
    """What a session is given of its journal: where it writes to, and what an earlier process has left."""

    def __init__(self, book: RunBook, settings: AgentSettings, words: Words) -> None:
        self.recorder = book.recorder
        self.workdir = book.workdir
        self.history = book.history
        self.plan: Plan | None = self.history.plan
        """The plan that was received, or given."""
        if self.plan is None and book.meta.get("plan") is not None:
            self.plan = Plan.from_json(book.meta["plan"])
        known = {
            name: StepResult(name, StepStatus.SUCCEEDED, output)
            for name, output in book.meta.get("finished", {}).items()
        }
        words = clean_words(words, make_redactor({}, settings.deps, settings.secrets, settings.toolbox))
        effects = journaled.effects_of(settings.toolbox)
        self.finished: Mapping[str, StepResult] = known | journaled.settled(self.history, effects, words)
        self.words = words


async def run_recorded(
    journal: JournalLike,
    run_id: str,
    goal: str,
    kind: str,
    settings: AgentSettings,
    options: GoalOptions,
    make_session: MakeSession,
) -> RunResult:
    """Reach a goal and keep it in a journal. Raises `JournalError` and what the session raises."""
    limits = options.get("limits", DEFAULT_LIMITS)
    given, after = options.get("plan"), options.get("after")
    plan = None if given is None else Plan.from_json(given, limits)
    finished = {} if after is None else {name: step.output for name, step in after.steps.items() if step.is_success}
    marked: dict[str, str] = {}
    inputs = read_inputs(options.get("inputs") or {}, limits, marked)
    redactor = make_redactor(marked, settings.deps, (*settings.secrets, *secrets_of_outer()), settings.toolbox)
    if plan is not None:
        check_keepable(plan, settings.toolbox, redactor)
    meta: dict[str, Any] = {
        **clean_part(dict(options.get("meta") or {}), redactor),
        "kind": kind,
        INSTRUCTIONS_KEY: clean_part(settings.instructions, redactor),
        **kept_inputs(inputs, marked, redactor),
        "plan": None if plan is None else plan.to_dict(),
        "finished": clean_part(finished, redactor),
    }
    meta = journaled.with_workdir(meta, options.get("workdir"))
    async with journaled.new_book(journal, run_id, clean_part(goal, redactor), meta) as book:
        result = await make_session(Resumption(book, settings, Words())).execute()
        await book.close()
        return result


async def resume_recorded(
    journal: JournalLike,
    run_id: str,
    settings: AgentSettings,
    words: Words,
    make_session: Callable[[str, Mapping[str, Any], Resumption], Session],
    *,
    drop_damaged: bool = False,
) -> RunResult:
    """Go on with a goal. A run that has succeeded is returned as it is, and nothing is called.

    Raises `RunNotFoundError`, `RunOwnedError` while another process drives it, `JournalError`, and `UsageError` for a
    run without an agent and for words that fit no step.
    """
    history, meta = await journaled.read_history(journal, run_id)
    if meta.get("kind") == "execute":
        raise UsageError(
            f"run `{run_id}` was made without an agent\nhint: go on with it by resume_run({run_id!r}, toolbox, …)"
        )
    if history.status is RunStatus.SUCCEEDED:
        plan = history.plan or Plan.from_json(meta["plan"] or {"steps": [], "goal": history.goal})
        result = journaled.finished_result(history, plan)
        fitting = AnswerForm.of(settings.output_type).fit(result.answer)
        return result if fitting is None else dataclasses.replace(result, answer=fitting.value)
    async with journaled.taken_over(journal, run_id, drop_damaged=drop_damaged) as book:
        resumption = Resumption(book, settings, words)
        await book.keep(resumption.words, SystemClock().now())
        session = make_session(book.history.goal, book.meta, resumption)
        result = await session.execute()
        await book.close()
        return result
