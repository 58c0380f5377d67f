"""Valid plans, damaged in every way that can be thought of: each damage is found under its code, at its place.

A case is data: what is done, to which plan, and every issue that must follow, no more and no less.
"""

# ruff: noqa: E501 - one kind of damage is one line

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from planloom import Issue, Tool, Toolbox, find_issues

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
VALID: dict[str, Any] = {
    case["name"]: case["plan"] for case in json.loads((FIXTURES / "valid_plans.json").read_text(encoding="utf-8"))
}
CHAIN, FAN, ODD, BARE, EMPTY = VALID


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


def read_toolbox() -> Toolbox:
    specs = json.loads((FIXTURES / "tools.json").read_text(encoding="utf-8"))
    tools: list[Tool] = []
    for spec in specs:
        facts = {
            name: spec[name]
            for name in ("name", "description", "read_only", "idempotent", "open_world")
            if name in spec
        }
        writes = tuple(spec.get("writes", ()))
        tools.append(
            Tool.from_schema(
                parameters=spec["parameters"], returns=spec.get("returns"), function=never, writes=writes, **facts
            )
        )
    return Toolbox(tools)


TOOLBOX = read_toolbox()

Damage = Callable[[dict[str, Any]], Any]
MUTATIONS: list[tuple[str, str, Damage, list[str]]] = []


def damage(name: str, plan: str, *expected: str) -> Callable[[Damage], Damage]:
    """Register a way to damage a plan; `expected` are its issues as "code pointer", warnings as "code pointer ?"."""

    def register(function: Damage) -> Damage:
        MUTATIONS.append((name, plan, function, list(expected)))
        return function

    return register


def at(plan: dict[str, Any], *place: str | int) -> Any:
    for segment in place:
        plan = plan[segment]  # type: ignore[index]
    return plan


def put(*place: Any, value: Any) -> Damage:
    """A damage that puts `value` at a place of the plan."""
    return lambda plan: at(plan, *place[:-1]).__setitem__(place[-1], copy.deepcopy(value))


def cut(*place: Any) -> Damage:
    """A damage that removes what stands at a place of the plan."""
    return lambda plan: at(plan, *place[:-1]).__delitem__(place[-1])


def add(name: str, plan: str, function: Damage, *expected: str) -> None:
    MUTATIONS.append((name, plan, function, list(expected)))


def also(*functions: Damage) -> Damage:
    return lambda plan: [function(plan) for function in functions]


# fmt: off
# -- fields that are missing
add("no id", CHAIN, cut("steps", 2, "id"), "missing-field /steps/2/id", "unknown-reference /answer/summary")
add("an empty id", CHAIN, put("steps", 2, "id", value=""), "missing-field /steps/2/id", "unknown-reference /answer/summary")
add("no tool", CHAIN, cut("steps", 1, "tool"), "missing-field /steps/1/tool")
add("an empty tool", CHAIN, put("steps", 1, "tool", value=""), "missing-field /steps/1/tool")
add("no args, though some are required", CHAIN, cut("steps", 0, "args"), "missing-field /steps/0/args")
add("no args where none are needed", ODD, cut("steps", 1, "args"), "missing-field /steps/1/args ?")
add("no description", CHAIN, cut("steps", 0, "description"), "missing-field /steps/0/description ?")
add("an empty description", CHAIN, put("steps", 0, "description", value=""), "missing-field /steps/0/description ?")
add("no depends_on", CHAIN, cut("steps", 1, "depends_on"), "missing-field /steps/1/depends_on ?")
add("no steps and no answer", EMPTY, cut("answer"), "missing-field /steps")

# -- fields of the wrong type
add("id: a number", CHAIN, put("steps", 2, "id", value=3), "wrong-field-type /steps/2/id", "unknown-reference /answer/summary")
add("id: a list", BARE, put("steps", 0, "id", value=["b"]), "wrong-field-type /steps/0/id")
add("tool: an object", CHAIN, put("steps", 1, "tool", value={"name": "fetch"}), "wrong-field-type /steps/1/tool")
add("args: a list", CHAIN, put("steps", 0, "args", value=["tides"]), "wrong-field-type /steps/0/args", "missing-argument /steps/0/args/query")
add("args: text", ODD, put("steps", 1, "args", value="none"), "wrong-field-type /steps/1/args")
add("description: a number", CHAIN, put("steps", 0, "description", value=1), "wrong-field-type /steps/0/description")
add("depends_on: text", CHAIN, put("steps", 1, "depends_on", value="find"), "wrong-field-type /steps/1/depends_on")
add("depends_on: an object", CHAIN, put("steps", 1, "depends_on", value={"find": True}), "wrong-field-type /steps/1/depends_on")
add("depends_on: a number inside", CHAIN, put("steps", 1, "depends_on", value=["find", 1]), "wrong-field-type /steps/1/depends_on/1")
add("depends_on: null inside", CHAIN, put("steps", 1, "depends_on", value=[None, "find"]), "wrong-field-type /steps/1/depends_on/0")
add("when: a boolean", FAN, put("steps", 3, "when", value=False), "wrong-field-type /steps/3/when")
add("when: an object", FAN, put("steps", 3, "when", value={"gt": 1}), "wrong-field-type /steps/3/when")
add("for_each: an object", ODD, put("steps", 2, "for_each", value={"a": 1}), "for-each-not-a-list /steps/2/for_each", "unknown-reference /steps/2/args/path", "reference-path /answer/0")
add("for_each: a number", ODD, put("steps", 2, "for_each", value=3), "for-each-not-a-list /steps/2/for_each", "unknown-reference /steps/2/args/path", "reference-path /answer/0")
add("timeout_s: text", FAN, put("steps", 1, "timeout_s", value="30"), "wrong-field-type /steps/1/timeout_s")
add("timeout_s: 0", FAN, put("steps", 1, "timeout_s", value=0), "wrong-field-type /steps/1/timeout_s")
add("timeout_s: negative", FAN, put("steps", 1, "timeout_s", value=-1.5), "wrong-field-type /steps/1/timeout_s")
add("timeout_s: true", FAN, put("steps", 1, "timeout_s", value=True), "wrong-field-type /steps/1/timeout_s")
add("timeout_s: more than a float", FAN, put("steps", 1, "timeout_s", value=10**400), "wrong-field-type /steps/1/timeout_s")
add("retries: negative", FAN, put("steps", 1, "retries", value=-1), "wrong-field-type /steps/1/retries")
add("retries: a fraction", FAN, put("steps", 1, "retries", value=1.5), "wrong-field-type /steps/1/retries")
add("retries: true", FAN, put("steps", 1, "retries", value=True), "wrong-field-type /steps/1/retries")
add("a step that is text", CHAIN, put("steps", 2, value="summarise it"), "wrong-field-type /steps/2", "unknown-reference /answer/summary")
add("a step that is null", CHAIN, put("steps", 2, value=None), "wrong-field-type /steps/2", "unknown-reference /answer/summary")
add("a step that is a list", BARE, put("steps", 0, value=[]), "wrong-field-type /steps/0")
add("version 2", CHAIN, put("version", value=2), "wrong-field-type /version")
add("version as text", CHAIN, put("version", value="1"), "wrong-field-type /version")
add("goal: a list", CHAIN, put("goal", value=["a"]), "wrong-field-type /goal")
add("inputs: a list", CHAIN, put("inputs", value=["tides"]), "wrong-field-type /inputs", "unknown-reference /steps/0/args/query")
add("a field that nobody knows", CHAIN, put("steps", 0, "timeout", value=3), "unknown-field /steps/0/timeout ?")
add("a field of the plan that nobody knows", CHAIN, put("gaol", value="x"), "unknown-field /gaol ?")

# -- ids
add("a duplicate id", FAN, put("steps", 3, "id", value="many"), "duplicate-id /steps/3/id", "unknown-dependency /steps/4/depends_on/1", "unknown-reference /steps/4/args/content")
add("three of one id", BARE, lambda plan: plan["steps"].extend([dict(plan["steps"][1]), dict(plan["steps"][1])]), "duplicate-id /steps/2/id", "duplicate-id /steps/3/id")
add("an id with a space", BARE, put("steps", 0, "id", value="b c"), "invalid-id /steps/0/id")
add("an id with a dot", BARE, put("steps", 0, "id", value="b.c"), "invalid-id /steps/0/id")
add("an id that begins with a digit", BARE, put("steps", 0, "id", value="1b"), "invalid-id /steps/0/id")
add("an id in another script", BARE, put("steps", 0, "id", value="schritt_ä"), "invalid-id /steps/0/id")
add("an id with a line break", BARE, put("steps", 0, "id", value="b\n"), "invalid-id /steps/0/id")
add("an id of 201 characters", BARE, put("steps", 0, "id", value="b" * 201), "invalid-id /steps/0/id")
for reserved in ("inputs", "item", "index"):
    add(f"the reserved id {reserved}", BARE, put("steps", 0, "id", value=reserved), "invalid-id /steps/0/id")

# -- tools
add("a misspelt tool", CHAIN, put("steps", 1, "tool", value="fecth"), "unknown-tool /steps/1/tool")
add("a tool in capitals", CHAIN, put("steps", 1, "tool", value="FETCH"), "unknown-tool /steps/1/tool")
add("a tool that never was", ODD, put("steps", 1, "tool", value="teleport"), "unknown-tool /steps/1/tool")

# -- dependencies
add("a dependency cut", CHAIN, put("steps", 1, "depends_on", value=[]), "undeclared-dependency /steps/1/depends_on ?")
add("two dependencies cut", CHAIN, put("steps", 2, "depends_on", value=[]), "undeclared-dependency /steps/2/depends_on ?")
add("a dependency misspelt", CHAIN, put("steps", 1, "depends_on", value=["fnd"]), "unknown-dependency /steps/1/depends_on/0", "undeclared-dependency /steps/1/depends_on ?")
add("a dependency written as a reference", CHAIN, put("steps", 1, "depends_on", value=["{{find.output}}"]), "unknown-dependency /steps/1/depends_on/0", "undeclared-dependency /steps/1/depends_on ?")
add("a dependency on the inputs", CHAIN, put("steps", 0, "depends_on", value=["inputs"]), "unknown-dependency /steps/0/depends_on/0")
add("a step removed that others need", CHAIN, cut("steps", 0), "unknown-reference /steps/0/args/url", "unknown-dependency /steps/0/depends_on/0", "unknown-reference /steps/1/args/texts/1", "unknown-dependency /steps/1/depends_on/0")
add("a step that depends on itself", CHAIN, put("steps", 0, "depends_on", value=["find"]), "self-dependency /steps/0/depends_on/0")
add("a step that refers to itself", CHAIN, put("steps", 1, "args", "url", value="{{read.output.text}}"), "self-dependency /steps/1/args/url")
add("a step whose condition refers to itself", FAN, put("steps", 3, "when", value="{{one.status}} == 'x'"), "self-dependency /steps/3/when")
add("a step whose for_each refers to itself", FAN, put("steps", 1, "for_each", value="{{read.output}}"), "self-dependency /steps/1/for_each")
add("a circle of two by depends_on", BARE, put("steps", 1, "depends_on", value=["b"]), "cycle /steps/0")
add("a circle of two by references", BARE, put("steps", 1, "args", "texts", value="{{b.output.text}}"), "cycle /steps/0", "undeclared-dependency /steps/1/depends_on ?")
add("a circle of three", CHAIN, put("steps", 0, "depends_on", value=["sum"]), "cycle /steps/0")
add("a circle by way of a condition", CHAIN, put("steps", 0, "when", value="{{sum.output}} == 'x'"), "cycle /steps/0", "undeclared-dependency /steps/0/depends_on ?")
add("a circle by way of a for_each", FAN, put("steps", 0, "for_each", value="{{many.output}}"), "cycle /steps/0", "for-each-not-a-list /steps/0/for_each", "undeclared-dependency /steps/0/depends_on ?", "reference-path /steps/1/for_each", "reference-path /steps/2/when", "reference-path /steps/3/when")

# -- arguments
add("a required argument missing", CHAIN, cut("steps", 1, "args", "url"), "missing-argument /steps/1/args/url")
add("a nested required argument missing", CHAIN, cut("steps", 2, "args", "options", "words"), "argument-type /steps/2/args/options")
add("an argument that nobody takes", CHAIN, put("steps", 0, "args", "laguage", value="en"), "unknown-argument /steps/0/args/laguage")
add("an argument misspelt", CHAIN, lambda plan: at(plan, "steps", 0, "args").__setitem__("qery", at(plan, "steps", 0, "args").pop("query")), "unknown-argument /steps/0/args/qery", "missing-argument /steps/0/args/query")
add("an argument where none are taken", ODD, put("steps", 1, "args", "x", value=1), "unknown-argument /steps/1/args/x")
add("an unknown argument inside", CHAIN, put("steps", 2, "args", "options", "tone", value="dry"), "argument-type /steps/2/args/options")
add("text for a number", CHAIN, put("steps", 0, "args", "limit", value="3"), "argument-type /steps/0/args/limit")
add("a fraction for a whole number", CHAIN, put("steps", 0, "args", "limit", value=2.5), "argument-type /steps/0/args/limit")
add("null for a number", CHAIN, put("steps", 0, "args", "limit", value=None), "argument-type /steps/0/args/limit")
add("a number below the minimum", CHAIN, put("steps", 0, "args", "limit", value=0), "argument-type /steps/0/args/limit")
add("a number for text", CHAIN, put("steps", 1, "args", "url", value=7), "argument-type /steps/1/args/url")
add("empty text where some is needed", CHAIN, put("steps", 1, "args", "url", value=""), "argument-type /steps/1/args/url")
add("a list for text", CHAIN, put("steps", 1, "args", "url", value=["u"]), "argument-type /steps/1/args/url")
add("text for a list", FAN, put("steps", 5, "args", "to", value="boss@example.com"), "argument-type /steps/5/args/to")
add("text for a boolean", FAN, put("steps", 5, "args", "urgent", value="no"), "argument-type /steps/5/args/urgent")
add("a word that the enum has not", CHAIN, put("steps", 2, "args", "style", value="shrot"), "argument-type /steps/2/args/style")
add("a number inside a list of texts", FAN, put("steps", 5, "args", "to", value=["a", 2]), "argument-type /steps/5/args/to/1")
add("text for a number, nested", CHAIN, put("steps", 2, "args", "options", "words", value="many"), "argument-type /steps/2/args/options/words")
add("a number in a nested list", CHAIN, put("steps", 2, "args", "options", "languages", value=["en", 1]), "argument-type /steps/2/args/options/languages/1")
add("a number for a union", CHAIN, put("steps", 2, "args", "texts", value=3), "argument-type /steps/2/args/texts")
add("a wrong value under additionalProperties", CHAIN, put("steps", 1, "args", "headers", "X", value=1), "argument-type /steps/1/args/headers/X")

# -- references
add("a reference to nobody", CHAIN, put("steps", 1, "args", "url", value="{{fnd.output.hits[0].url}}"), "unknown-reference /steps/1/args/url")
add("a reference to nobody, nested in text", CHAIN, put("steps", 2, "args", "texts", 1, value="see {{nobody.output}}"), "unknown-reference /steps/2/args/texts/1")
add("a reference to nobody in a condition", FAN, put("steps", 2, "when", value="{{fund.output.total}} > 1"), "unknown-reference /steps/2/when")
add("a reference to nobody behind ??", FAN, put("steps", 4, "args", "content", value="{{many.output ?? oen.output}}"), "unknown-reference /steps/4/args/content")
add("a reference to nobody in for_each", FAN, put("steps", 1, "for_each", value="{{fund.output.hits}}"), "unknown-reference /steps/1/for_each")
add("a reference to nobody in the answer", CHAIN, put("answer", "summary", value="{{summ.output}}"), "unknown-reference /answer/summary", "unused-step /steps/2 ?")
add("an unknown input", CHAIN, put("steps", 0, "args", "query", value="{{inputs.topik}}"), "unknown-reference /steps/0/args/query")
add("an input removed", CHAIN, cut("inputs", "topic"), "unknown-reference /steps/0/args/query")
add("an unknown input in the answer", CHAIN, put("answer", value="{{inputs.topik}} {{sum.output}}"), "unknown-reference /answer")
add("item outside for_each", CHAIN, put("steps", 1, "args", "url", value="{{item}}"), "unknown-reference /steps/1/args/url")
add("index outside for_each", CHAIN, put("steps", 1, "args", "url", value="u{{index}}"), "unknown-reference /steps/1/args/url")
add("item in a condition", FAN, put("steps", 1, "when", value="{{item}} != null"), "unknown-reference /steps/1/when")
add("item in the answer", CHAIN, put("answer", "summary", value="{{item}}"), "unknown-reference /answer/summary", "unused-step /steps/2 ?")
add("for_each removed", FAN, cut("steps", 1, "for_each"), "unknown-reference /steps/1/args/url", "unknown-reference /steps/1/args/headers/X-Number", "reference-path /steps/2/args/texts", "reference-path /steps/3/args/texts")
add("braces never closed", CHAIN, put("steps", 1, "args", "url", value="{{find.output.hits[0].url"), "bad-reference /steps/1/args/url")
add("one brace never closed", CHAIN, put("steps", 1, "args", "url", value="{{find.output.hits[0].url}"), "bad-reference /steps/1/args/url")
add("empty braces", CHAIN, put("steps", 1, "args", "url", value="{{ }}"), "bad-reference /steps/1/args/url")
add("a filter", CHAIN, put("steps", 1, "args", "url", value="{{find.output | first}}"), "bad-reference /steps/1/args/url")
add("a call", CHAIN, put("steps", 1, "args", "url", value="{{len(find.output)}}"), "bad-reference /steps/1/args/url")
add("no part of a step", CHAIN, put("steps", 1, "args", "url", value="{{find.result.url}}"), "bad-reference /steps/1/args/url")
add("a slice", CHAIN, put("steps", 1, "args", "url", value="{{find.output.hits[0:2]}}"), "bad-reference /steps/1/args/url")
add("a default that is no reference", CHAIN, put("steps", 1, "args", "url", value="{{find.output.url ?? 'x'}}"), "bad-reference /steps/1/args/url")
add("another planner's reference", CHAIN, put("steps", 1, "args", "url", value="${find.output.hits}"), "bad-reference /steps/1/args/url")
add("another planner's shorter reference", CHAIN, put("steps", 1, "args", "url", value="$find"), "bad-reference /steps/1/args/url")
add("a reference without braces", CHAIN, put("steps", 1, "args", "url", value="find.output.hits[0].url"), "bad-reference /steps/1/args/url ?")
add("a bad reference in the answer", CHAIN, put("answer", "summary", value="{{sum.output"), "bad-reference /answer/summary")
add("a bad reference in a condition", FAN, put("steps", 3, "when", value="{{find.output"), "bad-reference /steps/3/when")
add("a reference to a step in an input", CHAIN, put("inputs", "topic", value="{{find.output.total}}"), "bad-reference /inputs/topic")
add("a key that is not there", CHAIN, put("steps", 1, "args", "url", value="{{find.output.hits[0].link}}"), "reference-path /steps/1/args/url")
add("a key of nothing", CHAIN, put("steps", 1, "args", "url", value="{{find.output.total.x}}"), "reference-path /steps/1/args/url")
add("a key into a list", CHAIN, put("steps", 1, "args", "url", value="{{find.output.hits.url}}"), "reference-path /steps/1/args/url")
add("a star over an object", CHAIN, put("steps", 1, "args", "url", value="{{find.output[*].url}}"), "reference-path /steps/1/args/url")
add("an index into an object", CHAIN, put("steps", 1, "args", "url", value="{{find.output[0]}}"), "reference-path /steps/1/args/url")
add("a key of an item that is not there", FAN, put("steps", 1, "args", "url", value="{{item.link}}"), "reference-path /steps/1/args/url")
add("a key of text", FAN, put("steps", 3, "args", "texts", value="{{read.output[0].text.first}}"), "reference-path /steps/3/args/texts")
add("a key of an input that is not there", ODD, put("steps", 0, "args", "numbers", value="{{inputs.numbers.first}}"), "reference-path /steps/0/args/numbers")
add("an element of an input that is not there", ODD, put("steps", 0, "args", "numbers", value=["{{inputs.numbers[2]}}"]), "reference-path /steps/0/args/numbers/0")
add("a wrong key in the answer", CHAIN, put("answer", "source", value="{{read.output.lnks}}"), "reference-path /answer/source")
add("a wrong key in a condition", FAN, put("steps", 3, "when", value="{{find.output.totl}} > 1"), "reference-path /steps/3/when")
add("a list for text, by reference", CHAIN, put("steps", 1, "args", "url", value="{{find.output.hits}}"), "reference-type /steps/1/args/url")
add("a number for text, by reference", CHAIN, put("steps", 1, "args", "url", value="{{find.output.total}}"), "reference-type /steps/1/args/url")
add("text for a number, by reference", CHAIN, put("steps", 2, "args", "options", "words", value="{{read.output.text}}"), "reference-type /steps/2/args/options/words")
add("text around a reference for a number", CHAIN, put("steps", 2, "args", "options", "words", value="{{find.output.total}} words"), "reference-type /steps/2/args/options/words")
add("texts for numbers, by reference", ODD, put("steps", 0, "args", "numbers", value='{{inputs.names["odd key"]}}'), "reference-type /steps/0/args/numbers")
add("the index for text", FAN, put("steps", 1, "args", "url", value="{{index}}"), "reference-type /steps/1/args/url")
add("an item of the wrong type", FAN, put("steps", 1, "args", "url", value="{{item.score}}"), "reference-type /steps/1/args/url")
add("a whole for_each's list for one text", FAN, put("steps", 4, "args", "content", value="{{read.output[*].text}}"), "reference-type /steps/4/args/content", "undeclared-dependency /steps/4/depends_on ?")

# -- placeholders
for text in ("<your query>", "TODO", "TBD", "...", "YOUR_QUERY_HERE", "[insert query]", "<query>", "PLACEHOLDER", "TODO: find one", "your-api-key-here", " <Query> "):
    add(f"the placeholder {text}", CHAIN, put("steps", 0, "args", "query", value=text), "placeholder /steps/0/args/query")
add("a nested placeholder", CHAIN, put("steps", 2, "args", "texts", 0, value="<page text>"), "placeholder /steps/2/args/texts/0")
add("a placeholder inside text", CHAIN, put("steps", 0, "args", "query", value="tides in <your town>"), "placeholder /steps/0/args/query")
add("a placeholder in for_each", ODD, put("steps", 2, "for_each", value=["a", "<file name>"]), "placeholder /steps/2/for_each/1")

# -- conditions
for text in ("{{find.output.total}} >", "", "len(", "{{find.output.total}} = 1", "{{find.output.total}} && true"):
    add(f"the condition {text!r}", FAN, put("steps", 3, "when", value=text), "bad-condition /steps/3/when")
for text in ("open('x')", "{{find.output}}.total > 1", "{{find.output.hits}}[0] == 1", "[x for x in [1]]", "lambda: 1", "find > 1", "2 ** 9 > 1", "f'{1}'", "'{{find.output.total}}' == 'x'", "__import__('os')", "len(1, 2)", "1 if true else 2"):
    add(f"the condition {text}", FAN, put("steps", 3, "when", value=text), "bad-condition /steps/3/when")
add("a condition too long", FAN, put("steps", 3, "when", value="true and " * 300 + "true"), "limit /steps/3/when")

# -- for_each
add("for_each over a number", FAN, put("steps", 1, "for_each", value="{{find.output.total}}"), "for-each-not-a-list /steps/1/for_each")
add("for_each over an object", FAN, put("steps", 1, "for_each", value="{{find.output}}"), "for-each-not-a-list /steps/1/for_each")
add("for_each over text", FAN, put("steps", 1, "for_each", value="a, b"), "for-each-not-a-list /steps/1/for_each")
add("for_each over text with a reference", FAN, put("steps", 1, "for_each", value="all of {{find.output.hits}}"), "for-each-not-a-list /steps/1/for_each")
add("for_each over an input that is no list", ODD, put("steps", 2, "for_each", value="{{inputs.names}}"), "for-each-not-a-list /steps/2/for_each")
add("too many elements", ODD, put("steps", 2, "for_each", value=["a"] * 10_001), "limit /steps/2/for_each")

# -- conflicts
add("two writers of one file", ODD, put("steps", 3, "depends_on", value=["mean-1"]), "conflict /steps/3/args ?")
add("two writers of one file, for certain", ODD, also(cut("steps", 2, "for_each"), put("steps", 2, "args", "path", value="rest.txt"), put("steps", 3, "depends_on", value=[]), put("answer", value=1)), "conflict /steps/3/args")
add("two spellings of one file", ODD, also(cut("steps", 2, "for_each"), put("steps", 2, "args", "path", value="./rest.txt"), put("steps", 3, "depends_on", value=[]), put("answer", value=1)), "conflict /steps/3/args")
add("every element writes one file", ODD, put("steps", 2, "args", "path", value="same.txt"), "conflict /steps/2/for_each")

# -- limits
add("args too deep", CHAIN, put("steps", 1, "args", "headers", value=json.loads('{"a":' * 70 + "1" + "}" * 70)), "limit /steps/1/args/headers", "argument-type /steps/1/args/headers/a")
add("an answer too deep", CHAIN, put("answer", "deep", value=json.loads("[" * 70 + "]" * 70)), "limit /answer")
add("a path too long", CHAIN, put("steps", 1, "args", "url", value="{{find.output" + ".a" * 70 + "}}"), "limit /steps/1/args/url")
add("too many references in one text", CHAIN, put("steps", 0, "args", "query", value="{{inputs.topic}}" * 1_001), "limit /steps/0/args/query")

# -- steps that nobody uses
add("an answer that leaves a step out", CHAIN, put("answer", value="{{read.output.text}}"), "unused-step /steps/2 ?")


# fmt: on


@damage("a circle of 50 by depends_on", EMPTY, "cycle /steps/0")
def circle_by_dependencies(plan: dict[str, Any]) -> None:
    plan["steps"] = [
        {"id": f"s{i}", "description": "d", "tool": "ping", "args": {}, "depends_on": [f"s{(i + 1) % 50}"]}
        for i in range(50)
    ]


@damage("a circle of 50 by references", EMPTY, "cycle /steps/0")
def circle_by_references(plan: dict[str, Any]) -> None:
    names = [f"s{i}" for i in range(50)]
    plan["steps"] = [
        {
            "id": name, "description": "d", "tool": "summarise",
            "args": {"texts": f"{{{{{names[i - 1]}.output}}}}"}, "depends_on": [names[i - 1]],
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    plan["answer"] = "{{s0.output}}"


def written(issue: Issue) -> str:
    return f"{issue.code} {issue.path}{' ?' if issue.severity == 'warning' else ''}"


@pytest.mark.parametrize("name", VALID)
def test_undamaged_plans_have_no_issue(name: str) -> None:
    """Not even a warning."""
    assert [] == find_issues(VALID[name], TOOLBOX)


@pytest.mark.parametrize("number", range(len(MUTATIONS)), ids=[name for name, *_ in MUTATIONS])
def test_every_damage_is_found_at_its_place(number: int) -> None:
    """The damage gives these issues, each under its code and JSON pointer, and no others."""
    _, plan, function, expected = MUTATIONS[number]
    damaged = copy.deepcopy(VALID[plan])
    function(damaged)
    issues = find_issues(json.dumps(damaged), TOOLBOX)
    assert sorted(expected) == sorted({written(issue) for issue in issues}), "\n".join(i.render() for i in issues)


def test_there_are_enough_kinds_of_damage() -> None:
    """The table is the proof; it must not shrink unnoticed."""
    print(
        f"\n{len(MUTATIONS)} kinds of damage, {len({e.split()[0] for *_, expected in MUTATIONS for e in expected})} codes"
    )
    assert len(MUTATIONS) >= 170
