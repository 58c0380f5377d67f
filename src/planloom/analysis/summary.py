"""Writes three sentences about a table from its figures: what it is, what its numbers are like, what stands out.

Pure: figures in, text out. It is a template and says so; it must not claim more than the figures say.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.analysis.anomalies import Anomalies, ColumnAnomalies
from planloom.analysis.moments import EXACT
from planloom.analysis.sentinels import FENCE
from planloom.analysis.statistics import ColumnStats, NumericStats, Stats
from planloom.analysis.wording import count, number, quoted, share

COLUMNS_NAMED: Final = 2
RUNNING_ROWS: Final = 10
"""In fewer rows, 1, 2, 3 may be chance."""
ID_ROWS: Final = 20
"""With so many values, whole numbers beyond exact floats that all differ are taken for identifiers."""


class Summary(TypedDict):
    """Three sentences about a table."""

    text: Annotated[str, Field(description="The three sentences as one paragraph")]
    sentences: Annotated[list[str], Field(description="Exactly three: the table, its numbers, its anomalies")]
    source: Annotated[Literal["template"], Field(description="Who wrote the sentences: no model, a template")]


def summarise(stats: Stats, anomalies: Anomalies, *, has_model: bool) -> Summary:
    """Write the summary. `has_model` says whether a model was configured, though none is asked."""
    sentences = [_about_table(stats), _about_numbers(stats), _about_anomalies(anomalies)]
    why = "" if has_model else ", as no model is configured"
    sentences[-1] = f"{sentences[-1].removesuffix('.')} (this summary comes from a template{why})."
    return {"text": " ".join(sentences), "sentences": sentences, "source": "template"}


def _about_table(stats: Stats) -> str:
    rows, columns = stats["rows"], stats["columns"]
    numeric = f", {len(stats['numeric']):,} of them numeric" if len(columns) > 1 else ""
    start = f"{quoted(stats['table'])} has {count(rows, 'row')} and {count(len(columns), 'column')}{numeric}"
    missing = sum(column["missing"] for column in columns.values())
    cells = rows * len(columns)
    if not cells:
        return f"{start}."
    if not missing:
        return f"{start}, and no cell is missing."
    worst = max(columns, key=lambda name: columns[name]["missing"])
    lacking = sum(column["missing"] > 0 for column in columns.values())
    where = f"all of them in {quoted(worst)}"
    if lacking > 1:
        where = f"most of them in {quoted(worst)} ({columns[worst]['missing']:,})"
        if columns[worst]["missing"] * 2 <= missing:
            where = f"spread over {lacking:,} columns, with {quoted(worst)} first ({columns[worst]['missing']:,})"
    are = "is" if missing == 1 else "are"
    return f"{start}, and {missing:,} of its {cells:,} cells ({share(missing, cells)}) {are} missing, {where}."


def _about_numbers(stats: Stats) -> str:
    telling = [
        name
        for name, figures in stats["numeric"].items()
        if figures["mean"] is not None and not is_running_number(stats["columns"][name], figures)
    ]
    if telling:
        widest = sorted(telling, key=lambda name: -stats["columns"][name]["distinct"])[:COLUMNS_NAMED]
        parts = [
            _about_column(name, stats["numeric"][name], stats["columns"][name]["distinct"])
            for name in telling
            if name in widest
        ]
        return f"{', and '.join(parts)}."
    repeated = [name for name, column in stats["columns"].items() if column["most_common"] is not None]
    if repeated:
        name = repeated[0]
        column = stats["columns"][name]
        return (
            f"No column holds measured numbers{_left_out(stats)}; the most common value of {quoted(name)} is "
            f"{quoted(column['most_common'] or '')}, in {count(column['most_common_count'] or 0, 'row')}."
        )
    return f"No column holds measured numbers{_left_out(stats)}."


def is_running_number(column: ColumnStats, figures: NumericStats) -> bool:
    """Whether a column counts its rows (1, 2, 3…) or holds long identifiers, so that its mean means nothing."""
    low, high = figures["min"], figures["max"]
    if column["type"] != "integer" or low is None or high is None or figures["count"] < RUNNING_ROWS:
        return False
    if column["distinct"] != figures["count"]:
        return False
    is_long = max(abs(low), abs(high)) > EXACT and figures["count"] >= ID_ROWS
    return is_long or figures["count"] == high - low + 1


def _left_out(stats: Stats) -> str:
    """Which columns of numbers the figures leave out, and why, if there are any."""
    names = [name for name, figures in stats["numeric"].items() if is_running_number(stats["columns"][name], figures)]
    if not names:
        return ""
    if len(names) == 1:
        return f": {quoted(names[0])} looks like an id and was left out"
    hidden = len(names) - COLUMNS_NAMED
    more = f" and {hidden:,} more" if hidden > 0 else ""
    shown = (", " if more else " and ").join(map(quoted, names[:COLUMNS_NAMED]))
    return f": {shown}{more} look like ids and were left out"


def _about_column(name: str, figures: NumericStats, distinct: int) -> str:
    if distinct == 1:  # not by the figures: large integers that differ can be one and the same float
        return f"{quoted(name)} is always {number(figures['mean'])}"
    return (
        f"{quoted(name)} averages {number(figures['mean'])} (median {number(figures['median'])}, "
        f"from {number(figures['min'])} to {number(figures['max'])})"
    )


def _about_anomalies(anomalies: Anomalies) -> str:
    threshold = number(anomalies["threshold"])
    affected = {name: found for name, found in anomalies["columns"].items() if found["count"]}
    if not anomalies["columns"]:
        return "There is no numeric column in which to look for anomalies."
    behind = _beside_sigma(anomalies)
    if not affected:
        return f"No value lies more than {threshold} standard deviations from the mean of its column{behind}."
    name, found = max(affected.items(), key=lambda item: _severity(item[1]))
    lie = "lies" if anomalies["total"] == 1 else "lie"
    total = count(anomalies["total"], "value")
    where = "" if len(affected) == 1 else f" in {count(len(affected), 'column')}"
    first = found["values"][0]
    leading = "it is" if anomalies["total"] == 1 else "the most extreme is"
    extreme = f"{quoted(name)} with {number(first['value'])} in row {first['row']:,}"
    return f"{total}{where} {lie} more than {threshold} standard deviations from the mean; {leading} {extreme}{behind}."


def _beside_sigma(anomalies: Anomalies) -> str:
    """What a deviation does not show, as the end of a sentence: values that look like a code for a missing one."""
    sentinels = anomalies["sentinels"]
    if sentinels:
        first = max(sentinels, key=lambda sentinel: sentinel["count"])
        others = len(sentinels) - 1
        more = f", as {'does' if others == 1 else 'do'} {count(others, 'other value')}" if others else ""
        return (
            f"; {first['value']:.0f} stands {first['count']:,} times in {quoted(first['column'])} "
            f"and looks like a code for a missing value{more}"
        )
    if anomalies["robust_total"] and not anomalies["total"]:
        lie = "lies" if anomalies["robust_total"] == 1 else "lie"
        return (
            f", but {count(anomalies['robust_total'], 'value')} {lie} more than {number(FENCE)} interquartile ranges "
            "beyond the quartiles"
        )
    return ""


def _severity(found: ColumnAnomalies) -> float:
    return abs(found["values"][0]["deviations"]) if found["values"] else 0.0
