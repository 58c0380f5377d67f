"""Draws a chart: Vega-Lite becomes SVG with vl-convert, offline, and is made fit for light, dark and paper.

Plain specifications, not altair: the drawing is the same, and altair takes 1.5 s to import here where vl-convert takes
0.1 s (the first drawing of a process costs 1 s more, each further one 0.05 s). The light colour stands in the drawing
itself, so that every viewer can show it; a style sheet inside exchanges it where the page is dark.
"""

from __future__ import annotations

import hashlib
import re
from html import escape
from pathlib import Path
from typing import Any, Final

from planloom.analysis.charts_model import ChartFigures
from planloom.analysis.charts_specs import PALETTE, spec_of
from planloom.analysis.database import import_extra
from planloom.analysis.tables import HASH
from planloom.analysis.wording import printable
from planloom.errors import DataError

MEDIA_TYPE: Final = "image/svg+xml"
CHART_CLASS: Final = "planloom-chart"
MAX_SVG_BYTES: Final = 2_000_000
_ROOT: Final = re.compile(r"<svg\b[^>]*?\bwidth=\"([\d.]+)\" height=\"([\d.]+)\"[^>]*>")
_TAG: Final = re.compile(r"<[a-z][^<>]*>")
_ID: Final = re.compile(r"\b(id=\"|url\(#|xlink:href=\"#)")


def draw(figures: ChartFigures) -> str:
    """The chart as self-contained SVG text. Raises `MissingExtraError` without vl-convert."""
    converter: Any = import_extra("vl_convert", "drawing charts")
    try:
        drawn: str = converter.vegalite_to_svg(spec_of(figures), allowed_base_urls=[])
    except ValueError as error:  # what its JavaScript raises
        raise DataError(f"the chart cannot be drawn: {str(error).splitlines()[0][:200]}") from error
    return _finished(drawn, figures)


def _finished(drawn: str, figures: ChartFigures) -> str:
    """The drawing with a name of its own, ids that no other drawing of a page has, and colours for dark paper."""
    head = _ROOT.search(drawn)
    assert head is not None, "vl-convert gives an svg element with its size"
    width, height = head[1], head[2]
    used = {light: dark for light, dark in PALETTE.items() if f'"{light}"' in drawn}
    rules = "".join(
        f'.{CHART_CLASS} [{name}="{light}"]{{{name}:{dark}}}'
        for light, dark in used.items()
        for name in ("fill", "stroke")
    )
    prefix = "c" + hashlib.sha256(drawn.encode()).hexdigest()[:10] + "-"
    body = _TAG.sub(lambda tag: _ID.sub(lambda found: found[0] + prefix, tag[0]), drawn[head.end() :])
    return printable(
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" class="{CHART_CLASS}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(figures.alt)}"><title>{escape(figures.title)}</title>'
        f"<style>@media screen and (prefers-color-scheme:dark){{{rules}}}</style>{body}"
    )


def keep_drawing(drawn: str, folder: Path) -> str:
    """Write a drawing into the run's folder under the hash of its content, and return the hash."""
    content = drawn.encode("utf-8")
    artifact = hashlib.sha256(content).hexdigest()
    (folder / f"{artifact}.svg").write_bytes(content)
    return artifact


def read_drawing(artifact: str, folder: Path) -> str | None:
    """The drawing with this hash; None if the folder has none, or another content under that name."""
    if HASH.fullmatch(artifact) is None:
        return None
    path = folder / f"{artifact}.svg"
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_SVG_BYTES:
        return None
    content = path.read_bytes()
    return content.decode("utf-8") if hashlib.sha256(content).hexdigest() == artifact else None
