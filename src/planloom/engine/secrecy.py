"""The secrets of one run: where they come from, how calls get them, and what a journal holds in their place.

Rule: a tool gets the real value; whatever leaves the call again, and whatever is told or kept, has a mark instead. A
secret does not pass from step to step: what later steps, models and journals see of an output is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, cast

from planloom.engine.failures import Failure
from planloom.errors import ArgumentsError, PlanCycleError, PlanValidationError, UsageError
from planloom.plan.history import Words
from planloom.plan.issues import shorten
from planloom.plan.limits import Limits
from planloom.plan.model import Plan, Step
from planloom.plan.redacted import clean_issue, clean_plan
from planloom.plan.redaction import MARK, MIN_SECRET_CHARS, Redactor
from planloom.plan.secret_sources import check_length, checked_secrets, environment_secrets, marked_texts
from planloom.plan.values import KeepTable, OutputError, normalise_output
from planloom.tools import Tool

SECRET_INPUTS: Final = "secret_inputs"  # noqa: S105 - a name
"""In what a journal says of a run: its inputs that hold a secret, each with the variable that has it, or None."""


def make_redactor(
    inputs: Mapping[str, str], deps: Any, given: Iterable[Any] | None, tools: Mapping[str, Tool]
) -> Redactor | None:
    """Return what takes the secrets of a run out of everything; None when there are none, and none can come.

    `inputs` are the texts of marked inputs, each with its name, as `read_inputs` finds them, `given` is what the caller
    says is secret. Raises `UsageError` for secrets that are too short to be looked for.
    """
    known = _of_this_process()
    for text in () if given is None else checked_secrets(given):
        known.setdefault(text, "")
    for text in () if deps is None else marked_texts(deps):
        if len(text) >= MIN_SECRET_CHARS:
            known.setdefault(text, "")
    for text, name in inputs.items():
        known.setdefault(text, f"inputs.{name}")
    known.pop("", None)
    if not known and not any(tool.has_secrets for tool in tools.values()):
        return None
    return Redactor(known)


def _of_this_process() -> dict[str, str]:
    """Return the secrets of the environment; it is read again only when it has changed, as that takes a while."""
    raw: dict[Any, Any] | None = getattr(os.environ, "_data", None)
    if raw is None:
        return environment_secrets(os.environ)
    before, found = _last_environment[0]
    if raw != before:
        found = environment_secrets(os.environ)
        _last_environment[0] = dict(raw), found
    return dict(found)


_last_environment: list[tuple[dict[Any, Any], dict[str, str]]] = [({}, {})]


def read_inputs(inputs: Mapping[str, Any], limits: Limits, secrets: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the caller's inputs as JSON values of their own: what steps get may not change while they run.

    The texts of those that are marked secret, such as a `SecretStr`, are added to `secrets`, with the input's name.
    Raises `UsageError`.
    """
    if not isinstance(inputs, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] (a caller may give anything)
        raise UsageError(f"inputs are values by name, such as {{'city': 'Oslo'}}; got {type(inputs).__name__}")
    read: dict[str, Any] = {}
    for name, value in inputs.items():
        found: list[str] = []
        try:
            read[name] = normalise_output(value, limits, found, reveals=True)
        except OutputError as error:
            problem = str(error).replace("the output", "its value", 1)
            raise UsageError(f"input `{name}` cannot be used: {problem}") from None
        for text in found:
            check_length(text, f"input `{name}`")
            if secrets is not None:
                secrets.setdefault(text, name)
    return read


# ---- calls ------------------------------------------------------------------------------------------------


def prepare(tool: Tool, args: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Check and coerce arguments, and learn which of them are secret. No complaint shows a secret."""
    try:
        prepared = tool.prepare(args)
    except BaseException:
        learn_arguments(tool, args, redactor)
        cleaned = redactor.clean(args)
        if cleaned is args:
            raise
    else:
        if tool.has_secrets:
            for text in marked_texts(prepared):
                redactor.learn(text)
            if not tool.coerces:
                learn_arguments(tool, args, redactor)
        return prepared
    tool.prepare(cleaned)  # the same complaint, about marks
    raise ArgumentsError(f"`{tool.name}` was given an argument that does not fit, and is not shown: it holds a secret")


def learn_arguments(tool: Tool, args: Mapping[str, Any], redactor: Redactor) -> None:
    """Learn every text in the arguments that a tool says are secret."""
    for name in tool.secret_parameters:
        for text in _texts(args.get(name)):
            redactor.learn(text)


def shown_args(tool: Tool, args: dict[str, Any], redactor: Redactor | None) -> dict[str, Any]:
    """Return arguments as people may see them."""
    if redactor is None:
        return args
    learn_arguments(tool, args, redactor)
    shown = dict(cast("dict[str, Any]", redactor.clean(args)))
    for name in tool.secret_parameters:
        if name in args and shown.get(name) is args[name]:  # too short to be looked for, and still not shown
            shown[name] = MARK
    return shown


def read_output(value: Any, limits: Limits, redactor: Redactor, keep: KeepTable | None = None) -> Any:
    """Return what a tool gave back as a JSON value without secrets. Raises `OutputError`."""
    found: list[str] = []
    read = normalise_output(value, limits, found, keep=keep)
    for text in found:
        redactor.learn(text)
    return redactor.clean(read)


def without_secrets(
    on_end: Callable[[Any, Failure | None, Any], None], redactor: Redactor
) -> Callable[[Any, Failure | None, Any], None]:
    """Return `on_end` of calls, which then hears of failures without secrets."""

    def ended(attempt: Any, failure: Failure | None, value: Any) -> None:
        if failure is not None:
            failure = replace(failure, message=redactor.text(failure.message))
        on_end(attempt, failure, value)

    return ended


# ---- plans and journals -----------------------------------------------------------------------------------


def cleaned_rejection(error: PlanValidationError, redactor: Redactor | None) -> PlanValidationError:
    """Return the refusal of a plan without secrets."""
    if redactor is None:
        return error
    issues = [clean_issue(issue, redactor) for issue in error.issues]
    if issues == error.issues:
        return error
    return PlanCycleError(issues, error.cycle) if isinstance(error, PlanCycleError) else PlanValidationError(issues)


def check_keepable(plan: Plan, tools: Mapping[str, Tool], redactor: Redactor | None) -> None:
    """Raise `UsageError` for a plan in which a secret stands as it is: a journal could not go on with it."""
    hint = 'take it from an input, as in "{{inputs.key}}", which is asked for again when the run goes on'
    for step, name in literal_secrets(plan, tools):
        what = f"step `{shorten(step.id)}` holds the secret argument `{shorten(name)}` as it is"
        raise UsageError(f"{what}, which no journal keeps\nhint: {hint}")
    if redactor is not None and (cleaned := clean_plan(plan, redactor)) is not plan:
        pairs = zip(plan.steps, cleaned.steps, strict=True)
        where = next((f"step `{shorten(step.id)}`" for step, other in pairs if step != other), "the plan")
        raise UsageError(f"{where} holds a secret as it is, which no journal keeps\nhint: {hint}")


def literal_secrets(plan: Plan, tools: Mapping[str, Tool]) -> list[tuple[Step, str]]:
    """Return the arguments that are secret by their tool and stand in a plan as they are."""
    if not any(tool.secret_parameters for tool in tools.values()):
        return []
    return [
        (step, name)
        for step in plan.steps
        if (tool := tools.get(step.tool)) is not None
        for name in tool.secret_parameters
        if name in step.args and all(place[:1] != (name,) for place, _ in step.wiring().args)
    ]


def learn_literals(plan: Plan, tools: Mapping[str, Tool], redactor: Redactor | None) -> None:
    """Learn the secrets that stand in a plan as they are."""
    if redactor is not None:
        for step, _ in literal_secrets(plan, tools):
            learn_arguments(tools[step.tool], step.args, redactor)


def clean_words(words: Words, redactor: Redactor | None) -> Words:
    """Return a person's words without secrets in the outputs that they give."""
    return words if redactor is None else replace(words, outputs=redactor.clean(dict(words.outputs or {})))


def kept_inputs(inputs: Mapping[str, Any], secrets: Mapping[str, str], redactor: Redactor | None) -> dict[str, Any]:
    """Return what a journal says of a run's inputs: without secrets, and which of them have to be given again."""
    if redactor is None:
        return {"inputs": dict(inputs)}
    marked = set(secrets.values())
    kept: dict[str, Any] = {}
    missing: dict[str, str | None] = {}
    for name, value in inputs.items():
        kept[name] = redactor.clean(value)
        if name in marked or kept[name] is not value:
            variable = redactor.name_of(value) if isinstance(value, str) else ""
            missing[name] = variable if os.environ.get(variable) == value else None
    return {"inputs": kept, SECRET_INPUTS: missing} if missing else {"inputs": kept}


def restored_inputs(meta: Mapping[str, Any], given: Mapping[str, Any] | None, run_id: str) -> dict[str, Any]:
    """Return the inputs of a run that goes on: those of its journal, and its secret ones from the caller again.

    A secret input that was the value of a variable is read from there when it is not given. Raises `UsageError` that
    names every one that is missing.
    """
    inputs = dict(meta["inputs"])
    missing: list[str] = []
    hints: list[str] = []
    for name, variable in meta.get(SECRET_INPUTS, {}).items():
        if given is not None and name in given:
            for text in _texts(given[name]):
                check_length(text, f"input `{name}`")
            inputs[name] = _marked(given[name])
        elif variable and os.environ.get(variable):
            inputs[name] = os.environ[variable]
        else:
            missing.append(f"`{shorten(name)}`")
            hints.append(f"set `{variable}`" if variable else f"give it by inputs={{{name!r}: …}}")
    if missing:
        plural = "s" if len(missing) > 1 else ""
        raise UsageError(
            f"run `{run_id}` needs its secret input{plural} {', '.join(missing)} again: a journal keeps no secrets\n"
            f"hint: {'; '.join(hints)}"
        )
    return inputs


class _Marked:
    """A text that an earlier process was given as a secret."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return MARK

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._text


def _marked(value: Any) -> Any:
    """Return a value in which every text that can be looked for is marked, unless parts of it are marked already."""
    if marked_texts(value):
        return value
    if isinstance(value, str):
        return _Marked(value) if len(value) >= MIN_SECRET_CHARS else value
    if isinstance(value, dict):
        return {key: _marked(part) for key, part in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_marked(part) for part in cast("list[Any]", value)]
    return value


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value).values()
    elif isinstance(value, list):
        parts = cast("list[Any]", value)
    return [text for part in parts for text in _texts(part)]
