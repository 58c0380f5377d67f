"""What can be wrong with a plan: the stable codes, and the `Issue` that carries one.

Codes are part of the public contract (docs/issues.md lists them all): add, never rename.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

Severity = Literal["error", "warning"]

IssueCode = Literal[
    "missing-field",
    "wrong-field-type",
    "unknown-field",
    "duplicate-id",
    "invalid-id",
    "unknown-tool",
    "unknown-dependency",
    "self-dependency",
    "cycle",
    "unknown-reference",
    "bad-reference",
    "undeclared-dependency",
    "missing-argument",
    "unknown-argument",
    "argument-type",
    "reference-path",
    "reference-type",
    "placeholder",
    "bad-condition",
    "for-each-not-a-list",
    "conflict",
    "limit",
    "unused-step",
]

ISSUE_CODES: Final[tuple[str, ...]] = get_args(IssueCode)


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong with a plan.

    `path` is a JSON pointer (RFC 6901) into the plan as `Plan.to_dict()` writes it: `/steps/0/args`, also for a
    plan that was given as a bare list. Only where nothing could be read as a plan (`PlanFormatError`) does it
    lead into what was given: `/0/args` for a bare list. `hint` says how to mend it, or is None.
    """

    code: IssueCode
    severity: Severity
    path: str
    message: str
    hint: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the issue as a JSON object."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "message": self.message,
            "hint": self.hint,
        }

    def render(self, indent: str = "  ") -> str:
        """Return two or three lines for a person: what, where, how to mend."""
        lines = [f"{indent}{self.code}: {self.message}", f"{indent}  at {printable(self.path) or '/'}"]
        if self.hint:
            lines.append(f"{indent}  hint: {self.hint}")
        return "\n".join(lines)


def pointer(*segments: str | int) -> str:
    """Return the JSON pointer made of `segments`, escaped as RFC 6901 says."""
    return "".join(f"/{str(segment).replace('~', '~0').replace('/', '~1')}" for segment in segments)


def split_hint(message: str) -> tuple[str, str]:
    """Return what an error says, and its hint without the word, or an empty text; also when it was put on one line."""
    reason, mark, hint = message.partition("\nhint: ")
    if not mark:
        reason, _, hint = message.partition(" hint: ")
    return reason, hint


def has_errors(issues: Iterable[Issue]) -> bool:
    """Return whether at least one issue is an error, not only a warning."""
    return any(issue.severity == "error" for issue in issues)


def shorten(text: str, limit: int = 80) -> str:
    """Return `text` on one line and at most `limit` characters long, with an ellipsis where it was cut."""
    flat = printable(text[: limit * 4].replace("\n", " ").replace("\r", " "))
    return flat if len(flat) <= limit and len(text) <= limit * 4 else flat[: limit - 1] + "…"


def with_article(noun: str) -> str:
    """Return "a list", "an int"."""
    return f"{'an' if noun[:1] in 'aeiouAEIO' else 'a'} {noun}"


def printable(text: str) -> str:
    """Return `text` with escapes for what would change a terminal or has no UTF-8: controls, half surrogates."""
    if text.isprintable():
        return text
    return "".join([letter if letter.isprintable() or letter == "\u00a0" else _escape(letter) for letter in text])


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
