"""TaskBench: 986 plans as two small models really wrote them, with labels that say what is wrong with each."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from typing import Any

import pytest

from planloom import PlanValidationError, Tool, Toolbox, create_plan, find_issues
from planloom.testing import ScriptedModel

NODE = re.compile(r"<node[-_](\d+)>((?:\.\w+|\[\d+\])*)")
OF_REFERENCES = {
    "self reference": "self-dependency",
    "reference to a missing node": "unknown-reference",
    "cycle in references": "cycle",
}
OF_LINKS = {
    "self link": "self-dependency",
    "link names a step that is not in the plan": "unknown-dependency",
    "cycle in links": "cycle",
}
PLACEHOLDER = "other <placeholder>"


def never(**arguments: Any) -> None:
    raise AssertionError("validation runs nothing")


def with_references(value: Any) -> Any:
    """`<node-2>.text`, or `<node_2>.text`, becomes `{{n2.output.text}}`, at any depth."""
    if isinstance(value, str):
        return NODE.sub(lambda found: f"{{{{n{found[1]}.output{found[2]}}}}}", value)
    if isinstance(value, list):
        return [with_references(element) for element in value]
    if isinstance(value, dict):
        return {key: with_references(element) for key, element in value.items()}
    return value


def convert(record: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The plan, and whether it was its references that became the graph; else it was its links."""
    nodes, links = record["llm_plan"]["task_nodes"], record["llm_plan"].get("task_links") or []
    has_references = NODE.search(str([node.get("arguments") for node in nodes])) is not None
    steps: list[dict[str, Any]] = []
    for position, node in enumerate(nodes):
        args: dict[str, Any] = {}
        for place, argument in enumerate(node.get("arguments") or []):
            if isinstance(argument, dict) and "name" in argument:
                args[argument["name"]] = with_references(argument.get("value"))
                if NODE.search(argument["name"]):  # a reference in the place of the name
                    args[f"name_{place}"] = with_references(argument["name"])
            else:
                args[f"argument_{place}"] = with_references(argument)
        step = {"id": f"n{position}", "description": node["task"], "tool": node["task"], "args": args}
        steps.append(step if has_references else {**step, "depends_on": []})
    if not has_references:
        first = {node["task"]: f"n{position}" for position, node in reversed(list(enumerate(nodes)))}
        for link in links:
            waiting = [step for step in steps if step["tool"] == link["target"]]
            if waiting:
                waiting[0]["depends_on"].append(first.get(link["source"], link["source"]))
            else:  # the step that waits is the absent one: written down where the link begins
                steps[int(first.get(link["source"], "n0")[1:])]["depends_on"].append(str(link["target"]))
    return {"goal": record["goal"], "steps": steps}, has_references


def expected_codes(labels: list[str], has_references: bool) -> set[str]:
    of_graph = OF_REFERENCES if has_references else OF_LINKS
    codes = {of_graph[label] for label in labels if label in of_graph}
    return codes | ({"unknown-tool"} if "unknown tool" in labels else set())


def test_what_models_really_wrote_is_judged_as_the_labels_say(data_file: Any) -> None:
    """Every structurally invalid plan is rejected under the matching codes, and no other plan is."""
    names = [tool["id"] for tool in data_file("plans/taskbench_huggingface_tools.json")]
    anything = {"type": "object", "additionalProperties": True}
    toolbox = Toolbox([Tool.from_schema(name=name, parameters=anything, function=never) for name in names])
    records = data_file("plans/taskbench_huggingface_llm.jsonl")
    wrong: dict[str, Any] = {}
    figures: Counter[str] = Counter()
    by_code: Counter[str] = Counter()
    for record in records:
        plan, has_references = convert(record)
        errors = [issue for issue in find_issues(plan, toolbox) if issue.severity == "error"]
        codes = {issue.code for issue in errors}
        expected = expected_codes(record["labels"], has_references)
        structural = codes - {"placeholder"}
        figures["rejected" if structural else "accepted"] += 1
        figures["as labelled"] += structural == expected
        by_code.update(structural)
        has_placeholder = PLACEHOLDER in record["labels"]
        figures["placeholder found"] += has_placeholder and "placeholder" in codes
        figures["placeholder labelled"] += has_placeholder
        if structural != expected or ("placeholder" in codes and not has_placeholder):
            wrong[record["id"]] = (record["labels"], expected, [issue.render() for issue in errors])
    print(f"\nTaskBench: {dict(figures)} of {len(records)}; {dict(by_code)}")
    assert {} == wrong
    assert 986 == len(records) == figures["as labelled"]
    # the other five are a single word in the middle of text, as in "emotion: '<emotion>'", which may be markup
    assert (64, 69) == (figures["placeholder found"], figures["placeholder labelled"])


@pytest.mark.slow
def test_labelled_plans_are_mended_or_refused(data_file: Any) -> None:
    """A model that writes the broken steps anew gets a valid plan; one that repeats itself gets the issues."""
    names = [tool["id"] for tool in data_file("plans/taskbench_huggingface_tools.json")]
    anything = {"type": "object", "additionalProperties": True}
    toolbox = Toolbox([Tool.from_schema(name=name, parameters=anything, function=never) for name in names])
    figures: Counter[str] = Counter()

    def anew(plan: dict[str, Any]) -> str:
        """What a model would answer: steps without their errors; only those that were asked for are taken."""
        return json.dumps(
            {"steps": [{**step, "tool": names[0], "args": {}, "depends_on": []} for step in plan["steps"]]}
        )

    async def create_all() -> None:
        for record in data_file("plans/taskbench_huggingface_llm.jsonl"):
            plan, _ = convert(record)
            if not record["labels"] or not any(issue.severity == "error" for issue in find_issues(plan, toolbox)):
                continue
            text = json.dumps(plan)
            made = await create_plan(record["goal"], toolbox, model=ScriptedModel([text, anew(plan), anew(plan)]))
            assert not any(issue.severity == "error" for issue in find_issues(made, toolbox)), record["id"]
            assert [step["id"] for step in plan["steps"]] == [step.id for step in made.steps]
            figures["mended"] += 1
            refused: list[Any] | None = None
            try:
                await create_plan(record["goal"], toolbox, model=ScriptedModel([text, text, text]))
            except PlanValidationError as error:
                refused = list(error.issues)
            assert refused is None or any(issue.severity == "error" for issue in refused)
            figures["mended by rule" if refused is None else "refused with the issues"] += 1

    asyncio.run(create_all())
    print(f"\nTaskBench, labelled and invalid: {dict(figures)}")
    assert 600 < figures["mended"] == figures["refused with the issues"] + figures["mended by rule"]
