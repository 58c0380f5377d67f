"""Who is asked before a plan runs and before its effects, and who answers a tool's questions.

Rule: no word is no yes. A person who is not there, or fails to answer in order, has not answered, and the run waits.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from planloom.engine.base import EffectRequest
from planloom.errors import UsageError
from planloom.plan.model import Plan

ApprovalKind = Literal["plan", "effects"]


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person is asked to approve.

    `kind` is "plan" for a whole plan, a recovery plan in its place, and a plan with more steps; "effects" for one call
    of a tool that is not read-only, with its `step_id`, `tool` and `args`. `digest` is a hash of what is approved: the
    word is good for exactly that.
    """

    kind: ApprovalKind
    digest: str
    plan: Plan | None = None
    step_id: str | None = None
    tool: str | None = None
    args: dict[str, Any] | None = None


Approve = Callable[[Approval], "bool | Awaitable[bool | None] | None"]
"""Says yes (True), no (False) or nothing (None) to an `Approval`; sync or async."""
Answer = Callable[[str, str], Any]
"""Answers a question: called with the step's id and the question; sync or async; None is no answer."""


@dataclass(frozen=True, slots=True)
class Approver:
    """What needs approval, and who gives it. `ask` None: nobody is there, so the run waits."""

    kinds: frozenset[ApprovalKind]
    ask: Approve | None = None

    @classmethod
    def of(cls, approve: Approve | ApprovalKind | Approver | None) -> Approver:
        """Read what `Agent(approve=…)` takes. A callback is asked about plans and effects alike."""
        if isinstance(approve, Approver):
            return approve
        if approve is None:
            return cls(frozenset())
        if isinstance(approve, str):
            if approve not in ("plan", "effects"):
                raise UsageError(f'approve={approve!r}: it is "plan", "effects", a callback, or None for neither')
            return cls(frozenset({approve}))
        if not callable(approve):  # pyright: ignore[reportUnnecessaryComparison]
            raise UsageError(f'approve={approve!r}: it is "plan", "effects", a callback, or None for neither')
        return cls(frozenset({"plan", "effects"}), approve)

    @property
    def asks_before_plans(self) -> bool:
        """Whether a plan needs approval before it runs."""
        return "plan" in self.kinds

    async def word(self, approval: Approval) -> bool | None:
        """Ask for a person's word; None when there is none. Raises `TypeError` for what is no word, such as "no"."""
        if self.ask is None:
            return None
        word = self.ask(approval)
        word = await word if inspect.isawaitable(word) else word
        if word is not None and not isinstance(word, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"`approve` gave {word!r:.80}; it returns True for yes, False for no, None for no answer")
        return word


class RunPerson:
    """The person of one run, as the engine asks (`planloom.engine.base.Person`).

    `words` are those that were given before, by hash, also in an earlier process.
    """

    def __init__(self, approver: Approver, answer: Answer | None, words: Mapping[str, bool]) -> None:
        self._approver = approver
        self._answer = answer
        self._words = words
        self.asks_before_effects = "effects" in approver.kinds
        self.asks_before_plans = approver.asks_before_plans

    def said(self, digest: str) -> bool | None:
        """Return the word that was given before."""
        return self._words.get(digest)

    async def approve(self, request: EffectRequest) -> bool | None:
        """Say whether a call may be made."""
        word = self.said(request.digest)
        if word is not None:
            return word
        approval = Approval("effects", request.digest, None, request.step_id, request.tool, request.args)
        return await self._approver.word(approval)

    async def approve_plan(self, plan: Plan, digest: str) -> bool | None:
        """Say whether a plan may run."""
        return await self._approver.word(Approval("plan", digest, plan))

    async def answer(self, step_id: str, question: str) -> Any:
        """Answer a question that a tool asks."""
        if self._answer is None:
            return None
        word = self._answer(step_id, question)
        return await word if inspect.isawaitable(word) else word
