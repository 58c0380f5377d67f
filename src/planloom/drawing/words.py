"""Untrusted text made fit to draw: cleaned, measured, cut to a width, escaped.

Every string of a plan or a run passes through `clean` before it reaches a drawing. Widths in pixels are upper
bounds taken from DejaVu Sans, the widest of the usual interface fonts, so a text that fits here fits everywhere.
"""

from __future__ import annotations

import math
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from html import escape
from typing import Final, Literal

Face = Literal["plain", "bold", "mono"]

MAX_TEXT_CHARS: Final = 400
"""Characters of one text that are looked at; a tooltip shows no more, a label far fewer."""
MAX_MARKS: Final = 3
"""Combining marks kept on one character; more would climb over the neighbouring lines."""

ELLIPSIS: Final = "…"
NO_ID: Final = "(no id)"
"""What stands where a step's id would, when it has none."""
REPLACEMENT: Final = "\ufffd"
_SPACES: Final = frozenset("\t\n\v\f\r\u0085\u2028\u2029")
_DIRECTION_CONTROLS: Final = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")

_ADVANCES: Final = {
    "plain": (
        (0.30, "'IJijl"), (0.35, " ,./:;\\|"), (0.40, "()-[]ft"), (0.45, "!r·"), (0.50, '"*_`'), (0.55, "?csz"),
        (0.60, "FLkvxy"), (0.65, "$0123456789EPSTYabdeghnopqu{}"), (0.70, "ABCKRVXZ"), (0.75, "NU"),
        (0.80, "&DGHOQ"), (0.85, "#+<=>^w~→←×✓"), (0.90, "M"), (1.00, "%@Wm…—–"),
    ),
    "bold": (
        (0.35, " 'ijl"), (0.40, ",./:;IJ\\|·"), (0.45, "-f"), (0.50, "!()[]_`rt"), (0.55, '"*'), (0.60, "?csz"),
        (0.65, "Lx"), (0.70, "$0123456789EFTaekovy"), (0.75, "CPSYZbdghnpqu{}"), (0.80, "ABKRVX"),
        (0.85, "#+<=>DGHNU^~→←×✓"), (0.90, "&OQ"), (0.95, "w"), (1.00, "@M…—–"), (1.05, "%m"), (1.15, "W"),
    ),
}  # fmt: skip
_EM_OF: Final = {
    face: {character: em for em, characters in groups for character in characters} for face, groups in _ADVANCES.items()
}
_MONO_EM: Final = 0.61
_ALPHABET_EM: Final = 1.1  # Greek and Cyrillic, at their widest
_FULL_EM: Final = 1.0  # Chinese, Japanese, Korean: one square each
# other scripts, symbols and pictures: a fair guess, because such text is drawn with a fixed length anyway
_LETTER_EM: Final = 0.75
_SYMBOL_EM: Final = 1.3


def clean(value: object, max_chars: int = MAX_TEXT_CHARS) -> str:
    """Return `value` as one line of text that XML, HTML and a terminal can hold.

    White space runs become one blank; what controls a terminal or turns the direction of text is dropped or
    replaced; lone surrogates and characters that XML refuses become U+FFFD. None gives "". Text past
    `max_chars` is cut and ends with "…".
    """
    if value is None:
        return ""
    text = value if isinstance(value, str) else reprlib.repr(value)
    cut = len(text) > max_chars * 2
    text = text[: max_chars * 2]
    if not (text.isascii() and text.isprintable()):
        text = "".join(_cleaned(text))
    text = " ".join(text.split())
    return text[: max_chars - 1] + ELLIPSIS if cut or len(text) > max_chars else text


def _cleaned(text: str) -> Iterable[str]:
    marks = 0
    for character in text:
        if character in _SPACES:
            yield " "
        elif character in _DIRECTION_CONTROLS:
            continue
        elif (category := unicodedata.category(character)) in ("Mn", "Me"):
            marks += 1
            if marks <= MAX_MARKS:
                yield character
            continue
        elif category in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE:
            yield REPLACEMENT
        else:
            yield character
        marks = 0


def escape_xml(text: str) -> str:
    """Return cleaned text for an element or a double-quoted attribute, in XML and in HTML alike."""
    return escape(text)


@lru_cache(maxsize=4096)
def _character_em(character: str, face: Face) -> tuple[float, bool]:
    """Width of one character in ems, and whether that width can be relied on."""
    if face == "mono" and character.isascii():
        return _MONO_EM, True
    known = _EM_OF["bold" if face == "mono" else face].get(character)
    if known is not None:
        return known, True
    code = ord(character)
    if unicodedata.category(character) in ("Mn", "Me") or character in "\u200b\u200c\u200d\ufe0e\ufe0f":
        return 0.0, 0x300 <= code < 0x370
    if code < 0x250:
        base = unicodedata.normalize("NFD", character)[0]
        return (_character_em(base, face)[0], True) if base.isascii() else (_FULL_EM, True)
    if 0x370 <= code < 0x460:
        return _ALPHABET_EM, True
    if 0x3000 <= code < 0xA000 or 0xAC00 <= code < 0xD7B0 or 0xFF00 <= code < 0xFFE7:
        return _FULL_EM, True
    return (_LETTER_EM if unicodedata.category(character)[0] in "LN" else _SYMBOL_EM), False


def width_px(text: str, size_px: float, face: Face = "plain") -> float:
    """Return the width of one line in pixels, never less than a usual font needs."""
    return size_px * sum(_character_em(character, face)[0] for character in text)


def is_measurable(text: str) -> bool:
    """Say whether `width_px` can be relied on; else the text must be drawn with a fixed `textLength`."""
    return all(_character_em(character, "plain")[1] for character in text)


def fit_px(text: str, room_px: float, size_px: float, face: Face = "plain") -> str:
    """Return `text`, cut with "…" so that it is at most `room_px` wide; "" when not even that fits."""
    if width_px(text, size_px, face) <= room_px:
        return text
    room_em = room_px / size_px - _character_em(ELLIPSIS, face)[0]
    return _cut(text, room_em, lambda character: _character_em(character, face)[0])


def wrap_px(text: str, room_px: float, size_px: float, max_lines: int) -> list[str]:
    """Return `text` in at most `max_lines` lines of that width, broken at blanks where possible."""
    lines: list[str] = []
    while text and len(lines) < max_lines - 1 and width_px(text, size_px) > room_px:
        end = max(1, _fitting(text, room_px / size_px, lambda character: _character_em(character, "plain")[0]))
        blank = text.rfind(" ", 1, end + 1)
        end = blank if blank > 0 else end
        lines.append(text[:end].rstrip())
        text = text[end:].lstrip()
    last = fit_px(text, room_px, size_px)
    return [*lines, last] if last else lines


def cells(text: str) -> int:
    """Return the columns that `text` takes in a terminal."""
    return len(text) if text.isascii() else sum(_character_cells(character) for character in text)


def fit_cells(text: str, room: int, ellipsis: str = ELLIPSIS) -> str:
    """Return `text`, cut with `ellipsis` so that it takes at most `room` columns."""
    if cells(text) <= room:
        return text
    if room < cells(ellipsis):
        return ""
    return _cut(text, room - cells(ellipsis), _character_cells, ellipsis)


def pad_cells(text: str, room: int) -> str:
    """Return `text`, filled with blanks up to `room` columns."""
    return text + " " * max(0, room - cells(text))


@lru_cache(maxsize=4096)
def _character_cells(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _cut(text: str, room: float, width_of: Callable[[str], float], ellipsis: str = ELLIPSIS) -> str:
    return "" if room < 0 else text[: _fitting(text, room, width_of)].rstrip() + ellipsis


def _fitting(text: str, room: float, width_of: Callable[[str], float]) -> int:
    """How many characters from the beginning fit into `room`."""
    for index, character in enumerate(text):
        room -= width_of(character)
        if room < 0:
            return index
    return len(text)


def duration(seconds: float) -> str:
    """Return a length of time as people write it: "812 ms", "3.2 s", "2 min 5 s", "1 h 20 min"."""
    if not math.isfinite(seconds) or seconds < 0:
        return "?"
    if seconds < 0.0995:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f}".rstrip("0").rstrip(".") + " s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{minutes / 1440:,.1f} days"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return "1 step", "4 steps", "1,200 steps"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def name_some(names: Sequence[str], most: int = 8) -> str:
    """Return "a, b, c", or the first `most` of them "and 12 more"."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown
