"""NesTools: 1,000 well-formed plans with typed tools, written by nobody here. Rejecting one is a bug here."""

from __future__ import annotations

from typing import Any

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


def test_the_same_plans_without_what_they_refer_to_are_rejected(data_file: Any) -> None:
    """Renaming the first referenced key in each plan is always found: the acceptance above is no blindness."""
    nested = found = 0
    for record in data_file("plans/nestools.jsonl"):
        for position, step in enumerate(record["plan"]):
            names = [name for name, value in step["args"].items() if isinstance(value, str) and ".output." in value]
            if names:
                name = names[0]
                step["args"][name] = step["args"][name].split(".output.")[0] + ".output.no_such_key_at_all}}"
                nested += 1
                issues = find_issues(record["plan"], toolbox_of(record))
                found += ("reference-path", f"/steps/{position}/args/{name}") in {(i.code, i.path) for i in issues}
                break
    print(f"\nNesTools: {found} of {nested} broken paths found")
    assert nested == found
    assert nested > 800
