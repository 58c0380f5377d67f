"""Which models a command asks: flags, then variables, then planloom.toml, then the keys that are there."""

from __future__ import annotations

from typing import Any

import click
import pytest

from planloom.cli import options
from planloom.cli.model_options import ChosenModels, chosen_models
from planloom.errors import MissingExtraError, ModelKeyError, UsageError

GROQ = ("groq:llama-3.3-70b-versatile", "groq:llama-3.1-8b-instant")
HERE = "http://127.0.0.1:1/v1"
ELSEWHERE = "https://models.example.com/v1"
BUILT_IN = {"groq": "https://api.groq.com", "openai": "https://api.openai.com/v1"}


def choose(argv: list[str], environ: dict[str, str] | None = None, settings: dict[str, Any] | None = None) -> Any:
    """Parse options as a command does, and choose."""

    @click.command()
    @options.model_option
    @options.worker_model_option
    @options.base_url_option
    @click.pass_context
    def try_models(context: click.Context, **_named: str | None) -> ChosenModels:
        return chosen_models(context, environ or {})

    return try_models.main(argv, "planloom try", standalone_mode=False, default_map=settings)


def shown(models: ChosenModels) -> list[tuple[str, str]]:
    """Name and address of both models."""
    return [tuple(repr(model).removeprefix("<model ").removesuffix(">").split(" at ")) for model in
            (models.planner, models.worker)]  # fmt: skip


REFUSED: list[tuple[list[str], dict[str, str], type[Exception], list[str]]] = [
    (
        [],
        {},
        UsageError,
        [
            "`planloom try` needs a model", "GROQ_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GOOGLE_API_KEY",
            "GEMINI_API_KEY", "MISTRAL_API_KEY", "--model", "PLANLOOM_MODEL", "pip install 'planloom[groq]'",
            "planloom doctor",
        ],
    ),
    ([], {"OPENAI_BASE_URL": HERE}, UsageError, ["OPENAI_BASE_URL is set", "--model openai:NAME"]),
    ([], {"GROQ_API_KEY": ""}, UsageError, ["no key is set"]),
    (["--base-url", HERE], {"GROQ_API_KEY": "k"}, UsageError, ["base URL was given", "--model openai:NAME"]),
    (["--worker-model", "ollama:x"], {}, UsageError, ["`ollama:x`", "no model that plans", "--model"]),
    (["--model", "llama"], {"GROQ_API_KEY": "k"}, UsageError, ["names no provider", "openai:NAME with a base URL"]),
    (["--model", "groq:x"], {"OPENAI_API_KEY": "k"}, ModelKeyError, ["`GROQ_API_KEY` is not set", "planloom[groq]"]),
    (["--model", "openai:x", "--base-url", "nowhere"], {}, UsageError, ["the base URL is not an address"]),
    (["--model", "openai:x", "--base-url", ELSEWHERE], {}, ModelKeyError, ["needs a key", "OPENAI_API_KEY"]),
    (["--worker-model", "openai:x"], {"GROQ_API_KEY": "k"}, ModelKeyError, ["`openai:x`", "OPENAI_API_KEY"]),
]  # fmt: skip


@pytest.mark.parametrize(("argv", "environ", "kind", "words"), REFUSED)
def test_no_model(argv: list[str], environ: dict[str, str], kind: type[Exception], words: list[str]) -> None:
    """What is missing or wrong is said with the variables to set, the options and the extra."""
    with pytest.raises(kind) as raised:
        choose(argv, environ)
    assert isinstance(raised.value, UsageError)
    assert [] == [word for word in words if word not in str(raised.value)], str(raised.value)


def test_missing_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is there and the library is not: the extra is named."""
    monkeypatch.setitem(__import__("sys").modules, "groq", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'planloom\[groq\]'"):
        choose([], {"GROQ_API_KEY": "k"})


KEYS = {"GROQ_API_KEY": "k", "OPENAI_API_KEY": "k"}
CHOSEN: dict[str, tuple[list[str], dict[str, str], list[tuple[str, str]]]] = {
    "by key": ([], {"GROQ_API_KEY": "k"}, [(name, BUILT_IN["groq"]) for name in GROQ]),
    "the small one of the same provider": (
        ["--model", "groq:big"], KEYS, [("groq:big", BUILT_IN["groq"]), (GROQ[1], BUILT_IN["groq"])],
    ),
    "only the worker": (
        ["--worker-model", "groq:tiny"], KEYS, [(GROQ[0], BUILT_IN["groq"]), ("groq:tiny", BUILT_IN["groq"])],
    ),
    "two providers": (
        ["--model", "groq:big", "--worker-model", "openai:tiny"],
        KEYS,
        [("groq:big", BUILT_IN["groq"]), ("openai:tiny", BUILT_IN["openai"])],
    ),
    "a server of one's own has one model": (
        ["--model", "openai:own", "--base-url", HERE], {}, [("openai:own", HERE), ("openai:own", HERE)],
    ),
    "the same by its variable": (
        ["--model", "openai:own"], {"OPENAI_BASE_URL": HERE}, [("openai:own", HERE), ("openai:own", HERE)],
    ),
    "both there": (
        ["--model", "openai:a", "--worker-model", "openai:b", "--base-url", HERE],
        {},
        [("openai:a", HERE), ("openai:b", HERE)],
    ),
    "no small one is known": (
        ["--model", "ollama:q"], {}, [("ollama:q", "http://localhost:11434/v1"), ("ollama:q", "http://localhost:11434/v1")],
    ),
    "the base URL is for the openai one": (
        ["--model", "groq:big", "--worker-model", "openai:own", "--base-url", HERE],
        {"GROQ_API_KEY": "k"},
        [("groq:big", BUILT_IN["groq"]), ("openai:own", HERE)],
    ),
    "or for the planner's provider": (
        ["--model", "groq:big", "--base-url", HERE], {"GROQ_API_KEY": "k"}, [("groq:big", HERE), ("groq:big", HERE)],
    ),
    "an empty base URL is none": (
        ["--model", "groq:big", "--base-url", ""], KEYS, [("groq:big", BUILT_IN["groq"]), (GROQ[1], BUILT_IN["groq"])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOSEN)
def test_which_models(name: str) -> None:
    """Names and addresses of planner and worker; one object when they are the same model."""
    argv, environ, expected = CHOSEN[name]
    models = choose(argv, environ)
    assert expected == shown(models)
    assert (expected[0] == expected[1]) == (models.planner is models.worker)


SETTINGS = {"model": "openai:own", "base_url": HERE}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        ([], [("openai:own", HERE), ("openai:own", HERE)]),
        (["--model", "openai:other"], [("openai:other", HERE), ("openai:other", HERE)]),
        (["--model", "groq:big"], [("groq:big", BUILT_IN["groq"]), (GROQ[1], BUILT_IN["groq"])]),
        (["--model", "groq:big", "--base-url", HERE], [("groq:big", HERE), ("groq:big", HERE)]),
        (["--worker-model", "groq:tiny"], [("openai:own", HERE), ("groq:tiny", BUILT_IN["groq"])]),
    ],
)
def test_an_address_of_the_settings_gets_no_other_providers_key(
    argv: list[str], expected: list[tuple[str, str]]
) -> None:
    """Who tries another provider's model does not send its key to the server that a planloom.toml names."""
    assert expected == shown(choose(argv, KEYS, SETTINGS))


PROBE = """
import sys, types
import click
from planloom.cli import commands, options
from planloom.cli.main import main
from planloom.cli.model_options import chosen_models

@click.command()
@options.model_option
@options.worker_model_option
@options.base_url_option
@click.pass_context
def probe(context, **_named):
    models = chosen_models(context)
    print(models.planner.name, models.worker.name)
    return 0

sys.modules["planloom.cli.probe"] = types.ModuleType("planloom.cli.probe")
sys.modules["planloom.cli.probe"].probe = probe
commands.COMMANDS["probe"] = "Try models."
heavy = {"pydantic_ai", "groq", "openai"} & set(sys.modules)
assert not heavy, heavy
main()
"""


@pytest.fixture
def probe(command: Any) -> Any:
    """A command of the command line, in a process of its own, that prints the names of its models."""
    import sys

    path = command.write("probe_models.py", PROBE)
    return lambda *argv, **more: command("probe", *argv, program=(sys.executable, str(path)), **more)


def test_order_of_sources(probe: Any, command: Any) -> None:
    """Each source goes over the one before it; the worker stands for itself."""
    key = {"GROQ_API_KEY": "canary-7f3a"}
    assert f"{GROQ[0]} {GROQ[1]}\n" == probe(env=key).stdout
    command.write("planloom.toml", 'model = "ollama:file"\n[probe]\nworker-model = "ollama:small"\n')
    assert "ollama:file ollama:small\n" == probe(env=key).stdout
    everywhere = {**key, "PLANLOOM_MODEL": "ollama:variable"}
    assert "ollama:variable ollama:small\n" == probe(env=everywhere).stdout
    own = {**everywhere, "PLANLOOM_PROBE_MODEL": "ollama:own", "PLANLOOM_WORKER_MODEL": "ollama:tiny"}
    assert "ollama:own ollama:tiny\n" == probe(env=own).stdout
    assert "ollama:flag ollama:tiny\n" == probe("--model", "ollama:flag", env=own).stdout
    local = {**key, "PLANLOOM_MODEL": "openai:local", "PLANLOOM_BASE_URL": HERE, "PLANLOOM_WORKER_MODEL": "openai:b"}
    assert "openai:local openai:b\n" == probe(env=local).stdout


@pytest.mark.parametrize(
    ("argv", "env", "words"),
    [
        ((), {}, ["error: `planloom probe` needs a model", "GROQ_API_KEY", "hint: export GROQ_API_KEY=…"]),
        (("--model", "openai:x"), {}, ["`OPENAI_API_KEY` is not set", "planloom[openai]"]),
        ((), {"PLANLOOM_MODEL": "x", "GROQ_API_KEY": "canary-7f3a"}, ["names no provider"]),
        (("--model", "openai:x", "--base-url", "http://me:canary-7f3a@"), {}, ["the base URL is not an address"]),
        (("--base-url", "http://me:canary-7f3a@localhost"), {}, ["a base URL was given"]),
    ],
)
def test_without_a_model_the_exit_code_is_2(argv: Any, env: Any, words: list[str], probe: Any) -> None:
    """One clear message on stderr, nothing on stdout, and no secret anywhere."""
    ended = probe(*argv, env=env)
    assert (2, "") == (ended.code, ended.stdout)
    assert [] == [word for word in words if word not in ended.stderr], ended.stderr
    assert "canary" not in ended.stderr
    assert "Traceback" not in ended.stderr
