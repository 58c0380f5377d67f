"""What a chart of numbers against numbers draws, aggregated in DuckDB: histogram, scatter plot, correlation matrix.

Each function returns `ChartFigures`: a few points, the words that tell them, and how they were made.
"""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from planloom.analysis.charts_model import (
    MAX_BINS,
    MAX_CORRELATED,
    MAX_SCATTER_POINTS,
    MAX_SERIES,
    MAX_TIME_BUCKETS,
    SAMPLE_SEED,
    ChartAsked,
    ChartFigures,
    labels,
    nice_step,
    title_of,
)
from planloom.analysis.database import Database, count_where, identifier
from planloom.analysis.statistics import finite, number_sql
from planloom.analysis.tables import Kind
from planloom.analysis.wording import count, number, quoted, share
from planloom.errors import DataError

MIN_BINS: Final = 8
WHOLE_NUMBERS_APART: Final = 30
"""Whole numbers that span no more than this get a bar each."""
UNITS: Final = (
    ("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400), ("week", 604_800), ("month", 2_629_746),
    ("quarter", 7_889_238), ("year", 31_556_952),
)  # fmt: skip
"""Units of time with their length in seconds, on average."""
OTHERS: Final = "others"


def histogram(database: Database, source: str, kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartFigures:
    """How the values of one numeric or date column are spread, in bins of equal width (dates: per unit of time)."""
    assert asked.x is not None
    name = asked.x
    if kinds[name] == "date":
        return _time_histogram(database, source, asked)
    value = number_sql(name)
    rows, used, low, high, quartiles, mean = database.row(
        f"SELECT count(*), count({value}), min({value}), max({value}), "
        f"quantile_cont({value}, [0.25, 0.5, 0.75]), favg({value}) FROM {source}"
    )
    if not used:
        raise nothing_to_draw(name)
    start, step, bins = _bins(low, high, quartiles[2] - quartiles[0], used, is_whole=kinds[name] == "integer")
    found = dict(
        database.rows(
            f"SELECT least(greatest(floor(({value} - {start!r}) / {step!r}), 0), {bins - 1})::BIGINT AS bin, count(*) "
            f"FROM {source} WHERE {value} IS NOT NULL GROUP BY bin"
        )
    )
    points = [
        {"a": start + step * place, "b": start + step * (place + 1), "n": found.get(place, 0)} for place in range(bins)
    ]
    fullest = max(points, key=lambda point: point["n"])
    where = _span(fullest["a"], fullest["b"], is_single=kinds[name] == "integer" and step == 1)
    said = (
        f"Histogram of {quoted(name)}: {count(used, 'value')} from {number(low)} to {number(high)}, median "
        f"{number(quartiles[1])}, mean {number(finite(mean))}. The fullest of {count(bins, 'bin')} holds "
        f"{fullest['n']:,} ({share(fullest['n'], used)}), {where}."
    )
    return ChartFigures(
        kind="histogram",
        title=title_of(asked.title or f"Distribution of {name}"),
        x_title=title_of(name),
        y_title="rows",
        points=points,
        alt=said + left_out(rows - used),
        method=f"{bins} bins of width {number(step)}, each with its lower edge" + dropped(rows - used),
        rows=used,
        missing=rows - used,
        facts={"median": quartiles[1]},
    )


def _bins(low: float, high: float, middle_half: float, used: int, *, is_whole: bool) -> tuple[float, float, int]:
    """Start, width and number of bins: Freedman and Diaconis' width where it gives 8 to 40, rounded to a nice one."""
    span = high - low
    if not math.isfinite(span):
        raise DataError("the values are too far apart to be drawn on one axis\nhint: filter_rows, or a log of them")
    if span <= 0 or low + span / MAX_BINS == low:
        width = abs(low) / 10 or 1.0
        return low - width / 2, width, 1
    if is_whole and span <= WHOLE_NUMBERS_APART:
        return low - 0.5, 1.0, int(span) + 1
    best = span * used ** (1 / 3) / (2 * middle_half) if middle_half > 0 else math.log2(used) + 1
    step = nice_step(span / min(MAX_BINS, max(MIN_BINS, best)))
    if is_whole:
        step = max(1.0, float(math.ceil(step)))
    start = math.floor(low / step) * step
    return start, step, max(1, math.floor((high - start) / step) + (0 if (high - start) % step == 0 else 1))


def _span(low: float, high: float, *, is_single: bool) -> str:
    return f"at {number(low + 0.5)}" if is_single else f"from {number(low)} to {number(high)}"


def _time_histogram(database: Database, source: str, asked: ChartAsked) -> ChartFigures:
    assert asked.x is not None
    name = asked.x
    cell = identifier(name)
    rows, used, unit, first, last = time_facts(database, source, name, MAX_TIME_BUCKETS)
    bucket = f"date_trunc('{unit}', {cell}::TIMESTAMP)"
    found = database.rows(
        f"SELECT epoch_ms({bucket}) AS a, epoch_ms({bucket} + INTERVAL 1 {unit}) AS b, count(*) AS n, "
        f"strftime({bucket}, '{time_format(unit)}') FROM {source} WHERE {cell} IS NOT NULL GROUP BY ALL ORDER BY a"
    )
    points = [{"a": a, "b": b, "n": n} for a, b, n, _ in found]
    fullest = max(found, key=lambda row: row[2])
    said = (
        f"Histogram of {quoted(name)}: {count(used, 'row')} per {unit} from {first} to {last}; the fullest, "
        f"{fullest[3]}, holds {fullest[2]:,} ({share(fullest[2], used)})."
    )
    return ChartFigures(
        kind="histogram",
        title=title_of(asked.title or f"Rows per {unit} of {name}"),
        x_title=title_of(name),
        y_title="rows",
        points=points,
        alt=said + left_out(rows - used),
        method=f"rows per {unit} (UTC)" + dropped(rows - used),
        rows=used,
        missing=rows - used,
        facts={"time": True},
    )


def time_facts(database: Database, source: str, name: str, most: int) -> tuple[int, int, str, str, str]:
    """Rows, values, the finest unit of time that gives at most `most` buckets, first and last date as text."""
    cell = identifier(name)
    rows, used, seconds, first, last, is_whole = database.row(
        f"SELECT count(*), count({cell}), epoch(max({cell})::TIMESTAMP) - epoch(min({cell})::TIMESTAMP), "
        f"left(min({cell})::VARCHAR, 19), left(max({cell})::VARCHAR, 19), "
        f"bool_and({cell}::TIMESTAMP = date_trunc('day', {cell}::TIMESTAMP)) FROM {source}"
    )
    if not used:
        raise nothing_to_draw(name)
    fine = [unit for unit, length in UNITS if seconds / length < most and not (is_whole and length < 86_400)]
    return rows, used, fine[0] if fine else "year", first, last


def time_format(unit: str) -> str:
    """How a bucket of time is written, as strftime has it."""
    formats = {"year": "%Y", "quarter": "%Y-%m", "month": "%Y-%m", "week": "%Y-%m-%d", "day": "%Y-%m-%d"}
    return formats.get(unit, "%Y-%m-%d %H:%M:%S")


def scatter(database: Database, source: str, kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartFigures:
    """Two columns against each other: at most `MAX_SCATTER_POINTS` rows, the same ones each time, and their line."""
    assert asked.x is not None
    assert asked.y is not None
    is_time = kinds[asked.x] == "date"
    x = f"epoch_ms({identifier(asked.x)}::TIMESTAMP)::DOUBLE" if is_time else number_sql(asked.x)
    y = number_sql(asked.y)
    there = f"{x} IS NOT NULL AND {y} IS NOT NULL"
    ends = ", ".join(f"{end}({cell}) FILTER (WHERE {there})" for cell in (x, y) for end in ("min", "max"))
    rows, used, r, slope, intercept, x_low, x_high, y_low, y_high = database.row(
        f"SELECT count(*), {count_where(there)}, corr({x}, {y}), regr_slope({y}, {x}), regr_intercept({y}, {x}), "
        f"{ends} FROM {source}"
    )
    if not used:
        raise nothing_to_draw(asked.x, asked.y)
    sample = used > MAX_SCATTER_POINTS
    colour = "NULL" if asked.color is None else f"{identifier(asked.color)}::VARCHAR"
    # a sample by the hash of the row number is the same for any number of threads
    order = f" ORDER BY hash(number + {SAMPLE_SEED}) LIMIT {MAX_SCATTER_POINTS}" if sample else ""
    drawn = database.rows(
        f"SELECT x, y, c FROM (SELECT {x} AS x, {y} AS y, {colour} AS c, row_number() OVER () AS number "
        f"FROM {source} WHERE {there}){order}"
    )
    points: list[dict[str, Any]] = [{"x": a, "y": b} for a, b, _ in drawn]
    series: list[str] = []
    if asked.color is not None:
        series = _coloured(points, [c for _, _, c in drawn])
    r, slope, intercept = finite(r), finite(slope), finite(intercept)
    line = None
    if r is not None and slope is not None and intercept is not None and used > 2:
        line = [{"x": end, "y": intercept + slope * end} for end in (x_low, x_high)]
    shown = f"a sample of {len(points):,} of {used:,} rows (seed {SAMPLE_SEED})" if sample else count(used, "row")
    relation = "" if r is None else f" Pearson's r is {number(r)} over all {used:,} rows, {_strength(r)}."
    spans = f"{quoted(asked.y)} runs from {number(y_low)} to {number(y_high)}"
    if not is_time:
        spans = f"{quoted(asked.x)} runs from {number(x_low)} to {number(x_high)}, {spans}"
    drawn_line = "; the line is the least-squares fit to all of them" if line else ""
    return ChartFigures(
        kind="scatter",
        title=title_of(asked.title or f"{asked.y} against {asked.x}"),
        x_title=title_of(asked.x),
        y_title=title_of(asked.y),
        points=points,
        alt=f"Scatter plot of {quoted(asked.y)} against {quoted(asked.x)}, {shown}. {spans}.{relation}"
        + left_out(rows - used),
        method=f"{shown}{drawn_line}" + dropped(rows - used, "without both values"),
        rows=used,
        missing=rows - used,
        facts={"time": is_time, "line": line, "series": series, "color": title_of(asked.color or "")},
    )


def _coloured(points: list[dict[str, Any]], values: list[Any]) -> list[str]:
    """Give each point the label of its value; all but the most frequent values become `others`."""
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    ranked = sorted(counts, key=lambda value: (-counts[value], str(value)))
    kept = ranked[:MAX_SERIES] if len(ranked) > MAX_SERIES + 1 else ranked
    names = dict(zip(kept, labels(kept), strict=True))
    for point, value in zip(points, values, strict=True):
        point["c"] = names.get(value, OTHERS)
    return [*names.values(), *([OTHERS] if len(ranked) > len(kept) else [])]


def _strength(r: float) -> str:
    size = abs(r)
    if size < 0.1:
        return "no linear relation to speak of"
    words = "weak" if size < 0.3 else "moderate" if size < 0.6 else "strong" if size < 0.9 else "very strong"
    return f"a {words} {'rising' if r > 0 else 'falling'} relation"


def correlation_matrix(database: Database, source: str, columns: list[str], asked: ChartAsked) -> ChartFigures:
    """Pearson's r of every two numeric columns, each pair over the rows that have both."""
    every = len(columns)
    names = columns[:MAX_CORRELATED]
    pairs = [(a, b) for place, a in enumerate(names) for b in names[:place]]
    wanted = ", ".join(f"corr({number_sql(a)}, {number_sql(b)})" for a, b in pairs)
    rows, *values = database.row(f"SELECT count(*), {wanted} FROM {source}")
    known = {pair: finite(value) for pair, value in zip(pairs, values, strict=True)}
    shown = dict(zip(names, labels(names), strict=True))
    points: list[dict[str, Any]] = []
    for a in names:
        for b in names:
            r = 1.0 if a == b else known.get((a, b), known.get((b, a)))
            points.append({"x": shown[b], "y": shown[a], "v": r, "t": _coefficient(r)})
    told = sorted(((abs(r), a, b, r) for (a, b), r in known.items() if r is not None), reverse=True)
    strongest = "; ".join(f"{quoted(b)} with {quoted(a)} {_coefficient(r)}" for _, a, b, r in told[:3])
    said = f"Correlation matrix of {count(len(names), 'numeric column')} (Pearson's r)."
    said += f" The strongest: {strongest}." if strongest else " No two of them vary together."
    more = f"; {count(every - len(names), 'more column')} left out" if every > len(names) else ""
    return ChartFigures(
        kind="heat-map",
        title=title_of(asked.title or "How the numeric columns go together"),
        x_title="",
        y_title="",
        points=points,
        alt=said,
        method=f"Pearson's r per pair of columns, over the rows that have both values{more}",
        rows=rows,
        missing=0,
        facts={"x": list(shown.values()), "y": list(shown.values()), "signed": True},
    )


def _coefficient(r: float | None) -> str:
    """A coefficient with two digits, never `-0.00`."""
    return "–" if r is None else f"{r:.2f}".replace("-0.00", "0.00")


def nothing_to_draw(*names: str) -> DataError:
    """The error for columns without a single value that could be drawn."""
    both = " and ".join(quoted(name) for name in names)
    return DataError(f"there is nothing to draw: no row has a value in {both}")


def left_out(missing: int) -> str:
    """A sentence about rows that are not in the chart, if there are any."""
    return f" {count(missing, 'row')} without a value {'is' if missing == 1 else 'are'} left out." if missing else ""


def dropped(missing: int, why: str = "without a value") -> str:
    """The same as half a sentence for `method`."""
    return f"; {count(missing, 'row')} {why} left out" if missing else ""
