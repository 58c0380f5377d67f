"""What models really write is read right; valid JSON is never altered; nothing is lost in silence."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_cases import FIXTURES, TRICKY, json_values, plan_texts, raw_plans, texts

from planloom import Plan, find_issues
from planloom.errors import PlanFormatError
from planloom.plan.issues import has_errors
from planloom.plan.limits import Limits
from planloom.planning import Mend, read_plan_text
from planloom.planning.mends import MAX_MENDS
from planloom.planning.relaxed import read_relaxed

REPLIES = sorted([*FIXTURES.glob("forms/*.txt"), *FIXTURES.glob("replies/*.txt")])
HOSTILE = [
    ("[", 5_000), ("{'", 3_000), ('[{"a": "', 2_000), ('{"a": "x" "', 2_000), ('["a\\', 2_000), ("#", 50_000),
    ("[{id:'", 2_000), ('{"a":', 5_000), ("</think>", 2_000), ('{"steps": [{\'id\': \'a"', 300), ("[/*", 2_000),
    ('{"a" ', 2_000), ('[{"id": 1 ]', 400), ("```{", 1_000),
]  # fmt: skip
SAMPLE: dict[str, Any] = {
    "goal": "Weekend", "inputs": {"n": 2},
    "steps": [
        {"id": "flights", "description": "Find flights", "tool": "search_flights",
         "args": {"origin": "Berlin", "days": ["a", "b"]}, "depends_on": []},
        {"id": "hotels", "description": "Find hotels", "tool": "search_hotels",
         "args": {"city": "Lisbon", "nights": 2, "more": {"x": [1, 2.5, None, True]}}, "depends_on": []},
        {"id": "report", "description": "Write the report", "tool": "write",
         "args": {"a": "{{flights.output[0].id}}", "b": "{{hotels.output}}"}, "depends_on": ["flights", "hotels"]},
    ],
    "answer": "{{report.output}}",
}  # fmt: skip


def outcome(text: str, *, finished: bool = True) -> dict[str, Any]:
    """What comes of a reply, as the fixtures write it."""
    try:
        read = read_plan_text(text, finished=finished)
    except PlanFormatError as error:
        return {"error": error.issues[0].message}
    return {
        "plan": read.plan.to_dict(),
        "mends": [[mend.path, mend.message] for mend in read.mends],
        "issues": [[issue.code, issue.severity, issue.path, issue.message] for issue in read.issues],
    }


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_reply(path: Path) -> None:
    """A reply becomes the expected plan with the expected mends and issues, or is refused in one sentence."""
    expected = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    expected.pop("about")
    finished = expected.pop("finished", True)
    assert expected == outcome(path.read_text(encoding="utf-8"), finished=finished)


def test_there_are_enough_damages_of_form() -> None:
    """At least 40 damages of form are held by fixtures, apart from whole replies."""
    assert len(list(FIXTURES.glob("forms/*.txt"))) >= 40


@pytest.mark.parametrize("path", REPLIES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_was_lost_fails_validation(path: Path) -> None:
    """The plan itself carries what was lost, so that a caller who looks only at the plan cannot run it."""
    try:
        read = read_plan_text(path.read_text(encoding="utf-8"))
    except PlanFormatError:
        return
    assert has_errors(read.issues) <= has_errors(find_issues(read.plan))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(plan_texts())
def test_valid_json_is_never_altered(text: str) -> None:
    """Text that is valid JSON is the plan that the strict reader makes of it, with no mend and no issue."""
    read = read_plan_text(text)
    assert Plan.from_json(text) == read.plan
    assert ([], []) == (read.mends, read.issues)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.one_of(st.lists(json_values, max_size=4), st.dictionaries(texts, json_values, max_size=4)), st.booleans())
def test_relaxed_reading_of_json_is_json(value: Any, ascii_only: bool) -> None:
    """What is JSON reads the same through the relaxed reader, and without a single liberty taken."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    read = read_relaxed(text, 0)
    assert json.dumps(value) == json.dumps(read.value)
    assert ({}, None, len(text)) == (read.notes, read.stop, read.end)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(raw_plans(), st.sampled_from(["python", "fence", "prose", "javascript"]))
def test_other_spellings_mean_the_same(plan: dict[str, Any], spelling: str) -> None:
    """A plan in a Python dict, in a fence, between prose or with comments and trailing commas is the same plan."""
    text = json.dumps(plan)
    written = {
        "python": repr(plan),
        "fence": f"Here you are:\n```json\n{text}\n```\nAnything else?",
        "prose": f"My plan [v1] is {text} and that is all (see {{above}}).",
        "javascript": text[:-1] + ", /* end */ } // done",
    }[spelling]
    read = read_plan_text(written)
    assert Plan.from_json(text) == read.plan
    assert (True, []) == (bool(read.mends), read.issues)


@pytest.mark.parametrize("indent", [None, 2])
def test_a_cut_anywhere_keeps_whole_steps_and_is_named(indent: int | None) -> None:
    """Cut at any place, a plan keeps the steps that were whole, and the cut is an error; only `}` may be put in."""
    text = json.dumps(SAMPLE, indent=indent)
    steps = Plan.from_json(text).steps
    behind_steps = text.rindex("]") + 1
    for end in range(1, len(text)):
        piece = text[:end]
        try:
            read = read_plan_text(piece)
        except PlanFormatError:
            assert '"steps": [' not in piece
            continue
        begun = piece.count('"id": ')
        assert steps[: len(read.plan.steps)] == read.plan.steps
        assert len(read.plan.steps) in (begun, begun - 1, 0)
        behind = piece[behind_steps:].strip()
        lacks_only_a_brace = end >= behind_steps and behind in ("", text[behind_steps:-1].strip())
        assert lacks_only_a_brace != has_errors(read.issues), piece[-60:]
        assert not (lacks_only_a_brace and read_plan_text(piece, finished=False).issues == [])


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize(("damage", "same"), [("delete", 90), ("double", 130), ("swap", 15)])
def test_one_wrong_mark_is_mended_or_named(damage: str, same: int, indent: int | None) -> None:
    """One bracket, quote, colon or comma wrong: the same plan with a mend, or an error, or a guess that says so."""
    text = json.dumps(SAMPLE, indent=indent)
    intended = Plan.from_json(text)
    swaps = {"{": "[", "[": "{", "}": "]", "]": "}", ",": ":", ":": ",", '"': "'"}
    outcomes = Counter[str]()
    for place, mark in enumerate(text):
        if mark not in swaps or _is_inside_reference(text, place):
            continue
        wrong = {"delete": "", "double": mark * 2, "swap": swaps[mark]}[damage]
        try:
            read = read_plan_text(text[:place] + wrong + text[place + 1 :])
        except PlanFormatError:
            outcomes["refused"] += 1
            continue
        if read.plan == intended:
            outcomes["same"] += 1
            assert read.mends or read.issues
        elif has_errors(find_issues(read.plan)):
            outcomes["named"] += 1
        else:
            outcomes["guessed"] += 1
            assert any("guessing" in mend.message for mend in read.mends), text[max(0, place - 30) : place + 30]
    assert outcomes["same"] >= same
    assert outcomes["guessed"] <= 10


def _is_inside_reference(text: str, place: int) -> bool:
    opening = text.rfind("{{", 0, place + 2)
    return opening >= 0 and place < text.find("}}", opening) + 2


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(st.one_of(st.sampled_from([*TRICKY, *"{}[]\",:'\n"]), st.text(max_size=5)), max_size=30).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a model writes, it becomes a plan or a `PlanFormatError` with one issue, never another exception."""
    result = outcome(text)
    assert ("plan" in result) != ("error" in result)


@pytest.mark.parametrize(
    "text",
    [part * times for part, times in HOSTILE],
    ids=lambda text: text[:12],
)  # fmt: skip
def test_hostile_text_costs_bounded_work(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text made to be read again and again is given up after work in proportion to its length."""
    from planloom.planning import passages

    looked_at = 0
    read = passages.read_relaxed

    def counting(text: str, start: int, end: int | None = None) -> Any:
        nonlocal looked_at
        result = read(text, start, end)
        looked_at += result.looked_at
        return result

    monkeypatch.setattr(passages, "read_relaxed", counting)
    outcome(text)
    assert looked_at <= 20 * len(text) + 700_000


def test_more_steps_than_the_limit_are_an_issue() -> None:
    """A reply with more steps than `limits.steps` keeps as many as that and says so."""
    text = json.dumps([{"id": f"s{n}", "tool": "t", "args": {}} for n in range(5)])
    read = read_plan_text(text, limits=Limits(steps=3))
    assert ["s0", "s1", "s2"] == [step.id for step in read.plan.steps]
    assert [("limit", "/steps")] == [(issue.code, issue.path) for issue in read.issues]


def test_too_long_a_text_is_refused() -> None:
    """A reply longer than `limits.text_bytes` is refused, and the message names the limit."""
    with pytest.raises(PlanFormatError, match="more than 10 characters"):
        read_plan_text('[{"id": "a", "tool": "t"}]', limits=Limits(text_bytes=10))


def test_the_same_change_at_many_steps_is_told_once() -> None:
    """A mend that a hundred steps share is one mend with its number, not a hundred."""
    read = read_plan_text(repr([{"id": f"s{n}", "tool": "t", "parameters": {"q": "x"}} for n in range(100)]))
    told = [(mend.path, mend.message) for mend in read.mends]
    assert ("/steps", "`parameters` was read as `args` (100 times)") in told
    assert 2 == len(told)


def test_the_list_of_mends_has_an_end() -> None:
    """Beyond the limit mends are counted, not listed."""
    read = read_plan_text(json.dumps([{"id": n, "tool": "t", "args": {}} for n in range(MAX_MENDS + 7)]))
    assert MAX_MENDS + 1 == len(read.mends)
    assert Mend("", "7 more mends are not listed (limit 1,000)") == read.mends[-1]


def test_reading_strict_json_imports_no_repair() -> None:
    """`json-repair` is imported only when a step really has to be guessed."""
    import subprocess
    import sys

    code = (
        "import sys; from planloom.planning import read_plan_text; read_plan_text(\"[{'id': 'a', 'tool': 't',}]\"); "
        "sys.exit('json_repair' in sys.modules)"
    )
    assert 0 == subprocess.run([sys.executable, "-c", code], check=False).returncode
