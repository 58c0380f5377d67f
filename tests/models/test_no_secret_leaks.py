"""A key, a password in the base URL and a header never show: not in errors, tracebacks, logs, output or records."""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import logging
import pickle
import traceback
from urllib.parse import quote

import pytest

from planloom.errors import ModelError, PlanloomError
from planloom.models import ModelRequest, default_models, model_status, resolve_model
from planloom.models.secrets import MASK, MAX_DETAIL_CHARACTERS, Redactor, Secret
from planloom.testing.server import ModelServer
from planloom.testing.wire import Served

KEY = "sk-canary-5up3r53cr3t"
PASSWORD = "canary pass/w0rd"
HEADER = "canary-header-value"
LOGIN = base64.b64encode(f"canary-user:{PASSWORD}".encode()).decode()
SPELLINGS = (KEY, PASSWORD, quote(PASSWORD, safe=""), HEADER, LOGIN, "canary")
ECHO = f"your key {KEY}, header {HEADER}, login {LOGIN}, password {PASSWORD} or {quote(PASSWORD, safe='')}: no"

FAULTS = {
    "429": Served.rate_limit(0.01),
    "echo-400": Served.http_error(400, ECHO),
    "echo-401": Served.http_error(401, ECHO),
    "echo-404": Served.http_error(404, ECHO),
    "echo-429": Served.http_error(429, ECHO),
    "echo-500": Served.http_error(500, ECHO),
    "stall": Served.stall(),
    "stall-later": Served.stall("some words", after=1),
    "cut": Served.cut("some words", after=1),
    "malformed": Served.malformed("some words", after=1),
    "malformed-echo": Served(ECHO, fault="malformed", after=0),
    "refusal": Served(refusal_text="no"),
    "empty": Served.empty(),
    "length": Served.length("some"),
}


def leaks(text: str) -> list[str]:
    return [spelling for spelling in SPELLINGS if spelling in text]


def shown(error: BaseException) -> str:
    """Everything that a log, a crash report or a debugger may print of an error, with the locals of our frames."""
    long = traceback.TracebackException.from_exception(error, capture_locals=True)
    ours = [frame for frame in long.stack if "/planloom/" in frame.filename]
    return "\n".join(
        [
            str(error),
            repr(error),
            repr(vars(error)),
            *traceback.format_exception(error),
            *(str(frame.locals) for frame in ours),
            repr(error.__cause__),
            repr(error.__context__),
        ]
    )


@pytest.fixture
def everything_logged():
    """All that is logged anywhere, at DEBUG."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.setLevel(before)
    root.removeHandler(handler)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
@pytest.mark.parametrize("way", ["complete", "stream"])
def test_no_fault_shows_a_secret(asker, fault, way, limits_for_stalls, everything_logged, capfd) -> None:
    """Whatever the provider does, even quote our secrets, none is in the error, its traceback, a log or the output."""
    with ModelServer([fault] * 4) as server:
        url = server.base_url.replace("http://", f"http://canary-user:{quote(PASSWORD, safe='')}@")
        with pytest.raises(ModelError) as caught:
            getattr(asker, way)(
                server, base_url=url, api_key=KEY, headers={"X-Gateway": HEADER}, limits=limits_for_stalls
            )
        records = repr([(request.headers, request.path) for request in server.requests])
    assert caught.value.__context__ is None
    assert [] == leaks(shown(caught.value))
    assert [] == leaks(everything_logged.getvalue())
    assert "planloom" not in everything_logged.getvalue() or asker.spec in everything_logged.getvalue()
    assert [] == leaks(records)
    printed = capfd.readouterr()
    assert ("", "") == (printed.out, printed.err)


def test_a_login_in_the_base_url_is_used_and_not_shown(asker) -> None:
    """User and password of the base URL go out as basic authorization, and the model shows the address without them."""
    seen: list[str] = []

    class Listening(ModelServer):
        def _choose(self, request, headers):
            seen.append(headers["authorization"])
            return super()._choose(request, headers)

    with Listening(["fine"]) as server:
        url = server.base_url.replace("http://", f"http://canary-user:{quote(PASSWORD, safe='')}@")
        model = asker.model(server, base_url=url)
        assert "fine" == asyncio.run(model.complete(ModelRequest.of("hello"))).text
        assert f"<model {asker.spec} at {server.base_url}>" == repr(model)
    assert [f"Basic {LOGIN}"] == seen


def test_a_bad_base_url_is_not_quoted() -> None:
    """The complaint about an address does not repeat it, since it may hold a password."""
    for url in (
        "canary",
        "ftp://canary:canary@host",
        "http://canary@",
        "http://h/?key=canary",
        "http://h:canary/",
        "http://[canary",
    ):
        with pytest.raises(PlanloomError, match="the base URL") as caught:
            resolve_model("openai:x", base_url=url, environ={})
        assert [] == leaks(str(caught.value))


def test_what_is_found_is_named_and_not_shown() -> None:
    """Status and defaults say variables, never their values."""
    environ = {"GROQ_API_KEY": KEY, "OPENAI_BASE_URL": f"http://u:{quote(PASSWORD)}@host"}
    assert [] == leaks(repr((model_status(environ), model_status(environ).to_dict(), default_models(environ))))


def test_a_secret_shows_itself_as_stars() -> None:
    """`str`, `repr` and formats of a secret show stars; it is not pickled; only `reveal` gives it."""
    secret = Secret(KEY)
    assert [MASK] * 3 == [str(secret), repr(secret), f"{secret}"]
    assert KEY == secret.reveal()
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        copy.deepcopy(secret)


def test_the_redactor() -> None:
    """Known secrets go in every spelling, so do texts that look like keys; the rest is one line of bounded length."""
    redactor = Redactor([Secret(KEY), Secret(PASSWORD), None, Secret("")])
    cleaned = redactor.clean(f"a\n {KEY} b {quote(PASSWORD, safe='')} c {base64.b64encode(KEY.encode()).decode()}")
    assert f"a {MASK} b {MASK} c {MASK}" == cleaned
    assert f"got {MASK} and {MASK} too" == redactor.clean("got sk-abcd****wxyz and Bearer abcdefg too")
    assert MAX_DETAIL_CHARACTERS == len(redactor.clean("x" * 10_000))
    assert "" == Redactor([Secret("abc")]).clean("a text with abc in it")


@pytest.mark.parametrize("fault", [Served.rate_limit(0.01), Served.length("some"), Served.http_error(500)])
def test_errors_can_be_pickled(asker, fault) -> None:
    """A model's error crosses a process boundary with all it knows."""
    with ModelServer([fault] * 3) as server, pytest.raises(ModelError) as caught:
        asker.complete(server)
    copied = pickle.loads(pickle.dumps(caught.value))
    assert type(caught.value) is type(copied)
    assert str(caught.value) == str(copied)
    assert vars(caught.value) == vars(copied)
