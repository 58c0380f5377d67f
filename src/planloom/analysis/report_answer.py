"""The answer to a question as the report shows it: paragraphs of pieces, each number with its step. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from planloom.analysis.tracing import Figure, Status

ANSWER_CHARACTERS: Final = 20_000
_CUT: Final = "… (cut; the JSON of the run has all)"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the answer: plain text without a `status`, or one number."""

    text: str
    status: Status | None = None
    step: str | None = None
    path: str = ""


Paragraph = tuple[Piece, ...]


def paragraphs_of(answer: Any, figures: Sequence[Figure]) -> tuple[Paragraph, ...]:
    """The answer cut into paragraphs and pieces; anything but text is shown as JSON."""
    if answer is None:
        return ()
    text = answer if isinstance(answer, str) else json.dumps(answer, indent=2, ensure_ascii=False)
    marked = figures if isinstance(answer, str) else ()
    cut = text[:ANSWER_CHARACTERS]
    found: list[Paragraph] = []
    start = 0
    for gap in [*re.finditer(r"\n\s*\n", cut), None]:
        end = len(cut) if gap is None else gap.start()
        pieces = _pieces(cut, start, end, marked)
        if pieces:
            found.append(tuple(pieces))
        start = end if gap is None else gap.end()
    if len(text) > len(cut):
        found.append((Piece(_CUT),))
    return tuple(found)


def _pieces(text: str, start: int, end: int, figures: Sequence[Figure]) -> list[Piece]:
    pieces: list[Piece] = []
    for figure in figures:
        if figure.start < start or figure.end > end:
            continue
        pieces.append(Piece(text[start : figure.start]))
        pieces.append(Piece(text[figure.start : figure.end], figure.status, figure.step, figure.path))
        start = figure.end
    pieces.append(Piece(text[start:end]))
    shown = [piece for piece in pieces if piece.text]
    return shown if any(piece.text.strip() for piece in shown) else []
