"""A playbook: a saved plan with a name and typed inputs, ready to run on other values. Pure: JSON in, a `Playbook` out.

    {"version": 1, "name": "compare", "description": "…", "tools": "my_tools.py",
     "inputs": {"path": {"type": "file", "description": "The file"}, "threshold": {"type": "number", "default": 3}},
     "plan": {…}}

Rule: everything that is wrong with a playbook, or with the values for its inputs, is said at once.
"""

from __future__ import annotations

import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from planloom.errors import PlanFormatError, UsageError
from planloom.plan.issues import shorten
from planloom.plan.model import MISSING, Plan
from planloom.plan.suggest import did_you_mean

VERSION: Final = 1
MAX_INPUTS: Final = 200
MAX_DESCRIPTION_CHARS: Final = 2_000
MAX_PROBLEMS: Final = 20
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_INPUT_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,79}")
_KEYS: Final = ("version", "name", "description", "tools", "inputs", "plan")
_BOUNDS: Final[dict[str, tuple[str, Callable[[float, float], bool]]]] = {
    "minimum": ("at least", operator.ge),
    "exclusiveMinimum": ("above", operator.gt),
    "maximum": ("at most", operator.le),
    "exclusiveMaximum": ("below", operator.lt),
}
"""What may limit an input of numbers, by its name in JSON Schema: how it is said, and the check."""
CONSTRAINTS: Final = (*_BOUNDS, "enum")
_INPUT_KEYS: Final = ("type", "description", "default", *CONSTRAINTS)
MAX_CHOICES: Final = 100


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_CHECKS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "text": ("text", lambda value: isinstance(value, str)),
    "file": ("the name of a file", lambda value: isinstance(value, str) and bool(value.strip())),
    "number": ("a number", _is_number),
    "integer": ("a whole number", lambda value: _is_number(value) and float(value).is_integer()),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "list": ("a list", lambda value: isinstance(value, list)),
    "object": ("an object", lambda value: isinstance(value, dict)),
    "any": ("anything", lambda _: True),
}
"""Every type of input: what it takes in words, and the check."""
TYPES: Final = tuple(_CHECKS)
_ALIASES: Final = {"string": "text", "str": "text", "path": "file", "float": "number", "int": "integer",
                   "bool": "boolean", "array": "list", "dict": "object"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class PlaybookInput:
    """One input of a playbook. `default` is `MISSING` when a value has to be given.

    `constraints` are those of JSON Schema by name: `minimum`, `exclusiveMinimum`, `maximum`, `exclusiveMaximum` of a
    number, and `enum`, the values that it takes.
    """

    name: str
    type: str
    description: str = ""
    default: Any = MISSING
    constraints: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_required(self) -> bool:
        """Whether a value has to be given."""
        return self.default is MISSING

    @property
    def limits(self) -> str:
        """Its constraints in words: `at least 0, at most 20`; empty without any."""
        said = [
            f"{words} {_shown(self.constraints[key])}" for key, (words, _) in _BOUNDS.items() if key in self.constraints
        ]
        if "enum" in self.constraints:
            said.append(f"one of {', '.join(map(_shown, self.constraints['enum']))}")
        return ", ".join(said)

    @property
    def takes(self) -> str:
        """What it takes, in words: `a whole number, at least 0`."""
        return ", ".join(filter(None, (_CHECKS[self.type][0], self.limits)))

    def accepts(self, value: Any) -> bool:
        """Whether a value is of its type and within its constraints."""
        if not _CHECKS[self.type][1](value):
            return False
        if any(
            key in self.constraints and not keeps(value, self.constraints[key]) for key, (_, keeps) in _BOUNDS.items()
        ):
            return False
        choices = self.constraints.get("enum")
        return choices is None or any(_is_same(value, choice) for choice in choices)

    def to_dict(self) -> dict[str, Any]:
        """The input as a playbook's JSON has it."""
        written: dict[str, Any] = {"type": self.type, "description": self.description, **self.constraints}
        return written if self.is_required else written | {"default": self.default}


@dataclass(frozen=True, slots=True)
class Playbook:
    """A saved plan with typed inputs. `tools` is what `--tools` would name, None for the built-in ones."""

    name: str
    description: str
    inputs: tuple[PlaybookInput, ...]
    plan: Plan
    tools: str | None = None

    @classmethod
    def from_json(cls, text: str | bytes, name: str) -> Playbook:
        """Read a playbook. Its name is `name` (that of its file) unless it says another.

        Raises `UsageError` with everything that is wrong, in one message.
        """
        try:
            read: Any = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"playbook `{name}` is not valid JSON: {shorten(str(error))}") from None
        if not isinstance(read, dict):
            raise UsageError(f"playbook `{name}` is not a JSON object\nhint: {_SHAPE}")
        written = cast("dict[str, Any]", read)
        problems: list[str] = []
        inputs = _read_inputs(written.get("inputs", {}), problems)
        plan = _read_plan(written, problems)
        _check_members(written, problems)
        if problems or plan is None:
            raise UsageError(f"playbook `{name}` cannot be used: {_listed(problems)}\nhint: {_SHAPE}")
        return cls(
            name=written.get("name") or name,
            description=(written.get("description") or "")[:MAX_DESCRIPTION_CHARS],
            inputs=inputs,
            plan=plan,
            tools=written.get("tools"),
        )

    @classmethod
    def of_plan(cls, plan: Plan, name: str, *, description: str = "", tools: str | None = None) -> Playbook:
        """Make a plan a playbook: its inputs become typed ones, with what they have now as defaults."""
        inputs = tuple(PlaybookInput(key, _type_of(value), "", value) for key, value in plan.inputs.items())
        return cls(name, description or plan.goal, inputs, plan, tools)

    def bind(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs of one run: `values` over the defaults.

        Raises `UsageError` that lists every input that is missing, of the wrong type, out of its range, or not one of
        the playbook's.
        """
        known = {given.name: given for given in self.inputs}
        problems: list[str] = []
        for name in values:
            if name not in known:
                hint = did_you_mean(name, known)
                problems.append(f"it has no input `{shorten(name)}`" + (f" ({hint})" if hint else ""))
        bound: dict[str, Any] = {}
        for name, asked in known.items():
            value = values.get(name, asked.default)
            if value is MISSING:
                what = f", {shorten(asked.description)}" if asked.description else ""
                problems.append(f"input `{name}` ({asked.type}{what}) is missing")
            elif not asked.accepts(value):
                problems.append(f"input `{name}` takes {asked.takes}, not {_shown(value)}")
            else:
                bound[name] = int(value) if asked.type == "integer" else value
        if problems:
            raise UsageError(f"playbook `{self.name}`: {_listed(problems)}{self._hint(known, values)}")
        return bound

    def read_texts(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Values from a command line: text stays as it is for an input of text, anything else is JSON if it parses."""
        types = {given.name: given.type for given in self.inputs}
        return {
            name: text if types.get(name) in ("text", "file") else _json_or_text(text) for name, text in pairs
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The playbook as JSON, as `from_json` reads it."""
        written: dict[str, Any] = {"version": VERSION, "name": self.name, "description": self.description}
        if self.tools is not None:
            written["tools"] = self.tools
        written["inputs"] = {given.name: given.to_dict() for given in self.inputs}
        return written | {"plan": self.plan.to_dict()}

    def to_json(self) -> str:
        """The playbook as JSON text, indented."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False) + "\n"

    def _hint(self, known: Mapping[str, PlaybookInput], values: Mapping[str, Any]) -> str:
        lacking = [name for name, asked in known.items() if asked.is_required and name not in values]
        return "\nhint: " + " ".join(f"--input {name}=…" for name in lacking) if lacking else ""


_SHAPE: Final = (
    '{"version": 1, "name": …, "description": …, "inputs": {NAME: {"type": "text"}}, "plan": {"steps": […]}}'
)


def _read_inputs(written: Any, problems: list[str]) -> tuple[PlaybookInput, ...]:
    if not isinstance(written, dict):
        problems.append("`inputs` is not an object of inputs by name")
        return ()
    given = cast("dict[str, Any]", written)
    if len(given) > MAX_INPUTS:
        problems.append(f"{len(given)} inputs are too many; a playbook has at most {MAX_INPUTS}")
        return ()
    found: list[PlaybookInput] = []
    for name, facts in given.items():
        if isinstance(facts, str):
            facts = {"type": facts}
        if _INPUT_NAME.fullmatch(name) is None:
            problems.append(f"`{shorten(name)}` cannot name an input: letters, digits, `_` and `-` can")
        elif not isinstance(facts, dict):
            problems.append(f"input `{name}` is not an object with a type")
        else:
            found += _read_input(name, cast("dict[str, Any]", facts), problems)
    return tuple(found)


def _read_input(name: str, facts: dict[str, Any], problems: list[str]) -> list[PlaybookInput]:
    kind = facts.get("type", "any")
    kind = _ALIASES.get(kind, kind) if isinstance(kind, str) else kind
    if not isinstance(kind, str) or kind not in _CHECKS:
        problems.append(f"input `{name}` has the type {_shown(kind)}; types are {', '.join(TYPES)}")
        return []
    strange = [key for key in facts if key not in _INPUT_KEYS]
    takes = ", ".join(_INPUT_KEYS)
    problems += [f"input `{name}` has an unknown member `{shorten(key)}`; it takes {takes}" for key in strange]
    description = facts.get("description", "")
    if not isinstance(description, str):
        problems.append(f"the description of input `{name}` is not text")
        description = ""
    constraints = {key: facts[key] for key in CONSTRAINTS if key in facts}
    faults = [fault for key in constraints if (fault := _fault_of(key, constraints[key], kind))]
    problems += [f"`{key}` of input `{name}` {fault}" for key, fault in faults]
    given = PlaybookInput(name, kind, description, facts.get("default", MISSING), {} if faults else constraints)
    if not given.is_required and not given.accepts(given.default):
        problems.append(f"the default of input `{name}` is {_shown(given.default)}, not {given.takes}")
    return [given]


def _fault_of(key: str, value: Any, kind: str) -> tuple[str, str] | None:
    """What is wrong with one constraint of an input of this type, if anything."""
    if key == "enum":
        if not isinstance(value, list) or not 0 < len(cast("list[Any]", value)) <= MAX_CHOICES:
            return key, f"is {_shown(value)}, not a list of 1 to {MAX_CHOICES} values"
        strange = [choice for choice in cast("list[Any]", value) if not _CHECKS[kind][1](choice)]
        return (key, f"holds {_shown(strange[0])}, not {_CHECKS[kind][0]}") if strange else None
    if kind not in ("number", "integer"):
        return key, f"is for numbers, and its type is {kind}"
    return None if _is_number(value) else (key, f"is {_shown(value)}, not a number")


def _is_same(value: Any, choice: Any) -> bool:
    """Equal as in JSON: true is not 1."""
    return value == choice and isinstance(value, bool) == isinstance(choice, bool)


def _read_plan(written: dict[str, Any], problems: list[str]) -> Plan | None:
    if "plan" not in written:
        problems.append("it has no `plan`")
        return None
    try:
        return Plan.from_json(written["plan"])
    except (PlanFormatError, TypeError) as error:
        problems.append(f"its plan cannot be read: {shorten(str(error).splitlines()[0])}")
        return None


def _check_members(written: dict[str, Any], problems: list[str]) -> None:
    if written.get("version", VERSION) != VERSION:
        problems.append(f"its version is {_shown(written['version'])}, and only version {VERSION} is known")
    texts = [key for key in ("name", "description", "tools") if key in written and written[key] is not None]
    problems += [f"`{key}` is not text" for key in texts if not isinstance(written[key], str)]
    name = written.get("name")
    if isinstance(name, str) and name and NAME.fullmatch(name) is None:
        problems.append(f"`{shorten(name)}` cannot be its name: letters, digits, `.`, `_` and `-` can, up to 80")
    takes = ", ".join(_KEYS)
    problems += [f"it has an unknown member `{shorten(key)}`; it takes {takes}" for key in written if key not in _KEYS]


def _type_of(value: Any) -> str:
    for kind in ("boolean", "integer", "number", "text", "list", "object"):
        if _CHECKS[kind][1](value) and not (kind == "integer" and isinstance(value, float)):
            return kind
    return "any"


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str))


def _listed(problems: list[str]) -> str:
    more = len(problems) - MAX_PROBLEMS
    return "; ".join(problems[:MAX_PROBLEMS]) + (f"; and {more:,} more problems" if more > 0 else "")
