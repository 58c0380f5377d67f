"""A plan as text for a terminal."""

from __future__ import annotations

import pytest
from drawing_cases import CASES, CIRCLE, DIAMOND, MIXED, all_states, chain, fan, plan, step
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.drawing import plan_text
from planloom.drawing.text import DEFAULT_WIDTH, MAX_TEXT_STEPS, STATUS_MARKS
from planloom.drawing.words import cells
from planloom.plan.model import Plan
from planloom.plan.state import StepStatus

ANY_CHARACTER = st.characters(exclude_categories=())

DIAMOND_TEXT = """\
Find what is unusual
4 steps · 3 waves · longest chain 3 steps
load → stats → summary

wave 1 ── load       load_data       Load the file
wave 2 ┬─ stats      compute_stats   Describe every numeric column  ← load
       └─ anomalies  find_anomalies  Find rows that stand out       ← load
wave 3 ── summary    summarise       Write the summary              ← stats, anomalies
"""

MIXED_ASCII = """\
Draw me
7 steps | 6 waves | longest chain 6 steps
setup -> fetch -> check -> repair -> trend -> report
<- uses the output  <~ only waits

wave 1 +- x setup   failed     tool_2  Do setup
       `- + list    succeeded  tool_1  Do list
wave 2 -- . fetch   pending    tool_2  Do fetch
            <- list  <~ setup
            for each {{list.output.names}}
wave 3 -- . check   pending    tool_2  Do check
            <- fetch
wave 4 -- . repair  pending    tool_0  Do repair
            <- fetch, check
            when {{check.output.bad}} > 0
wave 5 -- . trend   pending    tool_2  Do trend
            <- repair
            when len({{repair.output}}) > 1
            for each of 3 elements
wave 6 -- . report  pending    tool_0  Write a report Write a rep...
            <- trend  <~ setup, list
"""


def test_waves_show_what_runs_beside_what() -> None:
    """A diamond: waves, tools, descriptions, and what each step waits for."""
    assert plan_text(DIAMOND) == DIAMOND_TEXT


def test_states_marks_and_conditions_in_ascii() -> None:
    """States, `when`, `for each` and the two kinds of dependency, without one character beyond ASCII."""
    text = plan_text(MIXED, {"setup": "failed", "list": "succeeded"}, width=68, ascii=True)
    assert text == MIXED_ASCII


def test_circles_and_unknown_steps_are_named() -> None:
    """What can never start stands last and is marked; so are unknown and duplicate ids."""
    lines = plan_text(CIRCLE).splitlines()
    first_blocked = next(number for number, line in enumerate(lines) if line.startswith("blocked"))
    assert "7 steps · 2 waves · longest chain 2 steps · 5 steps can never start" in lines
    assert any("← d (circle)" in line for line in lines[first_blocked:])
    assert any("! waits for unknown missing" in line for line in lines[first_blocked:])
    assert any("! duplicate id" in line for line in lines[:first_blocked])


def test_steps_without_an_id_say_so_and_share_none() -> None:
    """A plan of nameless steps: each is called so, and none is called a duplicate of another."""
    text = plan_text(Plan.from_json([{"tool": "look"}, {"tool": "find"}, 3]))
    assert 3 == text.count("(no id)")
    assert "duplicate" not in text


@pytest.mark.parametrize("drawn", CASES.values(), ids=CASES)
@pytest.mark.parametrize("width", [None, 40, 80, 200])
@pytest.mark.parametrize("ascii", [False, True], ids=["unicode", "ascii"])
def test_lines_keep_to_the_width_and_control_nothing(drawn: Plan, width: int | None, ascii: bool) -> None:
    """Lines keep to the width, by columns; nothing in them is a control character."""
    text = plan_text(drawn, all_states(drawn), width, ascii)
    assert [] == [line for line in text.splitlines() if cells(line) > (width or DEFAULT_WIDTH)]
    assert not {character for character in text if ord(character) < 32 or 0x7F <= ord(character) < 0xA0} - {"\n"}
    assert text.isascii() or not ascii


def test_three_hundred_steps_are_a_line_each() -> None:
    """A wide plan stays readable: a line per step, and a join that names some of its sources."""
    text = plan_text(fan(298))
    assert 305 == len(text.splitlines())
    assert "← page_0, page_1, page_2" in text.splitlines()[-1]
    assert text.endswith(" more\n")


def test_ten_thousand_steps_are_counted() -> None:
    """Beyond the maximum the rest of a wave is counted."""
    text = plan_text(fan(10_000))
    assert f"… {10_000 - MAX_TEXT_STEPS + 1:,} more steps" in text
    assert "… 1 more step\n" in plan_text(fan(MAX_TEXT_STEPS))
    assert plan_text(chain(10_000)).endswith("… 8,000 more steps in 8,000 waves\n")


def test_every_state_has_a_mark() -> None:
    """The marks are those of the run's states, and no two are alike."""
    assert {status.value for status in StepStatus} == set(STATUS_MARKS)
    for column in zip(*STATUS_MARKS.values(), strict=True):
        assert len(STATUS_MARKS) == len(set(column))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(ANY_CHARACTER), min_size=1, max_size=6), st.integers(1, 120), st.booleans())
def test_any_text_keeps_to_the_width(found: list[str], width: int, ascii: bool) -> None:
    """Whatever the ids and descriptions hold, lines are as wide as asked, but at least 40."""
    drawn = plan(*(step(name, description=name, tool=name, depends_on=found) for name in found))
    for line in plan_text(drawn, {}, width, ascii).splitlines():
        assert cells(line) <= max(40, width)
