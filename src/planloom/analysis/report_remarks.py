"""What is worth knowing about a file, a sentence each: suspected codes, pairs of columns, findings of the profile.

Pure: what the steps found goes in, text comes out, and it says no more than they found.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, cast

from planloom.analysis.anomalies import Anomalies
from planloom.analysis.charts_choice import MIN_STRENGTH, telling_columns
from planloom.analysis.sentinels import FENCE, Sentinel
from planloom.analysis.wording import count, number, quoted, share

if TYPE_CHECKING:
    from planloom.analysis.analyst import TableAnalysis

REMARKS_SHOWN: Final = 6
"""Findings of the profile that stand at the top; all are below."""
PAIRS_TOLD: Final = 3
SENTINELS_TOLD: Final = 5
COLUMNS_TOLD: Final = 3
SKEWNESS: Final = "Skewness is biased, as in SciPy; the unbiased one of pandas is a little farther from 0."
"""Two definitions are in use, and they differ in small tables."""


def remarks_on(table: TableAnalysis) -> list[str]:
    """What the anomalies, the correlations and the profile found, the gravest first."""
    findings = cast("list[str]", (table.profile or {}).get("findings") or [])
    found = [f"{text.rstrip('.')}." for text in findings]
    more = len(found) - REMARKS_SHOWN
    rest = [f"… and {count(more, 'more finding')} of the profile."] if more > 0 else []
    if any("skewness" in text for text in found[:REMARKS_SHOWN]):
        rest.append(SKEWNESS)
    coded, far = list[str](), list[str]()
    if table.anomalies is not None:
        coded, far = list(_of_sentinels(table.anomalies)), list(_of_fences(table.anomalies))
    return [*coded, *_of_pairs(table), *far, *found[:REMARKS_SHOWN], *rest]


def _of_sentinels(anomalies: Anomalies) -> Iterator[str]:
    sentinels = anomalies.get("sentinels", [])  # a run that was kept before they were looked for has none
    for sentinel in sentinels[:SENTINELS_TOLD]:
        yield _of_sentinel(sentinel, anomalies["columns"][sentinel["column"]]["mean"])
    if len(sentinels) > SENTINELS_TOLD:
        yield f"… and {count(len(sentinels) - SENTINELS_TOLD, 'more value')} that look like codes for missing ones."


def _of_fences(anomalies: Anomalies) -> Iterator[str]:
    beside = {
        name: column["robust_count"]
        for name, column in anomalies["columns"].items()
        if column.get("robust_count", 0) > column["count"]
    }
    if beside:
        first = sorted(beside, key=lambda name: -beside[name])[:COLUMNS_TOLD]
        listed = ", ".join(f"{quoted(name)} {beside[name]:,}" for name in first)
        hidden = f" and {count(len(beside) - len(first), 'more column')}" if len(beside) > len(first) else ""
        yield (
            f"A rule that extremes do not move ({number(FENCE)} interquartile ranges beyond the quartiles) finds more "
            f"far values than the deviation does: {listed}{hidden}."
        )


def _of_sentinel(sentinel: Sentinel, mean: float | None) -> str:
    of_all = share(sentinel["count"], round(sentinel["count"] / sentinel["share"]))
    told = (
        f"{quoted(sentinel['column'])} holds {sentinel['value']:.0f} {sentinel['count']:,} times ({of_all} of its "
        "values), far from all others: probably a code for a missing value"
    )
    without = sentinel["mean_without"]
    if mean is None or without is None:
        return f"{told}."
    return f"{told}. The mean is {number(mean)} with it and {number(without)} without."


def _of_pairs(table: TableAnalysis) -> Iterator[str]:
    """The strongest pairs of columns, of those that tell something."""
    told = set(telling_columns(table.stats)) if table.stats is not None else set[str]()
    shown = 0
    for pair in cast("list[dict[str, Any]]", (table.correlations or {}).get("pairs") or []):
        r, p = pair.get("r"), pair.get("p_value")
        if r is None or abs(r) < MIN_STRENGTH or shown == PAIRS_TOLD:
            break
        if {pair["a"], pair["b"]} <= told:
            shown += 1
            way = "rise together" if r > 0 else "go opposite ways"
            chance = "" if p is None else f", p {'< 0.001' if p < 0.001 else f'= {number(p)}'}"
            yield (
                f"{quoted(pair['a'])} and {quoted(pair['b'])} {way} (Pearson's r = {r:.2f}{chance}, n = {pair['n']:,})."
            )
