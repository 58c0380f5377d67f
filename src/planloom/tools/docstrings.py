"""What a docstring says: the description, each parameter, the return value.

Google, NumPy and reST styles, by `docstring_parser`. A docstring in no style is all description; nothing
here ever raises, because a docstring is prose and prose cannot be wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Documentation:
    """The parts of one docstring; every text is stripped, and empty when it is not there."""

    description: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    returns: str = ""


def read_docstring(text: str | None) -> Documentation:
    """Take a docstring apart; None or an empty text gives an empty `Documentation`."""
    text = inspect.cleandoc(text or "").strip()
    if "\n" not in text and ":" not in text:
        return Documentation(text)  # one line of prose: the parser and its import are not needed

    import docstring_parser  # 35 ms to import, and only for docstrings with sections

    try:
        parsed = docstring_parser.parse(text)
    except Exception:  # noqa: BLE001 (the parser raises more than its own ParseError on odd input)
        return Documentation(text)
    parameters: dict[str, str] = {}
    for parameter in parsed.params:
        for name in parameter.arg_name.split(","):  # NumPy style documents `a, b : int` together
            parameters[name.strip().lstrip("*")] = _one_line(parameter.description)
    returns = _one_line(parsed.returns.description if parsed.returns else None)
    described = [part.strip() for part in (parsed.short_description, parsed.long_description) if part]
    return Documentation("\n\n".join(described), parameters, returns)


def _one_line(text: str | None) -> str:
    """A section's text without the line breaks that only the docstring's indentation asked for."""
    return " ".join((text or "").split())
