"""The SVG of a plan: well-formed, safe to inline, nothing overlaps, nothing overflows."""

from __future__ import annotations

import json
import os
import re
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from drawing_cases import (
    ALLOWED_TAGS,
    CASES,
    CIRCLE,
    DIAMOND,
    HOSTILE_TEXTS,
    MIXED,
    SVG,
    Picture,
    all_states,
    chain,
    fan,
    layered,
    plan,
    run_of,
    step,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.drawing import MAX_DRAWN_STEPS, plan_svg, timeline_svg
from planloom.drawing.bands import ROW_WIDTH_PX
from planloom.drawing.look import COLOURS, STATUS_COLOURS
from planloom.drawing.outline import STATUSES
from planloom.plan.model import Plan
from planloom.plan.state import StepStatus

REAL_GRAPHS = Path(__file__).parents[3] / "shared" / "data" / "graphs" / "wfcommons.jsonl"

drawings = pytest.mark.parametrize("drawn", [pytest.param(case, id=name) for name, case in CASES.items()])
with_states = pytest.mark.parametrize("has_states", [False, True], ids=["plain", "states"])


def draw(drawn: Plan, has_states: bool) -> str:
    return plan_svg(drawn, all_states(drawn) if has_states else None)


def assert_sound(svg: str) -> None:
    """No two cards overlap; all text and cards lie in the frame; a card's text lies in the card."""
    picture = Picture.read(svg)
    assert [] == [(a.label, b.label) for a, b in combinations(picture.cards, 2) if a.overlaps(b)]
    assert [] == [box for box in (*picture.cards, *picture.texts) if not picture.frame.holds(box)]
    overflowing = [
        (text.label, card.label)
        for text in picture.texts
        for card in picture.cards
        if card.left < text.left < card.right
        and card.top < (text.top + text.bottom) / 2 < card.bottom
        and text.right > card.right + 0.11
    ]
    assert [] == overflowing


@drawings
@with_states
def test_nothing_overlaps_and_nothing_overflows(drawn: Plan, has_states: bool) -> None:
    """Cards keep apart, texts stay inside their cards and inside the picture."""
    assert_sound(draw(drawn, has_states))


@drawings
@with_states
def test_every_step_has_a_card(drawn: Plan, has_states: bool) -> None:
    """Each step is drawn once, whatever is wrong with it."""
    assert len(drawn.steps) == len(Picture.read(draw(drawn, has_states)).cards)


@drawings
@with_states
def test_the_same_plan_gives_the_same_drawing(drawn: Plan, has_states: bool) -> None:
    """Drawing twice, also from a plan read anew, gives equal text."""
    assert draw(drawn, has_states) == draw(Plan.from_json(drawn.to_dict()), has_states)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@drawings
def test_untrusted_text_adds_no_markup_to_an_html_page(drawn: Plan) -> None:
    """Read as HTML, a drawing holds its own few elements and no handlers, links or ids."""
    parser = _Tags()
    parser.feed(draw(drawn, True))
    assert set() == parser.tags - ALLOWED_TAGS
    assert set() == {name for name in parser.attributes if name.startswith("on") or name in ("href", "id", "style")}


@pytest.mark.parametrize("svg", [plan_svg(MIXED, all_states(MIXED)), plan_svg(CIRCLE), timeline_svg(run_of(MIXED))])
def test_styles_stay_inside_the_drawing(svg: str) -> None:
    """Every rule is scoped to the root class, and nothing refers to an id or a resource."""
    style = Picture.read(svg).root.findtext(f"{SVG}style") or ""
    flat = re.sub(r"@keyframes pl-[a-z]+\{[^{}]*\{[^{}]*\}\}|@media \([^)]*\)\{", "", style)
    selectors = [part for rule in re.findall(r"([^{}]+)\{", flat) for part in rule.split(",")]
    assert [] == [selector for selector in selectors if not selector.startswith(".planloom-drawing")]
    assert "url(" not in svg
    assert "@import" not in svg


def test_the_drawing_speaks_to_those_who_cannot_see_it() -> None:
    """The root is an image with a title, and a description that names steps, states and dependencies."""
    root = Picture.read(plan_svg(DIAMOND, {"load": "succeeded"})).root
    assert "img" == root.get("role")
    assert [child.tag for child in root][:2] == [f"{SVG}title", f"{SVG}desc"]
    assert "Find what is unusual" == root.findtext(f"{SVG}title")
    expected = (
        "4 steps · 3 waves · longest chain 3 steps. load (succeeded): load_data. "
        "stats (pending): compute_stats, after load. anomalies (pending): find_anomalies, after load. "
        "summary (pending): summarise, after stats, anomalies."
    )
    assert expected == root.findtext(f"{SVG}desc")


def test_a_card_tells_more_when_pointed_at() -> None:
    """The tooltip holds state, description, tool, condition and repetition."""
    cards = Picture.read(plan_svg(MIXED, {"trend": "failed"})).cards
    expected = "trend · failed\nDo trend\ntool: tool_2\nwhen len({{repair.output}}) > 1\nfor each of 3 elements"
    assert expected in [card.label for card in cards]


def test_data_and_order_are_told_apart() -> None:
    """A dependency that is only declared is dotted; one that is referenced is solid."""
    drawn = plan(step("a"), step("b"), step("c", needs=("a",), uses=("b",)))
    kinds = [path.get("class") for path in Picture.read(plan_svg(drawn)).root.iter(f"{SVG}path")]
    assert ["pl-edge pl-order", "pl-edge", "pl-tip"] == kinds[:3]


def test_steps_in_a_circle_come_last_and_their_edges_are_marked() -> None:
    """What can start stands left of what never can; only edges within a circle are marked."""
    picture = Picture.read(plan_svg(CIRCLE))
    left_of = {card.label.split("\n")[0]: card.left for card in picture.cards}
    assert max(left_of["a"], 0) < min(left_of[name] for name in ("b", "c", "d", "e", "self"))
    assert any("pl-circle" in path.get("class", "") for path in picture.root.iter(f"{SVG}path"))
    assert "5 steps can never start" in (picture.root.findtext(f"{SVG}desc") or "")
    assert "unknown missing" in [text.label for text in picture.texts]


def test_unknown_states_count_as_pending() -> None:
    """A state that is none of Planloom's adds no class of its own."""
    assert plan_svg(DIAMOND, {}) == plan_svg(DIAMOND, {"load": 'x" onload="alert(1)'})


def test_every_state_has_its_colours() -> None:
    """The states that are drawn are those of a run."""
    assert {status.value for status in StepStatus} == set(STATUSES) == set(STATUS_COLOURS)


def _luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_text_can_be_read_in_light_and_dark(mode: int) -> None:
    """Text has a contrast of 4.5 to 1 on every ground, and the mark of a state one of 3 to 1."""
    grounds = [COLOURS["paper"][mode], COLOURS["card"][mode], *(c[2 + mode] for c in STATUS_COLOURS.values())]
    for ground in grounds:
        for ink in ("ink", "muted"):
            assert _contrast(COLOURS[ink][mode], ground) >= 4.5, (ink, ground)
    assert _contrast(COLOURS["accent"][mode], COLOURS["accent-tint"][mode]) >= 4.5
    for status, colours in STATUS_COLOURS.items():
        assert _contrast(colours[mode], colours[2 + mode]) >= 3, status
        assert _contrast(colours[mode], COLOURS["paper"][mode]) >= 3, status


def test_a_long_chain_is_broken_into_rows() -> None:
    """A chain does not grow to the right without end; its cards stand in several rows."""
    picture = Picture.read(plan_svg(chain(30)))
    assert picture.frame.right < ROW_WIDTH_PX + 150
    assert len({card.top for card in picture.cards}) > 3


def test_a_fan_is_centred() -> None:
    """The step before and the step after many stand in the middle of them."""
    cards = Picture.read(plan_svg(fan(9))).cards
    middles = [(card.top + card.bottom) / 2 for card in cards]
    assert middles[0] == middles[5] == middles[-1]


@pytest.mark.parametrize(
    "drawn",
    [chain(MAX_DRAWN_STEPS + 1), fan(10_000), chain(10_000), layered(100, 100)],
    ids=["501", "fan", "chain", "mesh"],
)
@with_states
def test_a_large_plan_is_summed_up(drawn: Plan, has_states: bool) -> None:
    """Beyond the maximum the waves are drawn as boxes, and the drawing says so."""
    svg = draw(drawn, has_states)
    assert_sound(svg)
    assert "Too large to draw step by step" in svg
    assert len(svg) < 100_000


def test_a_large_plan_in_a_circle_is_summed_up() -> None:
    """A circle of 10,000 steps is one box."""
    steps = [step(f"s{i}", uses=(f"s{(i - 1) % 10_000}",)) for i in range(10_000)]
    svg = plan_svg(plan(*steps))
    assert_sound(svg)
    assert "blocked by a circle" in svg


def test_too_many_lines_are_summed_up() -> None:
    """A plan in which every step waits for all before it is within the steps but beyond the lines."""
    steps = [step(f"s{i}", needs=tuple(f"s{j}" for j in range(i))) for i in range(100)]
    assert "Too large to draw step by step" in plan_svg(plan(*steps))


def test_real_workflows_are_drawn_soundly() -> None:
    """Shapes of measured workflows, 5 to 500 steps, keep the rules too."""
    if not REAL_GRAPHS.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{REAL_GRAPHS} is missing")
        pytest.skip("the third-party graphs are not beside the project")
    for line in REAL_GRAPHS.read_text().splitlines():
        graph = json.loads(line)
        if graph["n"] <= 250:
            assert_sound(
                plan_svg(
                    plan(*(step(f"t{t[0]}", needs=tuple(f"t{p}" for p in t[2]), tool=t[1]) for t in graph["tasks"]))
                )
            )


texts = st.text(st.characters(exclude_categories=()), max_size=40) | st.sampled_from(HOSTILE_TEXTS)


@st.composite
def any_plans(draw_value: st.DrawFn) -> Plan:
    """Plans of up to 12 steps with hostile text and dependencies on anything, so with circles too."""
    ids = draw_value(st.lists(texts, min_size=1, max_size=12))
    steps: list[dict[str, Any]] = []
    for name in ids:
        fields: dict[str, Any] = {
            "depends_on": draw_value(st.lists(st.sampled_from(ids) | texts, max_size=3)),
            "description": draw_value(texts),
            "tool": draw_value(texts),
            "when": draw_value(st.none() | texts),
            "for_each": draw_value(st.none() | texts),
        }
        steps.append(step(name, **fields))
    return plan(*steps, goal=draw_value(texts))


@settings(max_examples=60, deadline=None)
@given(any_plans(), st.booleans())
def test_any_plan_can_be_drawn(drawn: Plan, has_states: bool) -> None:
    """Whatever text and whatever graph: well-formed, no overlap, no overflow."""
    assert_sound(draw(drawn, has_states))
