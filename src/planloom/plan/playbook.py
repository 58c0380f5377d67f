"""A playbook: a saved plan with a name and typed inputs, ready to run on other values. Pure: JSON in, a `Playbook` out.

    {"version": 1, "name": "compare", "description": "…", "tools": "my_tools.py",
     "inputs": {"path": {"type": "file", "description": "The file"}, "threshold": {"type": "number", "default": 3}},
     "plan": {…}}

Rule: everything that is wrong with a playbook, or with the values for its inputs, is said at once.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
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
_INPUT_KEYS: Final = ("type", "description", "default")


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
    """One input of a playbook. `default` is `MISSING` when a value has to be given."""

    name: str
    type: str
    description: str = ""
    default: Any = MISSING

    @property
    def is_required(self) -> bool:
        """Whether a value has to be given."""
        return self.default is MISSING

    def to_dict(self) -> dict[str, Any]:
        """The input as a playbook's JSON has it."""
        written: dict[str, Any] = {"type": self.type, "description": self.description}
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

        Raises `UsageError` that lists every input that is missing, of the wrong type, or not one of the playbook's.
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
            elif not _CHECKS[asked.type][1](value):
                problems.append(f"input `{name}` takes {_CHECKS[asked.type][0]}, not {_shown(value)}")
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
    default = facts.get("default", MISSING)
    if default is not MISSING and not _CHECKS[kind][1](default):
        problems.append(f"the default of input `{name}` is {_shown(default)}, not {_CHECKS[kind][0]}")
    return [PlaybookInput(name, kind, description, default)]


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
