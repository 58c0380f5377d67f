"""`planloom doctor` about models: what was found, what is missing, what would be asked, and never a key."""

from __future__ import annotations

from typing import Any

import pytest

CANARY = "canary-7f3a"
GROQ = ("groq:llama-3.3-70b-versatile", "groq:llama-3.1-8b-instant")
LOCAL = "http://127.0.0.1:1/v1"

FOUND: dict[str, tuple[dict[str, str], tuple[str, ...], dict[str, Any]]] = {
    "nothing": ({}, (), {"planner_model": None, "worker_model": None, "chosen_by": None, "ready": ["ollama"]}),
    "an empty key": ({"GROQ_API_KEY": ""}, (), {"planner_model": None, "chosen_by": None, "ready": ["ollama"]}),
    "a key": (
        {"GROQ_API_KEY": CANARY},
        (),
        {"planner_model": GROQ[0], "worker_model": GROQ[1], "chosen_by": "keys", "ready": ["groq", "ollama"]},
    ),
    "an address": (
        {"OPENAI_BASE_URL": f"http://me:{CANARY}@127.0.0.1:1/v1"},
        (),
        {"planner_model": None, "chosen_by": None, "ready": ["openai", "ollama"]},
    ),
    "an address and a model": (
        {"OPENAI_BASE_URL": f"http://me:{CANARY}@127.0.0.1:1/v1"},
        ("--model", "openai:local"),
        {"planner_model": "openai:local", "worker_model": "openai:local", "chosen_by": "options"},
    ),
    "variables": (
        {"PLANLOOM_MODEL": "openai:a", "PLANLOOM_WORKER_MODEL": "openai:b", "PLANLOOM_BASE_URL": LOCAL},
        (),
        {"planner_model": "openai:a", "worker_model": "openai:b", "chosen_by": "options", "ready": ["ollama"]},
    ),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found(name: str, command: Any) -> None:
    """Models and where they come from, each provider's state, of variables only whether they are set."""
    env, argv, expected = FOUND[name]
    ended = command("doctor", "--json", *argv, env=env)
    assert 0 == ended.code
    models = ended.document["models"]
    ready = [provider["provider"] for provider in models["providers"] if provider["ready"]]
    assert expected == {key: {**models, "ready": ready}[key] for key in expected}
    assert {} == models["problems"]
    set_here = {variable for variable, is_set in models["variables"].items() if is_set}
    assert {variable for variable, value in env.items() if value and not variable.startswith("PLANLOOM_")} == set_here
    assert CANARY not in ended.stdout + ended.stderr


PROBLEMS = [
    ({}, ("--model", "groq:x"), "planner", ["`groq:x` needs a key", "GROQ_API_KEY", "pip install 'planloom[groq]'"]),
    ({}, ("--model", "acme:x"), "planner", ["unknown provider `acme`", "hint: "]),
    ({}, ("--worker-model", "ollama:x"), "planner", ["no model that plans", "PLANLOOM_MODEL"]),
    ({}, ("--base-url", LOCAL), "planner", ["a base URL was given", "--model openai:NAME"]),
    ({}, ("--model", "openai:x", "--base-url", f"me:{CANARY}"), "planner", ["the base URL is not an address"]),
    ({"GROQ_API_KEY": CANARY}, ("--worker-model", "openai:x"), "worker", ["needs a key", "OPENAI_API_KEY"]),
]


@pytest.mark.parametrize(("env", "argv", "role", "words"), PROBLEMS)
def test_models_that_cannot_be_asked(
    env: dict[str, str], argv: tuple[str, ...], role: str, words: list[str], command: Any
) -> None:
    """A model that was chosen and cannot be asked is a finding, with what to do; plans without models can be run."""
    ended = command("doctor", "--json", *argv, env=env)
    assert (0, True) == (ended.code, ended.document["ok"])
    problem = ended.document["models"]["problems"][role]
    assert [] == [word for word in words if word not in problem], problem
    assert CANARY not in ended.stdout + ended.stderr


def test_for_people(command: Any) -> None:
    """Each line says what is there or how to get it."""
    ended = command("doctor", env={"GROQ_API_KEY": CANARY, "OPENAI_BASE_URL": LOCAL})
    lines = [line.split() for line in ended.stdout.partition("\nmodels\n")[2].splitlines()]
    assert ["ok", "planner", "model", GROQ[0], "by", "the", "keys", "that", "are", "set"] == lines[0]
    assert ["ok", "worker", "model", GROQ[1]] == lines[1][:4]
    assert ["ok", "groq", "GROQ_API_KEY", "is", "set"] == lines[2]
    assert ["ok", "openai", "OPENAI_BASE_URL", "is", "set"] == lines[3]
    assert ["-", "anthropic"] == lines[4][:2]
    assert "export ANTHROPIC_API_KEY=…" in ended.stdout
    assert CANARY not in ended.stdout + ended.stderr
    ended = command("doctor", env={"OPENAI_BASE_URL": LOCAL})
    assert "planner model         none: no key is set" in ended.stdout
    assert "OPENAI_BASE_URL is set  name a model of it: --model openai:NAME" in ended.stdout
    ended = command("doctor", "--model", "mistral:x")
    assert "missing planner model         the model `mistral:x` needs a key" in ended.stdout
    assert 1 == ended.stdout.count("hint  ")


def test_missing_libraries(command: Any) -> None:
    """The extra to install is named, of the provider whose key is there and of the others."""
    command.write("sitecustomize.py", HIDE_GROQ)
    env = {"PYTHONPATH": str(command.folder), "GROQ_API_KEY": CANARY}
    models = command("doctor", "--json", env=env).document["models"]
    assert [False, False, "pip install 'planloom[groq]'"] == [
        models["providers"][0][key] for key in ("ready", "installed", "missing")
    ]
    assert "needs the optional extra `groq`" in models["problems"]["planner"]
    ended = command("doctor", env=env)
    assert "missing groq                  GROQ_API_KEY is set  pip install 'planloom[groq]'" in ended.stdout


HIDE_GROQ = """
import importlib.util as util
find = util.find_spec
util.find_spec = lambda name, package=None: None if name == "groq" else find(name, package)
"""


def test_models_of_the_settings(command: Any) -> None:
    """A planloom.toml counts here as it does for the commands that ask models; an option goes over it."""
    command.write("planloom.toml", 'model = "ollama:big"\nworker-model = "ollama:small"\n')
    models = command("doctor", "--json").document["models"]
    assert ("ollama:big", "ollama:small", "options") == (
        models["planner_model"], models["worker_model"], models["chosen_by"],
    )  # fmt: skip
    models = command("doctor", "--json", "--model", "ollama:other").document["models"]
    assert ("ollama:other", "ollama:small") == (models["planner_model"], models["worker_model"])
    command.write("planloom.toml", "model = 3\n")
    document = command("doctor", "--json").document
    assert "`model` is text" in document["settings"]["problem"]
    assert document["models"]["planner_model"] is None
