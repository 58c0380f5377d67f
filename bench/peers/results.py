"""What was measured, as it is kept in bench/results/peers.json, and the figures made of it: medians and paired ratios.

A pair is what a contender took, beside the floor and Planloom in the same turn: ratios are medians over pairs.
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.measure import spread_of

VERSION = 1


@dataclass
class Turn:
    """One contender's turn on one cell: seconds to build, of each run, and the medians of its partners' runs."""

    build_s: float
    run_s: list[float]
    floor_s: float | None = None
    planloom_s: float | None = None

    @property
    def median_s(self) -> float:
        """The median of the runs."""
        return statistics.median(self.run_s)


@dataclass
class Cell:
    """One contender on one graph with one body. `note` says what is special, `not_run` why there are no turns."""

    block: str
    contender: str
    graph: str
    body: str
    mode: str
    steps: int
    critical_path_s: float
    turns: list[Turn] = field(default_factory=list)
    checked: int = 0
    """Values that were compared with what they have to be, over all runs; a wrong one is an error of the cell."""
    own_mb: float = 0.0
    children_mb: float = 0.0
    note: str = ""
    not_run: str = ""

    @property
    def run_s(self) -> float:
        """The median over turns of a run."""
        return statistics.median(turn.median_s for turn in self.turns)

    @property
    def build_s(self) -> float:
        """The median over turns of building the graph."""
        return statistics.median(turn.build_s for turn in self.turns)

    @property
    def step_us(self) -> float:
        """Microseconds per step of a run."""
        return self.run_s / self.steps * 1e6

    def ratio_to(self, partner: str) -> tuple[float, float, float] | None:
        """Return the median of the paired ratios to `floor` or `planloom`, with the 10th and 90th percentile."""
        ratios = [
            turn.median_s / partner_s
            for turn in self.turns
            if (partner_s := turn.floor_s if partner == "floor" else turn.planloom_s)
        ]
        return (statistics.median(ratios), *spread_of(ratios)) if ratios else None

    def document(self) -> dict[str, Any]:
        """Return what peers.json holds: every run's figures, and what was made of them."""
        found = asdict(self)
        if self.turns:
            found |= {"median_run_s": self.run_s, "median_build_s": self.build_s, "step_us": self.step_us}
            found |= {"ratio_to_floor": self.ratio_to("floor"), "ratio_to_planloom": self.ratio_to("planloom")}
        return found


def cell_of(document: dict[str, Any]) -> Cell:
    """Return a cell as `Cell.document` wrote it."""
    kept = {name: value for name, value in document.items() if name in Cell.__dataclass_fields__}
    return Cell(**{**kept, "turns": [Turn(**turn) for turn in document["turns"]]})
