"""A question about data files, as `planloom analyse --ask` was given it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from planloom.analysis.analyst import Analysis
    from planloom.cli.model_options import ChosenModels
    from planloom.plan.budget import Budget


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about the files, which models answer it, and what that may cost."""

    text: str
    models: ChosenModels
    budget: Budget | None
    allow_rows: bool = False
    """Whether the planner may see the first rows of each file."""

    async def ask(self, analysis: Analysis, max_concurrency: int | None, options: Mapping[str, Any]) -> Analysis:
        """Answer the question about files that have been analysed; `options` are those of `ask_about`."""
        from planloom.analysis.question import ask_about  # planning is needed for questions alone

        return await ask_about(
            analysis,
            self.text,
            model=self.models.planner,
            worker_model=self.models.worker,
            budget=self.budget,
            max_concurrency=max_concurrency,
            allow_rows=self.allow_rows,
            **options,
        )
