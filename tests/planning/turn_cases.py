"""Replies of models in a ReAct loop, as they are really written, and what each means."""

from __future__ import annotations

from typing import Any, NamedTuple


class TurnCase(NamedTuple):
    name: str
    reply: str
    expected: Any
    """(tool, args) of a call, ["answer", value] of an answer, or words of the complaint."""


CALL = ("search", {"query": "tea"})

CALLS = [
    TurnCase("its own form", '{"thought": "look", "tool": "search", "args": {"query": "tea"}}', CALL),
    TurnCase("a fence", '```json\n{"thought": "look", "tool": "search", "args": {"query": "tea"}}\n```', CALL),
    TurnCase("prose around", 'I will look.\n{"tool": "search", "args": {"query": "tea"}}\nLet me see.', CALL),
    TurnCase("single quotes", "{'thought': 'it's', 'tool': 'search', 'args': {'query': 'tea'}}", CALL),
    TurnCase("trailing commas", '{"tool": "search", "args": {"query": "tea",},}', CALL),
    TurnCase("comments", '{"tool": "search", // the web\n "args": {"query": "tea"}}', CALL),
    TurnCase("a quote in the thought", '{"thought": "say "tea"", "tool": "search", "args": {"query": "tea"}}', CALL),
    TurnCase("no last bracket", '{"tool": "search", "args": {"query": "tea"}', CALL),
    TurnCase(
        "thoughts before", '<think>maybe {"tool": "none"}</think>{"tool": "search", "args": {"query": "tea"}}', CALL
    ),
    TurnCase("other names", '{"thought": "x", "action": "search", "action_input": {"query": "tea"}}', CALL),
    TurnCase("a function call", '{"function": {"name": "search", "arguments": "{\\"query\\": \\"tea\\"}"}}', CALL),
    TurnCase("a list of calls", '{"tool_calls": [{"name": "search", "arguments": {"query": "tea"}}]}', CALL),
    TurnCase("a nested call", '{"thought": "x", "action": {"tool": "search", "args": {"query": "tea"}}}', CALL),
    TurnCase("tags around", '<tool_call>{"name": "search", "arguments": {"query": "tea"}}</tool_call>', CALL),
    TurnCase("a lone value", '{"action": "search", "action_input": "tea"}', CALL),
    TurnCase("arguments beside", '{"thought": "x", "tool": "search", "query": "tea"}', CALL),
    TurnCase("an answer that is null", '{"tool": "search", "args": {"query": "tea"}, "answer": null}', CALL),
    TurnCase("no arguments", '{"thought": "x", "tool": "now"}', ("now", {})),
    TurnCase("null for arguments", '{"tool": "now", "args": null}', ("now", {})),
    TurnCase("an unknown tool", '{"tool": "serch", "args": {"q": 1}}', ("serch", {"q": 1})),
    TurnCase("labels", 'Thought: look\nAction: search\nAction Input: {"query": "tea"}', CALL),
    TurnCase("labels in bold", "**Thought:** look\n**Action:** search\n**Action Input:** tea", CALL),
    TurnCase("a label without input", "Thought: look\nAction: now", ("now", {})),
    TurnCase("a label and JSON", 'Action:\n```json\n{"action": "search", "action_input": {"query": "tea"}}\n```', CALL),
    TurnCase("made-up rest", "Action: search\nAction Input: tea\nObservation: 42\nFinal Answer: 42", CALL),
]
ANSWERS = [
    TurnCase("its own form", '{"thought": "done", "answer": "42"}', "42"),
    TurnCase("a JSON value", '{"answer": {"total": 42, "of": [1, null]}}', {"total": 42, "of": [1, None]}),
    TurnCase("false", '{"answer": false}', False),
    TurnCase("0", '{"thought": "none", "answer": 0}', 0),
    TurnCase(
        "a list of things with tools", '{"answer": [{"tool": "hammer", "args": {}}]}', [{"tool": "hammer", "args": {}}]
    ),
    TurnCase("text that looks like JSON", '{"answer": "{\'a\': 1,}"}', "{'a': 1,}"),
    TurnCase("text with a reference", '{"answer": "write {{x.output}}"}', "write {{x.output}}"),
    TurnCase("another name", '{"thought": "done", "final_answer": "42"}', "42"),
    TurnCase("no tool", '{"thought": "done", "tool": null, "args": null, "answer": "42"}', "42"),
    TurnCase("tool none", '{"tool": "none", "args": {}, "answer": "42"}', "42"),
    TurnCase("a finishing tool", '{"action": "Final Answer", "action_input": "42"}', "42"),
    TurnCase("finish", '{"tool": "finish", "args": {"answer": "42"}}', "42"),
    TurnCase("a fence", '```\n{"answer": "42",}\n```', "42"),
    TurnCase("a line break in the text", '{"answer": "4\n2"}', "4\n2"),
    TurnCase("a label", "Thought: I know.\nFinal Answer: It is 42.\nAnd that is that.", "It is 42.\nAnd that is that."),
    TurnCase("a label and JSON", 'Final Answer: {"total": 42}', {"total": 42}),
    TurnCase("a number behind a label", "Final Answer: 42", "42"),
]
COMPLAINTS = [
    TurnCase("nothing", " \n", "the reply is empty"),
    TurnCase("words", "I should look for tea first.", "there is no JSON object in the reply"),
    TurnCase("another object", '{"query": "tea"}', 'the JSON names neither a "tool" nor an "answer"'),
    TurnCase("a null answer", '{"thought": "x", "answer": null}', 'neither a "tool" nor an "answer"'),
    TurnCase("cut in the answer", '{"thought": "x", "answer": "The ans', "cut off inside `answer`"),
    TurnCase("cut in the arguments", '{"tool": "search", "args": {"query": "te', "cut off inside `args.query`"),
    TurnCase("elided", '{"answer": [1, 2, ...]}', "`...`"),
    TurnCase("arguments that are a list", '{"tool": "pair", "args": ["a", "b"]}', '"args" is an object'),
    TurnCase("two tools in one object", '{"tool": "search", "args": {}, "tool": "now"}', "names two tools"),
    TurnCase("a novel", "x" * 50_001, "more than 50,000 characters"),
]
MORE = [
    TurnCase("two objects", '{"tool": "now"}\n{"tool": "search", "args": {"query": "tea"}}', ("now", {})),
    TurnCase("an answer after it", '{"tool": "now"}\nObservation: noon\n{"answer": "noon"}', ("now", {})),
    TurnCase("a list", '[{"tool": "now"}, {"tool": "now"}]', ("now", {})),
    TurnCase("labels", "Action: now\nObservation: noon\nFinal Answer: noon", ("now", {})),
]
