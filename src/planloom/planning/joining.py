"""The joiner: outputs become an answer, streamed, or the reason for one more bounded round.

Rule: what is handed on while it arrives is the answer and nothing else: no thoughts, and no request for more.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from planloom.errors import ModelReplyError, ToolDefinitionError, UsageError
from planloom.models import Message, Model, ModelReply, ModelRequest
from planloom.models.paid import streaming
from planloom.plan.issues import shorten
from planloom.plan.model import Plan
from planloom.plan.results import StepResult
from planloom.planning.passages import END_OF_THOUGHTS, THOUGHTS, find_passages
from planloom.planning.prompts import (
    JOINER,
    JOINER_LAST,
    JOINER_MORE,
    form_message,
    join_message,
    misfit_message,
)
from planloom.planning.strict import read_strict
from planloom.tools.schema import compile_schema

MAX_ANSWER_TOKENS: Final = 4_096
JOIN_TEMPERATURE: Final = 0.2
MAX_REPAIRS: Final = 1
"""How often a model may mend an answer that does not fit its schema."""
MAX_PROBLEMS: Final = 10
"""Misfits of an answer that the model is told at once."""
MAX_SCHEMA_CHARS: Final = 50_000
MAX_MORE_CHARS: Final = 1_000
MAX_QUOTED_CHARS: Final = 20_000
UNANSWERED: Final = "This could not be answered from what there is. Missing"
"""What the answer begins with when the joiner has none on its last round."""
_MORE: Final = "MORE:"
_ORNAMENT: Final = " \t\r\n*_`\"'>#-"
"""What models put in front of a word that they want to stand out."""
_LONGEST_THOUGHT_MARK: Final = len("<reasoning>")


@dataclass(frozen=True, slots=True)
class Joined:
    """What the joiner said: the answer, or what is missing (`more`); one of them is None.

    `answer` is text, or a JSON value that fits the schema that was asked for.
    """

    answer: Any = None
    more: str | None = None


async def join(
    goal: str,
    plan: Plan,
    results: Mapping[str, StepResult],
    model: Model,
    *,
    instructions: str = "",
    on_text: Callable[[str], None] | None = None,
    output_schema: Mapping[str, Any] | None = None,
    is_last: bool = False,
) -> Joined:
    """Ask for the answer to `goal` from the outputs of a run, or for what is missing.

    `on_text` gets the pieces of a text answer as they arrive; together they are the answer. A request for more never
    reaches it, and with `is_last` there is none: the model answers as far as it can. With `output_schema` (JSON Schema)
    the answer is a JSON value that fits it, mended once by the model if need be, and nothing is streamed.

    Raises `ModelError`: `ModelReplyError` for an answer that is empty, cut at its limit or does not fit the schema;
    and `UsageError` when `output_schema` is no JSON Schema.
    """
    parts = [JOINER, JOINER_LAST if is_last else JOINER_MORE]
    form = None if output_schema is None else _Form(output_schema)
    if form is not None:
        parts.append(form_message(form.text, may_ask_more=not is_last))
    if instructions:
        parts.append(f"Instructions of the person you work for\n{instructions}")
    request = ModelRequest(
        (Message("system", "\n".join(parts)), Message("user", join_message(goal, plan, results))),
        temperature=JOIN_TEMPERATURE,
        max_output_tokens=MAX_ANSWER_TOKENS,
        purpose="join",
    )
    if form is None:
        return await _join_text(model, request, on_text, is_last=is_last)
    return await _join_value(model, request, form, is_last=is_last)


def check_output_schema(schema: Mapping[str, Any]) -> None:
    """Raise `UsageError` for what `join` could not take as `output_schema`."""
    _Form(schema)


async def _join_text(
    model: Model, request: ModelRequest, on_text: Callable[[str], None] | None, *, is_last: bool
) -> Joined:
    gate = AnswerGate(is_last=is_last)
    pieces: list[str] = []

    def give(piece: str) -> None:
        if piece:
            pieces.append(piece)
            if on_text is not None:
                on_text(piece)

    reply: ModelReply | None = None
    async with streaming(model, request) as stream:
        async for piece in stream:
            if isinstance(piece, ModelReply):
                reply = piece
            else:
                give(gate.feed(piece))
    give(gate.end())
    if gate.more is not None:
        return Joined(more=gate.more)
    if not pieces:
        raise _unusable(model, "empty", "gave an empty answer", "try again, or use another model", reply)
    return Joined("".join(pieces))


async def _join_value(model: Model, request: ModelRequest, form: _Form, *, is_last: bool) -> Joined:
    # a provider that holds the reply to a schema would leave no way to ask for more
    strict = dataclasses.replace(request, schema=form.schema, schema_name="answer", describe_schema=False)
    reply = await model.complete(strict if is_last else request)
    repairs = 0
    while True:
        text = without_thoughts(reply.text).strip()
        if not is_last and (more := _requested(text)) is not None:
            return Joined(more=more)
        value, problems = form.read(text)
        if not problems:
            return Joined(value)
        if repairs == MAX_REPAIRS:
            break
        repairs += 1
        quoted = Message("assistant", reply.text[:MAX_QUOTED_CHARS])
        told = (*request.messages, quoted, Message("user", misfit_message(problems)))
        reply = await model.complete(dataclasses.replace(strict, messages=told))
    said = f"did not give an answer that fits the schema asked for, even when told what was wrong: {problems[0]}"
    raise _unusable(model, "malformed", said, "ask for something simpler, or use a larger model", reply)


class AnswerGate:
    """Lets the text of an answer through as it comes, without thoughts, and keeps a request for more back.

    What `feed` and `end` return, put together, is the answer without white space around it.
    """

    def __init__(self, *, is_last: bool = False) -> None:
        self.more: str | None = None
        """What is missing, when the model asked for more; known at the end."""
        self._is_last = is_last
        self._held = ""
        """Text of which it is not known yet what it is, or white space that may be the last."""
        self._is_open = False
        self._is_request = False

    def feed(self, piece: str) -> str:
        """Take the next piece and return what is certainly part of the answer."""
        self._held += piece
        if not self._is_open:
            if self._is_request or not self._opens():
                return ""
            self._is_open = True
            self._held = self._held.lstrip()
        text = self._held.rstrip()
        self._held = self._held[len(text) :]
        return text

    def end(self) -> str:
        """Say that nothing more comes, and return the rest of the answer."""
        if self._is_open:
            return ""
        text = without_thoughts(self._held).strip()
        requested = _requested(text)
        if requested is None:
            return text
        if self._is_last:  # asked not to, it asks for more all the same: that is no answer, and must not look like one
            return f"{UNANSWERED}: {requested}"
        self.more = requested
        return ""

    def _opens(self) -> bool:
        """Whether it is clear now that what is held begins an answer."""
        text = self._held.lstrip()
        if THOUGHTS.match(text) is not None:
            closing = END_OF_THOUGHTS.search(text)
            if closing is None:
                return False
            self._held = text = text[closing.end() :].lstrip()
        elif text.startswith("<") and ">" not in text[:_LONGEST_THOUGHT_MARK] and len(text) < _LONGEST_THOUGHT_MARK:
            return False  # perhaps a thought begins
        plain = text.lstrip(_ORNAMENT)
        self._is_request = plain.startswith(_MORE)
        return bool(plain) and not self._is_request and not _MORE.startswith(plain)


def without_thoughts(text: str) -> str:
    """Return a reply without the thoughts in front of it; those that never end are all there is, so nothing is left."""
    if THOUGHTS.match(text.lstrip()) is None:
        return text
    closing = END_OF_THOUGHTS.search(text)
    return "" if closing is None else text[closing.end() :]


def _requested(text: str) -> str | None:
    """Return what is missing, when the text asks for more."""
    plain = text.lstrip(_ORNAMENT)
    if not plain.startswith(_MORE):
        return None
    return shorten(plain.removeprefix(_MORE).strip(_ORNAMENT), MAX_MORE_CHARS) or "it did not say what"


class _Form:
    """The form that an answer must have."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.schema = dict(schema)
        try:
            self.text = json.dumps(self.schema, ensure_ascii=False)
            if len(self.text) > MAX_SCHEMA_CHARS:
                raise UsageError(f"output_schema has more than {MAX_SCHEMA_CHARS:,} characters")
            self._validator: Any = compile_schema("join", "output_schema", self.schema)
        except (ToolDefinitionError, TypeError, ValueError, RecursionError) as error:
            raise UsageError(f"output_schema is no JSON Schema: {error}") from None

    def read(self, text: str) -> tuple[Any, list[str]]:
        """Return the value in a reply and what is wrong with it; fences and words around it are passed over."""
        strict = read_strict(text)
        if strict is not None and not text[strict.end :].strip():
            value = strict.value
        else:
            # the last value is the answer: what stands before it are examples and drafts
            whole = [passage.value for passage in find_passages(text) if passage.stop is None]
            fitting = [value for value in whole if not self._problems(value)]
            if not whole:
                return (text, []) if text and not self._problems(text) else (None, ["it is not JSON"])
            value = (fitting or whole)[-1]
        return value, self._problems(value)

    def _problems(self, value: Any) -> list[str]:
        if self._validator.is_valid(value):
            return []
        errors = islice(self._validator.iter_errors(value), MAX_PROBLEMS)
        return [shorten(f"{_place(error.instance_path)}: {error.message}", 300) for error in errors]


def _place(path: list[str | int]) -> str:
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return written.removeprefix(".") or "the value"


def _unusable(model: Model, reason: Any, said: str, hint: str, reply: ModelReply | None) -> ModelReplyError:
    text = "" if reply is None else reply.text
    tries = 1 if reply is None else reply.tries
    return ModelReplyError(
        f"{model.name} {said}\nhint: {hint}", reason=reason, text=text, reply=reply, model=model.name, tries=tries
    )
