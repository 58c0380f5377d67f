"""What is a secret: variables of the environment by their names and as addresses, and values that are marked as such.

Pure look-ups in what is given. Anything with a method `get_secret_value`, as pydantic's `SecretStr`, is marked.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast
from urllib.parse import unquote

from planloom.errors import UsageError
from planloom.plan.redaction import MIN_SECRET_CHARS

NAMED_BY: Final = "PLANLOOM_SECRETS"
"""The variable that names further variables, divided by commas; a name behind a minus is no secret."""
MIN_VARIABLE_CHARS: Final = 8
"""A shorter value of a variable is no secret unless `PLANLOOM_SECRETS` names it."""
MIN_WORD_CHARS: Final = 16
"""So is a shorter value that is nothing but letters, or nothing but digits: `postgres` cannot be told from a word."""
MAX_DEPTH: Final = 4
MAX_VISITED: Final = 2_000
"""Parts of `deps` that are looked at for marked values."""

_SECRET_WORDS: Final = frozenset(
    {"KEY", "KEYS", "TOKEN", "SECRET", "SECRETS", "PASSWORD", "PASSWORDS", "PASSWD", "PASSPHRASE", "PASS", "PWD", "PAT"}
    | {"CREDENTIAL", "CREDENTIALS", "CREDS", "AUTH", "AUTHORIZATION", "BEARER", "COOKIE", "DSN"}
)
_SECRET_ENDS: Final = ("APIKEY", "ACCESSKEY", "PRIVATEKEY", "SECRETKEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD")
_OTHER_ENDS: Final = frozenset(
    {"FILE", "PATH", "DIR", "FOLDER", "SOCK", "SOCKET", "HOME", "URL", "URI", "HOST", "PORT", "USER", "USERNAME"}
    | {"NAME", "TYPE", "METHOD", "MODE", "ENABLED", "TTL", "TIMEOUT", "LENGTH", "SIZE", "ALGORITHM", "ISSUER"}
)
_WORD: Final = re.compile(r"[A-Z]+[a-z]*|[a-z]+")
_LOGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s/@:]{0,1000}:(?P<password>[^\s/@]{1,4000})@")


@functools.lru_cache(4_096)
def is_secret_name(name: str) -> bool:
    """Whether a variable of this name holds a secret.

    One of its words is KEY, TOKEN, SECRET, PASSWORD, AUTH or the like, or ends with such a one (`PGPASSWORD`), and its
    last word is not one that says where something is or what it is like, such as FILE, PATH, SOCK or NAME.
    """
    words = [word.upper() for word in _WORD.findall(name)]
    if not words or words[-1] in _OTHER_ENDS or words == ["PWD"]:
        return False
    return any(word in _SECRET_WORDS or word.endswith(_SECRET_ENDS) for word in words)


def environment_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the secrets of an environment, by their texts, with the names of their variables.

    Those of variables with a secret name, those that `PLANLOOM_SECRETS` names, and passwords in addresses such as
    `postgres://user:PASSWORD@host`. Raises `UsageError` when a variable that is named is too short to be looked for.
    """
    listed = [name.strip() for name in environ.get(NAMED_BY, "").split(",")]
    named, exempt = {name for name in listed if name}, {name[1:].strip() for name in listed if name.startswith("-")}
    found: dict[str, str] = {}
    for name, value in environ.items():
        if len(value) < MIN_SECRET_CHARS or name == NAMED_BY or name in exempt:
            continue
        if "://" in value:
            for login in _LOGIN.finditer(value):
                for password in (login["password"], unquote(login["password"])):
                    if len(password) >= MIN_SECRET_CHARS:
                        found[password] = name
        text = value.strip()
        if name in named or (is_secret_name(name) and _is_telling(text)):
            found[text] = name
    for name in sorted(named):
        if 0 < len(environ.get(name, "")) < MIN_SECRET_CHARS:
            raise UsageError(_too_short(f"the variable `{name}`, which {NAMED_BY} names,"))
    return found


def _is_telling(text: str) -> bool:
    """Whether a value can be told from a word or a number that stands in any text."""
    least = MIN_WORD_CHARS if text.isalpha() or text.isdecimal() else MIN_VARIABLE_CHARS
    return len(text) >= least


def _too_short(what: str) -> str:
    return (
        f"{what} is secret and has fewer than {MIN_SECRET_CHARS} characters, too few to be told from other text\n"
        "hint: give it to the tool by `deps` or a file, and leave it out here"
    )


def checked_secrets(given: Iterable[Any]) -> list[str]:
    """Return the texts of `secrets=[…]`. Raises `UsageError` for what is no text, or too short to be looked for."""
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise UsageError("secrets is a list of texts\nhint: secrets=[KEY]")
    texts: list[str] = []
    for secret in given:
        text = reveal(secret) if is_marked(secret) else secret
        if not isinstance(text, str):
            raise UsageError(f"secrets holds a value of type {type(text).__name__}; each is a text, or a SecretStr")
        check_length(text, "a text of `secrets`")
        texts.append(text)
    return texts


def check_length(text: str, what: str) -> None:
    """Raise `UsageError` for a secret that is too short to be looked for; an empty one is none."""
    if 0 < len(text) < MIN_SECRET_CHARS:
        raise UsageError(_too_short(what))


def is_marked(value: Any) -> bool:
    """Whether a value says of itself that it is a secret."""
    return callable(getattr(cast("Any", type(value)), "get_secret_value", None))


def reveal(value: Any) -> Any:
    """Return what a marked value holds, bytes as text."""
    held = value.get_secret_value()
    return held.decode(errors="backslashreplace") if isinstance(held, bytes) else held


def marked_texts(value: Any) -> list[str]:
    """Return the texts of all marked values in objects, lists, dataclasses, models and plain attributes.

    Looks `MAX_DEPTH` deep and at `MAX_VISITED` parts at most; calls no property and no method but `get_secret_value`.
    """
    texts: list[str] = []
    pending: list[tuple[Any, int]] = [(value, 0)]
    visited = 0
    while pending and visited < MAX_VISITED:
        part, depth = pending.pop()
        visited += 1
        if is_marked(part):
            held = reveal(part)
            texts.append(held if isinstance(held, str) else str(held))
        elif depth < MAX_DEPTH:
            pending += [(inner, depth + 1) for inner in _parts(part)]
    return texts


def _parts(value: Any) -> list[Any]:
    if value is None or isinstance(value, str | bytes | int | float | type):
        return []
    if isinstance(value, dict):
        return list(cast("dict[Any, Any]", value).values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(cast("list[Any]", value))
    if dataclasses.is_dataclass(value):
        return [getattr(value, field.name, None) for field in dataclasses.fields(value)]
    held: Any = getattr(value, "__dict__", None)
    return list(cast("dict[str, Any]", held).values()) if isinstance(held, dict) else []
