"""A run as a timeline: a bar per step from its start to its end, and the chain that set the run's length.

Pure: reads a `RunResult`, asks no clock. The same rules as for plans: self-contained, every text escaped,
nothing leaks into the page around it.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from planloom.drawing.canvas import Canvas, LegendItem, status_items
from planloom.drawing.look import status_mark
from planloom.drawing.outline import MAX_DESCRIBED_STEPS, MAX_ID_CHARS, STATUSES
from planloom.drawing.words import NO_ID, clean, count, duration, escape_xml, name_some, width_px
from planloom.plan.graph import graph_of

if TYPE_CHECKING:
    from planloom.plan.results import RunResult, StepResult

MAX_TIMELINE_ROWS: Final = 300
"""Steps with a row of their own; of a larger run the quick and uneventful ones are left out, and counted."""
MAX_CHAIN_NAMED: Final = 20

_ROW_PX: Final = 26.0
_BAR_PX: Final = 14.0
_AXIS_PX: Final = 30.0
_CHART_PX: Final = 620.0
_AFTER_PX: Final = 150.0
_MIN_NAMES_PX: Final = 90.0
_MAX_NAMES_PX: Final = 220.0
_MIN_BAR_PX: Final = 2.5
_MAX_TICKS: Final = 7
_MIN_SPAN_S: Final = 0.001

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0
_LONG_TICKS_S: Final = (
    *(10.0, 15.0, 30.0),
    *(minutes * _MINUTE_S for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR_S for hours in (1, 2, 3, 6, 12)),
)


@dataclass(frozen=True, slots=True)
class _Row:
    id: str
    tool: str
    status: str
    attempts: int
    start_s: float | None
    """None for a step that never started."""
    end_s: float
    ready_s: float
    """When the last of its dependencies had ended; equal to `start_s` when that is unknown."""
    is_open: bool
    """Started and not ended."""
    is_critical: bool
    said: str
    """Why it was skipped, or what went wrong; may be empty."""
    elements: int

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s if self.start_s is not None else 0.0


def timeline_svg(result: RunResult) -> str:
    """Return the run's timeline as SVG text, to be written to a file or put into a page as it is.

    Steps stand in the order in which they started; those that never did stand below, with the reason. The
    chain of steps that decided when the run ended is framed. Never raises, whatever the plan and the texts
    hold.
    """
    rows = _rows(result)
    span_s = max([_MIN_SPAN_S, _seconds(result.duration_ms, 0.001) or 0.0, *(row.end_s for row in rows)])
    return _Drawing(result, rows, span_s).run()


def _seconds(value: float | None, unit: float = 1.0) -> float | None:
    if value is None or not math.isfinite(value):
        return None
    return max(0.0, value * unit)


def _rows(result: RunResult) -> list[_Row]:
    steps = result.steps
    plan_steps = {step.id: step for step in reversed(result.plan.steps)}
    names = list(dict.fromkeys([*(step.id for step in result.plan.steps), *steps]))
    times = {name: _times(steps[name]) for name in names if name in steps}
    end_s = max([_seconds(result.duration_ms, 0.001) or 0.0, *(time for _, time in times.values() if time)])
    sources = _sources(result)
    critical = _critical_chain(times, sources)
    rows: list[_Row] = []
    for name in names:
        outcome = steps.get(name)
        start, end = times.get(name, (None, None))
        ready = max((times[source][1] or 0.0 for source in sources.get(name, ()) if source in times), default=start)
        status = str(outcome.status) if outcome is not None else "pending"
        rows.append(
            _Row(
                id=clean(name, MAX_ID_CHARS),
                tool=clean(plan_steps[name].tool, MAX_ID_CHARS) if name in plan_steps else "",
                status=status if status in STATUSES else "pending",
                attempts=outcome.attempts if outcome is not None else 0,
                start_s=start,
                end_s=(end_s if end is None else end) if start is not None else 0.0,
                ready_s=min(ready, start) if ready is not None and start is not None else 0.0,
                is_open=start is not None and end is None,
                is_critical=name in critical,
                said=_said(outcome),
                elements=len(outcome.elements) if outcome is not None else 0,
            )
        )
    return sorted(rows, key=lambda row: (row.start_s is None, row.start_s or 0.0, row.end_s))


def _times(outcome: StepResult) -> tuple[float | None, float | None]:
    start, end = _seconds(outcome.started_s), _seconds(outcome.ended_s)
    if start is None:
        return None, None
    return start, (max(start, end) if end is not None else None)


def _said(outcome: StepResult | None) -> str:
    if outcome is None:
        return ""
    if outcome.error is not None:
        return clean(outcome.error.message)
    return clean(outcome.reason)


def _sources(result: RunResult) -> dict[str, list[str]]:
    graph = graph_of(result.plan)
    return {
        name: [graph.ids[source] for source in sources]
        for name, sources in zip(graph.ids, graph.dependencies, strict=True)
    }


def _critical_chain(
    times: dict[str, tuple[float | None, float | None]], sources: dict[str, list[str]]
) -> dict[str, None]:
    """Walk back from the step that ended last, each time to the dependency that ended last."""
    ended = {name: end for name, (_, end) in times.items() if end is not None}
    chain: dict[str, None] = {}
    name = max(ended, key=lambda one: ended[one], default=None)
    while name is not None and name not in chain:
        chain[name] = None
        name = max((one for one in sources.get(name, ()) if one in ended), key=lambda one: ended[one], default=None)
    return chain if len(chain) > 1 else {}


def _most_telling(rows: list[_Row]) -> list[_Row]:
    """Choose `MAX_TIMELINE_ROWS` rows: the critical chain, what did not succeed, then the longest."""
    if len(rows) <= MAX_TIMELINE_ROWS:
        return rows
    ranked = sorted(
        range(len(rows)),
        key=lambda i: (not rows[i].is_critical, rows[i].status == "succeeded", -rows[i].length_s, i),
    )
    return [rows[i] for i in sorted(ranked[:MAX_TIMELINE_ROWS])]


def tick_step_s(span_s: float) -> float:
    """Return a round distance between ticks, in seconds, that gives at most `_MAX_TICKS` of them."""
    least = span_s / _MAX_TICKS
    if least <= 5.0 or least > 12 * _HOUR_S:
        unit = 1.0 if least <= 5.0 else _DAY_S
        power = 10.0 ** math.floor(math.log10(least / unit))
        return next(unit * power * factor for factor in (1, 2, 5, 10, 20) if unit * power * factor >= least * 0.999)
    return next(step for step in (*_LONG_TICKS_S, _DAY_S) if step >= least)


class _Drawing:
    """One run drawn on one canvas."""

    def __init__(self, result: RunResult, rows: list[_Row], span_s: float) -> None:
        self.result, self.all_rows, self.span_s = result, rows, span_s
        self.rows = _most_telling(rows)
        names = [width_px(row.id, 12, "bold") for row in self.rows]
        self.names_px = min(_MAX_NAMES_PX, max([_MIN_NAMES_PX, *names])) + 34
        self.width = self.names_px + _CHART_PX + _AFTER_PX
        self.canvas = Canvas()

    def run(self) -> str:
        bottom = _AXIS_PX + len(self.rows) * _ROW_PX
        for number in range(0, len(self.rows), 2):
            self.canvas.rect(0, _AXIS_PX + number * _ROW_PX, self.width, _ROW_PX, "pl-stripe", 4)
        self._axis(bottom)
        self._chain()
        for number, row in enumerate(self.rows):
            self._row(row, _AXIS_PX + number * _ROW_PX)
        if not self.rows:
            self.canvas.text("This run has no steps.", 0, bottom, self.width, "pl-note", 12)
        height = self._legend(bottom + 14)
        title = clean(self.result.plan.goal) or "Run"
        statuses = [row.status for row in self.all_rows]
        return self.canvas.finish(self.width, height, title, self._description(), statuses)

    def _x(self, time_s: float) -> float:
        return self.names_px + _CHART_PX * min(1.0, time_s / self.span_s)

    def _axis(self, bottom: float) -> None:
        step = tick_step_s(self.span_s)
        for number in range(int(self.span_s / step * 1.000001) + 1):
            x = self._x(number * step)
            self.canvas.add(f'<path class="pl-grid" d="M{x:.1f} {_AXIS_PX - 6:g}V{bottom:.1f}"/>')
            words = duration(number * step) if number else "0"
            self.canvas.text(words, x - 1, _AXIS_PX - 14, self.width - x, "pl-small", 11)

    def _chain(self) -> None:
        """Join the bars of the critical chain: down or up from the end of one to the start of the next."""
        chain = [(number, row) for number, row in enumerate(self.rows) if row.is_critical]
        chain.sort(key=lambda item: item[1].end_s)
        for (before, earlier), (after, later) in pairwise(chain):
            x = self._x(earlier.end_s)
            y_from, y_to = (_AXIS_PX + (number + 0.5) * _ROW_PX for number in (before, after))
            target = self._x(later.start_s or 0.0)
            self.canvas.add(f'<path class="pl-critical" d="M{x:.1f} {y_from:.1f}V{y_to:.1f}H{target:.1f}"/>')

    def _row(self, row: _Row, y: float) -> None:
        canvas = self.canvas
        canvas.add(f'<g class="pl-step pl-{row.status}"><title>{escape_xml(_tooltip(row))}</title>')
        middle = y + _ROW_PX / 2
        canvas.add(f'<g transform="translate(12 {middle:.1f}) scale(.8)">{status_mark(row.status, 0, 0)}</g>')
        style, face = ("pl-name pl-strong", "bold") if row.is_critical else ("pl-name", "plain")
        canvas.text(row.id or NO_ID, 26, middle + 4, self.names_px - 36, style, 12, face)
        if row.start_s is None:
            words = f"{row.status}: {row.said}" if row.said else row.status
            canvas.text(words, self.names_px + 6, middle + 4, _CHART_PX + _AFTER_PX - 12, "pl-small", 11)
        else:
            self._bar(row, row.start_s, middle)
        canvas.add("</g>")

    def _bar(self, row: _Row, start_s: float, middle: float) -> None:
        left = self._x(start_s)
        width = max(_MIN_BAR_PX, self._x(row.end_s) - left)
        ready = self._x(row.ready_s)
        if left - ready > 3:
            self.canvas.add(f'<path class="pl-lead" d="M{ready:.1f} {middle:.1f}H{left - 2:.1f}"/>')
        self.canvas.rect(left, middle - _BAR_PX / 2, width, _BAR_PX, f"pl-bar pl-{row.status}", min(3.5, width / 2))
        if row.is_critical:
            frame = left - 2, middle - _BAR_PX / 2 - 2, width + 4, _BAR_PX + 4
            self.canvas.rect(*frame, "pl-critical", 5)
        x = left + width + 8
        self.canvas.text(_length_label(row), x, middle + 4, self.width - x, "pl-small", 11)

    def _legend(self, y: float) -> float:
        work_s = sum(row.length_s for row in self.all_rows)
        run_s = _seconds(self.result.duration_ms, 0.001)
        facts = [count(len(self.all_rows), "step"), str(self.result.status)]
        if run_s is not None:
            facts.append(f"{duration(run_s)} for {duration(work_s)} of work")
        items = [LegendItem(clean(" · ".join(facts)))]
        if hidden := len(self.all_rows) - len(self.rows):
            items.append(LegendItem(f"{count(hidden, 'quick step')} not shown"))
        counted = Counter(row.status for row in self.all_rows)
        items += status_items((status, counted[status]) for status in STATUSES if counted[status])
        if any(row.is_critical for row in self.rows):
            frame = '<rect class="pl-critical" x="1" y="-5" width="20" height="10" rx="3"/>'
            items.append(LegendItem("the chain that set the pace", frame, 28.0))
        if any(row.start_s is not None and self._x(row.start_s) - self._x(row.ready_s) > 3 for row in self.rows):
            items.append(LegendItem("ready, not yet started", '<path class="pl-lead" d="M1 0H23"/>', 30.0))
        return self.canvas.legend(items, y, self.width)

    def _description(self) -> str:
        run_s = _seconds(self.result.duration_ms, 0.001)
        took = f" after {duration(run_s)}" if run_s is not None else ""
        sentences = [clean(f"{count(len(self.all_rows), 'step')}, {self.result.status}{took}.")]
        chain = sorted((row for row in self.all_rows if row.is_critical), key=lambda row: row.end_s)
        if chain:
            sentences.append(f"Critical chain: {name_some([row.id for row in chain], MAX_CHAIN_NAMED)}.")
        sentences += [_told(row) for row in self.rows[:MAX_DESCRIBED_STEPS]]
        if len(self.all_rows) > MAX_DESCRIBED_STEPS:
            sentences.append(f"And {count(len(self.all_rows) - MAX_DESCRIBED_STEPS, 'more step')}.")
        return " ".join(sentences)


def _length_label(row: _Row) -> str:
    words = "running" if row.is_open else duration(row.length_s)
    return f"{words} · {row.attempts:,} attempts" if row.attempts > 1 else words


def _told(row: _Row) -> str:
    if row.start_s is None:
        return f"{row.id}: {row.status}."
    until = "still running" if row.is_open else duration(row.end_s)
    return f"{row.id}: {row.status}, {duration(row.start_s)} to {until}."


def _tooltip(row: _Row) -> str:
    lines = [f"{row.id} · {row.status}", f"tool: {row.tool}" if row.tool else ""]
    if row.start_s is not None:
        until = "still running" if row.is_open else f"{duration(row.end_s)} ({duration(row.length_s)})"
        lines.append(f"{duration(row.start_s)} to {until}")
    if row.attempts > 1:
        lines.append(f"{row.attempts:,} attempts")
    if row.elements:
        lines.append(count(row.elements, "element"))
    return "\n".join(line for line in (*lines, row.said) if line)
