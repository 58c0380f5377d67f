"""Says what becomes of times written with a time zone: one zone keeps the time on its clock, several become UTC.

Rule: no time is shifted in silence.
"""

# ruff: noqa: S608 (texts enter SQL through `literal` alone)
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from planloom.analysis.cells import CellReport, shown_cells, trimmed_sql
from planloom.analysis.database import Database, batches, count_where, literal
from planloom.analysis.formats import ISO_TIMESTAMP, LOCAL_TIMESTAMP
from planloom.analysis.wording import quoted

MAX_ZONES: Final = 100
"""Different zones of one column that are looked at."""
SHOWN_ZONES: Final = 4
_ZONE: Final = r"^\d{4}-\d\d-\d\d[ T][\d:.]+ *(.*)$"
_OFFSET: Final = re.compile(r"([+-]\d\d)(?::?(\d\d))?")


def explain_zones(database: Database, rows: str, reports: Sequence[CellReport]) -> list[CellReport]:
    """The reports with what was done about time zones; `rows` is the raw table (columns `c0`, `c1`, ...)."""
    found: dict[int, CellReport] = {}
    for batch in batches([report for report in reports if report.format is ISO_TIMESTAMP]):
        cells = [(trimmed_sql(f"c{report.position}"), report.format) for report in batch]
        zones = [f"regexp_extract({cell}, {literal(_ZONE)}, 1)" for cell, _ in cells]
        wanted = ", ".join(
            f"min(DISTINCT {zone}, {MAX_ZONES}) FILTER ({item.test_sql(cell)}), "
            + count_where(f"{zone} = '' AND {item.test_sql(cell)}")
            for zone, (cell, item) in zip(zones, cells, strict=True)
        )
        values = iter(database.row(f"SELECT {wanted} FROM {rows}"))
        for report in batch:
            written, without = next(values), next(values)
            found[report.position] = _weighed(report, [zone for zone in written or () if zone], without)
    return [found.get(report.position, report) for report in reports]


def _weighed(report: CellReport, written: Sequence[str], without: int) -> CellReport:
    """What one column's zones mean for it: `written` in its cells, and the number of cells without any."""
    if not written:
        return report
    name, zones = quoted(report.name), list(dict.fromkeys(map(_plain, written)))
    if len(zones) == 1 and not without:
        said = "it was left out" if zones == ["UTC"] else "its times are local times there, not UTC; it was left out"
        remark = f"{name}: every time is written with the zone {zones[0]}, so the times were kept as written; {said}."
        return replace(report, format=LOCAL_TIMESTAMP, remark=remark)
    more = " and others" if len(zones) > SHOWN_ZONES else ""
    bare = f"; {without:,} without a zone were taken to be UTC already" if without else ""
    remark = (
        f"{name}: times written with a zone ({shown_cells(zones[:SHOWN_ZONES])}{more}) were turned into UTC, so their "
        f"hour, and their day near midnight, may differ from what is written{bare}."
    )
    return replace(report, remark=remark)


def _plain(zone: str) -> str:
    """One way to write a zone: `Z` and `+00` are UTC, `+0200` is `+02:00`."""
    offset = _OFFSET.fullmatch(zone)
    if offset is not None:
        hours, minutes = offset[1], offset[2] or "00"
        return "UTC" if int(hours) == 0 and minutes == "00" else f"{hours}:{minutes}"
    return "UTC" if zone.upper() in ("Z", "UTC", "GMT") else zone
