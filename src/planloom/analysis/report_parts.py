"""The pages that are written with Jinja: their common environment, and the report that a plan puts together itself.

Every template escapes everything it is given; only drawings and the style sheet of this package are put in as they are.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.charts_drawing import read_drawing
from planloom.analysis.rendering import blocks_of
from planloom.analysis.wording import printable
from planloom.drawing.words import clean
from planloom.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from jinja2 import Environment

MAX_SECTIONS: Final = 100
MAX_TITLE_CHARS: Final = 200


class ReportPart(TypedDict):
    """One section of a report."""

    heading: str
    content: Annotated[Any, Field(description="Text, a chart, or any output of a tool")]


def write_report(title: str, sections: Sequence[ReportPart], folder: Path) -> tuple[str, int]:
    """Write the page into the run's folder under the hash of its content; return the hash and the size in bytes.

    Raises `DataError` for no section or too many, `MissingExtraError` without Jinja.
    """
    if not sections:
        raise DataError('`sections` is an empty list\nhint: [{"heading": "Findings", "content": "{{summary.output}}"}]')
    if len(sections) > MAX_SECTIONS:
        raise DataError(f"{len(sections)} sections are too many for one page; at most {MAX_SECTIONS} are written")
    parts = [
        {
            "heading": clean(part["heading"], MAX_TITLE_CHARS),
            "blocks": blocks_of(part["content"], lambda artifact: read_drawing(artifact, folder)),
        }
        for part in sections
    ]
    page = environment().get_template("sections.html.j2").render(title=clean(title, MAX_TITLE_CHARS), parts=parts)
    content = printable(page).encode("utf-8", "backslashreplace")
    artifact = hashlib.sha256(content).hexdigest()
    (folder / f"{artifact}.html").write_bytes(content)
    return artifact, len(content)


def split_code(text: str) -> list[tuple[bool, str]]:
    """Cut a sentence at its backticks: (is a name, piece) in turn, so that names can be set apart."""
    pieces: Sequence[str] = re.split(r"`([^`]*)`", text)
    return [(position % 2 == 1, piece) for position, piece in enumerate(pieces) if piece]


@cache
def environment() -> Environment:
    """Jinja is an extra; every template escapes everything it is given."""
    try:
        from jinja2 import Environment, FunctionLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("analysis", "writing a report") from error

    folder = resources.files("planloom.analysis").joinpath("templates")

    def load(name: str) -> str:
        return folder.joinpath(name).read_text(encoding="utf-8")

    made = Environment(
        loader=FunctionLoader(load), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(split_code=split_code)  # pyright: ignore[reportUnknownMemberType]
    return made
