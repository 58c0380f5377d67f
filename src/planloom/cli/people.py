"""The person at this terminal: asked before plans and effects, and by `ask_person`. One question at a time.

Rule: no word is no yes. An empty line, the end of input or a terminal that is gone leaves the run waiting. What is
asked about comes from models and tools: every text passes `visible`, and a cut is said, never silent.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from planloom.agent.people import Approval, ApprovalKind, Approver, RunPerson
from planloom.cli import signals
from planloom.cli.terminal import Terminal
from planloom.cli.text import one_line, visible
from planloom.drawing import plan_text
from planloom.plan.model import MISSING, Plan, Step
from planloom.tools import Tool, Toolbox

MAX_ARGUMENT_CHARS: Final = 4_000
"""How much of one argument is shown before a person approves a call; the rest is counted."""
MAX_LINE_CHARS: Final = 100_000
_YES: Final = frozenset({"y", "yes", "j", "ja"})
_NO: Final = frozenset({"n", "no", "nein"})
_MAX_TRIES: Final = 5
"""How often a word that is neither yes nor no is asked for again."""


class TerminalPerson:
    """Asks on stderr and reads from stdin. `pause` and `resume` take a display off the screen and put it back."""

    def __init__(self, terminal: Terminal, toolbox: Toolbox) -> None:
        self._terminal = terminal
        self._toolbox = toolbox
        self._turn = asyncio.Lock()
        self._shown: dict[str, Step] = {}
        """Steps of the plan that was shown last."""
        self.pause: Callable[[], None] = lambda: None
        self.resume: Callable[[], None] = lambda: None

    @staticmethod
    def at(terminal: Terminal, toolbox: Toolbox, *, may_ask: bool) -> TerminalPerson | None:
        """Return the person at this terminal, or None when there is none or nobody may be asked."""
        if not may_ask or not all(_is_terminal(stream) for stream in (sys.stdin, sys.stderr)):
            return None
        return TerminalPerson(terminal, toolbox)

    async def approve(self, approval: Approval) -> bool | None:
        """Show the plan or the call, and ask; None when there was no answer."""
        async with self._turn:
            with self._on_screen():
                if approval.plan is not None:
                    self._show_plan(approval.plan)
                    asked = "Run this plan?"
                else:
                    self._show_call(approval)
                    asked = f"Call `{one_line(approval.tool, 80)}`?"
                return await self._yes_or_no(asked)

    async def answer(self, step_id: str, question: str) -> str | None:
        """Ask a tool's question; an empty answer is none."""
        async with self._turn:
            with self._on_screen():
                self._terminal.say("")
                self._terminal.say(f"step `{one_line(step_id, 80)}` asks:", "dim")
                self._terminal.say(question, "bold")
                line = await self._line("your answer (empty leaves it open) > ")
                return (line or "").strip() or None

    async def _yes_or_no(self, asked: str) -> bool | None:
        for _ in range(_MAX_TRIES):
            line = await self._line(f"{asked} [y]es, [n]o, empty leaves it waiting > ")
            word = (line or "").strip().lower()
            if not word:
                return None
            if word in _YES | _NO:
                return word in _YES
            self._terminal.say("please answer y or n", "yellow")
        return None

    @contextlib.contextmanager
    def _on_screen(self) -> Any:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    # ---- what is approved -------------------------------------------------------------------------------

    def _show_plan(self, plan: Plan) -> None:
        say = self._terminal.say
        say("")
        say(plan_text(plan, width=self._terminal.words_width).rstrip("\n"))
        say("")
        before, self._shown = self._shown, {step.id: step for step in plan.steps}
        same = [step.id for step in plan.steps if before.get(step.id) == step]
        if same:
            say(f"the plan has changed; as you saw it before: {one_line(', '.join(same), 400)}", "yellow")
        for step in plan.steps:
            if step.id in same:
                continue
            tool = self._toolbox.get(step.tool)
            effects = "" if tool is None or tool.read_only else "  (has effects)"
            say(f"{one_line(step.id, 80)}: {one_line(step.tool, 80)}{effects}", "yellow" if effects else "bold")
            conditions = {"when": step.when, "for_each": step.for_each}
            for name, value in {**{k: v for k, v in conditions.items() if v is not None}, **step.args}.items():
                say(f"    {one_line(name, 80)} = {_shown(value)}")
        if plan.answer is not MISSING:
            say(f"answer = {_shown(plan.answer)}")

    def _show_call(self, approval: Approval) -> None:
        tool = self._toolbox.get(approval.tool or "")
        say = self._terminal.say
        say("")
        where = f"step `{one_line(approval.step_id, 80)}` wants to call `{one_line(approval.tool, 80)}`"
        say(f"{where}{_risk(tool)}", "yellow")
        for name, value in (approval.args or {}).items():
            say(f"    {one_line(name, 80)} = {_shown(value)}")

    # ---- reading a line ---------------------------------------------------------------------------------

    async def _line(self, prompt: str) -> str | None:
        """Return a line, or None at the end of input."""
        forget_typed()
        with contextlib.suppress(OSError):
            os.write(signals.words_descriptor, visible(prompt).encode("utf-8", "backslashreplace"))
        try:
            line = await read_line()
        except asyncio.CancelledError:
            self._terminal.say("")
            raise
        if line is None:
            self._terminal.say("")
        return line


def approver(kinds: frozenset[ApprovalKind], person: TerminalPerson | None) -> Approver:
    """Return who approves what; without a person the run waits."""
    return Approver(kinds, None if person is None else person.approve)


def run_person(
    kinds: frozenset[ApprovalKind], person: TerminalPerson | None, words: Mapping[str, bool] | None = None
) -> RunPerson:
    """Return the person of a run without a model. `words` were given before, by the hash of what they are for."""
    return RunPerson(approver(kinds, person), None if person is None else person.answer, words or {})


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    more = len(text) - MAX_ARGUMENT_CHARS
    cut = text if more <= 0 else f"{text[:MAX_ARGUMENT_CHARS]} … and {more:,} characters more, not shown"
    return visible(cut).replace("\n", "\n        ")


def _risk(tool: Tool | None) -> str:
    facts = {"destructive": "destructive", "open_world": "reaches outside"}
    words = [word for fact, word in facts.items() if tool is not None and getattr(tool, fact)]
    return f" ({', '.join(words)})" if words else ""


def _is_terminal(stream: Any) -> bool:
    try:
        return stream is not None and stream.isatty()
    except (OSError, ValueError):
        return False


def forget_typed() -> None:
    """Drop what was typed before the question was there: it is no answer to it."""
    try:
        import termios
    except ImportError:  # Windows
        return
    with contextlib.suppress(termios.error, OSError, ValueError):
        termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


async def read_line() -> str | None:
    """Return a line of stdin without holding up the loop or a process that ends; None at the end of input."""
    loop = asyncio.get_running_loop()
    come: asyncio.Future[str | None] = loop.create_future()
    descriptor = sys.stdin.fileno()
    decoder = codecs.getincrementaldecoder(sys.stdin.encoding or "utf-8")("replace")
    pieces: list[str] = []

    def take() -> None:
        try:
            chunk = os.read(descriptor, 4096)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        pieces.append(decoder.decode(chunk, final=not chunk))
        if not come.done() and (not chunk or b"\n" in chunk or sum(map(len, pieces)) > MAX_LINE_CHARS):
            text = "".join(pieces)
            come.set_result(text.partition("\n")[0] if text else None)

    try:
        loop.add_reader(descriptor, take)
    except (NotImplementedError, OSError):  # Windows' loop, or a descriptor that cannot be waited for
        return await _read_on_thread()
    try:
        return await come
    finally:
        loop.remove_reader(descriptor)


async def _read_on_thread() -> str | None:
    loop = asyncio.get_running_loop()
    come: asyncio.Future[str | None] = loop.create_future()

    def read() -> None:
        line = sys.stdin.readline()
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(lambda: None if come.done() else come.set_result(line.rstrip("\n") or None))

    threading.Thread(target=read, name="planloom-question", daemon=True).start()
    return await come
