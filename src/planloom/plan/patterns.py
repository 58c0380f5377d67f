"""A regular expression in words, where it is simple enough: a row of characters and classes, each with a count.

What has groups, alternatives or look-arounds has no words here, and whoever asks shows the expression itself.
"""

from __future__ import annotations

import re
from typing import Final

_MAX_CHARACTERS: Final = 200
_MAX_PARTS: Final = 12
_MAX_NAMES: Final = 6
# compiled when they are first used: few plans need them, and every start of the command would wait for them
_PIECE: Final = r"""(?P<atom> \\[dws] | \\[^A-Za-z0-9]
                | \[ (?:[^\[\]\\^]|\\[dws]|\\[^A-Za-z0-9]) (?:[^\[\]\\]|\\[dws]|\\[^A-Za-z0-9])* \]
                | [^\\^$*+?{}\[\]()|] )
        (?P<count> \{\d{1,4}(?:,\d{0,4})?\} | [+*?] )?"""
_MEMBER: Final = r"\\?(?P<first>.)-\\?(?P<last>.)|(?P<escape>\\[dws])|\\?(?P<one>.)"
_DIGIT, _LETTER = ("digit", "digits"), ("letter", "letters")
_RANGES: Final = {
    "09": _DIGIT, "az": ("lowercase letter", "lowercase letters"), "AZ": ("capital letter", "capital letters"),
}  # fmt: skip
_ESCAPES: Final = {"\\d": (_DIGIT,), "\\w": (_LETTER, _DIGIT, ('"_"', '"_"')), "\\s": (("blank", "blanks"),)}
_Names = tuple[tuple[str, str], ...]


def pattern_in_words(pattern: str) -> str | None:
    """Return what text has to be to match, as in "text that begins with 2 digits"; None if that is hard to say."""
    if len(pattern) > _MAX_CHARACTERS:
        return None
    begins, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    parts = _parts(pattern[begins : len(pattern) - ends])
    if not parts:
        return None
    row = ", then ".join(parts)
    if begins and ends:
        return row
    return (
        f"text that begins with {row}" if begins else f"text that ends with {row}" if ends else f"text with {row} in it"
    )


def _parts(body: str) -> list[str] | None:
    """Return the row of parts in words, literal text in one piece; None when some part has no words."""
    grammar = re.compile(_PIECE, re.VERBOSE)
    parts: list[str] = []
    literal = ""
    position = 0
    while position < len(body):
        piece = grammar.match(body, position)
        if piece is None or len(parts) > _MAX_PARTS:
            return None
        position = piece.end()
        atom, count = piece["atom"], piece["count"]
        is_literal = atom[0] != "[" and atom not in _ESCAPES and atom != "."
        if is_literal and count is None:
            literal += atom[-1]
            continue
        names = _names(atom)
        if not names:
            return None
        if literal:
            parts.append(f'"{literal}"')
        literal = ""
        parts.append(_counted(names, count or ""))
    return [*parts, f'"{literal}"'] if literal else parts


def _names(atom: str) -> _Names:
    """Return what one character may be, each as singular and plural; () when that is too much to say."""
    if atom == ".":
        return (("character", "characters"),)
    if atom in _ESCAPES:
        return _ESCAPES[atom]
    if atom[0] != "[":
        return ((f'"{atom[-1]}"', f'"{atom[-1]}"'),)
    found: dict[tuple[str, str], None] = {}
    for member in re.finditer(_MEMBER, atom[1:-1], re.DOTALL):
        if member["escape"]:
            found.update(dict.fromkeys(_ESCAPES[member["escape"]]))
        elif member["one"]:
            found[_twice(f'"{member["one"]}"')] = None
        else:
            first, last = member["first"], member["last"]
            between = f'from "{first}" to "{last}"'
            found[_RANGES.get(first + last, (f"character {between}", f"characters {between}"))] = None
    names = tuple(found)
    both = (_RANGES["az"], _RANGES["AZ"])
    if set(both) <= set(names):
        names = (_LETTER, *(name for name in names if name not in both))
    return names if len(names) <= _MAX_NAMES else ()


def _twice(name: str) -> tuple[str, str]:
    return name, name


def _counted(names: _Names, count: str) -> str:
    """Return "2 to 4 digits", "one or more letters or digits", 'perhaps "-"'."""
    one, many = (_either([name[which] for name in names]) for which in (0, 1))
    if count in ("", "{1}"):
        return f"one {one}" if names[0][0][0] != '"' else one
    if count == "?":
        return f"perhaps {one}"
    if count == "+":
        return f"one or more {many}"
    if count == "*":
        return f"any number of {many}"
    least, comma, most = count[1:-1].partition(",")
    if not comma or least == most:
        return f"{least} {many}"
    return f"{least} to {most} {many}" if most else f"{least} or more {many}"


def _either(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last
