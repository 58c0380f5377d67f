"""What a goal is at beside its steps, as events tell it: planning, mending, replanning, answering, what models cost.

The ledger holds one and guards it with its lock. A run without a model leaves it as it was made.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Final, Literal

from planloom.cli.text import counted, first_line, one_line
from planloom.plan import events
from planloom.plan.events import Event
from planloom.plan.results import Usage

MAX_NOTES: Final = 8
"""Things said that stay on the display; what comes later pushes out what was first."""
MAX_MENDS_SAID: Final = 3

Colour = Literal["dim", "yellow", "green", "red"]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a model is doing right now for the whole goal."""

    text: str
    since: float = field(default_factory=time.monotonic)


class GoalProgress:
    """The fold of the events that are about no single step."""

    def __init__(self) -> None:
        self.planning: Activity | None = None
        self.replanning: dict[str, Activity] = {}
        """By the step that failed."""
        self.joining: Activity | None = None
        self.notes: deque[tuple[str, Colour]] = deque(maxlen=MAX_NOTES)
        self.replans = 0
        self.model_calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.cost_usd: float | None = 0.0

    @property
    def usage(self) -> Usage:
        """What models have cost so far."""
        return Usage(self.model_calls, self.input_tokens, self.output_tokens, self.cost_usd)

    def apply(self, event: Event) -> None:
        """Fold one event in."""
        match event:
            case events.PlanningStarted():
                self.planning, self.joining = Activity(f"planning with {one_line(event.model, 60)}"), None
            case events.PlanMending():
                self.planning = Activity(said_of_mending(event))
            case events.PlanCreated():
                self.planning = None
                self.notes.extend((text, "dim") for text in said_of_mends(event))
            case events.ReplanStarted():
                held = counted(len(event.held), "step")
                self.replanning[event.step_id or ""] = Activity(
                    f"replanning: {one_line(event.step_id, 60)} failed, {held} held"
                )
            case events.Replanned():
                self.replanning.pop(event.step_id or "", None)
                self.replans = event.number
                self.notes.append((said_of_replan(event), "yellow"))
            case events.ReplanRefused():
                self.replanning.pop(event.step_id or "", None)
                self.notes.append((said_of_refusal(event), "yellow"))
            case events.RoundStarted():
                self.joining = None
                self.notes.append((said_of_round(event), "yellow"))
            case events.JoinStarted():
                self.joining = Activity(f"writing the answer with {one_line(event.model, 60)}")
            case events.ModelCalled():
                self._pay(event)
            case events.RunFinished():
                self.planning = self.joining = None
                self.replanning.clear()
            case _:
                pass

    def _pay(self, event: events.ModelCalled) -> None:
        self.model_calls += 1
        self.input_tokens += event.input_tokens
        self.output_tokens += event.output_tokens
        known = self.cost_usd is not None and event.cost_usd is not None
        self.cost_usd = (self.cost_usd or 0.0) + (event.cost_usd or 0.0) if known else None


# ---- the same words for the display and for plain lines -----------------------------------------------------


def said_of_mending(event: events.PlanMending) -> str:
    """Say that a plan goes back to the model, and what is wrong with it."""
    errors = [issue for issue in event.issues if issue.severity == "error"]
    first = f": {first_line(errors[0].message, 120)}" if errors else ""
    return f"mending the plan, round {event.round}, {counted(len(errors), 'problem')}{first}"


def said_of_mends(event: events.PlanCreated) -> list[str]:
    """Say what was mended in a plan by rule."""
    said = [f"mended: {first_line(mend)}" for mend in event.mends[:MAX_MENDS_SAID]]
    more = len(event.mends) - len(said)
    return [*said, f"mended: {more:,} more"] if more > 0 else said


def said_of_replan(event: events.Replanned) -> str:
    """Say what was replaced, by what, and why."""
    gone, came = (_named(names) for names in (event.replaced, event.added))
    return f"replanned: {gone} became {came}, because {_reason(event.step_id, event.reason.message)}"


def said_of_refusal(event: events.ReplanRefused) -> str:
    """Say why a failure was not planned around."""
    return f"not replanned: {first_line(event.message)}"


def said_of_round(event: events.RoundStarted) -> str:
    """Say why one more round begins."""
    return f"round {event.number}: {first_line(event.reason)}"


def said_of_usage(usage: Usage) -> str:
    """Return "3 model calls, 4,512 tokens in, 310 out, $0.0021", or nothing when no model was called."""
    if not usage.model_calls:
        return ""
    tokens = f"{counted(usage.input_tokens, 'token')} in, {usage.output_tokens:,} out"
    cost = "price unknown" if usage.cost_usd is None else f"${usage.cost_usd:.4f}"
    return f"{counted(usage.model_calls, 'model call')}, {tokens}, {cost}"


def _named(names: tuple[str, ...]) -> str:
    shown = ", ".join(f"`{one_line(name, 40)}`" for name in names[:3])
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"{shown}{more}" if names else "nothing"


def _reason(step_id: str | None, message: str) -> str:
    return f"`{one_line(step_id, 40)}` failed: {first_line(message, 160)}"
