"""The words of almost-JSON: gaps with comments, keys without quotes, numbers and words of other languages.

Only what can be read in one way is read; everything else raises `UnreadableError`. Text that runs into the end, or
into the mark of a code fence, raises `CutOff`. Every character is looked at a bounded number of times.
"""

from __future__ import annotations

import re
from typing import Any, Final

from planloom.plan.issues import shorten
from planloom.planning.relaxed_strings import FENCE, QUOTES, SPACE, WORD, CutOff, Role, StringReader, UnreadableError

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_OTHER_NUMBER = re.compile(r"([+-]?)(?:(0[xX][0-9a-fA-F]+)|((?:[1-9][0-9_]*|0)?(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?))")
_REFERENCE = re.compile(r"\{\{[^{}\n\"]{1,300}\}\}|\$\{[^{}\n\"]{1,300}\}|<[\w .\[\]-]{1,100}>|\$[\w.\[\]-]+")
_KEY_WORD = re.compile(r"[A-Za-z_$][\w$.-]*(?: [A-Za-z_][\w-]*)?")
_PREFIXED = re.compile(r"[rRbBuUfF]{1,2}(?=[\"'])")
_LONE_QUOTE = re.compile(r"[\"'”](?=\s*:)")
_PLUS = re.compile(r"\s*\+")
_CONSTANTS: Final[dict[str, Any]] = {
    "true": True, "false": False, "null": None, "none": None, "nil": None, "undefined": None,
}  # fmt: skip
_NOT_NUMBERS: Final = frozenset({"nan", "inf", "infinity"})
_DELIMITERS: Final = ",}])\n\r\t "
_MAX_COMMENT_SHOWN: Final = 60


class TokenReader(StringReader):
    """Reads one token after another."""

    def peek(self) -> str:
        """Skip white space and comments; return the next character. Raises `CutOff` at the end."""
        text = self.text
        while True:
            space = SPACE.match(text, self.position, self.end)
            self.position = space.end() if space else self.position
            if self.position >= self.end or FENCE.match(text, self.position) is not None:
                raise CutOff
            character = text[self.position]
            if character == "#" or text.startswith("//", self.position):
                closing = text.find("\n", self.position, self.end)
                self._comment(self.end if closing < 0 else closing)
            elif text.startswith("/*", self.position):
                closing = text.find("*/", self.position + 2, self.end)
                if closing < 0:
                    raise CutOff
                self._comment(closing + 2)
            else:
                return character

    def _comment(self, closing: int) -> None:
        written = " ".join(self.text[self.position : min(closing, self.position + 400)].split()).strip("/*# ")
        self.note(f"a comment was left out: `{shorten(written, _MAX_COMMENT_SHOWN)}`")
        self.position = closing

    def key(self) -> str:
        """Read the key of an object's member, quoted or not. Raises `UnreadableError` or `CutOff`."""
        character = self.peek()
        if character in QUOTES:
            return self.string("key")
        word = _KEY_WORD.match(self.text, self.position, self.end)
        if word is None:
            raise UnreadableError(self.position)
        if word.end() >= self.end:
            raise CutOff
        self.position = word.end()
        if (quote := _LONE_QUOTE.match(self.text, word.end(), self.end)) is not None:
            self.position = quote.end()
        self.note("a key without quotes was read as text")
        return word[0]

    def scalar(self, role: Role) -> Any:
        """Read a string, number, constant or bare word."""
        text, start = self.text, self.position
        character = text[start]
        if character in QUOTES:
            return self._strings(role)
        if (prefix := _PREFIXED.match(text, start, self.end)) is not None:
            self.position = prefix.end()
            self.note("the letter before a string was left out")
            return self._strings(role)
        if (reference := _REFERENCE.match(text, start, self.end)) is not None:
            self.delimit(reference.end())
            self.note_value(f"`{shorten(reference[0], 60)}` without quotes was read as text")
            return reference[0]
        number = _NUMBER.match(text, start, self.end)
        if number is not None and self._is_delimited(number.end()):
            self.delimit(number.end())
            try:
                value = float(number[0]) if number[1] or number[2] else int(number[0])
            except ValueError:
                raise UnreadableError(start) from None
            if value - value != 0:
                self.note_value(f"`{shorten(number[0], 60)}`, which is too large for a number, was read as null")
                return None
            return value
        return self._word(start)

    def _word(self, start: int) -> Any:
        word = WORD.match(self.text, start, self.end)
        if word is None:
            raise UnreadableError(start)
        self.delimit(word.end())
        written = word[0]
        shown = shorten(written, 60)
        folded = written.lower()
        if folded in _CONSTANTS:
            value = _CONSTANTS[folded]
            if written not in ("true", "false", "null"):
                self.note_value(f"`{shown}` was read as {'null' if value is None else str(value).lower()}")
            return value
        if folded.lstrip("+-") in _NOT_NUMBERS:
            self.note_value(f"`{shown}`, which JSON cannot hold, was read as null")
            return None
        other = _OTHER_NUMBER.fullmatch(written)
        if other is not None and any(digit.isdigit() for digit in written):
            try:
                value = _number_of(written, other)
            except ValueError:
                raise UnreadableError(start) from None
            self.note_value(f"`{shown}` was read as the number {value}")
            return value
        self.note_value(f"`{shown}` without quotes was read as text")
        return written

    def _is_delimited(self, position: int) -> bool:
        text = self.text
        return position >= self.end or text[position] in _DELIMITERS or text.startswith(("//", "/*"), position)

    def delimit(self, position: int) -> None:
        """Go on behind a token without quotes. At the very end of the text nobody knows whether it is whole."""
        if position >= self.end:
            raise CutOff
        if not self._is_delimited(position):
            raise UnreadableError(position)
        self.position = position

    def _strings(self, role: Role) -> str:
        """Read a string, and those joined to it by `+`."""
        joined = self.string(role)
        while (plus := _PLUS.match(self.text, self.position, self.end)) is not None:
            self.position = plus.end()
            if self.peek() not in QUOTES:
                raise UnreadableError(self.position)
            self.note("strings joined by `+` were read as one")
            joined += self.string(role)
        return joined


def _number_of(written: str, match: re.Match[str]) -> int | float:
    if match[2]:
        return int(match[1] + match[2], 16)
    digits = written.replace("_", "")
    return float(digits) if any(mark in digits for mark in ".eE") else int(digits)
