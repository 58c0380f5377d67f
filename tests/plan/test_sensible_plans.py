"""Plans as a good planner model writes them, for tools as people write them: no false alarm, and slips are found."""

# ruff: noqa: E501 - one step of a plan is one line

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pytest
from pydantic import BaseModel, Field

from planloom import Plan, Toolbox, find_issues, tool


class Hit(BaseModel):
    """One search result."""

    title: str
    url: str
    published: dt.date | None = None


class SearchResult(BaseModel):
    hits: list[Hit]
    total: int


@dataclass
class Page:
    url: str
    text: str
    links: list[str]


class Column(TypedDict):
    name: str
    kind: Literal["number", "text", "date"]
    mean: float | None


class Filter(BaseModel):
    column: str
    operator: Literal["==", ">", "<"] = "=="
    value: str | float


@tool(read_only=True, open_world=True)
def web_search(query: str, limit: Annotated[int, Field(ge=1, le=50)] = 10) -> SearchResult:
    """Search the web."""
    raise AssertionError


@tool(read_only=True, open_world=True)
async def fetch_page(url: str, timeout: float | None = None) -> Page:
    """Fetch a page."""
    raise AssertionError


@tool(read_only=True)
def summarise(text: str | list[str], words: int = 200, instructions: str | None = None) -> str:
    """Summarise."""
    raise AssertionError


@tool(read_only=True)
def load_table(path: str, columns: list[str] | None = None) -> dict[str, Any]:
    """Load a table."""
    raise AssertionError


@tool(read_only=True)
def describe_columns(table: dict[str, Any], only: list[str] | None = None) -> list[Column]:
    """Describe every column."""
    raise AssertionError


@tool(read_only=True)
def filter_rows(table: dict[str, Any], filters: list[Filter]) -> dict[str, Any]:
    """Keep rows that match."""
    raise AssertionError


@tool(read_only=True)
def read_file(path: str) -> str:
    """Read a file."""
    raise AssertionError


@tool(read_only=True)
def list_files(folder: str = ".", pattern: str = "*") -> list[str]:
    """List files."""
    raise AssertionError


@tool(writes=("file:{path}",), destructive=True)
def write_file(path: str, content: str, *, append: bool = False) -> int:
    """Write a file; returns the number of bytes."""
    raise AssertionError


@tool
def send_email(to: list[str], subject: str, body: str, attachments: list[str] | None = None) -> None:
    """Send a mail."""
    raise AssertionError


@tool(read_only=True)
def ask_model(prompt: str, context: Any = None) -> str:
    """Ask a language model."""
    raise AssertionError


@tool(read_only=True)
def grep(pattern: str, paths: list[str]) -> list[dict[str, Any]]:
    """Search files."""
    raise AssertionError


TOOLBOX = Toolbox(
    [
        web_search, fetch_page, summarise, load_table, describe_columns, filter_rows, read_file, list_files, write_file,
        send_email, ask_model, grep,
    ]
)  # fmt: skip


def step(id: str, tool: str, args: dict[str, Any], depends_on: str = "", **more: Any) -> dict[str, Any]:
    return {"id": id, "description": f"Do {id}", "tool": tool, "args": args, "depends_on": depends_on.split(), **more}


# fmt: off
SENSIBLE: dict[str, dict[str, Any]] = {
    "research with three sources": {
        "goal": "Compare what three sites say about heat pumps",
        "steps": [
            step("search", "web_search", {"query": "heat pump efficiency 2024", "limit": 5}),
            *[step(f"page{i}", "fetch_page", {"url": f"{{{{search.output.hits[{i}].url}}}}"}, "search") for i in range(3)],
            step("report", "summarise", {"text": [f"{{{{page{i}.output.text}}}}" for i in range(3)], "words": 300}, "page0 page1 page2"),
        ],
        "answer": "{{report.output}}",
    },
    "the same with for_each and all texts at once": {
        "goal": "Summarise what the web says about tides",
        "steps": [
            step("search", "web_search", {"query": "tides"}),
            step("pages", "fetch_page", {"url": "{{item.url}}", "timeout": 10}, "search", for_each="{{search.output.hits}}"),
            step("report", "summarise", {"text": "{{pages.output[*].text}}"}, "pages"),
        ],
        "answer": {"report": "{{report.output}}", "sources": "{{search.output.hits[*].url}}", "count": "{{search.output.total}}"},
    },
    "text built from many values": {
        "goal": "Mail the boss",
        "inputs": {"boss": "boss@example.com", "topics": ["tides", "moons"]},
        "steps": [
            step("search", "web_search", {"query": "{{item}} news"}, for_each="{{inputs.topics}}"),
            step("mail", "send_email", {
                "to": ["{{inputs.boss}}", "team@example.com"],
                "subject": "News: {{search.output[0].total}} hits",
                "body": "First: {{search.output[0].hits[0].title}} <{{search.output[0].hits[0].url}}>\n\nAll: {{search.output}}",
            }, "search"),
        ],
    },
    "a choice of two branches, joined by ??": {
        "goal": "Describe the file, whatever it is",
        "inputs": {"path": "data.csv"},
        "steps": [
            step("table", "load_table", {"path": "{{inputs.path}}"}, when="'.csv' in {{inputs.path}}"),
            step("text", "read_file", {"path": "{{inputs.path}}"}, when="'.csv' not in {{inputs.path}}"),
            step("columns", "describe_columns", {"table": "{{table.output}}"}, "table"),
            step("short", "summarise", {"text": "{{text.output}}"}, "text"),
            step("say", "ask_model", {"prompt": "Describe this for a newcomer:", "context": "{{columns.output ?? short.output}}"}, "columns short"),
        ],
        "answer": "{{say.output}}",
    },
    "nested literal arguments with references inside": {
        "goal": "Rows above the mean",
        "steps": [
            step("table", "load_table", {"path": "sales.csv", "columns": ["region", "sales"]}),
            step("columns", "describe_columns", {"table": "{{table.output}}", "only": ["sales"]}, "table"),
            step("above", "filter_rows", {"table": "{{table.output}}", "filters": [
                {"column": "sales", "operator": ">", "value": "{{columns.output[0].mean}}"},
                {"column": "region", "value": "EU"},
            ]}, "table columns"),
            step("save", "write_file", {"path": "above.json", "content": "{{above.output.rows}} rows"}, "above"),
        ],
        "answer": {"file": "above.json", "bytes": "{{save.output}}"},
    },
    "code full of braces, tags and TODO": {
        "goal": "Find every TODO in the repo and write an issue template",
        "steps": [
            step("files", "list_files", {"folder": "src", "pattern": "*.py"}),
            step("todos", "grep", {"pattern": "TODO", "paths": "{{files.output}}"}, "files"),
            step("template", "write_file", {"path": "docs/TEMPLATE.md", "content": "<h1>Issues</h1>\n<p>{name}</p> \\{{ mustache }} ${HOME} $1 %s {0}\n{{todos.output}}"}, "todos"),
            step("html", "write_file", {"path": "docs/index.html", "content": "<div><my-element></my-element></div>"}),
            step("prompt", "ask_model", {"prompt": "Put the answer into <answer> tags. Use [brackets] and (parentheses).", "context": "{{todos.output}}"}, "todos"),
        ],
        "answer": "{{prompt.output}}",
    },
    "files in a row, written by steps that wait for each other": {
        "goal": "Write a log",
        "steps": [
            step("first", "write_file", {"path": "log.txt", "content": "start"}),
            step("second", "write_file", {"path": "log.txt", "content": "more", "append": True}, "first"),
            step("third", "write_file", {"path": "./log.txt", "content": "{{second.output}} bytes", "append": True}, "second"),
        ],
    },
    "many files at once": {
        "goal": "Write one summary per file",
        "steps": [
            step("files", "list_files", {"folder": "reports"}),
            step("texts", "read_file", {"path": "{{item}}"}, "files", for_each="{{files.output}}"),
            step("summaries", "summarise", {"text": "{{item}}", "words": 50}, "texts", for_each="{{texts.output}}"),
            step("write", "write_file", {"path": "summary-{{index}}.txt", "content": "{{item}}"}, "summaries", for_each="{{summaries.output}}"),
        ],
        "answer": "{{write.output}}",
    },
    "a condition over state and error of another step": {
        "goal": "Tell me if nothing was found",
        "steps": [
            step("search", "web_search", {"query": "nothing at all"}),
            step("tell", "send_email", {"to": ["me@example.com"], "subject": "Nothing", "body": "-"}, "search",
                 when="{{search.status}} == 'succeeded' and len({{search.output.hits}}) == 0"),
        ],
    },
    "ids with dashes, a step named like a tool, a key named output": {
        "goal": "g",
        "steps": [
            step("web_search", "web_search", {"query": "x"}),
            step("load-1", "load_table", {"path": "a.csv"}),
            step("use_it", "ask_model", {"prompt": "load-1 web_search output", "context": {"a": "{{load-1.output.output.status}}", "b": "{{web_search}}"}}, "load-1 web_search"),
        ],
        "answer": "{{use_it.output}}",
    },
    "no arguments but defaults": {"goal": "g", "steps": [step("files", "list_files", {})], "answer": "{{files.output[0]}}"},
    "words that only look like placeholders": {
        "goal": "g",
        "steps": [
            step("a", "ask_model", {"prompt": "What does <T> mean in List<T>? And a < b > c?"}),
            step("b", "ask_model", {"prompt": "Insert the following into your text: here."}),
            step("c", "grep", {"pattern": r"^\s*<[a-z]+>", "paths": ["x.html"]}),
            step("d", "web_search", {"query": "how to write [your own] parser"}),
            step("e", "send_email", {"to": ["Ann <ann@example.com>"], "subject": "Re: todo list", "body": "placeholder text"}),
            step("f", "ask_model", {"prompt": "<div>"}),
        ],
    },
}
# fmt: on


@pytest.mark.parametrize("name", SENSIBLE)
def test_sensible_plans_have_no_issue(name: str) -> None:
    """Not even a warning."""
    issues = find_issues(SENSIBLE[name], TOOLBOX)
    assert [] == issues, "\n".join(issue.render() for issue in issues)


# plan, step, argument, what a model wrote there, code, words that the message or hint must hold
# fmt: off
SLIPS: list[tuple[str, int, str, Any, str, str]] = [
    ("research with three sources", 1, "url", "{{search.output[0].url}}", "reference-path", "hits"),
    ("research with three sources", 1, "url", "{{search.hits[0].url}}", "bad-reference", "{{search.output.hits[0].url}}"),
    ("research with three sources", 1, "url", "{{search.output.hits}}", "reference-type", "{{search.output.hits[0].url}}"),
    ("research with three sources", 1, "url", "{{search.output.hits[0]}}", "reference-type", "{{search.output.hits[0].url}}"),
    ("research with three sources", 1, "url", "$search.output.hits[0].url", "bad-reference", "{{search.output.hits[0].url}}"),
    ("research with three sources", 1, "url", "{search.output.hits[0].url}", "bad-reference", "{{search.output.hits[0].url}}"),
    ("research with three sources", 1, "url", "{{steps.search.output.hits[0].url}}", "bad-reference", "{{search.output.hits[0].url}}"),
    ("research with three sources", 1, "url", "<url of the first hit>", "placeholder", "reference to the step"),
    ("research with three sources", 1, "url", None, "argument-type", "expects text; this is null"),
    ("research with three sources", 0, "limit", 500, "argument-type", "takes at most 50"),
    ("research with three sources", 0, "limit", "5", "argument-type", "write 5, without quotes"),
    ("research with three sources", 4, "words", "{{search.output.total}} words", "reference-type", "stands alone"),
    ("research with three sources", 4, "text", [["{{page0.output.text}}"]], "argument-type", "summarise.text[0]` expects text"),
    ("research with three sources", 4, "max_words", 3, "unknown-argument", "words"),
    ("text built from many values", 1, "to", "boss@example.com", "argument-type", 'put it into a list: ["boss@example.com"]'),
    ("text built from many values", 1, "to", "{{inputs.boss}}", "reference-type", '["{{inputs.boss}}"]'),
    ("text built from many values", 1, "to", "{{inputs.topic}}", "unknown-reference", "did you mean `topics`?"),
    ("text built from many values", 1, "subject", "{{search.output.total}}", "reference-path", "[0].total"),
    ("nested literal arguments with references inside", 2, "filters", [{"column": "a", "operator": ">"}], "argument-type", "needs `value`"),
    ("nested literal arguments with references inside", 2, "filters", [{"column": "a", "operator": "=>", "value": 1}], "argument-type", '"=="'),
    ("nested literal arguments with references inside", 2, "filters", {"column": "a", "value": 1}, "argument-type", "put it into a list"),
    ("many files at once", 1, "path", "{{item.path}}", "reference-path", "item gives text"),
]
# fmt: on


@pytest.mark.parametrize(("name", "position", "argument", "value", "code", "words"), SLIPS, ids=str)
def test_slips_are_named_and_the_hint_mends_them(
    name: str, position: int, argument: str, value: Any, code: str, words: str
) -> None:
    """One slip, one error, whose message or hint holds what would have been right."""
    plan = Plan.from_json(SENSIBLE[name]).to_dict()
    plan["steps"][position]["args"] = {**plan["steps"][position]["args"], argument: value}
    issues = [issue for issue in find_issues(plan, TOOLBOX) if issue.severity == "error"]
    assert [code] == [issue.code for issue in issues], "\n".join(issue.render() for issue in issues)
    assert words in f"{issues[0].message} {issues[0].hint}"
