"""The timeline of a run: bars, ticks, the chain that set the pace; sound whatever the run holds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from drawing_cases import CASES, DIAMOND, HOSTILE_TEXTS, SVG, Picture, chain, fan, run_of
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.drawing import MAX_TIMELINE_ROWS, timeline_svg
from planloom.drawing.timeline import tick_step_s
from planloom.plan.model import Plan
from planloom.plan.results import RunResult, StepError, StepResult
from planloom.plan.state import RunStatus, StepStatus


def run_with(drawn: Plan, *steps: StepResult, duration_ms: float) -> RunResult:
    return RunResult(
        "run", RunStatus.SUCCEEDED, None, drawn, {one.step_id: one for one in steps}, duration_ms=duration_ms
    )


def done(name: str, started_s: float, ended_s: float, attempts: int = 1) -> StepResult:
    return StepResult(name, StepStatus.SUCCEEDED, attempts=attempts, started_s=started_s, ended_s=ended_s)


QUICK = run_with(
    DIAMOND,
    done("load", 0.0, 0.012),
    done("stats", 0.0125, 0.055, attempts=3),
    done("anomalies", 0.0125, 0.131),
    done("summary", 0.1315, 0.14),
    duration_ms=140.6,
)


def texts(svg: str) -> list[str]:
    return [box.label for box in Picture.read(svg).texts]


def assert_sound(svg: str) -> None:
    picture = Picture.read(svg)
    assert [] == [box for box in picture.texts if not picture.frame.holds(box)]


@pytest.mark.parametrize("drawn", CASES.values(), ids=CASES)
def test_every_run_can_be_drawn(drawn: Plan) -> None:
    """Whatever the plan: well-formed, no text outside, and twice the same."""
    svg = timeline_svg(run_of(drawn))
    assert_sound(svg)
    assert svg == timeline_svg(run_of(drawn))


def test_bars_stand_where_the_time_was_spent() -> None:
    """A bar begins and ends in proportion to the step's start and end."""
    bars = [
        rect for rect in Picture.read(timeline_svg(QUICK)).root.iter(f"{SVG}rect") if "pl-bar" in rect.get("class", "")
    ]
    left = [float(bar.attrib["x"]) for bar in bars]
    width = [float(bar.attrib["width"]) for bar in bars]
    scale = width[2] / (0.131 - 0.0125)
    assert width[0] == pytest.approx(0.012 * scale, abs=0.2)
    assert left[3] - left[0] == pytest.approx(0.1315 * scale, abs=0.2)


def test_a_bar_says_how_long_and_how_often() -> None:
    """Behind a bar stands the time, and the attempts when there was more than one."""
    said = texts(timeline_svg(QUICK))
    assert "12 ms" in said
    assert "42.5 ms · 3 attempts" in said


def test_the_chain_that_set_the_pace_is_framed() -> None:
    """Of two steps beside each other only the slower one is critical; the description names the chain."""
    root = Picture.read(timeline_svg(QUICK)).root
    assert "Critical chain: load, anomalies, summary." in (root.findtext(f"{SVG}desc") or "")
    strong = [text.text for text in root.iter(f"{SVG}text") if "pl-strong" in text.get("class", "")]
    assert ["load", "anomalies", "summary"] == strong


def test_steps_that_never_started_stand_below_with_the_reason() -> None:
    """A skipped step has no bar, and says why; so does one that failed before it began."""
    run = run_with(
        DIAMOND,
        done("load", 0.0, 1.0),
        StepResult("stats", StepStatus.SKIPPED, reason="its condition was false"),
        StepResult("anomalies", StepStatus.FAILED, error=StepError("reference", "E", "no key `rows`")),
        duration_ms=1000,
    )
    said = texts(timeline_svg(run))
    assert "skipped: its condition was false" in said
    assert "failed: no key `rows`" in said
    assert said.index("load") < said.index("stats")
    assert "pending" in said  # `summary` has no result at all


def test_a_running_step_has_an_open_bar() -> None:
    """A step without an end reaches to the end of the run so far."""
    run = run_with(DIAMOND, StepResult("load", StepStatus.RUNNING, started_s=1.0), duration_ms=5000)
    assert "running" in texts(timeline_svg(run))


def test_a_large_run_shows_what_matters() -> None:
    """Beyond the maximum the quick steps are left out, and counted; a failure is always there."""
    drawn = fan(2_000)
    steps = [done(one.id, 0.0, 1.0 + number / 1e6) for number, one in enumerate(drawn.steps)]
    steps[1000] = StepResult("page_999", StepStatus.FAILED, started_s=0.0, ended_s=0.1)
    svg = timeline_svg(run_with(drawn, *steps, duration_ms=1000))
    assert f"{2_002 - MAX_TIMELINE_ROWS:,} quick steps not shown" in texts(svg)
    assert "page_999" in texts(svg)
    assert_sound(svg)


def test_ten_thousand_steps_do_not_hang() -> None:
    """A chain of 10,000 steps is drawn in bounded size."""
    assert len(timeline_svg(run_of(chain(10_000)))) < 400_000


@pytest.mark.parametrize("span_s", [1e-3, 0.14, 0.9, 1, 7, 12, 33, 59, 61, 300, 3599, 7200, 86_399, 1e6, 1e12])
def test_ticks_are_round_and_few(span_s: float) -> None:
    """Three to seven distances fit into the span."""
    assert 2 <= span_s / tick_step_s(span_s) <= 7.01


NAMED_TICKS = [
    (140.6, ["0", "50 ms", "100 ms"]),
    (9_000.0, ["0", "2 s", "4 s"]),
    (240_000.0, ["0", "1 min", "2 min"]),
]


@pytest.mark.parametrize(("duration_ms", "expected"), NAMED_TICKS)
def test_ticks_are_named_in_their_unit(duration_ms: float, expected: list[str]) -> None:
    """Milliseconds, seconds and minutes are written as people write them."""
    assert expected == texts(timeline_svg(run_with(DIAMOND, duration_ms=duration_ms)))[:3]


times = st.none() | st.floats() | st.floats(0, 100)
words = st.text(st.characters(exclude_categories=()), max_size=30) | st.sampled_from([*HOSTILE_TEXTS, "load"])


@st.composite
def results(draw: st.DrawFn) -> StepResult:
    """A step's result with impossible times and hostile text."""
    said = draw(words)
    return StepResult(
        draw(words),
        draw(st.sampled_from(list(StepStatus))),
        error=draw(st.none() | st.just(StepError("exception", "E", said))),
        attempts=draw(st.integers(0, 5)),
        started_s=draw(times),
        ended_s=draw(times),
        reason=said,
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(results(), max_size=8), st.floats())
def test_any_result_can_be_drawn(found: list[StepResult], duration_ms: float) -> None:
    """Impossible times and hostile text neither raise nor leave the frame."""
    assert_sound(timeline_svg(run_with(DIAMOND, *found, duration_ms=duration_ms)))


def test_rows_follow_the_clock() -> None:
    """Steps are listed in the order in which they started."""
    tops = {box.label: box.top for box in Picture.read(timeline_svg(QUICK)).texts}
    order = [tops[name] for name in ("load", "stats", "anomalies", "summary")]
    assert all(upper < lower for upper, lower in pairwise(order))
