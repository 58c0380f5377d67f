"""Random plans as JSON values, and the third-party data, for the tests of this folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "model_text"
SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "plans"

# text that trips readers: JSON's own marks, marks of fences, of thoughts, of references in every style
TRICKY = (
    "```", "~~~json", "</think>", "<think>", '{"steps": [', "}]}", "},{", '"', "\\", "// no comment", "# none", "/*",
    "NaN", "True", "...", "…", "“quoted”", "it's", "$1", "${x}", "{x}", "<a>", "<node-0>", "#E1", "E1", "s1", "s0",
    "\\{{s0.output}}", "line\nbreak", "tab\there", "\u2028", "\ufeff", "", " ", "null", "1e5", "a = b", "a, b", "é😀",
)  # fmt: skip
texts = st.one_of(st.sampled_from(TRICKY), st.text(max_size=12).filter(lambda text: "{{" not in text))
numbers = st.one_of(st.integers(-(10**20), 10**20), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
json_values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)


@st.composite
def raw_plans(draw: st.DrawFn) -> dict[str, Any]:
    """A valid plan of 2 to 6 steps as a JSON object, in which every step but the first refers to an earlier one."""
    count = draw(st.integers(2, 6))
    ids = draw(st.sampled_from([[f"s{n}" for n in range(count)], [f"step_{n + 1}" for n in range(count)],
                                ["load", "E1", "sum", "node-0", "t2", "x"][:count]]))  # fmt: skip
    steps: list[dict[str, Any]] = []
    for position, step_id in enumerate(ids):
        args = draw(st.dictionaries(texts, json_values, max_size=3))
        earlier = draw(st.lists(st.sampled_from(ids[:position]), max_size=2, unique=True)) if position else []
        if position:
            source = draw(st.sampled_from(ids[:position]))
            args["data"] = f"{{{{{source}.output}}}}"
            earlier = sorted({*earlier, source})
        steps.append(
            {"id": step_id, "description": draw(texts) or "d", "tool": "t", "args": args, "depends_on": earlier}
        )
    plan: dict[str, Any] = {"goal": draw(texts), "inputs": draw(st.dictionaries(texts, json_values, max_size=2))}
    plan["steps"] = draw(st.permutations(steps))
    if draw(st.booleans()):
        plan["answer"] = f"{{{{{ids[-1]}.output}}}}"
    return plan


@st.composite
def plan_texts(draw: st.DrawFn) -> str:
    """A random plan as JSON text: indented or not, bare or wrapped."""
    plan = draw(raw_plans())
    wrapped: Any = draw(
        st.sampled_from(
            [
                plan,
                plan["steps"],
                {"calls": plan["steps"]},
                {"goal": "g", "plan": plan},
                {"tasks": plan["steps"], "x": [1]},
            ]
        )
    )
    return json.dumps(wrapped, indent=draw(st.sampled_from([None, 2])), ensure_ascii=draw(st.booleans()))


def shared_lines(name: str) -> list[Any]:
    """Read a file of the third-party data, one JSON value per line; skips where it is missing, fails in CI."""
    return [json.loads(line) for line in shared_text(name).splitlines()]


def shared_text(name: str) -> str:
    """Read a file of the third-party data; skips where it is missing, fails in CI."""
    path = SHARED / name
    if not path.is_file():
        message = f"the third-party test data is missing: {path} (see the data folder's README)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return path.read_text(encoding="utf-8")
