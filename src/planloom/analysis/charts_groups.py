"""What a chart by groups draws, aggregated in DuckDB: box plots, bars, lines over time, heat maps of two columns."""

# ruff: noqa: S608 (names and texts enter SQL through `identifier` and `literal` alone)
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from planloom.analysis.charts_data import dropped, left_out, nothing_to_draw, time_facts, time_format
from planloom.analysis.charts_model import (
    MAX_BARS,
    MAX_BOX_DOTS,
    MAX_BOXES,
    MAX_HEAT_SIDE,
    MAX_LINE_POINTS,
    MAX_SERIES,
    MAX_TIME_BUCKETS,
    ChartAsked,
    ChartFigures,
    Measure,
    labels,
    nice_step,
    title_of,
)
from planloom.analysis.database import Database, identifier, literal
from planloom.analysis.statistics import finite, number_sql
from planloom.analysis.tables import Kind
from planloom.analysis.wording import count, number, quoted, share

_AGGREGATES: Final[dict[Measure, str]] = {
    "count": "count", "sum": "fsum", "mean": "favg", "median": "median", "min": "min", "max": "max",
}  # fmt: skip
_TUKEY: Final = 1.5
_NAMED_IN_ALT: Final = 3


def box(database: Database, source: str, kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartFigures:
    """Box plots after Tukey of the column `y` per value of `x`, or of `x` alone: the largest groups first."""
    name, by = (asked.y, asked.x) if asked.y is not None else (asked.x, None)
    assert name is not None
    group = "''" if by is None else f"{identifier(by)}::VARCHAR"
    cells = f"SELECT {group} AS g, {number_sql(name)} AS v FROM {source}"
    rows, used, groups = database.row(
        f"SELECT count(*), count(*) FILTER (WHERE g IS NOT NULL AND v IS NOT NULL), "
        f"count(DISTINCT g) FILTER (WHERE v IS NOT NULL) FROM ({cells})"
    )
    if not used:
        raise nothing_to_draw(name, *([] if by is None else [by]))
    natural = by is not None and kinds[by] != "text"
    found = database.rows(
        f"WITH cells AS (SELECT g, v FROM ({cells}) WHERE g IS NOT NULL AND v IS NOT NULL), "
        f"boxes AS (SELECT g, count(*) AS n, quantile_cont(v, [0.25, 0.5, 0.75]) AS q FROM cells GROUP BY g "
        f"ORDER BY n DESC, g LIMIT {MAX_BOXES}), "
        f"fences AS (SELECT *, q[1] - {_TUKEY} * (q[3] - q[1]) AS low, q[3] + {_TUKEY} * (q[3] - q[1]) AS high "
        "FROM boxes) "
        "SELECT g, any_value(n), any_value(q), min(v) FILTER (WHERE v >= low), max(v) FILTER (WHERE v <= high), "
        f"count(*) FILTER (WHERE v < low OR v > high), min(v, {MAX_BOX_DOTS}) FILTER (WHERE v < low), "
        f"max(v, {MAX_BOX_DOTS}) FILTER (WHERE v > high) FROM cells JOIN fences USING (g) GROUP BY g "
        "ORDER BY any_value(n) DESC, g"
    )
    if natural:
        found.sort(key=lambda row: _natural(row[0]))
    names = labels([row[0] for row in found]) if by is not None else [title_of(name)]
    points: list[dict[str, Any]] = []
    dots: list[dict[str, Any]] = []
    for place, (_, n, (q25, median, q75), low, high, far, below, above) in enumerate(found):
        low, high = (q25 if low is None else low), (q75 if high is None else high)
        points.append(
            {"g": names[place], "n": n, "low": low, "a": q25, "m": median, "b": q75, "high": high, "far": far}
        )
        dots += [{"g": names[place], "v": value} for value in sorted({*(below or ()), *(above or ())})]
    beyond = sum(point["far"] for point in points)
    said = [
        f"{'' if by is None else quoted(point['g']) + ': '}median {number(point['m'])}, "
        f"middle half {number(point['a'])} to {number(point['b'])}, {count(point['far'], 'value')} beyond the whiskers"
        for point in points
    ]
    more = f"; {groups - len(points):,} smaller groups are left out" if groups > len(points) else ""
    per = "" if by is None else f" per {quoted(by)}"
    return ChartFigures(
        kind="box",
        title=title_of(asked.title or (name if by is None else f"{name} by {by}")),
        x_title=title_of(name),
        y_title="" if by is None else title_of(by),
        points=points,
        alt=f"Box plot of {quoted(name)}{per}, {count(used, 'value')}. {_some(said)}." + left_out(rows - used),
        method=f"boxes span the quartiles (linear interpolation), whiskers reach the farthest values within {_TUKEY} "
        f"interquartile ranges, dots are values beyond ({beyond:,} in all, at most {MAX_BOX_DOTS} a side drawn){more}"
        + dropped(rows - used),
        rows=used,
        missing=rows - used,
        facts={"order": names, "dots": dots, "single": by is None},
    )


def bar(database: Database, source: str, kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartFigures:
    """A bar per value of `x`: its rows, or a measure of `y`; the largest `MAX_BARS`, split by `color` if asked."""
    assert asked.x is not None
    measure: Measure = asked.measure or ("count" if asked.y is None else "mean")
    value = "count(*)" if asked.y is None else f"{_AGGREGATES[measure]}({_number(asked.y, measure)})"
    key = f"{identifier(asked.x)}::VARCHAR"
    total, groups = database.row(
        f"SELECT count(*), count(DISTINCT {key}) + CASE WHEN count(*) > count({key}) THEN 1 ELSE 0 END FROM {source}"
    )
    if not total:
        raise nothing_to_draw(asked.x)
    found: list[tuple[Any, ...]] = database.rows(
        f"SELECT {key} AS g, {value} AS v, count(*) AS n FROM {source} GROUP BY g "
        f"ORDER BY v DESC NULLS LAST, n DESC, g LIMIT {MAX_BARS}"
    )
    found = [(group, finite(amount), n) for group, amount, n in found if amount is not None]
    if not found:
        raise nothing_to_draw(asked.x, asked.y or asked.x)
    if kinds[asked.x] != "text" and groups <= MAX_BARS:
        found.sort(key=lambda row: _natural(row[0]))
    names = dict(zip([row[0] for row in found], labels([row[0] for row in found]), strict=True))
    points: list[dict[str, Any]] = [{"g": names[group], "v": amount} for group, amount, _ in found]
    series: list[str] = []
    if asked.color is not None:
        points, series = _split(database, source, key, value, asked.color, names)
    what = "rows" if asked.y is None else f"{measure} of {asked.y}"
    ranked = sorted(((amount, names[group]) for group, amount, _ in found if amount is not None), reverse=True)
    whole = sum(amount for amount, _ in ranked) if measure == "count" else None
    said = [
        f"{quoted(group)} {number(amount)}" + ("" if whole is None else f" ({share(amount, total)})")
        for amount, group in ranked
    ]
    more = f"; the {count(groups - len(found), 'other value')} left out" if groups > len(found) else ""
    by = "" if asked.color is None else f", split by {quoted(asked.color)}"
    lowest = f", lowest {said[-1]}" if len(said) > _NAMED_IN_ALT else ""
    return ChartFigures(
        kind="bar",
        title=title_of(asked.title or f"{what[:1].upper()}{what[1:]} by {asked.x}"),
        x_title=title_of(what),
        y_title=title_of(asked.x),
        points=points,
        alt=f"Bar chart of {_quoted_what(asked.y, measure)} per {quoted(asked.x)}{by}, "
        f"{count(len(found), 'bar')}: highest {', '.join(said[:_NAMED_IN_ALT])}{lowest}{more}.",
        method=f"{what} per value of {asked.x}, missing values of it as a group of their own{more}",
        rows=total,
        missing=0,
        facts={
            "order": [names[row[0]] for row in found],
            "series": series,
            "color": title_of(asked.color or ""),
            "stacks": measure in ("count", "sum"),
        },
    )


def _split(
    database: Database, source: str, key: str, value: str, color: str, names: Mapping[Any, str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The bars of `names`, each cut by the most frequent values of another column."""
    series = _frequent(database, source, color, MAX_SERIES)
    wanted = ", ".join(literal(group) for group in names if group is not None) or "NULL"
    missing = f" OR {key} IS NULL" if None in names else ""
    kept = ", ".join(literal(text) for text in series if text is not None) or "NULL"
    cell = f"{identifier(color)}::VARCHAR"
    also = f" OR {cell} IS NULL" if None in series else ""
    found = database.rows(
        f"SELECT {key} AS g, {cell} AS c, {value} AS v FROM {source} WHERE ({key} IN ({wanted}){missing}) "
        f"AND ({cell} IN ({kept}){also}) GROUP BY ALL"
    )
    shown = dict(zip(series, labels(series), strict=True))
    points = [{"g": names[g], "c": shown[c], "v": finite(v)} for g, c, v in found if v is not None]
    return points, list(shown.values())


def line(database: Database, source: str, kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartFigures:
    """A measure of `y` along `x`, a date or a number: per unit of time, or per bucket where x has many values."""
    assert asked.x is not None
    measure: Measure = asked.measure or ("count" if asked.y is None else "mean")
    value = "count(*)" if asked.y is None else f"{_AGGREGATES[measure]}({_number(asked.y, measure)})"
    is_time = kinds[asked.x] == "date"
    bucket, words, each = _buckets(database, source, asked.x, is_time=is_time)
    there = f"{identifier(asked.x)} IS NOT NULL" + (
        "" if asked.y is None else f" AND {identifier(asked.y)} IS NOT NULL"
    )
    colour, series = "NULL", []
    if asked.color is not None:
        colour = f"{identifier(asked.color)}::VARCHAR"
        series = _frequent(database, source, asked.color, MAX_SERIES, there)
        kept = ", ".join(literal(text) for text in series if text is not None) or "NULL"
        also = f" OR {colour} IS NULL" if None in series else ""
        there += f" AND ({colour} IN ({kept}){also})"
    key = f"epoch_ms({bucket})" if is_time else bucket
    text = f"strftime({bucket}, '{time_format(each)}')" if is_time else "NULL"
    found = database.rows(
        f"SELECT {key} AS x, {text} AS t, {colour} AS c, {value} AS v, count(*) AS n FROM {source} WHERE {there} "
        "GROUP BY ALL ORDER BY x"
    )
    found = [row for row in found if finite(row[3]) is not None]
    if not found:
        raise nothing_to_draw(asked.x, asked.y or asked.x)
    names = dict(zip(series, labels(series), strict=True))
    points: list[dict[str, Any]] = [
        {"x": x, "v": float(v), **({} if asked.color is None else {"c": names[c]})} for x, _, c, v, _ in found
    ]
    (rows,) = database.row(f"SELECT count(*) FROM {source}")
    used = sum(row[4] for row in found)
    what = "rows" if asked.y is None else f"{measure} of {asked.y}"
    said = [_course(found, None, is_time)] if not names else [
        f"{quoted(shown)}: {_course(found, key, is_time, True)}" for key, shown in names.items()
    ]  # fmt: skip
    return ChartFigures(
        kind="line",
        title=title_of(asked.title or f"{what[:1].upper()}{what[1:]} {words}"),
        x_title=title_of(asked.x),
        y_title=title_of(what),
        points=points,
        alt=f"Line chart of {_quoted_what(asked.y, measure)} {words}, {count(len(found), 'point')}. {_some(said)}.",
        method=f"{what} {words}" + dropped(rows - used, "without a value, or of other groups,"),
        rows=used,
        missing=rows - used,
        facts={"time": is_time, "series": list(names.values()), "color": title_of(asked.color or "")},
    )


def _buckets(database: Database, source: str, name: str, *, is_time: bool) -> tuple[str, str, str]:
    """The SQL of a bucket of `name`, the words for it, and the unit of time."""
    if is_time:
        _, _, unit, _, _ = time_facts(database, source, name, MAX_TIME_BUCKETS)
        return f"date_trunc('{unit}', {identifier(name)}::TIMESTAMP)", f"per {unit}", unit
    value = number_sql(name)
    distinct, low, high = database.row(f"SELECT count(DISTINCT {value}), min({value}), max({value}) FROM {source}")
    if distinct <= MAX_LINE_POINTS or not high > low:
        return value, f"along {name}", ""
    step = nice_step((high - low) / (MAX_LINE_POINTS / 4))
    return f"floor({value} / {step!r}) * {step!r}", f"per {number(step)} of {name}", ""


def _course(found: Sequence[tuple[Any, ...]], key: Any, is_time: bool, is_split: bool = False) -> str:
    """Where a line begins, ends, and has its lowest and highest point."""
    rows = [row for row in found if not is_split or row[2] == key]
    if not rows:
        return "no point"

    def at(row: tuple[Any, ...]) -> str:
        return f"{number(row[3])} ({row[1] if is_time else number(row[0])})"

    low, high = min(rows, key=lambda row: row[3]), max(rows, key=lambda row: row[3])
    return f"from {at(rows[0])} to {at(rows[-1])}, lowest {at(low)}, highest {at(high)}"


def heat_map(database: Database, source: str, _kinds: Mapping[str, Kind], asked: ChartAsked) -> ChartFigures:
    """Two columns crossed: the rows of each pair of values, or a measure of `color`; the most frequent values."""
    assert asked.x is not None
    assert asked.y is not None
    measure: Measure = asked.measure or ("count" if asked.color is None else "mean")
    value = "count(*)" if asked.color is None else f"{_AGGREGATES[measure]}({_number(asked.color, measure)})"
    sides: list[list[Any]] = []
    for name in (asked.x, asked.y):
        values = _frequent(database, source, name, MAX_HEAT_SIDE)
        sides.append(sorted(values, key=lambda text: (text is None, _natural(text) if text is not None else ())))
    shown = [dict(zip(side, labels(side), strict=True)) for side in sides]
    x, y = f"{identifier(asked.x)}::VARCHAR", f"{identifier(asked.y)}::VARCHAR"
    found = database.rows(f"SELECT {x} AS x, {y} AS y, {value} AS v, count(*) FROM {source} GROUP BY ALL")
    inside = [row for row in found if row[0] in shown[0] and row[1] in shown[1] and finite(row[2]) is not None]
    if not inside:
        raise nothing_to_draw(asked.x, asked.y)
    points: list[dict[str, Any]] = [
        {"x": shown[0][a], "y": shown[1][b], "v": float(v), "t": number(v)} for a, b, v, _ in inside
    ]
    rows = sum(row[3] for row in found)
    used = sum(row[3] for row in inside)
    top = sorted(points, key=lambda point: -point["v"])[:_NAMED_IN_ALT]
    what = "rows" if asked.color is None else f"{measure} of {asked.color}"
    said = "; ".join(f"{quoted(point['x'])} with {quoted(point['y'])} {point['t']}" for point in top)
    return ChartFigures(
        kind="heat-map",
        title=title_of(asked.title or f"{what[:1].upper()}{what[1:]} by {asked.x} and {asked.y}"),
        x_title=title_of(asked.x),
        y_title=title_of(asked.y),
        points=points,
        alt=f"Heat map of {_quoted_what(asked.color, measure)} by {quoted(asked.x)} and {quoted(asked.y)}, "
        f"{count(len(points), 'cell')}. The highest: {said}.",
        method=f"{what} per pair of values, at most {MAX_HEAT_SIDE} of each column, the most frequent"
        + dropped(rows - used, "with other values"),
        rows=used,
        missing=rows - used,
        facts={"x": list(shown[0].values()), "y": list(shown[1].values()), "signed": False},
    )


def _frequent(database: Database, source: str, name: str, most: int, where: str = "true") -> list[Any]:
    """The most frequent values of a column as text, the missing one among them."""
    cell = f"{identifier(name)}::VARCHAR"
    rows = database.rows(
        f"SELECT {cell} AS c, count(*) AS n FROM {source} WHERE {where} GROUP BY c ORDER BY n DESC, c LIMIT {most}"
    )
    return [row[0] for row in rows]


def _number(name: str, measure: Measure) -> str:
    return identifier(name) if measure == "count" else number_sql(name)


def _natural(text: str | None) -> tuple[Any, ...]:
    """Numbers by size, then texts by letters; what is missing last."""
    if text is None:
        return (2, 0.0, "")
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)


def _quoted_what(name: str | None, measure: Measure) -> str:
    return "the number of rows" if name is None else f"the {measure} of {quoted(name)}"


def _some(sentences: Sequence[str]) -> str:
    """The first few of many, and how many more there are."""
    more = len(sentences) - _NAMED_IN_ALT
    text = "; ".join(sentences[:_NAMED_IN_ALT]) + (f"; and {more:,} more" if more > 0 else "")
    return text[:1].upper() + text[1:]
