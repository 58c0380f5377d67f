"""One turn of a ReAct loop, read from what models really write."""

from __future__ import annotations

import json

import pytest
from turn_cases import ANSWERS, CALLS, COMPLAINTS, MORE, TurnCase

from planloom import Toolbox
from planloom.planning.turns import FinalAnswer, ToolCall, Unreadable, read_turn


def search(query: str) -> str:
    """Search the web."""
    return query


def pair(left: str, right: str) -> str:
    """Join two texts."""
    return left + right


def now() -> str:
    """Tell the time."""
    return "noon"


TOOLS = Toolbox([search, pair, now])


def named(cases: list[TurnCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", cases, ids=[case.name for case in cases])


@named(COMPLAINTS)
def test_what_is_no_turn_is_said(case: TurnCase) -> None:
    """A reply that cannot be read is a sentence about it, never a guess and never an exception."""
    turn = read_turn(case.reply, TOOLS)

    assert isinstance(turn, Unreadable)
    assert case.expected in turn.problem


@named(CALLS)
def test_calls(case: TurnCase) -> None:
    """A call is read from every form in which models write one."""
    turn = read_turn(case.reply, TOOLS)

    assert isinstance(turn, ToolCall)
    assert case.expected == (turn.tool, turn.args)


@named(ANSWERS)
def test_answers(case: TurnCase) -> None:
    """An answer is text or a JSON value, exactly as the model wrote it."""
    assert FinalAnswer(case.expected) == read_turn(case.reply, TOOLS)


@named(MORE)
def test_only_the_first_call_counts(case: TurnCase) -> None:
    """What a model writes after its first call is left out, and the turn says so."""
    turn = read_turn(case.reply, TOOLS)

    assert isinstance(turn, ToolCall)
    assert (*case.expected, True) == (turn.tool, turn.args, turn.has_more)
    assert "noon" not in case.reply[: turn.end]


@pytest.mark.parametrize(
    "value",
    [{"a": "{{b}}"}, "it's\n", ["$1", "#E1", "<node-1>"], {"x": {"tool": "now"}}, -1e-7, "```json", "1,}", "NaN", {}],
)
def test_valid_json_is_never_altered(value: object) -> None:
    """Arguments and answers in valid JSON come out equal, whatever they look like."""
    call = read_turn(json.dumps({"thought": "", "tool": "search", "args": {"query": value}}), TOOLS)

    assert isinstance(call, ToolCall)
    assert {"query": value} == call.args
    assert FinalAnswer(value) == read_turn(json.dumps({"answer": value}), TOOLS)


def test_a_reply_that_was_cut_off_is_not_completed() -> None:
    """Stopped at a limit, what lacks only a bracket is an issue; what is whole is taken."""
    cut = '{"tool": "search", "args": {"query": "tea"}'

    assert isinstance(read_turn(cut, TOOLS, finished=False), Unreadable)
    assert isinstance(read_turn(cut + "} and then", TOOLS, finished=False), ToolCall)
    assert isinstance(read_turn("Final Answer: It is", TOOLS, finished=False), Unreadable)


def test_a_tool_called_answer_is_a_tool() -> None:
    """The toolbox decides: a word for the end is a tool when there is one of that name."""
    turn = read_turn('{"tool": "answer", "args": {"text": "x"}}', {**TOOLS, "answer": TOOLS["now"]})

    assert isinstance(turn, ToolCall)


@pytest.mark.parametrize(
    "text",
    [
        '{"thought": "done", "fina\nAction: x\n{"a": 1}l_answer": "42"}',
        "{" * 40_000,
        '{"answer": ' + "[" * 20_000,
        '{"steps": [' * 4_000,
        "Action:\n" * 5_000,
        "<think>" * 5_000,
        '{"tool": "now", "args": "' + "{'a': " * 5_000,
    ],
    ids=["woven", "braces", "deep", "steps", "labels", "thoughts", "quoted"],
)
def test_nonsense_is_a_turn_or_a_complaint(text: str) -> None:
    """Whatever a model writes, reading ends soon and never raises."""
    assert isinstance(read_turn(text, TOOLS), ToolCall | FinalAnswer | Unreadable)


def test_words_alone_are_told_from_broken_json() -> None:
    """Only a reply without any JSON is words alone."""
    assert [True, False, False] == [
        turn.is_prose
        for turn in (read_turn(text, TOOLS) for text in ("so be it", '{"a": 1}', '{"answer": "x'))
        if isinstance(turn, Unreadable)
    ]
