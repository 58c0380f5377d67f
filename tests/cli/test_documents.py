"""What the commands print when all goes well: documents, events, answers, tables, drawings, help."""

from __future__ import annotations

import json
from typing import Any

TOOLS = ("--tools", "tools.py")
STEPS = (
    {"id": "one", "tool": "add", "args": {"a": "{{inputs.start}}"}},
    {"id": "two", "tool": "add", "args": {"a": "{{one.output}}", "b": 10}, "depends_on": ["one"]},
)


def test_execute_prints_the_answer(command: Any) -> None:
    """Text comes as it is, anything else as JSON; progress and what tools print go to stderr, in plain lines."""
    command.plan(*STEPS, inputs={"start": 1}, answer={"sum": "{{two.output}}", "word": "é"})
    ended = command("execute", "plan.json", *TOOLS, "--input", "start=5")
    assert 0 == ended.code
    assert '{\n  "sum": 16,\n  "word": "é"\n}\n' == ended.stdout
    for line in ("2 steps: try it", "start   one (add)", "adding 5 and 1", "done    two in ", "succeeded: 2 steps"):
        assert line in ended.stderr
    assert "\x1b" not in ended.stderr


def test_execute_document(command: Any) -> None:
    """`--json` prints the run and nothing else, whatever tools print, child processes and imports included."""
    command.plan({"id": "s", "tool": "shout"}, *STEPS, answer="{{two.output}}")
    ended = command("execute", "plan.json", *TOOLS, "--json", "--input", "start=1", "--input", "more=x")
    assert 0 == ended.code
    document = ended.document
    assert (1, "succeeded", 12) == (document["version"], document["status"], document["answer"])
    assert {"run_id", "plan", "steps", "usage", "replans"} <= document.keys()
    assert {"status", "output", "error", "attempts", "latency_ms"} <= document["steps"]["one"].keys()
    assert 1 == ended.stdout.count("\n")
    assert "from a child" in ended.stderr
    assert "kitchen is open" in ended.stderr
    assert "the plan has no input `more`" in ended.stderr


def test_execute_events(command: Any) -> None:
    """`--events` prints every event as one line of JSON, numbered without a gap, the last with the whole run."""
    command.plan(*STEPS, {"id": "bad", "tool": "boom"}, {"id": "again", "tool": "flaky", "args": {"key": "k"}})
    ended = command("execute", "plan.json", *TOOLS, "--events", "--input", "start=1")
    assert 1 == ended.code
    events = ended.events
    assert list(range(1, len(events) + 1)) == [event["seq"] for event in events]
    assert ("run-started", "run-finished") == (events[0]["type"], events[-1]["type"])
    assert {"step-started", "step-succeeded", "step-failed", "step-retrying"} <= {event["type"] for event in events}
    assert {"version", "seq", "run_id", "at", "type", "step_id", "data"} == events[0].keys()
    assert "failed" == events[-1]["data"]["result"]["status"]
    assert "no luck" in ended.stderr


def test_plan_from_stdin_into_a_file(command: Any) -> None:
    """`-` reads the plan from stdin, `--output` writes what would go to stdout, here with a byte order mark before."""
    plan = command.plan(*STEPS, answer="{{two.output}}")
    argv = ("execute", "-", *TOOLS, "--output", "result.json", "--json", "--input", "start=1")
    ended = command(*argv, stdin=b"\xef\xbb\xbf" + plan.read_bytes())
    assert (0, "") == (ended.code, ended.stdout)
    assert 12 == json.loads((command.folder / "result.json").read_text())["answer"]


def test_text_cannot_steer_a_terminal(command: Any) -> None:
    """Control characters in ids, errors and answers are written out; direction overrides and markup do nothing."""
    command.plan(
        {"id": "a", "tool": "boom", "args": {"text": "\x1b[2J[red]gone[/red]\u202e"}},
        {"id": "b", "tool": "echo", "args": {"value": "\x1b[31mred [bold]é\u202e\r\nbell\x07"}},
        goal="\x1b]0;title\x07",
        answer="{{b.output}}",
    )
    ended = command("execute", "plan.json", *TOOLS)
    assert 1 == ended.code
    assert "\\x1b[31mred [bold]é\\u202e\nbell\\x07\n" == ended.stdout
    assert "\x1b" not in ended.stderr
    assert "[red]gone[/red]" in ended.stderr
    ended = command("execute", "plan.json", *TOOLS, "--json")
    assert "\x1b[31mred [bold]é\u202e\r\nbell\x07" == ended.document["answer"]


def test_half_characters_and_narrow_encodings(command: Any) -> None:
    """Half of a surrogate pair from a tool, and a stdout that knows only ASCII, end in order and in JSON."""
    command.plan(
        {"id": "a", "tool": "unspoken"}, {"id": "b", "tool": "echo", "args": {"value": "é"}}, answer="{{b.output}}"
    )
    ended = command("execute", "plan.json", *TOOLS, "--json", env={"PYTHONIOENCODING": "ascii"})
    assert ended.stdout.isascii()
    assert {"a", "b"} == ended.document["steps"].keys()
    assert "Traceback" not in ended.stderr
    ended = command("execute", "plan.json", *TOOLS, env={"PYTHONIOENCODING": "ascii"})
    assert "\\xe9\n" == ended.stdout


def test_validate(command: Any) -> None:
    """All problems at once, each with its place and hint; warnings alone leave the plan valid."""
    command.plan({"id": "a", "tool": "ad"}, {"id": "b", "tool": "echo", "args": {"value": "{{c.output}}"}})
    ended = command("validate", "plan.json", *TOOLS)
    assert 3 == ended.code
    assert ended.stdout.startswith("plan rejected: 2 problems\n  unknown-tool: ")
    assert "    at /steps/0/tool\n    hint: did you mean `add`?\n" in ended.stdout
    ended = command("validate", "plan.json", *TOOLS, "--json")
    assert (3, 1, False) == (ended.code, ended.document["version"], ended.document["valid"])
    assert {"code", "severity", "path", "message", "hint"} == ended.document["issues"][0].keys()
    ended = command("validate", "-", "--json", stdin="nonsense")
    assert (3, False, 1) == (ended.code, ended.document["valid"], len(ended.document["issues"]))
    command.write("warned.json", {"steps": [{"id": "a", "tool": "add", "args": {"a": 1}, "depends_on": []}]})
    ended = command("validate", "warned.json", *TOOLS)
    assert 0 == ended.code
    assert ended.stdout.startswith("plan is valid: 1 step, 1 wave, 1 warning\n  missing-field: ")


def test_invalid_plan_as_document(command: Any) -> None:
    """`execute --json` prints the verdict of a plan that it does not run."""
    command.plan({"id": "a", "tool": "ad"})
    ended = command("execute", "plan.json", *TOOLS, "--json")
    assert (3, False) == (ended.code, ended.document["valid"])
    assert "plan rejected" in ended.stderr


def test_graph(command: Any) -> None:
    """A plan is drawn in three ways, also one that cannot run; what is wrong with it is counted on stderr."""
    command.plan(*STEPS)
    text, mermaid, svg = (command("graph", "plan.json", "--format", name) for name in ("text", "mermaid", "svg"))
    assert [0, 0, 0] == [text.code, mermaid.code, svg.code]
    assert "one" in text.stdout
    assert "flowchart" in mermaid.stdout
    assert svg.stdout.startswith("<svg")
    command.plan({"id": "a", "tool": "add", "depends_on": ["b"]}, {"id": "b", "tool": "add", "depends_on": ["a"]})
    ended = command("graph", "plan.json", "--output", "plan.txt")
    assert (0, "") == (ended.code, ended.stdout)
    assert "the plan has 1 error" in ended.stderr
    assert "circle" in (command.folder / "plan.txt").read_text()


def test_tools(command: Any) -> None:
    """Tools come as a table and as a document; without `--tools` they are those of the analysis."""
    ended = command("tools", *TOOLS)
    assert 0 == ended.code
    for words in ("a: integer", "b?: integer", "read-only", "has effects", "Add two numbers."):
        assert words in ended.stdout
    document = command("tools", "--json").document
    assert 1 == document["version"]
    assert "load_data" in {tool["name"] for tool in document["tools"]}


def test_doctor(command: Any) -> None:
    """It says what is there, and of keys only whether they are set; a broken planloom.toml is a finding, not an end."""
    command.write("planloom.toml", "nonsense = 1")
    ended = command("doctor", "--json", env={"OPENAI_API_KEY": "secret-value"})
    document = ended.document
    assert (0, 1, True) == (ended.code, document["version"], document["ok"])
    assert document["extras"]["analysis"]["installed"]
    assert document["models"]["variables"]["OPENAI_API_KEY"] is True
    assert document["models"]["variables"]["GROQ_API_KEY"] is False
    assert "unknown key `nonsense`" in document["settings"]["problem"]
    assert "secret-value" not in ended.stdout
    ended = command("doctor")
    assert 0 == ended.code
    assert "unknown key `nonsense`" in ended.stdout


def test_help(command: Any) -> None:
    """Help names every command of this version, and none that is to come; it needs no settings that can be read."""
    command.write("planloom.toml", "=")
    ended = command("--help")
    assert 0 == ended.code
    listed = [line.split()[0] for line in ended.stdout.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]
    of_goals = ["run", "plan", "compile", "compare"]
    of_runs = ["runs", "show", "resume", "rerun", "fork", "approve", "deny"]
    assert [*of_goals, "analyse", "validate", "execute", "playbooks", *of_runs, "graph", "tools", "doctor"] == listed
    assert "planloom execute plan.json" in command("execute", "--help").stdout
    assert "planloom 0." in command("--version").stdout
    assert 2 == command().code
