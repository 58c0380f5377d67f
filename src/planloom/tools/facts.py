"""What a tool says about itself beyond its signature: effects, limits, where it runs.

The words about effects are MCP's. Silence is read as the worst case: a tool that says nothing has effects
and must not be repeated. Every fact is checked when the tool is made, never when it is called.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, TypeVar, cast, get_args

from planloom.errors import ToolDefinitionError
from planloom.plan.suggest import did_you_mean

RunIn = Literal["loop", "thread", "process"]
Value = TypeVar("Value")

DEFAULT_TIMEOUT_S: Final = 300.0
DEFAULT_RETRIES: Final = 2
"""For tools that may be repeated; every other tool gets none."""
MAXIMUM_RETRIES: Final = 100
MAXIMUM_SECONDS: Final = 366 * 24 * 3600
MAXIMUM_NAME_CHARACTERS: Final = 200


class ToolFacts(TypedDict, total=False):
    """The facts that `@tool(...)`, `Tool.from_function` and `Tool.from_schema` take by keyword."""

    name: str
    """What plans call the tool; by default the function's name."""
    description: str
    """What the planner reads; by default the docstring without its sections."""
    read_only: bool
    """It changes nothing anywhere. Default False."""
    idempotent: bool
    """Calling it again with the same arguments changes nothing more. Default: as `read_only`."""
    destructive: bool
    """It may delete or overwrite. Default False."""
    open_world: bool
    """It talks to a world it does not own, such as the web. Default False."""
    calls_model: bool | None
    """It asks a language model, the run's or one of its own. Default None, not said: then a tool that takes a
    `ToolContext` may, and others do not."""
    timeout_s: float
    """Limit of one attempt, in seconds. Default 300."""
    retries: int
    """Further attempts after a failure that can pass. Default 2 if read-only or idempotent, else 0."""
    max_concurrency: int | None
    """How many calls of this tool may run at once. Default None: no limit of its own."""
    expected_s: float | None
    """How long a call usually takes, in seconds; steps on the longest path start first. Default None."""
    run_in: RunIn
    """`loop` (default for async), `thread` (default for sync) or `process`."""
    writes: tuple[str, ...]
    """Templates of the resources it writes, such as `file:{path}`; names in braces are its parameters."""
    version: str | None
    """Any text; change it when the tool's results change."""
    cache: bool
    """Use the output of an earlier call with the same arguments, by this or another run of the same journal. Needs
    `read_only` and `version`. Default False."""


@dataclass(frozen=True, slots=True)
class CheckedFacts:
    """The facts after checking, with every default filled in."""

    read_only: bool
    idempotent: bool
    destructive: bool
    open_world: bool
    calls_model: bool | None
    timeout_s: float
    retries: int
    max_concurrency: int | None
    expected_s: float | None
    run_in: RunIn
    writes: tuple[str, ...]
    version: str | None
    cache: bool


def check_facts(tool: str, facts: Mapping[str, Any], *, is_async: bool, parameters: Collection[str]) -> CheckedFacts:
    """Check every given fact and fill in the defaults.

    Raises ToolDefinitionError that names the tool and the fact.
    """
    for fact in facts:
        if fact not in ToolFacts.__annotations__:
            hint = did_you_mean(fact, ToolFacts.__annotations__) or "known facts: " + ", ".join(
                ToolFacts.__annotations__
            )
            raise ToolDefinitionError(f"`{tool}`: there is no fact called `{fact}`\nhint: {hint}")
    read = _FactReader(tool, facts)
    read_only = read.flag("read_only", False)
    destructive = read.flag("destructive", False)
    idempotent = read.flag("idempotent", read_only) or read_only
    writes = _check_writes(tool, facts.get("writes", ()), parameters)
    if read_only and destructive:
        raise ToolDefinitionError(f"`{tool}`: read_only and destructive contradict each other\nhint: drop one of them")
    if read_only and writes:
        raise ToolDefinitionError(f"`{tool}`: read_only and writes contradict each other\nhint: drop one of them")
    if read.flag("cache", False) and not (read_only and facts.get("version")):
        raise ToolDefinitionError(
            f"`{tool}`: only the outputs of a tool that is read_only and has a version can be used again\n"
            'hint: cache=True needs read_only=True and version="1", or drop it'
        )
    return CheckedFacts(
        read_only=read_only,
        idempotent=idempotent,
        destructive=destructive,
        open_world=read.flag("open_world", False),
        calls_model=read.optional("calls_model", read.true_or_false),
        timeout_s=read.seconds("timeout_s", DEFAULT_TIMEOUT_S),
        retries=read.count("retries", DEFAULT_RETRIES if idempotent else 0, least=0, most=MAXIMUM_RETRIES),
        max_concurrency=read.optional("max_concurrency", lambda fact: read.count(fact, 1, least=1)),
        expected_s=read.optional("expected_s", lambda fact: read.seconds(fact, 0.0)),
        run_in=read.place("loop" if is_async else "thread"),
        writes=writes,
        version=read.optional("version", read.text),
        cache=read.flag("cache", False),
    )


def check_name(name: object, where: str) -> str:
    """Return a tool's name, or raise ToolDefinitionError when no plan could use it.

    Spaces, dots and dashes inside are fine; `where` says whose name it is, for the message.
    """
    if not isinstance(name, str):
        raise ToolDefinitionError(f"{where}: name must be a text, not {_show(name)}")
    if not name.strip():
        raise ToolDefinitionError(f"{where}: name must not be empty")
    if name != name.strip():
        raise ToolDefinitionError(f"{where}: name {_show(name)} begins or ends with a space")
    if len(name) > MAXIMUM_NAME_CHARACTERS:
        raise ToolDefinitionError(
            f"{where}: name has {len(name)} characters, at most {MAXIMUM_NAME_CHARACTERS} are allowed"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise ToolDefinitionError(f"{where}: name {_show(name)} holds a control character or line break")
    return name


class _FactReader:
    """Reads one fact at a time out of what was given, with one message per kind of mistake."""

    def __init__(self, tool: str, facts: Mapping[str, Any]) -> None:
        self._tool = tool
        self._facts = facts

    def flag(self, fact: str, default: bool) -> bool:
        return self.true_or_false(fact) if fact in self._facts else default

    def true_or_false(self, fact: str) -> bool:
        value = self._facts[fact]
        if not isinstance(value, bool):
            raise self._wrong(fact, "True or False", value)
        return value

    def seconds(self, fact: str, default: float) -> float:
        value = self._facts.get(fact, default)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not 0 < value <= MAXIMUM_SECONDS:  # NaN fails the comparison too
            raise self._wrong(fact, f"a number of seconds above 0 and at most {MAXIMUM_SECONDS:,}", value)
        return float(value)

    def count(self, fact: str, default: int, *, least: int, most: int | None = None) -> int:
        value = self._facts.get(fact, default)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or value < least or (most is not None and value > most):
            bounds = f"from {least} to {most}" if most is not None else f"of at least {least}"
            raise self._wrong(fact, f"a whole number {bounds}", value)
        return value

    def text(self, fact: str) -> str:
        value = self._facts[fact]
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(fact, "a text that is not empty", value)
        return value

    def place(self, default: RunIn) -> RunIn:
        value = self._facts.get("run_in", default)
        if not isinstance(value, str) or value not in get_args(RunIn):
            raise self._wrong("run_in", '"loop", "thread" or "process"', value)
        return cast("RunIn", value)

    def optional(self, fact: str, read: Callable[[str], Value]) -> Value | None:
        return None if self._facts.get(fact) is None else read(fact)

    def _wrong(self, fact: str, expected: str, value: object) -> ToolDefinitionError:
        return ToolDefinitionError(f"`{self._tool}`: {fact} must be {expected}, not {_show(value)}")


def _check_writes(tool: str, writes: object, parameters: Collection[str]) -> tuple[str, ...]:
    if not isinstance(writes, (list, tuple)):
        raise ToolDefinitionError(
            f"`{tool}`: writes must be a tuple of texts, not {_show(writes)}\nhint: writes=('file:{{path}}',)"
        )
    for template in cast("list[object]", writes):
        if not isinstance(template, str) or not template.strip():
            raise ToolDefinitionError(f"`{tool}`: writes holds {_show(template)}, which is not a resource template")
        for name in _template_names(tool, template):
            if name not in parameters:
                known = ", ".join(parameters) or "none"
                raise ToolDefinitionError(
                    f"`{tool}`: writes names `{{{name}}}` in {_show(template)}, which is not a parameter\n"
                    f"hint: {did_you_mean(name, parameters) or f'its parameters: {known}'}"
                )
    return tuple(cast("list[str]", writes))


def _template_names(tool: str, template: str) -> list[str]:
    """The names in braces of one resource template; only plain names are allowed there."""
    try:
        fields = [(name, spec, change) for _, name, spec, change in string.Formatter().parse(template)]
    except ValueError as error:
        raise ToolDefinitionError(f"`{tool}`: writes holds {_show(template)}: {error}") from None
    names: list[str] = []
    for name, spec, change in fields:
        if name is None:
            continue
        if spec or change:
            raise ToolDefinitionError(
                f"`{tool}`: writes holds {_show(template)}: between braces stands one plain parameter name"
            )
        names.append(name)
    return names


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
