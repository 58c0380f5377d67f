"""Plans that try to make reading or validation hang, recurse to death, eat memory or raise something else.

Timing never decides a test here: work is bounded by a deadline far above what any machine needs, and memory by
a multiple of the text. What the answer is matters less than that there is one. Run as a program, this file judges
one text in a process of its own and tells what came of it and how much memory that took.
"""

# ruff: noqa: E501, UP031 - one enemy is one line, and JSON is full of braces

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from planloom import Issue, Plan, PlanFormatError, Step, Tool, Toolbox, find_issues, topological_waves
from planloom.plan.limits import DEFAULT_LIMITS, Limits

DEADLINE_S = 60
"""A guard against hanging for ever; each case takes well under a second to a few seconds."""
LARGE = 1_000_000
MOST_BYTES_PER_CHAR = 60


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


ANY = {"type": "object", "additionalProperties": True}
NODE: dict[str, Any] = {
    "type": "object",
    "properties": {name: {"$ref": "#/$defs/node"} for name in ("left", "right", "up", "down", "next", "value")},
}
TOOLBOX = Toolbox(
    [
        Tool.from_schema(name="anything", parameters=ANY, function=never),
        Tool.from_schema(
            name="typed",
            parameters={
                "type": "object",
                "properties": {
                    "text": {"type": "string"},
                    "numbers": {"type": "array", "items": {"type": "integer"}},
                    "tree": {"$ref": "#/$defs/node"},
                },
                "$defs": {"node": NODE},
            },
            returns={"$ref": "#/$defs/node", "$defs": {"node": NODE}},
            function=never,
        ),
        Tool.from_schema(
            name="save",
            parameters={"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
            writes=("file:{path}",),
            function=never,
        ),
        Tool.from_schema(name="look", parameters=ANY, read_only=True, function=never),
    ]
)


def step(number: int | str, depends_on: list[str] | None = None, tool: str = "anything", **args: Any) -> dict[str, Any]:
    name = number if isinstance(number, str) else f"s{number}"
    return {"id": name, "description": "d", "tool": tool, "args": args, "depends_on": depends_on or []}


def text_of(steps: Any, **header: Any) -> str:
    return json.dumps({"goal": "g", **header, "steps": steps})


@contextmanager
def deadline(seconds: int = DEADLINE_S) -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judge(source: Any, limits: Limits = DEFAULT_LIMITS) -> list[Issue]:
    """Read and check a plan; the only exception there may be is `PlanFormatError`, whose issues count as well."""
    try:
        plan = Plan.from_json(source, limits)
        issues = find_issues(plan, TOOLBOX, limits=limits)
    except PlanFormatError as error:
        issues = error.issues
    for issue in issues:
        assert len(issue.message) < 2_000, "messages stay short"
        assert len(issue.path) < 20_000
        issue.render().encode()  # what is printed can be printed
    return issues


def codes(issues: list[Issue]) -> set[str]:
    return {issue.code for issue in issues if issue.severity == "error"}


def nested(depth: int, opening: str = "[", closing: str = "]", core: str = "1") -> str:
    return opening * depth + core + closing * depth


CIRCLE = 100_000
WRITERS = 20_000
# name -> (text of the plan, codes of errors that must be among the answer)
CASES: dict[str, Callable[[], tuple[str, set[str]]]] = {
    "nested lists in the text": lambda: (nested(200_000), {"limit"}),
    "nested objects in the text": lambda: (nested(100_000, '{"a":', "}"), {"limit"}),
    "an unclosed nest": lambda: ("[" * 500_000, {"limit"}),
    "args of 300 levels": lambda: (
        '{"steps":[{"id":"a","tool":"anything","description":"d","depends_on":[],"args":{"x":%s}}]}' % nested(300),
        {"limit"},
    ),
    "typed args of 300 levels": lambda: (
        '{"steps":[{"id":"a","tool":"typed","description":"d","depends_on":[],"args":{"tree":%s}}]}'
        % nested(300, '{"left":', "}", "{}"),
        {"limit"},
    ),
    "answer of 300 levels": lambda: ('{"steps":[],"answer":%s}' % nested(300), {"limit"}),
    "inputs of 300 levels": lambda: ('{"steps":[],"answer":1,"inputs":{"x":%s}}' % nested(300), {"limit"}),
    "a defective step of 300 levels": lambda: ('{"steps":[{"id":%s}]}' % nested(300), {"wrong-field-type"}),
    "one circle of 100,000": lambda: (
        text_of([step(i, [f"s{(i + 1) % CIRCLE}"]) for i in range(CIRCLE)]), {"cycle"},
    ),
    "one circle of 50,000 references": lambda: (
        text_of([step(i, [], x=f"{{{{s{(i + 1) % 50_000}.output}}}}") for i in range(50_000)]), {"cycle"},
    ),
    "50,000 circles of two": lambda: (
        text_of([step(i, [f"s{i ^ 1}"]) for i in range(CIRCLE)]), {"cycle", "limit"},
    ),
    "100,000 steps that depend on themselves": lambda: (
        text_of([step(i, [f"s{i}"]) for i in range(CIRCLE)]), {"self-dependency", "limit"},
    ),
    "everything depends on everything": lambda: (
        text_of([step(i, [f"s{j}" for j in range(700)]) for i in range(700)]), {"cycle", "self-dependency"},
    ),
    "everything refers to everything": lambda: (
        text_of([step(i, [], x=[f"{{{{s{j}}}}}" for j in range(400)]) for i in range(400)]), {"cycle"},
    ),
    "one step declares and uses 20,000 in different orders": lambda: (
        text_of(
            [step(i) for i in range(20_000)]
            + [step("last", [f"s{i}" for i in range(19_999)], x=[f"{{{{s{i}}}}}" for i in reversed(range(20_000))])]
        ),
        set(),
    ),
    "100,000 unknown references with names nearly right": lambda: (
        text_of([step(i, [], x=f"{{{{t{i}.output}}}}") for i in range(CIRCLE)]), {"unknown-reference", "limit"},
    ),
    "2,000 long names that nearly agree": lambda: (
        text_of([step(f"{'ab' * 25}{i}", [f"{'ab' * 25}x{i}"]) for i in range(2_000)]), {"unknown-dependency"},
    ),
    "100,000 unknown tools": lambda: (
        text_of([step(i, [], tool="anithing") for i in range(CIRCLE)]), {"unknown-tool", "limit"},
    ),
    "an id of a megabyte": lambda: (text_of([step("i" * LARGE)]), {"invalid-id"}),
    "a dependency of a megabyte": lambda: (text_of([step(1, ["i" * LARGE])]), {"unknown-dependency"}),
    "a tool's name of a megabyte": lambda: (text_of([step(1, [], tool="t" * LARGE)]), {"unknown-tool"}),
    "an argument's name of a megabyte": lambda: (
        text_of([step(1, [], tool="save", path="p", **{"k" * LARGE: 1})]), {"unknown-argument"},
    ),
    "a nested key of a megabyte": lambda: (text_of([step(1, [], x={"k" * LARGE: {"a": 1}})]), {"limit"}),
    "a field's name of a megabyte": lambda: (text_of([{**step(1), "f" * LARGE: 1}]), set()),
    "a reference to a megabyte of name": lambda: (
        text_of([step(1, [], x="{{" + "n" * LARGE + ".output}}")]), {"unknown-reference"},
    ),
    "a path of a megabyte": lambda: (text_of([step(0), step(1, [], x="{{s0.output" + ".k" * (LARGE // 2) + "}}")]), {"limit"}),
    "a path with one key of a megabyte": lambda: (
        text_of([step(0, [], tool="typed"), step(1, ["s0"], x="{{s0.output." + "k" * LARGE + "}}")]), {"reference-path"},
    ),
    "a quoted key of a megabyte, never closed": lambda: (
        text_of([step(0), step(1, [], x='{{s0.output["' + "k" * LARGE)]), {"bad-reference"},
    ),
    "many quoted keys, never closed": lambda: (
        text_of([step(0), step(1, [], x='{{s0.output["' * 100_000)]), {"bad-reference"},
    ),
    "a megabyte of white space in a reference": lambda: (
        text_of([step(0), step(1, ["s0"], x="{{" + " " * LARGE + "s0.output" + " " * LARGE + "}}")]), set(),
    ),
    "many references in one text": lambda: (text_of([step(0), step(1, ["s0"], x="{{s0}}" * 150_000)]), {"limit"}),
    "opening braces alone": lambda: (text_of([step(1, [], x="{{" * 500_000)]), {"bad-reference"}),
    "escaped braces alone": lambda: (text_of([step(1, [], x="\\{{" * 300_000)]), set()),
    "a long chain of alternatives": lambda: (
        text_of([step(0), step(1, [], x="{{s0" + " ?? s0" * 150_000 + "}}")]), {"limit"},
    ),
    "100,000 lists of one bad reference": lambda: (text_of([step(1, [], x=["{{"] * 100_000)]), {"bad-reference"}),
    "100,000 placeholders": lambda: (text_of([step(1, [], x=["<your path>"] * 100_000)]), {"placeholder", "limit"}),
    "placeholders that are none": lambda: (
        text_of([step(1, [], x=["<" * 9_000, "TODO:" + " " * 9_000 + "x", "<your" + " " * 9_000, "<a" + "a " * 4_000] * 20)]),
        set(),
    ),
    "text that looks like other planners' references": lambda: (
        text_of([step(1, [], x=["${" + ".a" * 90, "$s1" + "[" * 150, "{a" * 90] * 10_000)]), set(),
    ),
    "a million numbers where text belongs": lambda: (
        text_of([step(1, [], tool="typed", text=[1] * LARGE)]), {"argument-type"},
    ),
    "a million texts where numbers belong": lambda: (
        text_of([step(1, [], tool="typed", numbers=["x"] * LARGE)]), {"argument-type"},
    ),
    "a million unknown arguments": lambda: (
        text_of([step(1, [], tool="save", path="p", **{f"a{i}": 1 for i in range(LARGE // 2)})]), {"unknown-argument"},
    ),
    "a million unknown fields": lambda: (text_of([{**step(1), **{f"f{i}": 1 for i in range(LARGE // 2)}}]), set()),
    "20 unknown fields in each of 20,000 steps": lambda: (
        text_of([{**step(i), **{f"description{j}": 1 for j in range(20)}} for i in range(20_000)]), set(),
    ),
    "a million unknown fields of the plan": lambda: (
        text_of([step(1)], **{f"f{i}": 1 for i in range(LARGE // 2)}), set(),
    ),
    "a million numbers in depends_on": lambda: (
        text_of([{**step(1), "depends_on": [1] * LARGE}]), {"wrong-field-type"},
    ),
    "a million steps that are none": lambda: (text_of([1] * LARGE), {"wrong-field-type", "limit"}),
    "a million empty steps": lambda: (text_of([{}] * LARGE), {"missing-field", "limit"}),
    "a million empty lists": lambda: (text_of([step(1, [], x=[[]] * LARGE)]), set()),
    "a million lists of one": lambda: (text_of([step(1, [], x=[[1]] * LARGE)]), set()),
    "a list of for_each with a million elements": lambda: (
        text_of([{**step(1), "for_each": [1] * LARGE}]), {"limit"},
    ),
    "every step of 20,000 writes one file": lambda: (
        text_of([step(i, [], tool="save", path="same") for i in range(WRITERS)]), {"conflict"},
    ),
    "every step of 20,000 writes its own file": lambda: (
        text_of([step(i, [], tool="save", path=f"f{i}") for i in range(WRITERS)]), set(),
    ),
    "every step of 20,000 writes a file named by another": lambda: (
        text_of([step(i, [], tool="save", path=f"{{{{s{i - 1}.output}}}}" if i else "f") for i in range(WRITERS)]), set(),
    ),
    "20,000 writers in a row": lambda: (
        text_of([step(i, [f"s{i - 1}"] if i else [], tool="save", path="same") for i in range(WRITERS)]), set(),
    ),
    "writers at both ends of a thick graph": lambda: (
        text_of(
            [step("first", [], tool="save", path=str(i)) for i in range(1)]
            + [step(i, ["first", *(f"s{j}" for j in range(max(0, i - 300), i))]) for i in range(1_500)]
            + [step(f"w{i}", [f"s{j}" for j in range(1_200, 1_500)], tool="save", path="0") for i in range(300)]
        ),
        {"conflict"},
    ),
    "30,000 different paths into a recursive type": lambda: (
        text_of(
            [step("t", [], tool="typed")]
            + [
                step(i, ["t"], tool="typed", tree="{{t.output" + "".join((".left", ".right")[i >> b & 1] for b in range(16)) + "}}")
                for i in range(30_000)
            ]
        ),
        set(),
    ),
    "20,000 references into a huge input": lambda: (
        text_of(
            [step(i, [], tool="typed", text=f"{{{{inputs.big[*].k{i}}}}}") for i in range(20_000)],
            inputs={"big": [{"k": 1}] * 100_000},
        ),
        {"reference-path", "limit"},
    ),
    "20,000 spellings of one path into an input": lambda: (
        text_of(
            [
                step(i, [], tool="typed", numbers="{{inputs.big" + "".join(("[0]", ".0", '["0"]', "[-1]")[i >> 2 * b & 3] for b in range(8)) + "}}")
                for i in range(20_000)
            ],
            inputs={"big": [[[[[[[[[1] * 200_000]]]]]]]]},
        ),
        set(),
    ),
    "20,000 paths through stars": lambda: (
        text_of(
            [step(i, [], x=f"{{{{inputs.big{'[*]' * (i % 40 + 1)}.k}}}}") for i in range(20_000)],
            inputs={"big": [[[[["x"] * 10] * 10] * 10] * 10] * 10},
        ),
        {"reference-path"},
    ),
    "a condition of 2,000 parentheses": lambda: (text_of([{**step(1), "when": "(" * 1_000 + "1" + ")" * 999}]), {"bad-condition"}),
    "a condition of 190 parentheses": lambda: (text_of([{**step(1), "when": "(" * 190 + "1" + ")" * 190}]), set()),
    "a condition of many signs": lambda: (text_of([{**step(1), "when": "-" * 1_990 + "1"}]), {"limit"}),
    "a condition of many nots": lambda: (text_of([{**step(1), "when": "not " * 490 + "1"}]), {"limit"}),
    "a condition of many sums": lambda: (text_of([{**step(1), "when": "1+" * 990 + "1"}]), {"limit"}),
    "a condition of many ands": lambda: (text_of([{**step(1), "when": "1 and " * 330 + "1"}]), set()),
    "a condition of many comparisons": lambda: (text_of([{**step(1), "when": "1<" * 900 + "1"}]), set()),
    "a condition with a huge number": lambda: (text_of([{**step(1), "when": "9" * 1_990 + " > 1"}]), set()),
    "a condition with huge powers": lambda: (text_of([{**step(1), "when": "9 ** 9 ** 9 ** 9 > 1"}]), {"bad-condition"}),
    "a condition of a megabyte": lambda: (text_of([{**step(1), "when": "1 + " * 250_000}]), {"limit"}),
    "a condition with nested lists": lambda: (text_of([{**step(1), "when": "[" * 150 + "]" * 150}]), {"limit"}),
    "5,000 conditions": lambda: (text_of([{**step(i), "when": "1 < 2 and 'a' != \"b\""} for i in range(5_000)]), set()),
    "10,000 defects": lambda: (text_of([{"id": i, "tool": i, "args": i, "depends_on": i, "when": i} for i in range(10_000)]), {"limit"}),
    "100,000 duplicates": lambda: (text_of([step("same")] * CIRCLE), {"duplicate-id", "limit"}),
    "an answer with 100,000 unknown references": lambda: (
        text_of([step(1)], answer=["{{nobody.output}}"] * 100_000), {"unknown-reference", "limit"},
    ),
    "an answer with 50,000 wrong paths": lambda: (
        text_of([step(1, [], tool="typed")], answer=[f"{{{{s1.output.k{i}}}}}" for i in range(50_000)]), {"reference-path", "limit"},
    ),
    "an integer that no float can hold": lambda: (
        text_of([{**step(1, [], x=10**400), "timeout_s": 10**400, "retries": 10**400}]), {"wrong-field-type"},
    ),
    "an integer of 5,000 digits": lambda: ('{"steps": [], "answer": %s}' % ("9" * 5_000), {"wrong-field-type"}),
    "lone surrogates everywhere": lambda: (
        '{"steps": [{"id": "\\ud800", "tool": "\\ud800", "description": "\\ud800", "args": {"\\ud800": "\\ud800"}, '
        '"depends_on": ["\\ud800x"], "when": "\\"\\ud800\\" == 1", "\\ud800f": 1}], "answer": "\\ud800"}',
        {"invalid-id", "unknown-tool", "unknown-dependency", "argument-type"},
    ),
    "lone surrogates in typed arguments": lambda: (
        text_of([step(1, [], tool="typed", text="\ud800", numbers=["\udfff"])]), {"argument-type"},
    ),
    "control characters": lambda: (
        text_of([step("\x1b[31m\x00\u202e", ["\x1b]0;x\x07"], tool="\x1b[2J")]), {"invalid-id", "unknown-tool", "unknown-dependency"},
    ),
    "a string of 10 megabytes": lambda: (text_of([step(1, [], x="a" * 10_000_000)]), set()),
    "a template of 10 megabytes": lambda: (text_of([step(0), step(1, ["s0"], x="a{{s0}}" + "a" * 10_000_000)]), set()),
}  # fmt: skip


SLOW = {
    "100,000 unknown references with names nearly right", "20 unknown fields in each of 20,000 steps",
    "everything refers to everything", "a million lists of one", "30,000 different paths into a recursive type",
    "one circle of 50,000 references", "a million unknown arguments", "100,000 steps that depend on themselves",
    "a million unknown fields of the plan", "a million unknown fields", "50,000 circles of two",
    "a million texts where numbers belong", "20,000 paths through stars",
}  # fmt: skip


# their peak is measured, in a process of its own
LARGE_CASES = [
    "100,000 unknown references with names nearly right", "a million unknown arguments", "a million unknown fields",
    "20 unknown fields in each of 20,000 steps", "a million numbers in depends_on", "a million empty steps",
    "a million lists of one", "a long chain of alternatives", "100,000 lists of one bad reference",
    "an answer with 100,000 unknown references", "everything depends on everything", "a template of 10 megabytes",
]  # fmt: skip


def marked(names: list[str]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in names]


def check_verdict(found: set[str], count: int, expected: set[str], told: list[str]) -> None:
    """The codes that the text deserves are there; where it deserves none, no error is; the list is bounded."""
    assert expected <= found, told
    if not expected:
        assert set() == found, told
    assert count <= Limits().issues + 1


@pytest.mark.parametrize("name", marked([name for name in CASES if name not in LARGE_CASES]))
def test_enemy_text(name: str) -> None:
    """The plan is read and judged within the deadline, under the codes that it deserves, or refused as no plan."""
    text, expected = CASES[name]()
    with deadline():
        issues = judge(text)
    check_verdict(codes(issues), len(issues), expected, [issue.render() for issue in issues[:5]])


@pytest.mark.parametrize("name", marked(LARGE_CASES))
def test_memory_stays_in_proportion_to_the_text(name: str, tmp_path: Path) -> None:
    """The same, and at its peak reading and judging take at most 60 bytes of real memory per character of the text."""
    text, expected = CASES[name]()
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    program = [sys.executable, "-W", "error", __file__, str(path)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=2 * DEADLINE_S)
    assert (0, "") == (done.returncode, done.stderr)
    verdict = json.loads(done.stdout)
    print(f"\n{name}: {verdict['peak'] / len(text):.1f} bytes per character of {len(text):,}")
    check_verdict(set(verdict["codes"]), verdict["count"], expected, verdict["told"])
    assert verdict["peak"] < MOST_BYTES_PER_CHAR * len(text)


def judge_file(path: Path) -> dict[str, Any]:
    """The verdict on a text, and by how many bytes the process has grown at its peak."""
    text = path.read_text(encoding="utf-8")
    judge(text_of([step(0), step(1, ["s0"], tool="typed", text=1)]))  # what is loaded late is not the text's doing
    before = peak_bytes()
    with deadline():
        issues = judge(text)
    grown = peak_bytes() - before
    told = [issue.render() for issue in issues[:5]]
    return {"codes": sorted(codes(issues)), "count": len(issues), "told": told, "peak": grown}


def peak_bytes() -> int:
    """The most memory that this process has had at a time, since it became this program."""
    status = Path("/proc/self/status")
    if status.is_file():  # `getrusage` begins with the peak of the process that started this one
        return int(status.read_text().partition("VmHWM:")[2].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def circle_of(kind: str) -> Any:
    if kind == "list":
        inner: list[Any] = []
        inner.extend([inner, inner])
        return inner
    if kind == "wide list":
        wide: list[Any] = []
        wide.extend([wide] * 100_000)
        return wide
    mapping: dict[str, Any] = {}
    mapping["a"] = mapping["b"] = mapping
    return mapping


def shared(levels: int) -> Any:
    """A list that holds one list twice, which holds one list twice…: tiny here, huge as JSON."""
    value: Any = ["x"]
    for _ in range(levels):
        value = [value, value]
    return value


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no eq")


VALUES: dict[str, Any] = {
    "a set": {1, 2},
    "not a number": float("nan"),
    "an infinity": float("-inf"),
    "bytes": b"x",
    "a complex number": 1j,
    "an object": Hostile(),
    "a class": Hostile,
    "a function": never,
    "a generator": (x for x in [1]),
    "a list in itself": circle_of("list"),
    "a wide list in itself": circle_of("wide list"),
    "a dict in itself": circle_of("dict"),
    "a small graph that is huge as text": shared(60),
    "300 levels": json.loads(nested(300)),
    "a dict with a tuple as key": {(1, 2): 3},
    "a dict with an object as key": {frozenset(): 3},
    "a dict with a huge number as key": {10**5_000: 3},
}


PLACES = ("arguments", "answer", "inputs", "id", "for_each", "steps", "plan")
# walked until the limit of the text is spent, and refused by the same lines wherever it stands
ONLY_IN_ARGUMENTS = "a small graph that is huge as text"
SMALLER = Limits(text_bytes=4 * 1024 * 1024)


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name in VALUES for place in PLACES if name != ONLY_IN_ARGUMENTS or place == "arguments"],
)
def test_enemy_objects_are_refused_with_their_place(name: str, place: str) -> None:
    """What no JSON text could hold is no plan: one exception, one issue, wherever the object stands."""
    value = VALUES[name]
    plans: dict[str, Any] = {
        "arguments": [step(1, [], x=[0, {"y": value}])],
        "answer": {"steps": [], "answer": value},
        "inputs": {"steps": [step(1)], "inputs": {"x": value}},
        "id": [{**step(1), "id": value}],
        "for_each": [{**step(1), "for_each": [value]}],
        "steps": [value],
        "plan": value,
    }
    with deadline():
        issues = judge(plans[place], SMALLER if name == ONLY_IN_ARGUMENTS else DEFAULT_LIMITS)
    assert codes(issues), "never accepted"


def test_enemy_objects_name_where_they_are() -> None:
    """The place of what is no JSON is a pointer into what was given."""
    with pytest.raises(PlanFormatError) as caught:
        Plan.from_json([step(1, [], x=[0, {"y/z": {1, 2}}])])
    assert ("/0/args/x/1/y~1z", "a plan is made of JSON values, and a set is none") == (
        caught.value.issues[0].path,
        caught.value.issues[0].message,
    )


BY_HAND: dict[str, Any] = {
    "a set": {1}, "not a number": float("nan"), "bytes": b"x", "an object": Hostile(), "half a pair": "\ud800",
    "a number as key": {1: 2}, "null as key": {"a": {None: 1}},
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_enemy_objects_in_steps_made_by_hand(name: str) -> None:
    """A `Step` made in Python is checked like any other; what is no JSON is an issue, never an exception."""
    value = BY_HAND[name]
    plan = Plan((Step("a", "anything", {"x": value}), Step("b", "typed", {"text": [value]})))
    issues = judge(plan)
    assert "argument-type" in codes(issues)


@pytest.mark.parametrize("kind", ["list", "wide list", "dict"])
def test_steps_made_by_hand_may_contain_themselves(kind: str) -> None:
    """The depth limit ends every walk."""
    with deadline():
        assert "limit" in codes(judge(Plan((Step("a", "anything", {"x": circle_of(kind)}),))))


NO_PLANS: list[Any] = [None, 1, 1.5, True, Hostile(), range(3), "", b"", "null", "1", '"x"', "{}", b"\xff", "NaN"]


@pytest.mark.parametrize("number", range(len(NO_PLANS)))
def test_what_is_no_plan_is_refused_as_such(number: int) -> None:
    """Only `PlanFormatError`, or issues."""
    source = NO_PLANS[number]
    assert codes(judge(source)) <= {"wrong-field-type", "limit", "missing-field"}
    assert codes(judge(source))


ODD_INPUTS: dict[str, Any] = {
    "itself": circle_of("dict"), "shared": {"x": shared(60)}, "a set": {"x": {1, 2}}, "a number as key": {1: 2},
    "deep": {"x": json.loads(nested(900))}, "an object": {"x": Hostile()}, "a huge number": {"x": 10**5_000},
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_INPUTS)
def test_odd_inputs_from_the_caller_do_not_raise(name: str) -> None:
    """The caller's inputs are values of a run, not part of the plan: they are looked at only where referenced."""
    inputs = ODD_INPUTS[name]
    plan = Plan.from_json([step(1, [], tool="typed", text="{{inputs.x}}")])
    with deadline():
        find_issues(plan, TOOLBOX, inputs=inputs)


def test_circles_are_reported_by_every_way_in() -> None:
    """Waves of a circle of 100,000 steps raise; they do not recurse."""
    plan = Plan.from_json([step(i, [f"s{(i + 1) % CIRCLE}"]) for i in range(CIRCLE)])
    with deadline(), pytest.raises(PlanFormatError.__mro__[1]) as caught:
        topological_waves(plan)
    assert CIRCLE + 1 == len(caught.value.cycle)  # type: ignore[attr-defined]


if __name__ == "__main__":
    print(json.dumps(judge_file(Path(sys.argv[1]))))
