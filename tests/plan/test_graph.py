"""The graph of a plan: who waits for whom, waves, circles, the longest path."""

from __future__ import annotations

from typing import Any

import pytest

from planloom import Plan, PlanCycleError, PlanValidationError, Step, critical_path, topological_waves, validate_plan
from planloom.plan.graph import graph_of


def plan_of(**edges: str) -> Plan:
    """`plan_of(a="", b="a", c="a b")`: every step with the ids that it depends on."""
    return Plan(tuple(Step(name, "t", {}, needed.split()) for name, needed in edges.items()))


def waves(plan: Any) -> list[list[str]]:
    return [[step.id for step in wave] for wave in topological_waves(plan)]


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({}, []),
        ({"a": ""}, [["a"]]),
        ({"a": "", "b": ""}, [["a", "b"]]),
        ({"b": "a", "a": ""}, [["a"], ["b"]]),
        ({"a": "", "b": "a", "c": "a", "d": "b c"}, [["a"], ["b", "c"], ["d"]]),
        ({"a": "", "b": "a", "c": "b", "d": "a"}, [["a"], ["b", "d"], ["c"]]),
        ({"a": "", "b": "a a a"}, [["a"], ["b"]]),
        ({"a": "zzz", "b": "a"}, [["a"], ["b"]]),
    ],
    ids=str,
)
def test_waves(edges: dict[str, str], expected: list[list[str]]) -> None:
    """Steps whose dependencies all lie in earlier waves, in the order of the plan; unknown ids count for nothing."""
    assert expected == waves(plan_of(**edges))


def test_references_are_dependencies() -> None:
    """In args, when and for_each, declared or not."""
    plan = Plan.from_json(
        [
            {
                "id": "z",
                "tool": "t",
                "args": {"x": [{"y": "{{a.output.k}} {{b.status}}"}]},
                "depends_on": [],
                "when": "{{c}} > 1",
            },
            {
                "id": "y",
                "tool": "t",
                "args": {"x": "{{item}}"},
                "depends_on": ["a"],
                "for_each": "{{d.output ?? z.output}}",
            },
            *[{"id": name, "tool": "t", "args": {}, "depends_on": []} for name in "abcd"],
        ]
    )
    graph = graph_of(plan)
    names = [[graph.ids[position] for position in needed] for needed in graph.dependencies]
    assert [["a", "b", "c"], ["a", "d", "z"], [], [], [], []] == names
    assert [["a", "b", "c", "d"], ["z"], ["y"]] == waves(plan)


@pytest.mark.parametrize(
    ("edges", "circles"),
    [
        ({"a": "b", "b": "a"}, [["a", "b", "a"]]),
        ({"a": "b", "b": "c", "c": "a", "d": "a"}, [["a", "b", "c", "a"]]),
        ({"a": "", "b": "a c", "c": "b"}, [["b", "c", "b"]]),
        ({"a": "b", "b": "a", "c": "d", "d": "c", "e": "a c"}, [["a", "b", "a"], ["c", "d", "c"]]),
        ({"a": "b c", "b": "a", "c": "a"}, [["a", "b", "a"]]),
        ({"a": "a b", "b": "a"}, [["a", "b", "a"]]),
        ({"a": "b", "b": "c d", "c": "a", "d": "c"}, [["a", "b", "c", "a"]]),
    ],
    ids=str,
)
def test_circles(edges: dict[str, str], circles: list[list[str]]) -> None:
    """One shortest circle per knot; every step waits for the next, and the first closes it."""
    plan = plan_of(**edges)
    graph = graph_of(plan)
    assert graph.is_cyclic
    assert circles == [[graph.ids[position] for position in circle] for circle in graph.circles()]
    with pytest.raises(PlanCycleError) as caught:
        topological_waves(plan)
    assert circles[0] == caught.value.cycle
    with pytest.raises(PlanCycleError) as caught:
        validate_plan(plan)
    assert circles[0] == caught.value.cycle
    assert " -> ".join(circles[0]) in str(caught.value)


def test_a_step_that_depends_on_itself() -> None:
    """No waves, and the circle is the step twice."""
    with pytest.raises(PlanCycleError) as caught:
        topological_waves(plan_of(a="", b="b"))
    assert ["b", "b"] == caught.value.cycle
    with pytest.raises(PlanValidationError, match="self-dependency"):
        validate_plan(plan_of(a="", b="b"))


def test_a_long_circle_is_named_whole_in_the_error_and_shortened_in_the_message() -> None:
    """60 names are read by nobody, but the program gets all of them."""
    for length, is_whole in ((50, True), (500, False)):
        plan = plan_of(**{f"s{i}": f"s{(i + 1) % length}" for i in range(length)})
        with pytest.raises(PlanCycleError) as caught:
            validate_plan(plan)
        assert [f"s{i % length}" for i in range(length + 1)] == caught.value.cycle
        assert is_whole == ("… " not in str(caught.value).splitlines()[1])


def test_duplicate_ids_mean_the_first() -> None:
    """Validation names the duplicate; the graph stays usable for drawing."""
    plan = Plan((Step("a", "t", {}, []), Step("a", "t", {}, ["b"]), Step("b", "t", {}, ["a"])))
    assert ((), (2,), (0,)) == graph_of(plan).dependencies


@pytest.mark.parametrize(
    ("edges", "seconds", "expected"),
    [
        ({"a": "", "b": "a", "c": "b", "x": ""}, {}, (["a", "b", "c"], 3.0)),
        ({"a": "", "b": "a", "x": ""}, {"x": 10}, (["x"], 10.0)),
        ({"a": "", "b": "a", "c": "a", "d": "b c"}, {"c": 5}, (["a", "c", "d"], 7.0)),
        ({}, {}, ([], 0.0)),
        ({"a": "b", "b": "a"}, {}, ([], 0.0)),
    ],
    ids=str,
)
def test_critical_path(edges: dict[str, str], seconds: dict[str, float], expected: tuple[list[str], float]) -> None:
    """The longest way through the plan, every step 1 unless told otherwise."""
    plan = plan_of(**edges)
    assert expected == critical_path(plan, lambda step: seconds.get(step.id, 1.0))
    if not seconds:
        assert expected == critical_path(plan)


def test_a_list_of_dicts_will_do_for_a_plan() -> None:
    """As everywhere else: what `Plan.from_json` reads is taken as it is."""
    written = [{"id": "a", "tool": "work"}, {"id": "b", "tool": "work", "depends_on": ["a"]}]
    assert (["a", "b"], 2.0) == critical_path(written)
    assert [["a"], ["b"]] == [[step.id for step in wave] for wave in topological_waves(written)]


def test_the_graph_is_built_once() -> None:
    """It is kept with the plan, and not part of its value."""
    plan = plan_of(a="", b="a")
    assert graph_of(plan) is graph_of(plan)
    assert plan == plan_of(a="", b="a")
