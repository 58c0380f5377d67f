"""Secrets reach tools and nothing else: not events, results, errors, the journal, its artifacts, people or models."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from engine_cases import run_with_events, tool_of
from process_tools import leak_in_process
from pydantic import BaseModel, Field, SecretBytes, SecretStr

from planloom import RunResult, ToolContext, UsageError, execute_plan, resume_run
from planloom.engine.base import EffectRequest, Hooks
from planloom.engine.emitter import Emitter
from planloom.engine.run import Run
from planloom.engine.secrecy import make_redactor
from planloom.engine.settings import RunSettings
from planloom.errors import AskPerson, PlanValidationError
from planloom.plan.history import Words
from planloom.plan.model import Plan
from planloom.testing import VirtualClock
from planloom.tools import Tool, Toolbox

KEY = "canary-8f3kd02/ä\nline"
SPELLINGS = (
    KEY,
    json.dumps(KEY)[1:-1],
    json.dumps(KEY, ensure_ascii=False)[1:-1],
    quote(KEY, safe=""),
    base64.b64encode(KEY.encode()).decode(),
    "canary-8f3kd02",
)
PLAN = {"steps": [{"id": "use", "tool": "use", "args": {"key": "{{inputs.key}}"}}]}


class Login(BaseModel):
    """A model with a secret field."""

    user: str
    password: SecretStr


def leaks(*values: Any) -> list[str]:
    """The spellings of the secret in whatever is given, by way of `repr`, JSON and text."""
    text = "\n".join(value if isinstance(value, str) else f"{value!r}\n{value}" for value in values)
    return [spelling for spelling in SPELLINGS if spelling in text]


def leaks_of_run(result: RunResult, events: list[Any]) -> list[str]:
    """Leaks in all that a run gives back."""
    written = json.dumps(result.to_dict(), ensure_ascii=False)
    told = [json.dumps(event.to_dict(), ensure_ascii=False) for event in events]
    return leaks(written, result.explain(), *told, *result.steps.values())


def folder_leaks(folder: Path) -> list[str]:
    """Leaks in the bytes of every file below a folder: journal, its log, artifacts."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    assert found
    return [
        f"{path.name}: {spelling}" for path in found for spelling in SPELLINGS if spelling.encode() in path.read_bytes()
    ]


def raise_it(key: str) -> str:
    raise ValueError(f"the server refused {key}")


def raise_it_quoted(key: str) -> str:
    raise ExceptionGroup("both", [ValueError(json.dumps(key)), OSError(f"at http://x/?k={quote(key, safe='')}")])


def raise_it_cut_off(key: str) -> str:
    raise ValueError("x" * 1_980 + key)


def return_it_nested(key: str) -> dict[str, Any]:
    return {"a": [{"b": f"Bearer {key}"}], "n": 1}


def return_it_as_a_key(key: str) -> dict[str, Any]:
    return {key: 1, f"{key}!": 2}


def return_it_large(key: str) -> list[str]:
    return [f"{number} {key}" for number in range(10_000)]


def return_it_encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()


def want_another(key: Annotated[str, Field(pattern="^sk-")]) -> str:
    return key


def ask_about_it(key: str) -> str:
    raise AskPerson(f"is {key} right?")


def tell_it(key: str, context: ToolContext) -> str:
    context.report(f"using {key}")
    return "done"


def pay_with(key: str) -> str:
    return "paid"


FAILURES = [raise_it, raise_it_quoted, raise_it_cut_off, want_another, ask_about_it]
OUTPUTS = [return_it_nested, return_it_as_a_key, return_it_large, return_it_encoded, tell_it]


@pytest.mark.parametrize("function", [*FAILURES, *OUTPUTS], ids=lambda function: function.__name__)
@pytest.mark.parametrize("source", ["input", "environment", "deps", "given"])
def test_nothing_tells_a_secret(function: Any, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a tool does with a secret, from wherever it is, it is in no event, result, record or artifact."""
    options: dict[str, Any] = {"inputs": {"key": KEY}, "journal": str(tmp_path / "runs.db")}
    if source == "input":
        options["inputs"] = {"key": SecretStr(KEY)}
    elif source == "environment":
        monkeypatch.setenv("SHOP_API_KEY", KEY)
    elif source == "deps":
        options["deps"] = {"shop": Login(user="bob", password=SecretStr(KEY))}
    else:
        options["secrets"] = [KEY]
    result, events = run_in_real_time(PLAN, tool_of(function, name="use"), **options)
    assert ([], []) == (leaks_of_run(result, events), folder_leaks(tmp_path))
    assert (
        "failed" if function in FAILURES[:4] else "waiting" if function in FAILURES else "succeeded"
    ) == result.status


def run_in_real_time(plan: Any, *tools: Any, **options: Any) -> tuple[RunResult, list[Any]]:
    """A journal's thread has its own time."""
    events: list[Any] = []
    return asyncio.run(execute_plan(plan, list(tools), on_event=lambda event: events.append(event), **options)), events


def test_the_tool_itself_gets_the_real_value() -> None:
    """Arguments are resolved with the real value, in text too; what comes back has a mark that names the input."""
    seen: list[str] = []

    def use(key: str, header: str) -> str:
        seen.extend([key, header])
        return header

    plan = {
        "steps": [{"id": "use", "tool": "use", "args": {"key": "{{inputs.key}}", "header": "Bearer {{inputs.key}}"}}]
    }
    result, _ = run_with_events(plan, tool_of(use), inputs={"key": SecretStr(KEY)})
    assert ([KEY, f"Bearer {KEY}"], "Bearer [secret inputs.key]") == (seen, result.steps["use"].output)


def test_an_argument_that_does_not_fit_is_told_without_its_value() -> None:
    """The complaint says what was expected and shows a mark; one that only the real value breaks shows nothing."""
    wrong, _ = run_with_events(PLAN, tool_of(want_another, name="use"), inputs={"key": SecretStr(KEY)})
    assert wrong.steps["use"].error is not None
    assert "[secret inputs.key]" in wrong.steps["use"].error.message

    class Short(BaseModel):
        text: str

        def __init__(self, **data: Any) -> None:
            super().__init__(**data)
            if KEY in self.text:
                raise ValueError(self.text[3:])

    def use(key: Short) -> str:
        return key.text

    plan = {"steps": [{"id": "use", "tool": "use", "args": {"key": {"text": "{{inputs.key}}"}}}]}
    result, events = run_with_events(plan, tool_of(use), inputs={"key": SecretStr(KEY)})
    assert ("arguments", []) == (result.steps["use"].error.kind, leaks_of_run(result, events))  # pyright: ignore[reportOptionalMemberAccess]
    assert KEY[3:] not in str(result.steps)


def test_a_secret_parameter() -> None:
    """What goes into a `SecretStr` is a secret from then on, and stands in the plan of the result as a mark."""
    seen: list[str] = []

    async def use(key: SecretStr, parts: list[SecretBytes] | None = None) -> str:
        seen.append(key.get_secret_value())
        return f"used {key.get_secret_value()}"

    plan = {"steps": [{"id": "use", "tool": "use", "args": {"key": KEY}}], "answer": "with {{use}}"}
    result, events = run_with_events(plan, tool_of(use))
    assert ([KEY], "used [secret]", []) == (seen, result.steps["use"].output, leaks_of_run(result, events))


def test_a_literal_that_no_journal_could_keep_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan with a secret in it is refused before anything runs when it is to be kept, and the step is named."""

    def use(key: SecretStr) -> str:
        raise AssertionError("nothing runs")

    def show(text: str) -> str:
        raise AssertionError("nothing runs")

    journal = str(tmp_path / "runs.db")
    plan = {"steps": [{"id": "pay", "tool": "use", "args": {"key": KEY}}]}
    with pytest.raises(UsageError, match=r"step `pay` holds the secret argument `key` as it is.*\nhint: take it from"):
        run_in_real_time(plan, tool_of(use), journal=journal)
    monkeypatch.setenv("SHOP_TOKEN", KEY)
    plan = {"steps": [{"id": "tell", "tool": "show", "args": {"text": f"key {KEY}"}}]}
    with pytest.raises(UsageError, match="step `tell` holds a secret as it is") as refused:
        run_in_real_time(plan, tool_of(show), journal=journal)
    assert ([], False) == (leaks(refused.value), (tmp_path / "runs.db").exists())


@dataclass
class Session:
    """Dependencies with a secret among them."""

    name: str = "shop"
    key: SecretStr = field(default_factory=lambda: SecretStr(KEY))


def test_a_marked_output_is_masked_and_does_not_pass_on() -> None:
    """A `SecretStr` that a tool gives back is a mark for every later step, and is looked for from then on."""
    seen: list[Any] = []

    def login() -> dict[str, Any]:
        return {"token": SecretStr(KEY), "raw": SecretBytes(KEY.encode()), "user": "bob"}

    def use(token: str) -> str:
        seen.append(token)
        raise ValueError(f"refused {KEY}")

    plan = {
        "steps": [
            {"id": "login", "tool": "login"},
            {"id": "use", "tool": "use", "args": {"token": "{{login.output.token}}"}},
        ]
    }
    result, events = run_with_events(plan, tool_of(login), tool_of(use), deps=Session())
    assert {"token": "[secret]", "raw": "[secret]", "user": "bob"} == result.steps["login"].output
    assert (["[secret]"], []) == (seen, leaks_of_run(result, events))


def test_a_marked_output_where_no_secret_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a redactor a `SecretStr` is masked all the same."""
    monkeypatch.setattr("planloom.engine.secrecy._of_this_process", dict)

    def login() -> Any:
        return [Login(user="bob", password=SecretStr(KEY))]

    result, _ = run_with_events({"steps": [{"id": "login", "tool": "login"}]}, tool_of(login))
    assert [{"user": "bob", "password": "[secret]"}] == result.steps["login"].output


def test_elements_conditions_and_answers() -> None:
    """A list with secrets, a condition that fails on one, and an answer that names one tell none."""
    plan = {
        "steps": [
            {"id": "each", "tool": "use", "for_each": "{{inputs.keys}}", "args": {"key": "{{item}}"}},
            {"id": "odd", "tool": "use", "args": {"key": "x"}, "when": "{{inputs.keys[0]}} > 3"},
            {"id": "path", "tool": "use", "for_each": "{{inputs.things}}", "args": {"key": "{{item.part}}"}},
        ],
        "answer": {"key": "{{inputs.keys[0]}}"},
    }
    inputs = {"keys": [SecretStr(KEY), SecretStr("other-secret")], "things": [SecretStr(KEY), {"part": "x"}]}
    result, events = run_with_events(plan, tool_of(lambda key: f"<{key}>", name="use"), inputs=inputs)
    assert ["<[secret inputs.keys]>", "<[secret inputs.keys]>"] == result.steps["each"].output
    assert [] == leaks_of_run(result, events)
    assert "other-secret" not in str(result.to_dict())


def test_a_process_gives_back_no_secret() -> None:
    """Arguments go to the worker process as they are; what comes back is cleaned."""
    plan = {
        "steps": [
            {"id": "gives", "tool": "leak_in_process", "args": {"key": "{{inputs.key}}", "fails": False}},
            {"id": "fails", "tool": "leak_in_process", "args": {"key": "{{inputs.key}}", "fails": True}},
        ]
    }
    result, events = run_in_real_time(plan, leak_in_process, inputs={"key": SecretStr(KEY)})
    assert ("key [secret inputs.key]", []) == (result.steps["gives"].output, leaks_of_run(result, events))


@pytest.mark.parametrize("key", [KEY, "1234"])
def test_a_person_is_not_shown_a_secret(key: str) -> None:
    """The question before an effect, and its event, have marks; even a secret too short to look for is not shown."""
    asked: list[EffectRequest] = []

    class Person:
        asks_before_effects = True

        def said(self, digest: str) -> bool | None:
            return None

        async def approve(self, request: EffectRequest) -> bool:
            asked.append(request)
            return True

        async def answer(self, step_id: str, question: str) -> Any:
            return None

    async def pay(key: SecretStr, note: str) -> str:
        return f"paid {note}"

    events: list[Any] = []
    tools = Toolbox.of([Tool.from_function(pay)])
    plan = Plan.from_json({"steps": [{"id": "pay", "tool": "pay", "args": {"key": key, "note": f"by {key}"}}]})
    redactor = make_redactor({}, None, None, tools)
    clock = VirtualClock()
    emitter = Emitter("r1", clock, (lambda event: events.append(event),), None, redactor=redactor)
    result = clock.run(Run(plan, tools, {}, emitter, RunSettings(clock=clock, hooks=Hooks(person=Person()))).execute())
    assert ("succeeded", "[secret]") == (result.status, asked[0].args["key"])
    if key == KEY:
        assert ("by [secret]", []) == (asked[0].args["note"], leaks_of_run(result, events))


def test_listeners_that_raise_it(caplog: pytest.LogCaptureFixture) -> None:
    """A callback that raises a secret is logged and told without it."""

    def complain(_: Any) -> None:
        raise ValueError(f"no {KEY}")

    result, events = run_with_events(
        PLAN, tool_of(pay_with, name="use"), inputs={"key": SecretStr(KEY)}, on_step_complete=complain
    )
    assert ([], True) == (leaks(caplog.text, *events), "[secret inputs.key]" in caplog.text)
    assert "succeeded" == result.status


def test_a_refused_plan_tells_no_input() -> None:
    """What is wrong with a plan is said without the values of secret inputs, even where they are cut short."""
    plan = {"steps": [{"id": "use", "tool": "use", "args": {"key": "{{inputs.key.part}}"}}]}
    long = KEY + "x" * 100
    with pytest.raises(PlanValidationError, match=r"inputs.key is the text \"\[secret inputs.key\]") as refused:
        run_with_events(plan, tool_of(pay_with, name="use"), inputs={"key": SecretStr(long)})
    assert [] == leaks(refused.value, refused.value.issues)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"secrets": ["1234"]}, "a text of `secrets` is secret and has fewer than 6 characters"),
        ({"secrets": "a long text"}, r"secrets is a list of texts\nhint: secrets=\[KEY\]"),
        ({"secrets": [12345678]}, "secrets holds a value of type int"),
        ({"inputs": {"pin": SecretStr("1234")}}, "input `pin` is secret and has fewer than 6 characters"),
        ({"secrets": [f"secret-{number}" for number in range(300)]}, "one run has more than 256 secrets"),
    ],
)
def test_what_cannot_be_kept_out_is_refused(options: dict[str, Any], message: str) -> None:
    """A secret that nobody could look for ends the call before anything runs."""
    with pytest.raises(UsageError, match=message):
        run_with_events(
            {"steps": [{"id": "use", "tool": "use", "args": {"key": "x"}}]}, tool_of(pay_with, name="use"), **options
        )


# ---- going on ---------------------------------------------------------------------------------------------


def cut_off(tmp_path: Path, **inputs: Any) -> tuple[str, list[str]]:
    """A run that failed in its second step, kept in a journal; what its tools were given."""
    seen: list[str] = []

    def use(key: str) -> str:
        seen.append(key)
        raise ValueError("not now")

    journal = str(tmp_path / "runs.db")
    run_in_real_time(PLAN, tool_of(use), journal=journal, run_id="r1", inputs=inputs)
    return journal, seen


def resumed(journal: str, **options: Any) -> tuple[RunResult, list[str]]:
    """Go on with it."""
    seen: list[str] = []

    def use(key: str) -> str:
        seen.append(key)
        return f"used {key}"

    return asyncio.run(resume_run("r1", [tool_of(use)], journal=journal, **options)), seen


def test_a_secret_input_is_asked_for_again(tmp_path: Path) -> None:
    """A journal cannot hold it: without it the run is refused by name; with it, as plain text too, it goes on."""
    journal, seen = cut_off(tmp_path, key=SecretStr(KEY), city="Oslo")
    assert [KEY] == seen
    message = r"run `r1` needs its secret input `key` again: a journal keeps no secrets\nhint: give it by inputs="
    with pytest.raises(UsageError, match=message):
        resumed(journal)
    result, seen = resumed(journal, inputs={"key": KEY})
    assert ("succeeded", [KEY], "used [secret inputs.key]") == (result.status, seen, result.steps["use"].output)
    assert [] == folder_leaks(tmp_path)


def test_the_value_of_a_variable_is_read_from_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An input that is the value of a variable is kept as the variable's name; when it is gone, it is named."""
    monkeypatch.setenv("SHOP_API_KEY", KEY)
    journal, _ = cut_off(tmp_path, key=KEY)
    monkeypatch.delenv("SHOP_API_KEY")
    with pytest.raises(UsageError, match=r"needs its secret input `key` again: .*\nhint: set `SHOP_API_KEY`"):
        resumed(journal)
    monkeypatch.setenv("SHOP_API_KEY", KEY)
    result, seen = resumed(journal)
    assert ("succeeded", [KEY], "used [secret SHOP_API_KEY]") == (result.status, seen, result.steps["use"].output)
    assert [] == folder_leaks(tmp_path)


def test_a_persons_word_is_kept_without_secrets(tmp_path: Path) -> None:
    """An output that a person gives is like any other."""
    journal, _ = cut_off(tmp_path, key=SecretStr(KEY))
    words = Words.of(outputs={"use": {"done with": KEY}})
    result, seen = resumed(journal, inputs={"key": SecretStr(KEY)}, words=words)
    assert (["[secret inputs.key]"], []) == (list(result.steps["use"].output.values()), seen)
    assert [] == folder_leaks(tmp_path)
