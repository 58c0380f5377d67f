"""Secrets are found in every spelling and taken out, once; what is none is left alone."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from planloom.errors import UsageError
from planloom.models.providers import PROVIDERS
from planloom.plan.issues import shorten
from planloom.plan.redaction import MAX_SECRETS, Redactor
from planloom.plan.secret_sources import environment_secrets, is_secret_name

KEY = 'sk-proj-a1b2 c3/d4\nü"5'


def redactor() -> Redactor:
    return Redactor({KEY: "API_KEY", "hunter2": "", "31415926": "PIN_CODE"})


@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        json.dumps(KEY)[1:-1],
        json.dumps(KEY, ensure_ascii=False)[1:-1],
        repr(KEY)[1:-1],
        quote(KEY, safe=""),
        quote(KEY),
        base64.b64encode(KEY.encode()).decode(),
        shorten(KEY),
    ],
)
def test_every_spelling(spelling: str) -> None:
    """A secret is found as it stands in JSON, addresses, headers, a `repr` and a shortened line."""
    assert "a [secret API_KEY] b [secret API_KEY]" == redactor().text(f"a {spelling} b {spelling}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("hunter", "hunter"),
        ("hunter2", "[secret]"),
        ("xhunter2hunter2x", "x[secret][secret]x"),
        ("hunter hunter2", "hunter [secret]"),
        ("sk-proj-a1b2…", "[secret API_KEY]…"),
        ("cut: 'sk-proj-a1b2...", "cut: '[secret API_KEY]..."),
        ("ends in sk-proj-a1b2 c", "ends in [secret API_KEY]"),
        ("sk-proj-…", "sk-proj-…"),
        ("sk-proj-a1b2 and more", "sk-proj-a1b2 and more"),
        ("[secret]", "[secret]"),
        ("[secret API_KEY] hunter2", "[secret API_KEY] [secret]"),
        ("[secret hunter2]", "[secret [secret]]"),
        ("long " * 50 + "hunter2", "long " * 50 + "[secret]"),
    ],
)
def test_texts(text: str, expected: str) -> None:
    """Whole secrets go, beginnings only where a text was cut off, and marks stay marks however often it is cleaned."""
    once = redactor().text(text)
    assert (expected, once) == (once, redactor().text(once))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": [KEY, {"b": "x hunter2"}]}, {"a": ["[secret API_KEY]", {"b": "x [secret]"}]}),
        ({KEY: 1, "[secret API_KEY]": 2}, {"[secret API_KEY]": 1, "[secret API_KEY] 2": 2}),
        ({"n": 31415926, "m": 31415927, "f": 1.5}, {"n": "[secret PIN_CODE]", "m": 31415927, "f": 1.5}),
    ],
)
def test_values(value: Any, expected: Any) -> None:
    """Keys, numbers and whatever is nested are cleaned, and no entry is lost."""
    assert expected == redactor().clean(value)


@pytest.mark.parametrize("value", [None, True, 7, 1.5, "text", [], {}, {"a": [1, {"b": "text"}]}, [["x"] * 100]])
def test_a_value_without_secrets_is_the_same_object(value: Any) -> None:
    """Nothing is copied that needs no change."""
    assert redactor().clean(value) is value


def test_learning() -> None:
    """A secret that is learned is looked for from then on; a short one changes nothing; there is a bound."""
    known = Redactor()
    known.learn("tiny")
    assert ("tiny", False) == (known.text("tiny"), known.has_learned)
    known.learn("a-secret-token")
    assert ("x [secret] y", True) == (known.text("x a-secret-token y"), known.has_learned)
    for number in range(MAX_SECRETS - 1):
        known.learn(f"token-{number:05}")
    with pytest.raises(UsageError, match="more than 256 secrets"):
        known.learn("one-too-many")
    assert "[secret] [secret]" == known.text("token-00000 a-secret-token")
    assert "a-secret-token" not in repr(known)


def test_a_text_that_begins_a_secret_at_every_place() -> None:
    """Only its end, where the secret may have been cut off, is taken out."""
    assert "a" * 45_000 + "b[secret]" == Redactor({"a" * 5_000 + "c": ""}).text("a" * 45_000 + "b" + "a" * 5_000)


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY", "GITHUB_TOKEN", "PGPASSWORD", "MYSQL_PWD", "DB_PASS", "AWS_SECRET_ACCESS_KEY", "apiToken",
        "REDIS_AUTH", *(name for provider in PROVIDERS.values() for name in provider.key_variables),
    ],
)  # fmt: skip
def test_names_of_secrets(name: str) -> None:
    """The usual names, and the key variables of every provider."""
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "PWD", "OLDPWD", "KEYBOARD", "MONKEY", "SSH_AUTH_SOCK", "PGPASSFILE", "TOKEN_FILE", "KEY_PATH", "AUTH_URL",
        "HOME", "MAX_TOKENS", "PASSENGER", "AUTHOR", "SECRET_NAME", "_", "",
    ],
)  # fmt: skip
def test_names_of_other_things(name: str) -> None:
    """Folders, files, addresses and words that only look alike."""
    assert not is_secret_name(name)


def test_the_environment() -> None:
    """Secret names, addresses with a password, named variables and exempt ones; words and short values are none."""
    environ = {
        "API_KEY": "a1b2c3d4",
        "SHORT_KEY": "a1b2c3",
        "POSTGRES_PASSWORD": "postgres",
        "LONG_PASSWORD": "correcthorsebattery",
        "DATABASE_URL": "postgres://bob:pass%2Fw0rd@host/db",
        "PLAIN_URL": "https://example.org/a@b",
        "CITY": "Trondheim",
        "CACHE_KEY": "customer_id",
        "PLANLOOM_SECRETS": "CITY, -CACHE_KEY",
    }
    assert {
        "a1b2c3d4": "API_KEY",
        "correcthorsebattery": "LONG_PASSWORD",
        "pass%2Fw0rd": "DATABASE_URL",
        "pass/w0rd": "DATABASE_URL",
        "Trondheim": "CITY",
    } == environment_secrets(environ)


def test_a_named_variable_that_is_too_short() -> None:
    """Who names a variable is told when nobody could look for its value."""
    with pytest.raises(UsageError, match="the variable `PIN`, which PLANLOOM_SECRETS names, is secret and has fewer"):
        environment_secrets({"PIN": "1234", "PLANLOOM_SECRETS": "PIN"})


@pytest.mark.parametrize("before", ["", ":", "u:", "us:", "user:", "longer-user:"])
def test_inside_longer_base64(before: str) -> None:
    """A password in an HTTP Basic header is found whatever stands in front of it."""
    secret = "correct-horse-battery"
    header = "Basic " + base64.b64encode(f"{before}{secret}".encode()).decode()
    cleaned = Redactor({secret: "PASSWORD"}).clean(header)
    assert "[secret PASSWORD]" in cleaned
