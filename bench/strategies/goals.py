"""Goals of the grid, and what a model writes for each of them by each strategy: whole plans, turns, answers.

A goal is a number of look-ups: independent ones, or a chain. `script` is a pure function of what a model is asked, so
the same words serve virtual time and a server. Replies have the fields that the prompts ask for, and no more.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.strategies.parallel import PARALLEL_FORM
from planloom import Toolbox, tool
from planloom.planning.prompts import COMPILER_FORM, EXTENDER, JOINER, PLANNER, REPLANNER
from planloom.planning.reacting import REACTOR
from planloom.standard import ask_model

Kind = Literal["independent", "listed", "chain", "chains", "reading", "asked"]
KINDS: Final[dict[Kind, str]] = {
    "independent": "calls that need nothing of each other; the answer is written from all of them",
    "listed": "the same calls, planned as one step with a `for_each`",
    "chain": "each call needs one field of the result before it, which a plan can refer to",
    "chains": "chains of three side by side, by reference; the answer is written from their ends",
    "reading": "each call needs what only a reader of the text before it can know: a plan sees one call ahead",
    "asked": "the same, planned with a step that lets the model read (`ask_model`) between every two calls",
}
CHAIN: Final = 3
"""How long the chains are that stand side by side."""
_SUBJECTS: Final = (
    "Turin", "Bergen", "Porto", "Ghent", "Lviv", "Malmo", "Graz", "Leiden", "Bilbao", "Tartu", "Cork", "Aarhus",
    "Basel", "Rijeka", "Poznan", "Dundee",
)  # fmt: skip
_TEXT: Final = (
    "{subject} is described here in the way of an encyclopaedia. The first paragraph says where it lies, when it was "
    "founded and what it is best known for; the second tells its history, with the people who took part in it and the "
    "years in which they did; the third names its industry, its universities and its festivals. Its population is "
    "{population}. For the road ahead one sentence matters: whoever has seen {subject} should look at {following} "
    "next. The rest lists works, further reading and links to related pages."
)


def _population(position: int) -> int:
    return 100_000 + 7_919 * position


@dataclass(frozen=True)
class Entry:
    """A page, and the one field of it that has a name."""

    text: str
    next: str


@dataclass(frozen=True)
class Goal:
    """So many calls, of which some fail for good at the first source and have to be made at the other.

    `failing` are positions. The tools of a goal take `tool_s` seconds each.
    """

    kind: Kind
    calls: int
    failing: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """What tables call it."""
        counted = f"{self.calls} call{'s' if self.calls > 1 else ''}"
        return {
            "independent": counted,
            "listed": f"{counted}, one for_each",
            "chain": f"chain of {self.calls}, by reference",
            "chains": f"{self.calls // CHAIN} chains of {CHAIN}, by reference",
            "reading": f"chain of {self.calls}, by reading",
            "asked": f"chain of {self.calls}, by reading, ask_model",
        }[self.kind]

    @property
    def subjects(self) -> tuple[str, ...]:
        """What is looked up, in order."""
        return _SUBJECTS[: self.calls]

    @property
    def is_chain(self) -> bool:
        """Whether each call needs the one before."""
        return self.kind in ("chain", "reading", "asked")

    @property
    def text(self) -> str:
        """The goal as a person would write it."""
        if self.is_chain:
            return (
                f"Begin at {self.subjects[0]} and follow where each page sends you, until you have seen {self.calls} "
                "pages. Where does the last one send you?"
            )
        if self.kind == "chains":
            return (
                f"Begin at each of {', '.join(self.subjects[::CHAIN])} and follow where its page sends you, until you "
                f"have seen {CHAIN} pages from each. Where does each end? Say it in words."
            )
        return f"What is the population of {', '.join(self.subjects)}? Say it of each in words."

    @property
    def answer(self) -> str:
        """The right answer, the same by every strategy."""
        if self.is_chain:
            return _following(self.calls - 1)
        if self.kind == "chains":
            ends = range(CHAIN - 1, self.calls, CHAIN)
            return " ".join(f"From {_SUBJECTS[at - CHAIN + 1]} the way leads to {_following(at)}." for at in ends)
        return " ".join(f"{name} has {_population(at)} inhabitants." for at, name in enumerate(self.subjects))

    @property
    def reader(self) -> str:
        """The tool that the calls are made with at first."""
        return "look_up" if self.kind in ("chain", "chains") else "read_page"

    @property
    def archive(self) -> str:
        """The other source, for calls that fail at the first."""
        return "look_up_archive" if self.kind in ("chain", "chains") else "read_archive"

    def needs_the_one_before(self, position: int) -> bool:
        """Whether a call can only be made once the call before it has come back."""
        return bool(position % CHAIN if self.kind == "chains" else position and self.is_chain)

    def toolbox(self, tool_s: float) -> Toolbox:
        """Return the tools: two sources in two forms, and what an agent happens to have beside them."""
        failing = {self.subjects[position] for position in self.failing}

        async def read(subject: str, *, is_archive: bool = False) -> str:
            await asyncio.sleep(tool_s)
            if subject in failing and not is_archive:
                raise LookupError(f"there is no page about {subject} here; the archive may have one")
            position = _SUBJECTS.index(subject)
            return _TEXT.format(subject=subject, population=_population(position), following=_following(position))

        async def entry(subject: str, *, is_archive: bool = False) -> Entry:
            text = await read(subject, is_archive=is_archive)
            return Entry(text, _following(_SUBJECTS.index(subject)))

        @tool(read_only=True)
        async def look_up(subject: str) -> Entry:
            """Look up a place; return the text about it and the place that it sends the reader to.

            Args:
                subject: The name of the place.
            """
            return await entry(subject)

        @tool(read_only=True)
        async def look_up_archive(subject: str) -> Entry:
            """The same as look_up, from an archive of older texts, which has places that were taken out since.

            Args:
                subject: The name of the place.
            """
            return await entry(subject, is_archive=True)

        @tool(read_only=True)
        async def read_page(subject: str) -> str:
            """Return the page of an encyclopaedia about a place, as text.

            Args:
                subject: The name of the place.
            """
            return await read(subject)

        @tool(read_only=True)
        async def read_archive(subject: str) -> str:
            """The same as read_page, from an archive of older pages, which has places that were taken out since.

            Args:
                subject: The name of the place.
            """
            return await read(subject, is_archive=True)

        return Toolbox([look_up, look_up_archive, read_page, read_archive, convert, send_note, ask_model])


@tool(read_only=True)
async def convert(amount: float, unit: str, into: str) -> float:
    """Convert an amount from one unit into another, such as miles into kilometres.

    Args:
        amount: How much.
        unit: The unit of the amount.
        into: The unit that is wanted.
    """
    raise NotImplementedError


@tool
async def send_note(address: str, title: str, text: str) -> None:
    """Send a note to somebody.

    Args:
        address: Where to.
        title: One line.
        text: The note itself.
    """
    raise NotImplementedError


def _following(position: int) -> str:
    return (*_SUBJECTS, "Kotor")[position + 1]


# ---- what the model writes ----------------------------------------------------------------------------


def script(goal: Goal, texts: Sequence[str]) -> str:
    """Return what the model answers to the messages of a request, the system message first."""
    system, last = texts[0], texts[-1]
    turn = (len(texts) - 2) // 2
    if system.startswith(PLANNER):
        if REPLANNER in last:
            return _recovery(goal, last)
        return _extension(goal, last) if EXTENDER in last else _plan(goal)
    if system.startswith(COMPILER_FORM):
        return _calls(goal)
    if system.startswith(_opening(REACTOR)):
        return _react_turn(goal, turn)
    if system.startswith(PARALLEL_FORM):
        return _parallel_turn(goal, turn)
    if system.startswith(JOINER):
        return _joined(goal, last)
    position = next(at for at, name in enumerate(_SUBJECTS) if f"{name} is described" in last)
    return _following(position)  # ask_model


def _opening(text: str) -> str:
    return text.split("{", 1)[0]


def _id(position: int) -> str:
    return _SUBJECTS[position].lower()


def _step(goal: Goal, position: int, *, is_archive: bool = False) -> dict[str, Any]:
    """One look-up as a step of a plan: by name, or by what the step before it refers to."""
    used = goal.archive if is_archive else goal.reader
    subject, needed, says = _SUBJECTS[position], [], f"Look up {_SUBJECTS[position]}"
    if goal.kind in ("chain", "chains", "asked") and goal.needs_the_one_before(position):
        before = f"after_{_id(position - 1)}" if goal.kind == "asked" else _id(position - 1)
        path = "output" if goal.kind == "asked" else "output.next"
        subject, needed, says = f"{{{{{before}.{path}}}}}", [before], "Look up the next place"
    return {
        "id": _id(position), "description": says, "tool": used, "args": {"subject": subject}, "depends_on": needed,
    }  # fmt: skip


_PROMPT: Final = "Which place does the text send on to? Only its name."


def _question(position: int) -> dict[str, Any]:
    return {
        "id": f"after_{_id(position)}",
        "description": "Find the place named next",
        "tool": "ask_model",
        "args": {"prompt": _PROMPT, "data": f"{{{{{_id(position)}.output}}}}"},
        "depends_on": [_id(position)],
    }  # fmt: skip


def _steps(goal: Goal) -> tuple[list[dict[str, Any]], str | None]:
    """Return the steps of the first plan, and its answer if that needs no words."""
    if goal.kind == "listed":
        step = _step(goal, 0) | {"id": "pages", "description": "Look up each place", "for_each": list(goal.subjects)}
        return [step | {"args": {"subject": "{{item}}"}}], None
    if goal.kind == "reading":
        return [_step(goal, 0)], None
    steps = [_step(goal, position) for position in range(goal.calls)]
    if goal.kind == "asked":
        steps = [part for position, step in enumerate(steps) for part in (step, _question(position))]
        return steps, f"{{{{after_{_id(goal.calls - 1)}.output}}}}"
    return steps, f"{{{{{_id(goal.calls - 1)}.output.next}}}}" if goal.kind == "chain" else None


def _plan(goal: Goal) -> str:
    steps, answer = _steps(goal)
    return json.dumps({"goal": goal.text, "steps": steps} | ({"answer": answer} if answer else {}))


def _calls(goal: Goal) -> str:
    short = ("id", "tool", "args", "for_each")
    return json.dumps({"calls": [{key: step[key] for key in short if key in step} for step in _steps(goal)[0]]})


def _recovery(goal: Goal, message: str) -> str:
    """The failed step at the other source, and the steps that waited for it as they were."""
    found = re.search(r"step `(\w+)` failed", message)
    assert found, message[-400:]
    position = next(at for at in range(goal.calls) if _id(at) == found[1])
    steps = [_step(goal, position, is_archive=True)]
    if goal.kind == "chain":
        steps += [_step(goal, later) for later in range(position + 1, goal.calls)]
    return json.dumps({"steps": steps})


def _extension(goal: Goal, message: str) -> str:
    done = sum(f"- {_id(position)} (" in message for position in range(goal.calls))
    return json.dumps({"steps": [_step(goal, done)]})


def _joined(goal: Goal, message: str) -> str:
    if not goal.is_chain:
        return goal.answer
    done = sum(f"{name} is described" in message for name in goal.subjects)
    return goal.answer if done == goal.calls else f"MORE: the page about {_following(done - 1)}, which is the next."


def _sources(goal: Goal) -> list[tuple[int, bool]]:
    """Return the calls one after another: each at the first source, and at the archive too where that fails."""
    return [(at, again) for at in range(goal.calls) for again in ((False, True) if at in goal.failing else (False,))]


def _call(goal: Goal, position: int, *, is_archive: bool) -> dict[str, Any]:
    return {"tool": goal.archive if is_archive else goal.reader, "args": {"subject": _SUBJECTS[position]}}


def _react_turn(goal: Goal, turn: int) -> str:
    made = _sources(goal)
    if turn == len(made):
        thought = "I have the population of each." if goal.kind == "independent" else f"I have seen {goal.calls} pages."
        return json.dumps({"thought": thought, "answer": goal.answer})
    position, is_archive = made[turn]
    name = _SUBJECTS[position]
    if is_archive:
        thought = f"There is no page about {name}; I try the archive."
    elif not position:
        thought = f"I begin with {name}."
    elif goal.kind == "chains":
        thought = f"I follow the way of {_SUBJECTS[position // CHAIN * CHAIN]} and look up {name}."
    elif goal.is_chain:
        thought = f"Page {position} of {goal.calls} sends me to {name}."
    else:
        thought = f"{_SUBJECTS[position - 1]} has {_population(position - 1)} inhabitants. Next is {name}."
    return json.dumps({"thought": thought, **_call(goal, position, is_archive=is_archive)})


def _parallel_turn(goal: Goal, turn: int) -> str:
    """All calls that can be made by now at once; then the failed ones at the other source; then the answer."""
    if goal.is_chain:
        rounds = [[call] for call in _sources(goal)]
    elif goal.kind == "chains":
        rounds = [[(at, False) for at in range(depth, goal.calls, CHAIN)] for depth in range(CHAIN)]
    else:
        rounds = [
            [(position, False) for position in range(goal.calls)],
            [(position, True) for position in goal.failing],
        ]
    rounds = [calls for calls in rounds if calls]
    if turn == len(rounds):
        return goal.answer
    return json.dumps({"calls": [_call(goal, at, is_archive=is_archive) for at, is_archive in rounds[turn]]})
