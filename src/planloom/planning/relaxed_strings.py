"""Strings of almost-JSON: in any quotes, over several lines, with wrong escapes or with quotes inside.

JSON's own strings are read as the standard library reads them. Where a quote might close its string or stand
inside it, what follows decides; where that says nothing, `UnreadableError` is raised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, Literal

Role = Literal["key", "member", "element"]
"""What a string is: the key of a member, its value, or an element of a list."""

CLOSERS: Final = "}])"
QUOTED_KEY = re.compile(r"\s*[\"'“][^\"'“”\n]{1,80}[\"'”]\s*[:=]")
QUOTES: Final = {'"': '"', "'": "'", "`": "`", "“": '”“"', "„": '”“"', "«": "»", "‘": "’‘'", "‚": "’‘'"}
"""Opening quotes, each with those that may close it."""
SPACE = re.compile(r"[\s\ufeff\u200b\u00a0]*")
FENCE = re.compile(r"(?:`{3,}|~{3,})(?=\w*(?:\s|\Z))")
WORD = re.compile(r"[\w$@%+*.~/\\-]+")
_LINE_FENCE = re.compile(r"\n[ \t]*(?:`{3,}|~{3,})(?=\w*(?:\s|\Z))")
_NEXT_KEY = re.compile(r"\s*[\"'“]?[A-Za-z_][\w -]{0,60}[\"'”]?\s*[:=]")
_HEX = re.compile(r"[0-9a-fA-F]+")
_LONG_HEX = re.compile(r"00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}")
_ESCAPES: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_DROPPED_ESCAPES: Final = "'`_“”‘’"
"""Characters before which a backslash is markdown or another language, and means nothing."""
_BEGINS_TEXT = re.compile(r"\w|\{\{")
_BEGINS_MEMBER: Final = frozenset([*QUOTES, *"{[(}])#/,.-+$<…"])
_STRICT: Final = json.JSONDecoder()
_STOPS: Final = {quote: re.compile(f"[{re.escape(closing)}\\\\\n\r\t]") for quote, closing in QUOTES.items()}
_SWALLOWED = re.compile(r"[\"'”]\s*:|[{\[]\s*[\"'“]|[}\]]\s*,\s*[{\"'“]")
_SWALLOWED_IF_ODD = re.compile(r",\s*[\"'“]")


class UnreadableError(ValueError):
    """Text that is no JSON in any spelling known here; `position` is where reading failed."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class CutOff(Exception):  # noqa: N818 (not an error of the reader: the text ends too early)
    """The text ends, or its code fence does, inside a value."""


class StringReader:
    """Reads strings from `text[position:end]`.

    `note` is called with every liberty taken and whether it changed a value or only the form.
    """

    def __init__(self, text: str, position: int, end: int, note: Callable[[str, bool], None]) -> None:
        self.text = text
        self.position = position
        self.end = end
        self.extra_work: int = 0
        """Characters of strings with unusual quotes or escapes that were looked at; a failure reads them in vain."""
        self._note = note

    def note(self, message: str) -> None:
        """Note a liberty taken with the form, such as other quotes."""
        self._note(message, False)

    def note_value(self, message: str) -> None:
        """Note a liberty taken with the value itself, such as null for NaN."""
        self._note(message, True)

    def string(self, role: Role) -> str:
        """Read a string that opens at the position, and stop behind it."""
        text, start = self.text, self.position
        quote = text[start]
        if text.startswith(quote * 2, start) and _BEGINS_TEXT.match(text, start + 2) is not None:
            self.note("a doubled quote was read as one")
            start += 1
            self.position = start
        if quote == '"' and not text.startswith('"""', start):
            try:
                value, closing = _STRICT.raw_decode(text, start)
            except ValueError:
                pass
            else:
                if closing <= self.end and self._closes(closing, role):
                    self.position = closing
                    return value
        if text.startswith(quote * 3, start) and quote in "\"'":
            return self._triple(quote * 3)
        if quote != '"':
            self.note("quotes of another kind were read as double quotes")
        return self._unusual_string(quote, role)

    def _triple(self, marks: str) -> str:
        closing = self.text.find(marks, self.position + 3, self.end)
        if closing < 0:
            raise CutOff
        value = self.text[self.position + 3 : closing]
        self.position = closing + 3
        self.note("a string in triple quotes was read as text")
        return value

    def _unusual_string(self, quote: str, role: Role) -> str:
        """Read a string with other quotes, with line breaks, wrong escapes or unescaped quotes inside."""
        text, start = self.text, self.position
        stop = _STOPS[quote]
        parts: list[str] = []
        inner_quotes = 0
        position = start + 1
        while True:
            found = stop.search(text, position, self.end)
            self.extra_work += (self.end if found is None else found.end()) - position
            if found is None:
                # quotes that were taken for text make it doubtful where this string should have ended
                if inner_quotes:
                    raise UnreadableError(start)
                raise CutOff
            parts.append(text[position : found.start()])
            position = found.end()
            character = found[0]
            if character == "\\":
                piece, position = self._escape(position)
                parts.append(piece)
            elif character in "\n\r\t":
                if character == "\n" and _LINE_FENCE.match(text, found.start()) is not None:
                    raise CutOff
                parts.append(character)
                self.note("a line break or tab inside a string was kept")
            elif self._closes(position, role):
                break
            elif inner_quotes % 2 == 0 and text.startswith(quote, position) and self._closes(position + 1, role):
                self.note("a doubled quote was read as one")
                position += 1
                break
            elif role == "key":
                raise UnreadableError(start)
            else:
                parts.append(character)
                inner_quotes += 1
        value = "".join(parts)
        if inner_quotes:
            if _SWALLOWED.search(value) or (inner_quotes % 2 and _SWALLOWED_IF_ODD.search(value)):
                raise UnreadableError(start)
            self.note("quotes inside a string were read as part of it")
        self.position = position
        return value

    def _closes(self, position: int, role: Role) -> bool:
        """Return whether what stands behind a quote shows that the quote closes its string."""
        text = self.text
        space = SPACE.match(text, position, self.end)
        behind = space.end() if space else position
        if behind >= self.end:
            return True
        character = text[behind]
        if role == "key":
            # without a colon, the value shows it
            return character in ":=" or (character in '{["' and (character != '"' or behind > position))
        if character == ",":
            return self._continues(behind + 1)
        if character == "+":
            return text[behind + 1 : behind + 12].lstrip()[:1] in QUOTES
        if character in CLOSERS or character == "#" or text.startswith(("//", "/*"), behind):
            return True
        if FENCE.match(text, behind) is not None:
            return True
        # a forgotten comma: the next key stands there in quotes, or the next member on a new line
        if QUOTED_KEY.match(text, behind, self.end) is not None:
            return True
        if role == "element" and character == '"' and behind > position:
            return True
        return "\n" in text[position:behind] and (character in "\"'{[" or _NEXT_KEY.match(text, behind) is not None)

    def _continues(self, position: int) -> bool:
        """Return whether a member, an element or a closing bracket stands behind a comma."""
        space = SPACE.match(self.text, position, self.end)
        behind = space.end() if space else position
        if behind >= self.end:
            return True
        character = self.text[behind]
        if character in _BEGINS_MEMBER or character.isdigit() or "\n" in self.text[position:behind]:
            return True
        word = WORD.match(self.text, behind, self.end)
        if word is None:
            return False
        rest = self.text[word.end() : word.end() + 20].lstrip(" \t")
        return rest[:1] in ("", ":", "=", ",", "}", "]", ")", "\n", "\r", '"', "'")

    def _escape(self, position: int) -> tuple[str, int]:
        """Read what stands behind a backslash; return its text and the place behind it."""
        text = self.text
        if position >= self.end:
            raise CutOff
        character = text[position]
        if character in _ESCAPES:
            return _ESCAPES[character], position + 1
        if character == "u" or character == "x":
            length = 4 if character == "u" else 2
            digits = text[position + 1 : position + 1 + length]
            if len(digits) == length and _HEX.fullmatch(digits) is not None:
                if character == "x":
                    self.note("an escape that JSON does not know was read as in Python")
                    return chr(int(digits, 16)), position + 3
                return self._unicode(position)
        if character == "U" and _LONG_HEX.match(text, position + 1) is not None:
            self.note("an escape that JSON does not know was read as in Python")
            return chr(int(text[position + 1 : position + 9], 16)), position + 9
        if character in _DROPPED_ESCAPES:
            self.note(f"the backslash in `\\{character}` was left out")
            return character, position + 1
        if character == "\n":
            self.note("a line continued by a backslash was joined")
            return "", position + 1
        self.note("a backslash that JSON does not know was kept")
        return "\\", position

    def _unicode(self, position: int) -> tuple[str, int]:
        code = int(self.text[position + 1 : position + 5], 16)
        position += 5
        low = self.text[position + 2 : position + 6]
        if 0xD800 <= code < 0xDC00 and self.text.startswith("\\u", position) and _HEX.fullmatch(low) and len(low) == 4:
            second = int(low, 16)
            if 0xDC00 <= second < 0xE000:
                return chr(0x10000 + ((code - 0xD800) << 10) + second - 0xDC00), position + 6
        return chr(code), position
