"""HTML reduced to readable text, in time linear in its length whatever it holds.

Not with `html.parser`: 120 KB of `<a "` keep it busy for three minutes, and other input makes it raise. This scanner
only ever looks forward: each search either moves on past what it found, or is never made again.
"""

from __future__ import annotations

import html
import re
from typing import Final, NamedTuple

_MARKUP: Final = re.compile(r"<(?=[A-Za-z/!?])")
_NAME: Final = re.compile(r"[A-Za-z][^\s/>]*+")
_TAG: Final = re.compile(r"<[A-Za-z](?:[^>\"']++|\"[^\"]*+\"|'[^']*+')*+>")
_SPACE: Final = re.compile(r"\s+")
_LONG_REFERENCE: Final = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{8,}+);?")
"""Beyond the last character of Unicode; Python refuses to read ones of thousands of digits."""

_END_OF: Final = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "iframe", "svg", "template", "noscript", "object", "select")
}
_TO_THE_END: Final = frozenset({"script", "style", "title", "textarea", "iframe"})
"""Without an end tag, these have all that follows in them; the others of `_END_OF` are then passed over."""
_PARAGRAPHS: Final = frozenset({
    "address", "article", "aside", "blockquote", "body", "dl", "fieldset", "figure", "footer", "form", "header", "hr",
    "main", "nav", "ol", "p", "pre", "section", "table", "ul",
})  # fmt: skip
_LINES: Final = frozenset({
    "br", "caption", "dd", "div", "dt", "figcaption", "legend", "li", "option", "summary", "tbody",
    "tfoot", "thead", "tr",
})  # fmt: skip
_HEADINGS: Final = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_CELLS: Final = frozenset({"td", "th"})

_LINE, _PARAGRAPH, _CELL = "\v", "\f", "\t"
"""White space that no text has by then, since its own has become spaces."""
_GAP: Final = re.compile(f"[ {_LINE}{_PARAGRAPH}{_CELL}]+")
_KEPT_SPACE, _KEPT_BREAK = "\ue000", "\ue001"
"""Stand for white space inside <pre> until all other white space has been brought into order."""
_KEEP: Final = str.maketrans(
    {" ": _KEPT_SPACE, "\t": _KEPT_SPACE * 4, "\n": _KEPT_BREAK, "\r": None, "\v": None, "\f": None}
)
_RESTORE: Final = str.maketrans({_KEPT_SPACE: " ", _KEPT_BREAK: "\n", "\0": None})


class Readable(NamedTuple):
    """The words of a page: its title, None if it has none, and its text in lines and paragraphs."""

    title: str | None
    text: str


def read_html(source: str) -> Readable:
    """Return the words of a page: no scripts, styles or tags; headings as `#`, list items as `-`, cells with `|`."""
    return _Scanner(source).scan()


class _Scanner:
    def __init__(self, source: str) -> None:
        self.source = source
        self.pieces: list[str] = []
        self.title: str | None = None
        self.in_pre = 0
        self.never_ended: set[str] = set()
        self.has_broken_quotes = False

    def scan(self) -> Readable:
        source, position = self.source, 0
        while (found := _MARKUP.search(source, position)) is not None:
            opening = found.start()
            self.text(source[position:opening])
            following = source[opening + 1]
            if source.startswith("<!--", opening):
                position = _behind(source, "-->", opening + 4)
            elif following in "!?/":
                position = _behind(source, ">", opening + 2)
                if position and following == "/":
                    self.end_tag(opening + 2)
            else:
                position = self.end_of_tag(opening)
                if position:
                    position = self.start_tag(opening + 1, position)
            if not position:
                break  # it never ends, so all that follows is inside it
        else:
            self.text(source[position:])
        return Readable(self.title, _in_order("".join(self.pieces)))

    def end_of_tag(self, opening: int) -> int:
        """The place behind a start tag, minding quotes until they turn out to be broken; 0 if it never ends."""
        if not self.has_broken_quotes:
            whole = _TAG.match(self.source, opening)
            if whole is not None:
                return whole.end()
            self.has_broken_quotes = True
        return _behind(self.source, ">", opening)

    def start_tag(self, start: int, end: int) -> int:
        """Note a start tag; return where to go on: behind it, or behind an element that is read as a whole."""
        found = _NAME.match(self.source, start)
        name = found[0].lower() if found else ""
        if name in _END_OF:
            return self.whole_element(name, end)
        self.pieces.append(_break_of(name))
        if name in _HEADINGS:
            self.pieces.append(_HEADINGS[name])
        elif name == "li":
            self.pieces.append("- ")
        elif name in _CELLS:
            self.pieces.append(_CELL)
        elif name == "pre":
            self.in_pre += 1
        return end

    def whole_element(self, name: str, start: int) -> int:
        if name in self.never_ended:
            return start
        found = _END_OF[name].search(self.source, start)
        if found is None and name not in _TO_THE_END:
            self.never_ended.add(name)
            return start
        inner_end = len(self.source) if found is None else found.start()
        if name == "title" and self.title is None:
            self.title = _SPACE.sub(" ", _unescaped(self.source[start:inner_end])).strip() or None
        elif name == "textarea":
            self.text(self.source[start:inner_end])
        return inner_end

    def end_tag(self, start: int) -> None:
        found = _NAME.match(self.source, start)
        name = found[0].lower() if found else ""
        self.pieces.append(_break_of(name))
        if name == "pre":
            self.in_pre = max(0, self.in_pre - 1)

    def text(self, text: str) -> None:
        if not text:
            return
        unescaped = _unescaped(text)
        self.pieces.append(unescaped.translate(_KEEP) if self.in_pre else _SPACE.sub(" ", unescaped))


def _behind(source: str, mark: str, start: int) -> int:
    """The place behind the next `mark`, or 0 when there is none."""
    found = source.find(mark, start)
    return 0 if found < 0 else found + len(mark)


def _break_of(name: str) -> str:
    return _PARAGRAPH if name in _PARAGRAPHS or name in _HEADINGS else _LINE if name in _LINES else ""


def _unescaped(text: str) -> str:
    return html.unescape(_LONG_REFERENCE.sub("\ufffd", text)) if "&" in text else text


def _in_order(text: str) -> str:
    """Bring white space into order: what stands between two words is one space, bar, line break or empty line."""
    ordered = _GAP.sub(_gap, _LINE + text).strip()
    return ordered.translate(_RESTORE).strip()


def _gap(found: re.Match[str]) -> str:
    gap = found[0]
    if _PARAGRAPH in gap:
        between, cells = "\n\n", gap.rpartition(_PARAGRAPH)[2].rpartition(_LINE)[2].count(_CELL) - 1
    elif _LINE in gap:
        between, cells = "\n", gap.rpartition(_LINE)[2].count(_CELL) - 1
    else:
        between, cells = "", gap.count(_CELL)
        if not cells:
            return " "
    return between + " | " * cells  # empty cells keep their place, and no bar stands before the first
