"""Properties of reading and validation on random input: round trips, graphs against other algorithms, no surprises."""

# ruff: noqa: E501, PT017 - strategies read best in one piece; an error is looked at where it is caught

from __future__ import annotations

import graphlib
import itertools
import json
from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from planloom import (
    Issue,
    Plan,
    PlanCycleError,
    PlanFormatError,
    Step,
    Tool,
    Toolbox,
    critical_path,
    find_issues,
    topological_waves,
)
from planloom.plan.graph import graph_of
from planloom.plan.paths import STAR, PathError, follow_path, render_segment
from planloom.plan.references import Operand, Reference, ReferenceSyntaxError, Template, read_template
from planloom.plan.suggest import Names
from planloom.plan.types import fits, follow_type, literal_type, type_of

FIXED = settings(derandomize=True, deadline=None, database=None, max_examples=200)


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


TOOLBOX = Toolbox(
    [
        Tool.from_schema(name="t", parameters={"type": "object", "additionalProperties": True}, function=never),
        Tool.from_schema(
            name="typed",
            parameters={
                "type": "object",
                "properties": {
                    "n": {"type": "integer"},
                    "s": {"type": "string"},
                    "l": {"type": "array", "items": {"type": "integer"}},
                },
                "required": ["n"],
            },
            returns={
                "type": "object",
                "properties": {"n": {"type": "integer"}, "l": {"type": "array", "items": {"type": "integer"}}},
            },
            function=never,
            read_only=True,
        ),
        Tool.from_schema(
            name="save",
            parameters={"type": "object", "properties": {"p": {"type": "string"}}},
            writes=("file:{p}",),
            function=never,
        ),
    ]
)

# ---------------------------------------------------------------- references

ids = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(
    lambda name: name not in ("inputs", "item", "index")
)
keys = st.one_of(st.from_regex(r"[a-z_][a-z0-9_-]{0,6}", fullmatch=True), st.text(max_size=8))
keys = keys.filter(lambda key: key.isprintable() or True).filter(
    lambda key: not any("\ud800" <= c <= "\udfff" for c in key)
)
segments = st.one_of(keys, st.integers(-999, 999), st.just(STAR))
paths = st.lists(segments, max_size=6).map(tuple)
operands = st.one_of(
    st.builds(Operand, ids, st.just("output"), paths),
    st.builds(Operand, ids, st.just("error"), paths),
    st.builds(Operand, ids, st.just("status"), st.just(())),
    st.builds(lambda key, path: Operand("inputs", "inputs", (key, *path)), keys, paths),
    st.builds(lambda path: Operand("item", "item", path), paths),
    st.just(Operand("index", "index", ())),
)
spaces = st.sampled_from(["", " ", "  ", "\n", "\t "])


@FIXED
@given(st.lists(operands, min_size=1, max_size=4), spaces, spaces)
def test_a_written_reference_reads_as_itself(alternatives: list[Operand], before: str, after: str) -> None:
    """Any operand that can be, with any white space inside the braces."""
    inner = f"{after}??{before}".join(map(str, alternatives))
    text = "{{" + before + inner + after + "}}"
    assert Reference(tuple(alternatives), text) == read_template(text)


plain = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(
    lambda text: "{" not in text and not text.endswith("\\")
)


@FIXED
@given(st.lists(st.one_of(plain, st.just("\\{{"), operands), max_size=8))
def test_text_is_its_parts(parts: list[Any]) -> None:
    """Literal text, escaped braces and references come back in order, joined where they touch."""
    text = "".join(part if isinstance(part, str) else "{{" + str(part) + "}}" for part in parts)
    expected: list[Any] = []
    for part in parts:
        literal = part.replace("\\{{", "{{") if isinstance(part, str) else None
        if literal is None:
            expected.append((part,))
        elif expected and isinstance(expected[-1], str):
            expected[-1] += literal
        elif literal:
            expected.append(literal)
    read = read_template(text)
    if read is None:
        assert "".join(map(str, expected)) == text
    elif isinstance(read, Reference):
        assert expected == [read.operands]
    else:
        assert expected == [part if isinstance(part, str) else part.operands for part in read.parts]


@FIXED
@given(st.text(st.sampled_from("{}\\ab.[]0*\"'? outp|-"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but `ReferenceSyntaxError`, and no reference is invented."""
    try:
        read = read_template(text)
    except ReferenceSyntaxError as error:
        assert error.message
        return
    if isinstance(read, Template):
        assert "".join(p if isinstance(p, str) else p.text for p in read.parts) == text.replace("\\{{", "{{")


# ---------------------------------------------------------------- values, paths and types

values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=4)),
    max_leaves=15,
)


def schema_of(value: Any) -> dict[str, Any]:
    """A schema that the value fits, as precise as can be."""
    if isinstance(value, dict):
        return {"type": "object", "properties": {k: schema_of(v) for k, v in value.items()}, "required": list(value)}
    if isinstance(value, list):
        return {"type": "array", "items": {"anyOf": [schema_of(v) for v in value]}} if value else {"type": "array"}
    kind = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}[type(value)]
    return {"type": kind}


def naive(value: Any, path: tuple[Any, ...]) -> Any:
    """Follow a path the simple way; `LookupError` or `TypeError` where it leads nowhere."""
    if not path:
        return value
    first, *rest = path
    if first is STAR:
        if not isinstance(value, list):
            raise LookupError
        return [naive(element, tuple(rest)) for element in value]
    if isinstance(value, dict):
        return naive(value[str(first)], tuple(rest))
    if isinstance(value, list):
        if isinstance(first, str) and not (first.isdecimal() and first.isascii()):
            raise LookupError
        return naive(value[int(first)], tuple(rest))
    raise LookupError


@st.composite
def values_with_paths(draw: st.DrawFn) -> tuple[Any, tuple[Any, ...]]:
    value = part = draw(values)
    path: list[Any] = []
    while draw(st.booleans()) and isinstance(part, dict | list) and part:
        if isinstance(part, dict):
            path.append(draw(st.sampled_from(sorted(part))))
            part = part[path[-1]]
        elif draw(st.integers(0, 4)) == 0:
            path.append(STAR)
            part = part[0]
        else:
            index = draw(st.integers(-len(part), len(part) - 1))
            path.append(str(index) if index >= 0 and draw(st.booleans()) else index)
            part = part[index]
    if draw(st.integers(0, 3)) == 0:
        path.append(draw(segments))
    return value, tuple(path)


@FIXED
@given(values_with_paths())
def test_paths_agree_with_the_simple_way(case: tuple[Any, tuple[Any, ...]]) -> None:
    """Same value, or both lead nowhere; and where the value leads somewhere, so does its type."""
    value, path = case
    try:
        expected = naive(value, path)
    except (LookupError, TypeError):
        try:
            follow_path(value, path, "v")
        except PathError as error:
            assert len(error.message) < 2_000
            return
        raise AssertionError("it should lead nowhere") from None
    assert expected == follow_path(value, path, "v")
    assert "".join(map(render_segment, path)) is not None
    kind = follow_type(type_of(schema_of(value)), path, "v")
    assert fits(literal_type(expected), kind), "a value fits the type that its path leads to"


@FIXED
@given(values, values)
def test_types_never_refuse_what_could_be(one: Any, other: Any) -> None:
    """A value that a schema accepts has a type that fits; the verdict does not depend on who asks first."""
    assert fits(literal_type(one), type_of(schema_of(one)))
    assert fits(type_of(schema_of(one)), type_of(schema_of(one)))
    assert fits(type_of(schema_of(one)), type_of(schema_of(other))) == fits(
        type_of(schema_of(one)), type_of(schema_of(other))
    )


# ---------------------------------------------------------------- graphs


@st.composite
def graphs(draw: st.DrawFn) -> list[list[int]]:
    size = draw(st.integers(0, 9))
    if draw(st.booleans()):  # acyclic, in shuffled order
        order = draw(st.permutations(range(size)))
        return [
            draw(st.lists(st.sampled_from([j for j in range(size) if order[j] < order[i]] or [0]), max_size=4))
            if any(order[j] < order[i] for j in range(size)) else []
            for i in range(size)
        ]  # fmt: skip
    return [draw(st.lists(st.integers(0, size - 1), max_size=3)) for _ in range(size)]


def plan_of(edges: list[list[int]], by_reference: bool = False) -> Plan:
    steps = []
    for position, needed in enumerate(edges):
        names = [f"s{i}" for i in needed]
        args = {"x": [f"{{{{{name}.output}}}}" for name in names]} if by_reference else {}
        steps.append(Step(f"s{position}", "t", args, [] if by_reference else names))
    return Plan(tuple(steps))


def is_acyclic(edges: list[list[int]]) -> bool:
    try:
        list(graphlib.TopologicalSorter(dict(enumerate(edges))).static_order())
    except graphlib.CycleError:
        return False
    return True


@FIXED
@given(graphs(), st.booleans())
def test_order_and_waves_against_graphlib(edges: list[list[int]], by_reference: bool) -> None:
    """The order respects every edge, and the waves are those of `graphlib` when every ready step is taken at once."""
    plan = plan_of(edges, by_reference)
    graph = graph_of(plan)
    assert [sorted(set(needed)) for needed in edges] == [sorted(needed) for needed in graph.dependencies]
    assert is_acyclic(edges) is not graph.is_cyclic
    assume(is_acyclic(edges))
    place = {position: rank for rank, position in enumerate(graph.order)}
    assert sorted(graph.order) == list(range(len(edges)))
    assert all(place[j] < place[i] for i, needed in enumerate(edges) for j in needed)
    sorter = graphlib.TopologicalSorter(dict(enumerate(edges)))
    sorter.prepare()
    waves: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        waves.append([f"s{i}" for i in ready])
        sorter.done(*ready)
    assert waves == [[step.id for step in wave] for wave in topological_waves(plan)]


@FIXED
@given(graphs())
def test_circles_are_circles(edges: list[list[int]]) -> None:
    """Each is closed, follows dependencies, visits no step twice; one per knot, and every knot has one."""
    assume(not is_acyclic(edges))
    graph = graph_of(plan_of(edges))
    circles = graph.circles()
    for circle in circles:
        assert circle[0] == circle[-1]
        assert len(set(circle[:-1])) == len(circle) - 1 >= 2
        assert all(following in edges[position] for position, following in itertools.pairwise(circle))
        assert circle[0] == min(circle)
    reach = {i: reachable(edges, i) for i in range(len(edges))}
    knots = {frozenset(j for j in reach[i] if i in reach[j]) for i in reach if i in reach[i]}
    knots = {knot for knot in knots if len(knot) > 1}
    assert knots == {next(knot for knot in knots if circle[0] in knot) for circle in circles}
    assert len(knots) == len(circles)
    codes = {issue.code for issue in find_issues(plan_of(edges))}
    assert codes & {"cycle", "self-dependency"}


def reachable(edges: list[list[int]], start: int) -> set[int]:
    found: set[int] = set()
    pending = list(edges[start])
    while pending:
        position = pending.pop()
        if position not in found:
            found.add(position)
            pending.extend(edges[position])
    return found


@FIXED
@given(graphs(), st.lists(st.integers(1, 9), min_size=9, max_size=9))
def test_the_critical_path_against_all_paths(edges: list[list[int]], seconds: list[int]) -> None:
    """As long as the longest of all paths, and a path itself."""
    assume(is_acyclic(edges))
    plan = plan_of(edges)
    path, length = critical_path(plan, lambda step: seconds[int(step.id[1:])])

    def longest(position: int) -> int:
        return seconds[position] + max((longest(j) for j in edges[position]), default=0)

    assert max((longest(i) for i in range(len(edges))), default=0) == length
    positions = [int(name[1:]) for name in path]
    assert sum(seconds[i] for i in positions) == length
    assert all(earlier in edges[later] for earlier, later in itertools.pairwise(positions))


@FIXED
@given(graphs())
def test_conflicts_against_every_pair(edges: list[list[int]]) -> None:
    """Writers of one file are reported exactly when two of them could run at once."""
    assume(is_acyclic(edges))
    plan = Plan(tuple(Step(f"s{i}", "save", {"p": "x"}, [f"s{j}" for j in needed]) for i, needed in enumerate(edges)))
    reach = [reachable(edges, i) for i in range(len(edges))]
    parallel = any(j not in reach[i] and i not in reach[j] for i, j in itertools.combinations(range(len(edges)), 2))
    assert parallel is ("conflict" in {issue.code for issue in find_issues(plan, TOOLBOX)})


# ---------------------------------------------------------------- reading and judging anything

json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=6),
        st.sampled_from(["{{a}}", "{{a.output.n}}", "{{b.output[0]}} x", "{{item}}", "{{inputs.x}}", "{{", "a", "b", "t", "typed", "save"]),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["n", "s", "l", "p", "x"]), inner, max_size=3)),
    max_leaves=6,
)  # fmt: skip
rough_steps = st.fixed_dictionaries(
    {},
    optional={
        "id": st.one_of(st.sampled_from(["a", "b", "c", "item", "1x"]), json_values),
        "tool": st.one_of(st.sampled_from(["t", "typed", "save", "saev"]), json_values),
        "args": st.one_of(st.dictionaries(st.sampled_from(["n", "s", "l", "p"]), json_values, max_size=3), json_values),
        "depends_on": st.one_of(st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=3), json_values),
        "description": json_values,
        "when": st.one_of(st.sampled_from(["{{a}} > 1", "len({{b.output.l}})", "x", "{{item}}"]), json_values),
        "for_each": st.one_of(st.sampled_from(["{{a.output.l}}", "{{b}}", "x"]), json_values),
        "timeout_s": json_values,
        "retries": json_values,
        "extra": json_values,
    },
)
rough_plans = st.fixed_dictionaries(
    {"steps": st.lists(st.one_of(rough_steps, json_values), max_size=5)},
    optional={
        "answer": json_values,
        "inputs": json_values,
        "goal": json_values,
        "version": json_values,
        "odd": json_values,
    },
)


def judged(source: Any) -> list[Issue]:
    return find_issues(source, TOOLBOX)


def step_errors(issues: list[Issue]) -> set[tuple[str, str]]:
    """Which steps have which errors; without those that spell out in another way what was filled in when read."""
    errors = [issue for issue in issues if issue.severity == "error" and issue.path.startswith("/steps/")]
    filled = ("unknown-dependency", "missing-field", "missing-argument")
    return {(issue.path.split("/")[2], issue.code) for issue in errors if issue.code not in filled}


@settings(FIXED, max_examples=500)
@given(rough_plans)
def test_rough_plans_are_judged_without_surprise(source: dict[str, Any]) -> None:
    """No exception; the same verdict for text and objects, twice; a round trip; pointers into the plan; no crash in a run."""
    assume("Infinity" not in json.dumps(source))
    plan = Plan.from_json(source)
    text = json.dumps(source)
    issues = judged(plan)
    assert issues == judged(text) == judged(source) == judged(Plan.from_json(text))
    again = Plan.from_json(plan.to_json())
    assert plan == again
    assert step_errors(issues) == step_errors(judged(again))
    for issue in issues:
        assert issue.path == "" or issue.path.startswith(("/steps", "/answer", "/inputs", "/goal", "/version", "/odd"))
        assert issue.message
        assert issue.message == issue.message.strip()


@FIXED
@given(st.one_of(json_values, st.binary(max_size=30), st.text(max_size=30)))
def test_anything_is_a_plan_or_no_plan(source: Any) -> None:
    """The only exception there is."""
    try:
        judged(source)
    except PlanFormatError as error:
        assert error.issues
    except PlanCycleError:
        raise AssertionError("find_issues does not raise for circles") from None


@FIXED
@given(st.lists(st.text(max_size=8), max_size=30), st.text(max_size=8))
def test_the_nearest_name_is_a_known_one(names: list[str], name: str) -> None:
    """Never an invention; the name itself when it is known and can be a name at all."""
    near = Names(names).nearest(name)
    assert near is None or near in names
    if name and name in names:
        assert near is not None
