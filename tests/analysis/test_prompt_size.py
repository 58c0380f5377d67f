"""What a planner is shown of the tools stays small: it is paid for with every question."""

from __future__ import annotations

from typing import Final

from planloom.analysis import toolbox
from planloom.planning.prompts import planner_messages

MAX_TOKENS: Final = 6_000
CHARACTERS_PER_TOKEN: Final = 3.1
"""Of this prompt, measured at 3.14 with the byte pairs of GPT-2 (5,880 tokens for 18,460 characters).

Later models have longer pieces and need fewer tokens; signatures have short ones, hence not the usual 4.
"""


def test_prompt_of_the_whole_toolbox() -> None:
    """Rules and tools together stay under 6,000 tokens, counted at fewer characters a token than was measured."""
    system, _ = planner_messages("Which region sells most?", list(toolbox.values()), {"path": "sales.csv"})
    tokens = len(system) / CHARACTERS_PER_TOKEN
    assert tokens < MAX_TOKENS, f"{len(system):,} characters are about {tokens:,.0f} tokens; shorten a description"
    assert all(f"- {name}(" in system for name in toolbox)
