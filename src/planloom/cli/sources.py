"""What the user names on the command line: a plan, tools, inputs. One clear sentence for what is not there."""

from __future__ import annotations

import errno
import json
import math
import os
import sys
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from planloom.errors import MissingExtraError, UsageError
from planloom.plan.issues import Issue
from planloom.plan.limits import DEFAULT_LIMITS
from planloom.plan.model import MISSING, Plan
from planloom.plan.suggest import did_you_mean
from planloom.tools import Toolbox, load_toolbox

STDIN: Final = "-"
MAX_NEIGHBOURS: Final = 1_000
"""Files of a folder that are looked at for a hint."""
MAX_GOAL_CHARS: Final = 100_000
_TABLE_ENDINGS: Final = (".csv", ".tsv", ".tab", ".psv", ".txt", ".dat")
DATA_ENDINGS: Final = (*_TABLE_ENDINGS, *(f"{ending}.gz" for ending in _TABLE_ENDINGS), ".parquet", ".pq")
"""What files are called that hold tables; others are read too, but not suggested."""
ANALYSIS_PACKAGES: Final = ("duckdb", "jinja2")


def read_plan(name: str, *, may_ask: bool) -> Plan:
    """Read the plan from a file, or from stdin for `-`.

    Raises UsageError when the file cannot be read, PlanFormatError when it holds no plan.
    """
    return Plan.from_json(_read_stdin(may_ask) if name == STDIN else _read_file(Path(name)))


def read_goal(words: str, *, may_ask: bool) -> str:
    """Return the goal that a command was given, or what stands on stdin for `-`. Raises UsageError."""
    goal = words
    if words == STDIN:
        content = _read_stdin(may_ask, "goal", "planloom … GOAL")
        try:
            goal = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError("the goal on stdin is not UTF-8 text") from None
    if not goal.strip():
        raise UsageError('the goal is empty\nhint: say what you want, such as planloom run "Sum up notes.txt"')
    if len(goal) > MAX_GOAL_CHARS:
        raise UsageError(
            f"the goal has {len(goal):,} characters, at most {MAX_GOAL_CHARS:,} are read\n"
            "hint: put long text into a file, and name the file in the goal"
        )
    return goal.strip()


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(DEFAULT_LIMITS.text_bytes + 1)
    except FileNotFoundError:
        raise UsageError(f"there is no file `{path}`{near_file(path)}") from None
    except IsADirectoryError:
        raise UsageError(f"`{path}` is a folder, not a file") from None
    except PermissionError:
        raise UsageError(f"cannot read `{path}`: permission denied") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        raise UsageError(f"cannot read `{path}`: {getattr(error, 'strerror', None) or error}") from None


def near_file(path: Path, endings: tuple[str, ...] = ("",)) -> str:
    """Return a hint line that names the file nearest to one that is not there, or nothing.

    Only files that can be read and have one of the `endings` count.
    """
    try:
        with os.scandir(path.parent) as entries:
            names = sorted(
                entry.name
                for entry in islice(entries, MAX_NEIGHBOURS)
                if entry.name.lower().endswith(endings) and not entry.is_dir() and os.access(entry.path, os.R_OK)
            )
    except (OSError, ValueError):
        return ""
    hint = did_you_mean(path.name, names)
    return f"\nhint: {hint}" if hint else ""


def _read_stdin(may_ask: bool, what: str = "plan", instead: str = "planloom … plan.json") -> bytes:
    if sys.stdin is None or sys.stdin.closed:  # pyright: ignore[reportUnnecessaryComparison] (closed by the shell)
        raise UsageError(f"cannot read the {what} from stdin: it is closed")
    if sys.stdin.isatty() and not may_ask:
        raise UsageError(f"stdin is a terminal, and --no-input was given\nhint: {instead}, or a pipe into -")
    try:
        return sys.stdin.buffer.read(DEFAULT_LIMITS.text_bytes + 1)
    except OSError as error:
        why = "it is a folder" if error.errno == errno.EISDIR else error.strerror or str(error)
        raise UsageError(f"cannot read the {what} from stdin: {why}") from None


def has_analysis() -> bool:
    """Whether the extra `analysis` is installed. Looks, imports nothing."""
    from importlib.util import find_spec

    return all(find_spec(package) is not None for package in ANALYSIS_PACKAGES)


def check_data_file(name: str) -> None:
    """Refuse a data file that is not there or cannot be read. Raises UsageError."""
    path = Path(name)
    try:
        if path.is_dir():
            raise UsageError(f"`{path}` is a folder, not a file\nhint: name the files in it")
        if not path.exists():
            raise UsageError(f"there is no file `{path}`{near_file(path, DATA_ENDINGS)}")
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read `{path}`: {getattr(error, 'strerror', None) or error}") from None
    if not os.access(path, os.R_OK):
        raise UsageError(f"cannot read `{path}`: permission denied")


def tools_named(specs: Iterable[str]) -> Toolbox | None:
    """Load the tools of every `--tools`; None when there was none."""
    boxes = [load_toolbox(spec) for spec in specs]
    return Toolbox(boxes) if boxes else None


def tools_or_default(specs: Iterable[str]) -> Toolbox | None:
    """Load the tools of every `--tools`, else those of the analysis; None when that extra is not installed."""
    named = tools_named(specs)
    if named is not None or not has_analysis():
        return named
    from planloom.analysis import toolbox

    return Toolbox.of(toolbox)


def note_on_tools(specs: Sequence[str], issues: Iterable[Issue]) -> str:
    """Return a note with a hint when a tool is unknown because none were named; else an empty text."""
    if specs or all(issue.code != "unknown-tool" for issue in issues):
        return ""
    return "note: checked against the built-in analysis tools\nhint: name yours with --tools FILE.py"


def tools_required(specs: Iterable[str], command: str) -> Toolbox:
    """Load tools for a command that cannot do without any. Raises UsageError or ToolLoadError."""
    tools = tools_or_default(specs)
    if tools is None:
        missing = MissingExtraError("analysis", "the built-in toolbox")
        raise UsageError(
            f"{command} needs tools: name yours with --tools FILE.py, or install the built-in ones\n{_hint_of(missing)}"
        )
    return tools


def _hint_of(error: Exception) -> str:
    return str(error).rpartition("\n")[2]


def parse_inputs(pairs: Iterable[str]) -> dict[str, Any]:
    """Turn `key=value` pairs into inputs: the value is JSON if it parses, else text. Raises UsageError."""
    inputs: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--input takes name=value; got `{pair[:200]}`\nhint: --input path=sales.csv")
        inputs[key] = _json_or_text(key, value)
    return inputs


def _json_or_text(key: str, value: str) -> Any:
    too_large: list[str] = []

    def number(digits: str) -> float:
        read = float(digits)
        if math.isinf(read):
            too_large.append(digits)
        return read

    try:
        read = json.loads(value, parse_constant=_refuse, parse_float=number)
    except (ValueError, RecursionError):
        return value
    if too_large:
        raise UsageError(
            f"--input {key[:80]}: the number {too_large[0][:40]} is too large\n"
            f"hint: to give it as text, put it in double quotes: --input '{key[:80]}=\"…\"'"
        )
    return read


def _refuse(name: str) -> Any:
    raise ValueError(name)


def unused_inputs(plan: Plan, inputs: Iterable[str]) -> list[str]:
    """Return a sentence for every given input that the plan neither has nor refers to."""
    known = dict.fromkeys(plan.inputs)
    for step in plan.steps:
        for _, reference, _ in step.wiring().places():
            known |= {
                str(operand.path[0]): None
                for operand in reference.operands
                if operand.facet == "inputs" and operand.path
            }
    answer: Any = plan.answer
    text_of_answer = "" if answer is MISSING else json.dumps(answer)
    sentences: list[str] = []
    for name in inputs:
        if name not in known and f"inputs.{name}" not in text_of_answer:
            hint = did_you_mean(name, known)
            sentences.append(f"the plan has no input `{name}`" + (f"; {hint}" if hint else ""))
    return sentences
