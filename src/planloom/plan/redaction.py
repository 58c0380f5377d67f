"""Secrets taken out of values: known texts, in every spelling they travel in, become marks such as `[secret API_KEY]`.

Rule: what is cleaned once stays as it is when it is cleaned again, and a value without a secret comes back as the same
object. Nothing in here reads the environment; what is a secret is said by `plan/secret_sources.py` and its callers.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final, cast
from urllib.parse import quote

from planloom.errors import UsageError
from planloom.plan.issues import printable

MARK: Final = "[secret]"
"""Stands for a secret that has no name."""
MIN_SECRET_CHARS: Final = 6
"""A shorter text cannot be told from other text, so it cannot be looked for."""
MAX_SECRET_CHARS: Final = 64 * 1024
MAX_SECRETS: Final = 256
"""Different secrets of one run. One more is refused, because nobody would look for it."""
_START_CHARS: Final = MIN_SECRET_CHARS
_MIN_CUT_CHARS: Final = 12
"""So much of a secret is taken out too where a text was cut off in the middle of it."""
_SHORT_CHARS: Final = 64
_FEW_STARTS: Final = 128
_CUT_MARKS: Final = ("…", "...")


def mark_of(name: str) -> str:
    """Return what stands in the place of a secret."""
    return f"[secret {name}]" if name else MARK


def spellings_of(text: str) -> set[str]:
    """Return the ways a text may stand in JSON, a URL, a header, a message on one line or a `repr`."""
    encoded = text.encode(errors="surrogatepass")
    return {
        text,
        json.dumps(text)[1:-1],
        json.dumps(text, ensure_ascii=False)[1:-1],
        repr(text)[1:-1],
        printable(text.replace("\n", " ").replace("\r", " ")),
        quote(encoded, safe=""),
        quote(encoded),
        base64.b64encode(encoded).decode(),
        *_inside_base64(encoded),
    }


def _inside_base64(encoded: bytes) -> list[str]:
    """Return how bytes stand within longer base64, as in the `user:PASSWORD` of a header: three ways.

    Which one depends on how much is before them. Characters at the ends hold something of what is around as well, so
    they are not part of it.
    """
    found: list[str] = []
    for before in range(3):
        text = base64.b64encode(b"\0" * before + encoded).decode().rstrip("=")
        inside = text[-(-before * 8 // 6) : (before + len(encoded)) * 8 // 6]
        if len(inside) >= MIN_SECRET_CHARS:
            found.append(inside)
    return found


class Redactor:
    """Knows secrets by their texts, each with the name of where it is from, or "". It may learn more while it is used.

    Cleaning takes time in proportion to the text, whatever the number of secrets. Used from several threads.
    """

    def __init__(self, known: Mapping[str, str] | None = None) -> None:
        self._names: dict[str, str] = {}
        self._compiled: tuple[int, re.Pattern[str] | None, dict[str, list[tuple[str, str]]]] = (0, None, {})
        self._numbers: frozenset[int] = frozenset()
        self.has_learned = False
        """Whether a secret came to be known after values were cleaned."""
        for text, name in (known or {}).items():
            self._add(text, name)
        self._compile()

    def __repr__(self) -> str:
        return f"<Redactor of {len(self._names)} secrets>"

    def knows(self, text: str) -> bool:
        """Whether this very text is a secret."""
        return text in self._names

    def name_of(self, text: str) -> str:
        """Return where a secret is from; "" for one without a name, and for what is none."""
        return self._names.get(text, "")

    def texts(self) -> tuple[str, ...]:
        """Return every secret."""
        return tuple(self._names)

    def starts(self) -> list[str]:
        """Return the beginnings of all that is looked for: a text without any of them is clean."""
        return list(self._compiled[2])

    def learn(self, text: str, name: str = "") -> None:
        """Look for one more secret from now on; one that is too short to be looked for changes nothing.

        Raises `UsageError` past `MAX_SECRETS`.
        """
        if text in self._names or len(text) < MIN_SECRET_CHARS:
            return
        self._add(text, name)
        self.has_learned = True
        while self._compiled[0] != len(self._names):  # another thread may have learned one meanwhile
            self._compile()

    def _add(self, text: str, name: str) -> None:
        if len(self._names) >= MAX_SECRETS:
            raise UsageError(f"one run has more than {MAX_SECRETS} secrets, too many to keep them out of everything")
        self._names.setdefault(text[:MAX_SECRET_CHARS], name)

    def _compile(self) -> None:
        """Prepare the search: marks are passed over, then every place where a secret may begin is looked at."""
        names = dict(self._names)
        by_start: dict[str, list[tuple[str, str]]] = {}
        for text, name in names.items():
            for spelling in spellings_of(text):
                by_start.setdefault(spelling[:_START_CHARS], []).append((spelling, mark_of(name)))
        for found in by_start.values():
            found.sort(key=lambda pair: (-len(pair[0]), pair))
        marks = sorted({mark_of(name) for name in (*names.values(), "")}, key=len, reverse=True)
        parts = [f"({'|'.join(map(re.escape, marks))})", *map(re.escape, sorted(by_start))]
        self._numbers = frozenset(int(text) for text in names if text.isdecimal() and text.isascii() and len(text) < 40)
        self._compiled = len(names), re.compile("|".join(parts)) if by_start else None, by_start

    def clean(self, value: Any) -> Any:
        """Return a JSON value without secrets, keys included; the same object when there is none in it."""
        kind = type(value)  # pyright: ignore[reportUnknownVariableType]
        if kind is str:
            return self.text(value)
        if kind is dict:
            return self._object(cast("dict[str, Any]", value))
        if kind is list:
            elements = cast("list[Any]", value)
            cleaned = [self.clean(element) for element in elements]
            is_same = all(new is old for new, old in zip(cleaned, elements, strict=True))
            return elements if is_same else cleaned
        if kind is int and value in self._numbers:
            return mark_of(self._names.get(str(value), ""))
        return value

    def _object(self, value: dict[str, Any]) -> dict[str, Any]:
        cleaned: dict[str, Any] = {}
        is_same = True
        for key, element in value.items():
            name, part = self.text(key), self.clean(element)
            if name is not key or part is not element:
                is_same = False
            number = 1
            while name in cleaned:  # two secrets of one name
                number += 1
                name = f"{self.text(key)} {number}"
            cleaned[name] = part
        return value if is_same else cleaned

    def text(self, text: str) -> str:
        """Return a text without secrets; the same object when there is none in it."""
        _, pattern, by_start = self._compiled
        if pattern is None or len(text) < MIN_SECRET_CHARS:
            return text
        # a text of some length is looked through much faster for one start after another
        if len(text) > _SHORT_CHARS and len(by_start) <= _FEW_STARTS and not any(start in text for start in by_start):
            return text
        found = pattern.search(text)
        parts: list[str] = []
        done = 0
        while found is not None:
            at, next_at = found.start(), found.end()
            if found[1] is None:
                end, mark = _secret_at(text, at, by_start[found[0]])
                next_at = at + 1
                if end > at:
                    parts += (text[done:at], mark)
                    done = next_at = end
            found = pattern.search(text, next_at)
        return text if not parts else "".join([*parts, text[done:]])


def _secret_at(text: str, at: int, candidates: list[tuple[str, str]]) -> tuple[int, str]:
    """Return where the secret ends that begins at a place, and its mark; the place itself when there is none."""
    for spelling, mark in candidates:
        if text.startswith(spelling, at):
            return at + len(spelling), mark
    for spelling, mark in candidates:
        most = at + len(spelling)
        ends = [text.find(cut, at + _MIN_CUT_CHARS, most + len(cut)) for cut in _CUT_MARKS]
        for end in (*ends, len(text) if len(text) < most else -1):
            if end - at >= _MIN_CUT_CHARS and spelling.startswith(text[at:end]):
                return end, mark
    return at, ""
