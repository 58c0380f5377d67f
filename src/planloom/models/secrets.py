"""Keys and passwords, kept out of everything that can be read by accident.

A `Secret` shows itself as `***`; only `reveal` gives the text, and only code that opens a client calls it. A `Redactor`
takes known secrets, in every spelling they travel in, out of what a provider said before anybody sees it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from typing import Final, final
from urllib.parse import quote

MASK: Final = "***"
MAX_DETAIL_CHARACTERS: Final = 300
MIN_REPLACEABLE: Final = 4
"""A shorter secret cannot be replaced without spoiling the text around it, so the whole text is dropped."""

# What looks like a key although nobody told us: a provider may quote a key half masked.
_LOOKS_SECRET: Final = re.compile(
    r"(?i)\b(?:bearer|basic)\s+\S+|\b(?:sk|gsk|pk|key|AIza)[-_][\w*.-]{4,}|\bAIza[\w*.-]{8,}"
)


@final
class Secret:
    """A text that shows itself as `***`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return MASK

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is never pickled")


@final
class Redactor:
    """Takes known secrets out of texts, and makes them one line of bounded length."""

    __slots__ = ("_is_unsafe", "_spellings")

    def __init__(self, secrets: Iterable[Secret | None]) -> None:
        texts = {secret.reveal() for secret in secrets if secret is not None and secret.reveal()}
        self._is_unsafe = any(len(text) < MIN_REPLACEABLE for text in texts)
        spellings = {spelling for text in texts for spelling in _spellings_of(text)}
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __repr__(self) -> str:
        return "Redactor()"

    def clean(self, text: str) -> str:
        """Return the text in one line without secrets, at most `MAX_DETAIL_CHARACTERS` long."""
        if self._is_unsafe:
            return ""
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        text = " ".join(_LOOKS_SECRET.sub(MASK, text).split())
        return text if len(text) <= MAX_DETAIL_CHARACTERS else text[: MAX_DETAIL_CHARACTERS - 1] + "…"


def _spellings_of(text: str) -> set[str]:
    """Return the ways a secret may stand in a URL, a header or a message."""
    return {text, quote(text, safe=""), quote(text), base64.b64encode(text.encode()).decode()}
