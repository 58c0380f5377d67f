"""Untrusted text made fit to print: what would steer a terminal becomes visible characters.

Ids, outputs, errors, file names and cells come from models, tools and files. `one_line` is for places with
little room, `visible` keeps lines as they are.
"""

from __future__ import annotations

import re
import reprlib
from typing import Any, Final

from planloom.plan.issues import split_hint

_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]")
_UNSEEN: Final = re.compile(r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_STACKED: Final = re.compile(r"([\u0300-\u036f]{3})[\u0300-\u036f]+")
_RETURN_AT_LINE_END: Final = re.compile(r"\r(?=\n)")


def visible(text: str) -> str:
    r"""Return `text` with its lines and tabs, and every other control character written out, as in `\x1b`.

    Direction overrides and lone surrogates are written out too. The result can always be encoded as UTF-8.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_written_out, _RETURN_AT_LINE_END.sub("", text))


def _written_out(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(value: object, max_chars: int = 200) -> str:
    """Return `value` as one line of at most `max_chars` characters; direction marks and stacked accents are dropped."""
    text = value if isinstance(value, str) else reprlib.repr(value)
    cut = text[: max_chars * 4]
    if not (cut.isascii() and cut.isprintable()):
        cut = visible(_UNSEEN.sub("", _STACKED.sub(r"\1", " ".join(cut.split()))))
    cut = " ".join(cut.split())
    is_cut = len(cut) > max_chars or len(text) > max_chars * 4
    return cut[: max_chars - 1] + "…" if is_cut else cut


def first_line(text: str, max_chars: int = 200) -> str:
    """Return the first line of `text` that says something, as one line."""
    return one_line(next((line for line in text[: max_chars * 8].splitlines() if line.strip()), ""), max_chars)


def first_reason(message: str, max_chars: int = 200) -> str:
    """Return the first line of an error as one line, without its hint, which stands at the end of the run."""
    return first_line(split_hint(message)[0], max_chars)


def seconds(value_s: float) -> str:
    """Return a time that ticks: always one decimal below a minute, so that the text keeps its width."""
    if value_s < 60:
        return f"{max(0.0, value_s):.1f} s"
    whole = int(value_s)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def took(latency_ms: float) -> str:
    """Return how long something took: "41 ms", "3.2 s", "2 min 05 s"."""
    return f"{latency_ms:.0f} ms" if latency_ms < 99.5 else seconds(latency_ms / 1_000)


def reused(run_id: str | None) -> str:
    """Return "reused from run 1a2b", nothing for what was made in its own run."""
    return "" if run_id is None else f"reused from run {one_line(run_id, 40)}"


def counted(number: int, noun: str) -> str:
    """Return "1 step", "2 steps", "1,200 steps"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shape_of(value: Any, max_chars: int = 48) -> str:
    """Say in a few characters what a step's output is: short values as they are, others by their shape."""
    if isinstance(value, str):
        return one_line(value, max_chars)
    if isinstance(value, list):
        return counted(len(value), "element")  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        names = [str(name) for name in value][:12]  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
        return one_line("{" + ", ".join(names) + "}", max_chars)
    if value is None:
        return ""
    return one_line(str(value).lower() if isinstance(value, bool) else str(value), max_chars)
