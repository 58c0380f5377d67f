"""From names to models: providers, keys, addresses, defaults, and what is there and missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from planloom.errors import MissingExtraError, ModelError, ModelKeyError, UsageError
from planloom.models import CallLimits, ModelRequest, default_models, model_status, resolve_model
from planloom.models.providers import PROVIDERS, is_local
from planloom.testing.server import ModelServer
from planloom.testing.wire import Served

KEYS = {
    "groq": "GROQ_API_KEY",
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "google": "GOOGLE_API_KEY",
    "mistral": "MISTRAL_API_KEY",
}


@pytest.mark.parametrize("provider", KEYS)
def test_a_provider_needs_its_key(provider: str) -> None:
    """Without the variable the error names it and the extra, and is a usage error too; with it the model is there."""
    with pytest.raises(ModelKeyError) as caught:
        resolve_model(f"{provider}:some-model", environ={})
    assert isinstance(caught.value, UsageError)
    assert KEYS[provider] in str(caught.value)
    assert f"planloom[{provider}]" in str(caught.value)
    assert f"{provider}:some-model" == resolve_model(f"{provider}:some-model", environ={KEYS[provider]: "k"}).name
    assert f"{provider}:some-model" == resolve_model(f"{provider}:some-model", api_key="k", environ={}).name


def test_ollama_needs_no_key() -> None:
    """A local Ollama is there without a key, at its usual address or the one that is set."""
    assert "<model ollama:llama3.2 at http://localhost:11434/v1>" == repr(resolve_model("ollama:llama3.2", environ={}))
    environ = {"OLLAMA_BASE_URL": "http://box.lan:11434/v1"}
    assert "http://box.lan:11434/v1" in repr(resolve_model("ollama:llama3.2", environ=environ))


def test_a_server_with_the_openai_format() -> None:
    """`openai:NAME` goes where the argument says, else the variable; a local one needs no key, another one does."""
    environ = {"OPENAI_BASE_URL": "http://127.0.0.1:1234/v1"}
    assert "http://127.0.0.1:1234/v1" in repr(resolve_model("openai:any", environ=environ))
    assert "http://gpu:8000/v1" in repr(resolve_model("openai:any", base_url="http://gpu:8000/v1", environ=environ))
    with pytest.raises(ModelKeyError, match=r"at https://models\.example\.com/v1, which is not on this machine"):
        resolve_model("openai:any", base_url="https://models.example.com/v1", environ={})


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://[::1]/v1", True),
        ("http://localhost/v1", True),
        ("http://10.1.2.3/v1", True),
        ("http://192.168.0.9/v1", True),
        ("http://vllm:8000/v1", True),
        ("http://box.local/v1", True),
        ("http://api.internal/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://8.8.8.8/v1", False),
        ("http://localhost.example.com/v1", False),
    ],
)
def test_what_is_local(url: str, expected: bool) -> None:
    """Loopback, private networks and names without a public domain are local."""
    assert expected == is_local(url)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("llama", "names no provider"),
        ("", "names no provider"),
        ("acme:model", "names the unknown provider `acme`"),
        ("groq:", "names no model"),
        ("groq: ", "names no model"),
        (42, "PROVIDER:NAME or has `complete` and `stream`, not int"),
    ],
)
def test_names_that_name_nothing(spec: str, message: str) -> None:
    """A name that cannot be a model says what it should look like."""
    with pytest.raises(UsageError, match=message):
        resolve_model(spec, environ={"GROQ_API_KEY": "k"})


def test_names_with_colons_and_spaces() -> None:
    """Only the first colon separates; case and spaces around do not matter."""
    assert "ollama:qwen3:8b" == resolve_model(" Ollama: qwen3:8b ", environ={}).name


@pytest.mark.parametrize(
    ("spec", "library"), [("groq:x", "groq"), ("ollama:x", "openai"), ("google:x", "google.genai")]
)
def test_a_missing_library_names_the_extra(spec: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the provider's library the error says what to install, before any key is asked for."""
    monkeypatch.setitem(sys.modules, library, None)
    extra = spec.partition(":")[0]
    with pytest.raises(MissingExtraError, match=rf"pip install 'planloom\[{extra}\]'"):
        resolve_model(spec, environ={})


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"GROQ_API_KEY": ""}, None),
        ({"GROQ_API_KEY": "k"}, ("groq:llama-3.3-70b-versatile", "groq:llama-3.1-8b-instant")),
        (
            {"OPENAI_API_KEY": "k", "GROQ_API_KEY": "k"},
            ("groq:llama-3.3-70b-versatile", "groq:llama-3.1-8b-instant"),
        ),
        ({"OPENAI_API_KEY": "k", "MISTRAL_API_KEY": "k"}, ("openai:gpt-6.1-sol", "openai:gpt-6-luna")),
        ({"ANTHROPIC_API_KEY": "k"}, ("anthropic:claude-sonnet-5-5", "anthropic:claude-haiku-5-5")),
        ({"GEMINI_API_KEY": "k"}, ("google:gemini-3.8-flash", "google:gemini-3.5-flash-lite")),
        ({"MISTRAL_API_KEY": "k"}, ("mistral:mistral-large-latest", "mistral:mistral-small-latest")),
        ({"OLLAMA_BASE_URL": "http://localhost"}, None),
    ],
)
def test_defaults(environ: dict[str, str], expected: tuple[str, str] | None) -> None:
    """Groq's Llama models when its key is there, else those of the first provider with a key, else none."""
    assert expected == default_models(environ)


def test_the_status_says_what_is_there_and_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each provider has its library, variable and what to do; defaults are named."""
    monkeypatch.setitem(sys.modules, "mistralai", None)
    status = model_status({"GROQ_API_KEY": "k", "OPENAI_BASE_URL": "http://localhost:1/v1"})
    assert "groq:llama-3.3-70b-versatile" == status.planner_model
    by_name = {provider.provider: provider for provider in status.providers}
    assert list(PROVIDERS) == list(by_name)
    assert (True, "GROQ_API_KEY", "") == (by_name["groq"].is_ready, by_name["groq"].variable, by_name["groq"].missing)
    assert (True, None, "OPENAI_BASE_URL") == (
        by_name["openai"].is_ready,
        by_name["openai"].variable,
        by_name["openai"].base_url_variable,
    )
    assert (False, "export ANTHROPIC_API_KEY=…") == (by_name["anthropic"].is_ready, by_name["anthropic"].missing)
    assert "pip install 'planloom[mistral]' and export MISTRAL_API_KEY=…" == by_name["mistral"].missing
    assert by_name["ollama"].is_ready
    assert status.to_dict()["providers"][0]["ready"] is True


def test_nothing_heavy_is_imported() -> None:
    """The package, and a model that was resolved and not asked, import no provider's library."""
    code = (
        "import sys; from planloom.models import resolve_model; resolve_model('groq:x', api_key='k'); "
        "heavy = {'pydantic_ai', 'pydantic', 'groq', 'openai', 'httpx', 'httpx2', 'genai_prices'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


LIMITS = CallLimits(timeout_s=5, first_token_timeout_s=3, max_tries=2, wait_initial_s=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec", ["anthropic:claude-sonnet-5-5", "google:gemini-3.8-flash", "mistral:mistral-large-latest"]
)
def test_the_libraries_that_speak_another_format(spec: str, asking) -> None:
    """Their clients go to the address, with the key, without tries of their own, and their errors are told as ours."""
    script = [Served.overloaded(), Served.http_error(400, "bad thing"), Served.http_error(401, "bad key")]
    request = ModelRequest.of(
        "hello",
        system="be good",
        temperature=0.1,
        schema={"type": "object", "properties": {"args": {"type": "object"}}},
    )
    with ModelServer(script) as server:
        base_url = server.base_url.removesuffix("/v1")
        model = resolve_model(spec, base_url=base_url, api_key="some-key", environ={}, limits=LIMITS)
        with pytest.raises(ModelError, match=r"rejected the request \(HTTP 400\), after 2 tries: bad thing"):
            asking.complete(model, request)
        with pytest.raises(ModelError, match=r"refused the key \(HTTP 401\)"):
            asking.stream(model, request)
        server.assert_finished()
