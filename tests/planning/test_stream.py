"""Steps leave a stream early, identical to those of the whole plan, in linear time; at a defect everything waits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_cases import FIXTURES, plan_texts

from planloom import Plan
from planloom.errors import PlanFormatError
from planloom.plan.issues import Issue, has_errors
from planloom.plan.limits import Limits
from planloom.planning import Arrived, PlanText, StreamReader, read_plan_text

PLAN: dict[str, Any] = {
    "goal": "g", "inputs": {"path": "a } ] b", "list": [{"x": [1]}]},
    "steps": [
        {"id": "load", "description": "d", "tool": "load", "args": {"text": "\"}]{[\\"}, "depends_on": []},
        {"id": "sum", "description": "d", "tool": "sum", "args": {"of": "{{load.output}}", "deep": {"x": [{}]}},
         "depends_on": ["load"]},
        {"id": "mail", "description": "d", "tool": "mail", "args": {}, "depends_on": ["sum"]},
    ],
    "answer": "{{sum.output}}",
}  # fmt: skip


def feed_all(text: str, size: int = 3) -> tuple[StreamReader, list[Arrived]]:
    reader = StreamReader()
    arrived: list[Arrived] = []
    for start in range(0, len(text), size):
        arrived += reader.feed(text[start : start + size])
    return reader, arrived


def ids(arrived: list[Arrived]) -> list[str]:
    return [one.step.id for one in arrived]


def test_a_step_arrives_with_its_closing_brace() -> None:
    """Each step is returned by the very `feed` that brings its closing brace, not one character later."""
    text = json.dumps(PLAN)
    reader = StreamReader()
    came_at = {one.step.id: place for place, character in enumerate(text) for one in reader.feed(character)}
    expected = {}
    for step in PLAN["steps"]:
        written = json.dumps(step)
        expected[step["id"]] = text.index(written) + len(written) - 1
    assert expected == came_at


def test_what_stood_before_the_steps_is_there_with_the_first_step() -> None:
    """`goal` and `inputs` that stand before the steps can be read as soon as the list of steps begins."""
    reader = StreamReader()
    reader.feed(json.dumps(PLAN).split('"steps": [')[0])
    assert (None, {}) == (reader.goal, reader.inputs)
    reader.feed('"steps": [')
    assert (PLAN["goal"], PLAN["inputs"]) == (reader.goal, reader.inputs)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize(
    "around",
    ["%s", "```json\n%s\n```", "Here [1] is {the} plan: %s Enjoy {it}!", "\ufeff \n%s\n",
     "<think>or {\"steps\": [{</think>%s", "~~~\n%s", 'As {"an": "example"}, and then [{"n": 1}].\n%s'],
    ids=["bare", "fence", "prose", "byte order mark", "thoughts", "open fence", "examples"],
)  # fmt: skip
@pytest.mark.parametrize("wrap", ["plan", "list", "calls", "tasks", "twice"])
def test_steps_arrive_through_whatever_stands_around(around: str, wrap: str, size: int) -> None:
    """Through fences, prose and thoughts, bare or wrapped, every step arrives and is the step of the whole plan."""
    steps = PLAN["steps"]
    wrapped = {
        "plan": PLAN,
        "list": steps,
        "calls": {"calls": steps},
        "tasks": {"goal": "g", "tasks": steps},
        "twice": {"plan": PLAN},
    }
    text = around.replace("%s", json.dumps(wrapped[wrap], indent=1))
    reader, arrived = feed_all(text, size)
    plan = reader.finish().plan
    assert ["load", "sum", "mail"] == ids(arrived)
    assert [(n, step) for n, step in enumerate(plan.steps)] == [(one.position, one.step) for one in arrived]
    assert read_plan_text(text).plan == plan
    assert [one.raw for one in arrived] == steps


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plan_texts(), st.lists(st.integers(1, 60), max_size=30))
def test_early_steps_are_those_of_the_plan(text: str, cuts: list[int]) -> None:
    """For valid JSON, cut anywhere: what arrived early stands unchanged at its position in the whole plan."""
    reader = StreamReader()
    arrived: list[Arrived] = []
    start = 0
    for size in [*cuts, len(text)]:
        arrived += reader.feed(text[start : start + size])
        start += size
    whole = reader.finish()
    assert Plan.from_json(text) == whole.plan
    assert ([], []) == (whole.mends, whole.issues)
    for one in arrived:
        assert whole.plan.steps[one.position] == one.step


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    plan_texts(),
    st.integers(0, 3_000),
    st.sampled_from(["", *"{}[],:\"'", "//", "NaN", "...", "</think>"]),
    st.integers(0, 3),
)
def test_after_damage_early_steps_stand_or_the_plan_is_rejected(
    text: str, at: int, inserted: str, left_out: int
) -> None:
    """Damaged anywhere: each early step is unchanged in the whole plan, or the whole plan is rejected."""
    at %= len(text)
    damaged = text[:at] + inserted + text[at + left_out :]
    reader, arrived = feed_all(damaged, 11)
    try:
        whole = reader.finish()
    except PlanFormatError:
        return
    stands = all(one.position < len(whole.plan.steps) and whole.plan.steps[one.position] == one.step for one in arrived)
    assert stands or has_errors(whole.issues)


def test_reading_is_linear() -> None:
    """2,000 steps of about 200 bytes in pieces of three characters: each character is looked at twice, not more."""
    steps = [
        {"id": f"s{n}", "description": "d", "tool": "search", "args": {"query": "x" * 120}, "depends_on": []}
        for n in range(2_000)
    ]
    text = json.dumps({"goal": "g", "steps": steps})
    assert 380_000 <= len(text) <= 460_000
    reader, arrived = feed_all(text, 3)
    assert 2_000 == len(arrived)
    assert reader.characters_scanned <= 2 * len(text) + 100


@pytest.mark.parametrize(
    "text", ["x" * 30_000, "{" * 30_000, '{"a": "' + "\\\\" * 15_000, "<think>" + "a<" * 15_000, '[{"a": [' * 4_000]
)
def test_reading_of_anything_is_linear(text: str) -> None:
    """Also text that never becomes a plan costs work in proportion to its length."""
    reader, arrived = feed_all(text, 3)
    assert [] == arrived
    assert reader.characters_scanned <= 6 * len(text) + 100


@pytest.mark.parametrize(
    ("defect", "arrives"),
    [
        ("{'id': 'b', 'tool': 't', 'args': {}}", []),
        ('{"id": "b", "tool": "t", "args": {},}', []),
        ('{"id": "b", "tool": "t", "args": NaN}', []),
        ('{"id": "b", "tool": "t", "args": {}} // next', []),
        ('{"id": "b", "tool": "t", "args": {}} "x"', ["b"]),
        ("...", []),
        ('{"id": "b", "tool": "t", "args": {}},', ["b"]),
    ],
)
def test_a_defect_ends_early_release(defect: str, arrives: list[str]) -> None:
    """From an element that is no JSON on nothing arrives early, but `finish` reads what follows."""
    first = '{"id": "a", "description": "d", "tool": "t", "args": {}, "depends_on": []}'
    last = '{"id": "c", "description": "d", "tool": "t", "args": {}, "depends_on": []}'
    reader, arrived = feed_all(
        f"[{first}, {defect}, {last}]" if "//" not in defect else f"[{first}, {defect}\n, {last}]"
    )
    assert ["a", *arrives] == ids(arrived)[: 1 + len(arrives)]
    assert "c" not in ids(arrived)
    assert not reader.is_releasing
    assert {"a", "c"} <= {step.id for step in reader.finish().plan.steps}


@pytest.mark.parametrize(
    ("steps", "early"),
    [
        ('{"id": 1, "tool": "t", "args": {}}, {"id": "b", "tool": "t", "args": {}}', ["b"]),
        ('{"id": "a", "tool": "t", "parameters": {}}', []),
        ('{"id": "a", "tool": "t", "args": {}, "depends_on": [1]}', []),
        ('{"id": "a", "tool": "t", "args": {}, "depends_on": "b"}', []),
        ('{"id": "a", "tool": "t", "args": {"x": "$b"}}', []),
        ('{"id": "a", "tool": "t", "args": {"x": ["from {b.output}"]}}', []),
        ('{"id": "a", "tool": "t", "args": {"x": "E1"}}', []),
        ('{"id": "a", "tool": "t", "args": {"x": "{{1.output}}"}}', []),
        ('{"id": "a", "tool": "t", "args": {}, "when": "b.output > 1"}', []),
        ('{"id": "a", "tool": "t", "args": {}, "when": "{{b.output}} > 1", "for_each": "{{b.output}}"}', ["a"]),
        ('{"id": "a", "tool": "t", "args": {}, "id": "b"}', []),
        ('"text", 5, null, [{"id": "x", "tool": "t", "args": {}}], {"id": "a", "tool": "t", "args": {}}', ["a"]),
    ],
)
def test_what_the_rest_of_the_text_could_change_waits(steps: str, early: list[str]) -> None:
    """A step whose names or references still have to be worked out over the whole plan does not arrive early."""
    text = f'{{"steps": [{steps}]}}'
    reader, arrived = feed_all(text)
    assert early == ids(arrived)
    plan = reader.finish().plan
    assert all(plan.steps[one.position] == one.step for one in arrived)


@pytest.mark.parametrize(
    "text",
    ['{"nodes": [{"id": "a", "tool": "t", "args": {}}, {"id": "b", "tool": "t", "args": {}}], "edges": [["a", "b"]]}',
     '[["x"], 1]', '[1, {"steps": [{"id": "a", "tool": "t", "args": {}}]}]',
     '{"a": {"steps": [{"id": "a", "tool": "t", "args": {}}]}}',
     '{"id": "a", "tool": "t", "args": {}}\n{"id": "b", "tool": "t", "args": {}}', "I cannot do that.", ""],
)  # fmt: skip
def test_elsewhere_nothing_arrives_early(text: str) -> None:
    """Steps in a graph with edges, in JSON Lines or under unknown names wait for the whole text."""
    assert [] == feed_all(text)[1]


def test_a_second_list_of_steps_is_not_released() -> None:
    """Only the first list with something like a step is the plan's; `finish` rejects a text with two."""
    step = '{"id": "%s", "tool": "t", "args": {}}'
    reader, arrived = feed_all(f'{{"calls": [{step % "a"}], "steps": [{step % "b"}]}}')
    assert ["a"] == ids(arrived)
    whole = reader.finish()
    assert ["a"] == [one.id for one in whole.plan.steps]
    assert has_errors(whole.issues)


def test_a_list_without_steps_is_passed_over() -> None:
    """`plan` may be a list of sentences in front of the `steps`."""
    reader, arrived = feed_all(
        '{"plan": ["First a, then b"], "goal": "g", "steps": [{"id": "a", "tool": "t", "args": {}}]}'
    )
    assert (["a"], "g") == (ids(arrived), reader.goal)


def test_no_more_steps_arrive_than_the_limit() -> None:
    """Beyond `limits.steps` nothing arrives early."""
    reader = StreamReader(Limits(steps=2))
    arrived = reader.feed(json.dumps([{"id": f"s{n}", "tool": "t", "args": {}} for n in range(4)]))
    assert ["s0", "s1"] == ids(arrived)


def test_finish_reads_what_a_whole_text_would_be_read_as() -> None:
    """`finish` gives what `read_plan_text` gives, cut or refused, with `finished` passed on."""
    for path in sorted(FIXTURES.glob("*/*.txt")):
        text = path.read_text(encoding="utf-8")
        reader, _ = feed_all(text, 5)
        assert outcome(lambda: read_plan_text(text, finished=False)) == outcome(lambda: reader.finish(finished=False))  # noqa: B023


def outcome(read: Callable[[], PlanText]) -> PlanText | list[Issue]:
    try:
        return read()
    except PlanFormatError as error:
        return error.issues


def test_a_step_too_deep_to_read_ends_early_release() -> None:
    """An element nested too deep for the reader is no crash; the rest waits for `finish`."""
    deep = '{"id": "a", "tool": "t", "args": {"x": ' + "[" * 20_000 + "]" * 20_000 + "}}"
    reader, arrived = feed_all(f'[{deep}, {{"id": "b", "tool": "t", "args": {{}}}}]', 1_000)
    assert ([], False) == (arrived, reader.is_releasing)
    reader.finish()
