"""Numbers, shares and names as a person writes them, for the summary and the report. Pure."""

from __future__ import annotations

import math
from typing import Final

NAME_CHARACTERS: Final = 60
_CONTROLS: Final = {code: "\ufffd" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n\r"}


def number(value: float | None) -> str:
    """A number with four significant digits at least, never fewer than its whole part: `1,234`, `0.0123`, `1.2e+17`."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size >= 15 or size < -4:
        return f"{value:.4g}"
    if float(value).is_integer():
        return f"{value:,.0f}"
    text = f"{value:,.{max(0, 3 - size)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def printable(document: str) -> str:
    """HTML or SVG without control characters, which neither may hold: U+FFFD stands for each."""
    return document.translate(_CONTROLS)


def share(part: float, whole: float) -> str:
    """A part of a whole in percent; what is not nothing never reads as 0 %, what is not all never as 100 %."""
    if not whole or not part:
        return "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "under 0.1 %"
    if part < whole and percent > 99.9:
        return "over 99.9 %"
    is_fine = (percent < 10 or percent > 99) and not percent.is_integer()
    return f"{percent:.1f} %" if is_fine else f"{percent:.0f} %"


def count(amount: int, noun: str, plural: str | None = None) -> str:
    """`1 row`, `1,234 rows`, `no rows`."""
    many = plural or f"{noun}s"
    return f"no {many}" if amount == 0 else f"{amount:,} {noun if amount == 1 else many}"


def quoted(name: str) -> str:
    """A name from the data in backticks, in one line and not too long."""
    text = " ".join(name.split())
    return f"`{text}`" if len(text) <= NAME_CHARACTERS else f"`{text[: NAME_CHARACTERS - 1]}…`"
