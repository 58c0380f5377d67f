"""A plan as a Mermaid flowchart."""

from __future__ import annotations

import re

import pytest
from drawing_cases import CASES, CIRCLE, DIAMOND, MIXED, all_states, chain, fan, plan, step
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.drawing import plan_mermaid
from planloom.drawing.mermaid import MAX_MERMAID_CHARS, MAX_MERMAID_EDGES
from planloom.plan.model import Plan

DIAMOND_CHART = """\
flowchart LR
    s0["load<br/>Load the file<br/>load_data"]
    s1["stats<br/>Describe every numeric column<br/>compute_stats"]
    s2["anomalies<br/>Find rows that stand out<br/>find_anomalies"]
    s3["summary<br/>Write the summary<br/>summarise"]
    s0 --> s1
    s0 --> s2
    s1 --> s3
    s2 --> s3
    classDef succeeded fill:#f0fdf4,stroke:#15803d,color:#0f172a
    class s0 succeeded
    classDef pending fill:#f8fafc,stroke:#64748b,color:#0f172a
    class s1,s2,s3 pending
"""

LABEL = r'"(?:[\w ,./+=!?-]|<br/>|#\d+;)*"'
LINES = (
    r"flowchart LR",
    rf"    (s\d+|w\d+|about)(\[{LABEL}\]|\[\[{LABEL}\]\]|\{{\{{{LABEL}\}}\}})",
    r"    [sw]\d+ (-->|-\.->) [sw]\d+",
    r"    linkStyle [\d,]+ stroke:#b91c1c,stroke-width:2px",
    r"    classDef [a-z]+ [#\w:,\- ]+",
    r"    class [s\d,]+ [a-z]+",
)
LINE = re.compile("|".join(LINES))


def test_a_diamond() -> None:
    """Names of our own, labels in quotes, an arrow per dependency, a class per state."""
    assert plan_mermaid(DIAMOND, {"load": "succeeded"}) == DIAMOND_CHART


def test_shapes_and_arrows_tell_kinds_apart() -> None:
    """`for_each` has double sides, `when` is a hexagon, an order without data is dotted."""
    lines = plan_mermaid(MIXED).splitlines()
    assert '    s2[["fetch<br/>Do fetch<br/>tool_2<br/>for each #123;#123;list.output.names#125;#125;"]]' in lines
    assert any(line.startswith('    s4{{"repair<br/>') for line in lines)
    assert {"    s0 -.-> s2", "    s1 --> s2"} <= set(lines)


def test_edges_of_a_circle_are_red() -> None:
    """The style names the edges within circles by their number, and no other."""
    lines = plan_mermaid(CIRCLE).splitlines()
    edges = [line.strip() for line in lines if "->" in line]
    (style,) = [line for line in lines if "linkStyle" in line]
    red = [edges[int(number)] for number in style.split()[1].split(",")]
    assert ["s3 --> s1", "s1 -.-> s2", "s2 -.-> s3", "s5 -.-> s5"] == red


@pytest.mark.parametrize("drawn", CASES.values(), ids=CASES)
def test_every_line_is_one_of_ours(drawn: Plan) -> None:
    """No text of a plan gets out of its label: every line has one of a few exact forms."""
    assert [] == [line for line in plan_mermaid(drawn, all_states(drawn)).splitlines() if not LINE.fullmatch(line)]


@settings(max_examples=80, deadline=None)
@given(st.text(st.characters(exclude_categories=()), max_size=60))
def test_no_text_gets_out_of_its_label(text: str) -> None:
    """As above, for any text at all; two dollar signs never stand together, which would be a formula."""
    chart = plan_mermaid(plan(step(text, tool=text, description=text, when=text, for_each=text)))
    assert [] == [line for line in chart.splitlines() if not LINE.fullmatch(line)]
    assert "#36;#36;" not in chart


@pytest.mark.parametrize("drawn", [fan(400), chain(5_000), fan(10_000)], ids=["fan 400", "chain", "fan 10,000"])
def test_a_large_plan_keeps_to_the_limits_of_mermaid(drawn: Plan) -> None:
    """More edges or characters than Mermaid takes become one box per wave, and the chart says so."""
    chart = plan_mermaid(drawn)
    assert len(chart) <= MAX_MERMAID_CHARS
    assert chart.count("->") <= MAX_MERMAID_EDGES
    assert "too large to draw step by step" in chart


def test_descriptions_go_first() -> None:
    """A plan that is only a little too long is drawn without descriptions."""
    steps = [step(f"s{i}", description="long words " * 8, tool="t" * 60) for i in range(400)]
    chart = plan_mermaid(plan(*steps))
    assert len(chart) <= MAX_MERMAID_CHARS
    assert "long words" not in chart
    assert 400 == chart.count("<br/>")
