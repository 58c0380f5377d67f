"""`ask_person`: a question that only the user can answer. The step waits, and the answer becomes its output.

The tool reaches nobody itself: it raises `AskPerson`, and the engine finds the person or leaves the step waiting.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field

from planloom.errors import ArgumentsError, AskPerson
from planloom.tools import tool

MAX_QUESTION_CHARACTERS: Final = 1_000
MAX_CHOICES: Final = 20
MAX_CHOICE_CHARACTERS: Final = 200
MAX_ASKED_CHARACTERS: Final = 2_000
"""Of question and choices together: the engine passes no more on of what a tool raises."""

Choice = Annotated[str, Field(min_length=1, max_length=MAX_CHOICE_CHARACTERS)]


# asking changes nothing; open_world, because a person is one, keeps a question from being asked for a plan that may
# yet be rejected
@tool(read_only=True, open_world=True, calls_model=False, retries=0, version="1")
async def ask_person(
    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION_CHARACTERS)],
    choices: Annotated[list[Choice], Field(max_length=MAX_CHOICES)] | None = None,
) -> Any:
    """Ask the user what only they can know or decide. The step waits, perhaps for hours; the output is the answer.

    Steps that do not use the answer go on meanwhile. Ask only what no other tool can find out, and never whether an
    effect is allowed: approval is asked for without this tool.

    Args:
        question: One question, clear by itself, because the user sees nothing else. It may hold references.
        choices: The possible answers, if there are few. The user sees them, and may still answer otherwise.
    """
    asked = question.strip()
    if not asked:
        raise ArgumentsError("`ask_person`: `question` holds nothing but blanks\nhint: write one question in full")
    offered = [choice.strip() for choice in choices or () if choice.strip()]
    if offered:
        asked = f"{asked} (one of: {' / '.join(offered)})"
    if len(asked) > MAX_ASKED_CHARACTERS:
        raise ArgumentsError(
            f"`ask_person`: question and choices have {len(asked):,} characters together, "
            f"at most {MAX_ASKED_CHARACTERS:,} can be shown\nhint: shorten the choices"
        )
    raise AskPerson(asked)
