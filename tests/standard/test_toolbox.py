"""The standard toolbox as a whole: made once, on first use, and enough for a plan that does something."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from planloom import standard
from planloom.engine.execute import execute_plan
from planloom.errors import UsageError
from planloom.standard import calculate, fetch_url, file_tools, select, standard_tools
from planloom.standard.folder import SUPPORTED
from planloom.standard.json_text import read_first_json, read_json
from planloom.tools import Toolbox, load_toolbox
from planloom.tools.checks import find_issues

FILE_TOOLS = ["read_file", "write_file"] if SUPPORTED else []
NAMES = ["calculate", "select", "ask_model", "ask_person", "fetch_url", *FILE_TOOLS]


def test_importing_it_is_cheap() -> None:
    """Heavy libraries wait for the first use, as everywhere."""
    code = (
        "import planloom.standard, sys; print({'pydantic', 'ssl', 'jsonschema_rs', 'http.client'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ("set()\n", "") == (done.stdout, done.stderr)


def test_the_toolbox_is_made_once() -> None:
    """Threads that ask for it at the same time get the same box, and the names of the module are its tools."""
    vars(standard).pop("toolbox", None)
    found: list[Toolbox] = []
    threads = [threading.Thread(target=lambda: found.append(standard.toolbox)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len({id(box) for box in found})
    assert NAMES == list(standard.toolbox)
    assert (calculate, select, fetch_url) == tuple(
        standard.toolbox[name] for name in ("calculate", "select", "fetch_url")
    )
    assert standard.toolbox is load_toolbox("planloom.standard:toolbox")


def test_public_names() -> None:
    """Every public name can be loaded and is listed; others say so."""
    for name in standard.__all__:
        assert getattr(standard, name) is not None
        assert name in dir(standard)
    with pytest.raises(AttributeError, match="no attribute 'calculator'"):
        getattr(standard, "calculator")  # noqa: B009


def test_effects_are_declared() -> None:
    """Only writing has an effect; only the web, the model and the person are outside."""
    facts = {
        tool.name: (tool.read_only, tool.destructive, tool.open_world, tool.writes)
        for tool in standard.toolbox.values()
    }
    reads, asks = (True, False, False, ()), (True, False, True, ())
    expected = {"calculate": reads, "select": reads, "ask_model": asks, "ask_person": asks, "fetch_url": asks}
    expected["read_file"] = reads
    expected["write_file"] = (False, True, False, ("file:{path}",))
    assert {name: expected[name] for name in NAMES} == facts


def test_what_may_start_before_a_plan_is_whole() -> None:
    """What computes and what reads files may; what writes, or asks the web, a model or a person, may not."""
    early = {tool.name for tool in standard.toolbox.values() if tool.may_start_early}
    assert {"calculate", "select", "read_file"} & set(NAMES) == early
    assert ["ask_model"] == [tool.name for tool in standard.toolbox.values() if tool.may_call_model]


@pytest.mark.skipif(not SUPPORTED, reason="this system cannot open a path part by part")
def test_the_same_tools_for_another_folder(tmp_path: Path) -> None:
    """Only the file tools differ; a root that is no folder is refused."""
    (tmp_path / "note.txt").write_text("hello", encoding="utf-8")
    made = standard_tools(tmp_path)
    assert NAMES == list(made)
    assert "hello" == made["read_file"](path="note.txt")["text"]
    assert made["calculate"] is standard.toolbox["calculate"]
    with pytest.raises(UsageError, match="nowhere"):
        standard_tools(tmp_path / "nowhere")


def test_every_argument_is_described() -> None:
    """A planner reads a description of each tool and each argument, and all of it is short."""
    for tool in standard.toolbox.values():
        assert tool.description
        for name, schema in tool.parameters["properties"].items():
            assert schema.get("description"), f"{tool.name}.{name}"
        assert len(json.dumps(tool.to_dict())) < 4_500


OFFERS = {"offers": [{"name": "a", "price": 30}, {"name": "b", "price": 10}, {"name": "c", "price": None}]}
PLAN: dict[str, Any] = {
    "goal": "find the cheapest offer and what it costs with tax",
    "steps": [
        {"id": "load", "tool": "read_file", "args": {"path": "offers.json"}},
        {
            "id": "cheapest",
            "tool": "select",
            "args": {
                "items": "{{load.output.json.offers}}",
                "where": [{"path": "price", "op": "not_null"}],
                "sort_by": "price",
                "first": 1,
            },
        },
        {
            "id": "total",
            "tool": "calculate",
            "args": {
                "expression": "round(price * (1 + tax), 2)",
                "values": {"price": "{{cheapest.output.items[0].price}}", "tax": 0.19},
            },
        },
        {
            "id": "save",
            "tool": "write_file",
            "args": {"path": "out/answer.txt", "text": "{{cheapest.output.items[0].name}}: {{total.output}}"},
        },
    ],
    "answer": "{{total.output}}",
}  # fmt: skip


@pytest.mark.skipif(not SUPPORTED, reason="this system cannot open a path part by part")
def test_a_plan_of_standard_tools(tmp_path: Path) -> None:
    """A file is read, a row chosen, a number worked out and a file written, with no code of the user's."""
    (tmp_path / "offers.json").write_text(json.dumps(OFFERS), encoding="utf-8")
    box = Toolbox([calculate, select, file_tools(tmp_path)])
    assert [] == [issue for issue in find_issues(PLAN, box) if issue.severity == "error"]
    result = asyncio.run(execute_plan(PLAN, box))
    assert ("succeeded", 11.9) == (result.status, result.answer)
    assert "b: 11.9" == (tmp_path / "out" / "answer.txt").read_text()


@pytest.mark.parametrize(
    ("tool", "args", "code"),
    [
        ("select", {"items": "{{load.output.text}}"}, "reference-type"),
        ("select", {"items": "{{load.output.jsn}}"}, "reference-path"),
        ("calculate", {"expression": "a", "values": {"a": "{{load.output.text}}"}}, "reference-type"),
        ("calculate", {"expression": "a", "values": {"a": "{{page.output.title}}"}}, "reference-type"),
        ("fetch_url", {"url": "{{cheapest.output.count}}"}, "reference-type"),
        ("fetch_url", {"url": "{{cheapest.output.item}}"}, "reference-path"),
        ("write_file", {"path": "a", "text": "{{load.output.size_bytes}}"}, "reference-type"),
    ],
)
@pytest.mark.skipif(not SUPPORTED, reason="this system cannot open a path part by part")
def test_references_between_them_are_checked(tool: str, args: dict[str, Any], code: str, tmp_path: Path) -> None:
    """The outputs are typed, so that a wrong reference is found before anything runs."""
    steps = [
        {"id": "load", "tool": "read_file", "args": {"path": "a"}},
        {"id": "page", "tool": "fetch_url", "args": {"url": "https://site.test/"}},
        {"id": "cheapest", "tool": "select", "args": {"items": []}},
        {"id": "total", "tool": "calculate", "args": {"expression": "1"}},
        {"id": "last", "tool": tool, "args": args},
    ]
    issues = find_issues({"steps": steps}, Toolbox([calculate, select, fetch_url, file_tools(tmp_path)]))
    assert [code] == [issue.code for issue in issues if issue.severity == "error"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{",
        "NaN",
        "[Infinity]",
        "-Infinity",
        "1e999",
        "1" * 5_000,
        "[" * 100_000,
        '"\\ud800"',
        '{"\\uDFFF": 1}',
        "[1] x",
    ],
)
def test_what_is_not_json_here(text: str) -> None:
    """What no step could pass on is not JSON, and says so with one kind of error."""
    with pytest.raises(ValueError):
        read_json(text)


def test_json_in_text() -> None:
    """Values come out whole; the first one in other text is found."""
    assert {"a": [1, 2.5, None, "😀"]} == read_json('\ufeff{"a": [1, 2.5, null, "\\ud83d\\ude00"]}')
    assert [1] == read_first_json("so: [1] {")
    with pytest.raises(ValueError, match="no JSON object or list"):
        read_first_json("nothing")
