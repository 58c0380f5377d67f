"""NesTools: 1,000 well-formed plans with typed tools, written by nobody here. Rejecting one is a bug here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from planloom import Plan, Tool, Toolbox, find_issues


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


def toolbox_of(record: dict[str, Any]) -> Toolbox:
    tools: dict[str, Tool] = {}
    for spec in record["tools"]:
        returns = {"type": "object", "properties": spec["returns"]} if spec.get("returns") else None
        tools[spec["name"]] = Tool.from_schema(
            name=spec["name"],
            description=spec["description"],
            parameters=spec["parameters"],
            returns=returns,
            function=never,
        )
    return Toolbox(tools.values())


def test_every_gold_plan_is_accepted_with_its_references_checked_against_types(data_file: Any) -> None:
    """1,000 of 1,000 without an error; the types of outputs and arguments are known, so they were compared."""
    records = data_file("plans/nestools.jsonl")
    rejected: dict[str, list[str]] = {}
    steps = references = 0
    for record in records:
        plan = Plan.from_json(record["plan"])
        issues = find_issues(plan, toolbox_of(record))
        errors = [f"{issue.code} {issue.path}: {issue.message}" for issue in issues if issue.severity == "error"]
        if errors:
            rejected[record["id"]] = errors
        steps += len(plan.steps)
        references += sum(len(step.wiring().places()) for step in plan.steps)
    print(
        f"\nNesTools: {len(records) - len(rejected)} of {len(records)} accepted, {steps} steps, {references} references"
    )
    assert {} == rejected
    assert (1_000, 3_036) == (len(records), steps)


def damages(record: dict[str, Any]) -> Iterator[tuple[str, list[Any], str, str]]:
    """Every general damage that applies to a plan: its name, the damaged plan, the code and the pointer."""
    plan = record["plan"]
    required = {tool["name"]: tool["parameters"].get("required", []) for tool in record["tools"]}
    kinds = {tool["name"]: tool["parameters"]["properties"] for tool in record["tools"]}
    last = len(plan) - 1
    step = plan[last]

    def damaged(position: int, **changes: Any) -> list[Any]:
        changed = [dict(one) for one in plan]  # only fields of steps are replaced, never anything inside them
        changed[position].update(changes)
        return changed

    yield "misspelt tool", damaged(last, tool=step["tool"] + "x"), "unknown-tool", f"/steps/{last}/tool"
    yield (
        "a dependency on nobody",
        damaged(last, depends_on=["nobody"]),
        "unknown-dependency",
        f"/steps/{last}/depends_on/0",
    )
    yield "itself", damaged(last, depends_on=[step["id"]]), "self-dependency", f"/steps/{last}/depends_on/0"
    yield "an invalid id", damaged(last, id="step one"), "invalid-id", f"/steps/{last}/id"
    yield (
        "an unknown argument",
        damaged(last, args={**step["args"], "zzz": 1}),
        "unknown-argument",
        f"/steps/{last}/args/zzz",
    )
    yield (
        "item",
        damaged(last, args={**step["args"], "zzz": "{{item}}"}),
        "unknown-reference",
        f"/steps/{last}/args/zzz",
    )
    yield "no such timeout", damaged(last, timeout_s=0), "wrong-field-type", f"/steps/{last}/timeout_s"
    for name in required[step["tool"]][:1]:
        rest = {key: value for key, value in step["args"].items() if key != name}
        yield "no required argument", damaged(last, args=rest), "missing-argument", f"/steps/{last}/args/{name}"
        odd = {**step["args"], name: "<your value>"}
        yield "a placeholder", damaged(last, args=odd), "placeholder", f"/steps/{last}/args/{name}"
        if kinds[step["tool"]][name].get("type") in ("string", "integer", "number"):
            odd = {**step["args"], name: {"an": "object"}}
            yield "a literal of the wrong type", damaged(last, args=odd), "argument-type", f"/steps/{last}/args/{name}"
    if last:
        yield "a duplicate id", damaged(last, id=plan[0]["id"]), "duplicate-id", f"/steps/{last}/id"
        circle = damaged(0, depends_on=[step["id"]])
        circle[last]["depends_on"] = [*step["depends_on"], plan[0]["id"]]
        yield "a circle", circle, "cycle", "/steps/0"
    referring = next((i for i, one in enumerate(plan) if "{{" in str(one["args"])), None)
    if referring is not None:
        needed = plan[referring]["depends_on"][0]
        yield (
            "no declaration",
            damaged(referring, depends_on=[]),
            "undeclared-dependency",
            f"/steps/{referring}/depends_on",
        )
        name, text = next((k, v) for k, v in plan[referring]["args"].items() if f"{{{{{needed}." in str(v))
        without = [one for one in plan if one["id"] != needed]
        place = f"/steps/{referring - 1}/args/{name}" + ("/0" if isinstance(text, list) else "")
        if isinstance(text, str):
            yield "a step that is gone", without, "unknown-reference", place
            for odd, code in (
                (text[:-1], "bad-reference"),
                (text.replace(".output.", ".result."), "bad-reference"),
                (text.replace(f"{needed}.", "x_" + needed + "."), "unknown-reference"),
                (f"{{{{{needed}.output.no_such_key}}}}", "reference-path"),
            ):
                args = {**plan[referring]["args"], name: odd}
                yield f"{code} in text", damaged(referring, args=args), code, f"/steps/{referring}/args/{name}"


@pytest.mark.slow
def test_every_general_damage_is_found_in_every_plan(data_file: Any) -> None:
    """Each damage in each plan to which it applies, under its code and at its pointer."""
    figures: Counter[str] = Counter()
    missed: list[Any] = []
    for record in data_file("plans/nestools.jsonl"):
        toolbox = toolbox_of(record)
        for name, plan, code, pointer in damages(record):
            figures[name] += 1
            issues = find_issues(plan, toolbox)
            if (code, pointer) not in {(issue.code, issue.path) for issue in issues}:
                missed.append((record["id"], name, pointer, [issue.render() for issue in issues]))
    print(
        f"\nNesTools: {sum(figures.values()) - len(missed)} of {sum(figures.values())} damages found: {dict(figures)}"
    )
    assert [] == missed[:5]
    assert 16 <= len(figures)
