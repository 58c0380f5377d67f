"""The graphs that everybody runs, by position: dependencies stand before their dependents.

Workflow shapes are real runs collected by WfCommons (WfInstances), their seconds read as milliseconds. They are not
part of the repository: a file of them is named by `--workflows`, and without it these graphs are reported as not run.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path

from bench.peers.protocol import value_of

SEED = 20_250_301
SLEEP_S = 0.01
QUICK_S = 0.01
SLOW_S = 0.1
REACH = 200
"""How far back a step of the random graph may look for its dependencies."""
WORKFLOWS = {
    "wf-pegasus-montage-montage-chameleon-2mass-02d-001": "montage",
    "wf-nextflow-rnaseq-dirt02-001": "rnaseq",
    "wf-pegasus-epigenomics-epigenomics-chameleon-hep-1seq-100k-001": "epigenomics",
    "wf-pegasus-1000genome-1000genome-chameleon-2ch-100k-001": "1000genome",
}
OWN_TIMES = "own times"
NO_OP = "no-op"
SLEEP = "sleep 10 ms"


@dataclass(frozen=True)
class Graph:
    """Who waits for whom, and what each step takes where the graph itself says so."""

    name: str
    about: str
    dependencies: list[list[int]]
    own_times_s: list[float] | None = None

    @property
    def bodies(self) -> tuple[str, ...]:
        """What its steps do: nothing and 10 ms of sleep, or what the graph says."""
        return (OWN_TIMES,) if self.own_times_s else (NO_OP, SLEEP)

    def takes_s(self, body: str) -> list[float]:
        """Return what each step takes with a body."""
        if body == OWN_TIMES:
            assert self.own_times_s is not None
            return self.own_times_s
        return [SLEEP_S if body == SLEEP else 0.0] * len(self.dependencies)

    def critical_path_s(self, body: str) -> float:
        """Return the length of the longest path: no executor can be faster."""
        ends_s: list[float] = []
        for needed, takes_s in zip(self.dependencies, self.takes_s(body), strict=True):
            ends_s.append(takes_s + max((ends_s[dependency] for dependency in needed), default=0.0))
        return max(ends_s)

    def values(self) -> list[int]:
        """Return what every step has to return."""
        found: list[int] = []
        for position, needed in enumerate(self.dependencies):
            found.append(value_of(position, [found[dependency] for dependency in needed]))
        return found


def make_graphs(workflows: Path | None, *, tiny: bool = False) -> tuple[list[Graph], dict[str, str]]:
    """Return the graphs, and those that could not be made with the reason."""
    scale = 20 if tiny else 1
    found = [
        chain(100 // scale),
        wide(1_000 // scale),
        layered(10, 100 // scale),
        random_graph(2_000 // scale),
        skewed(10, 10 if not tiny else 3),
    ]
    if workflows is None or not workflows.exists():
        reason = f"no file of workflows at {workflows}; name one with --workflows"
        return found, dict.fromkeys(WORKFLOWS.values(), reason)
    rows = {row["id"]: row for row in map(json.loads, workflows.read_text(encoding="utf-8").splitlines())}
    missing = {name: f"{key} is not in {workflows.name}" for key, name in WORKFLOWS.items() if key not in rows}
    found += [_workflow(rows[key], name) for key, name in list(WORKFLOWS.items())[: 1 if tiny else None] if key in rows]
    return found, missing


def chain(steps: int) -> Graph:
    """Return steps one after the other."""
    return Graph(
        f"chain {steps}", "one after the other", [[position - 1] if position else [] for position in range(steps)]
    )


def wide(width: int) -> Graph:
    """Return one step, many that need it, one that needs them all."""
    between = list(range(1, width + 1))
    return Graph(f"wide 1-{width}-1", "one, many, one", [[], *[[0] for _ in between], between])


def layered(layers: int, width: int) -> Graph:
    """Return layers in which each step needs two of the layer before."""
    dependencies = [
        [(y - 1) * width + x, (y - 1) * width + (x + 1) % width] if y else []
        for y in range(layers)
        for x in range(width)
    ]
    return Graph(f"layered {layers}x{width}", "each needs two of the layer before", dependencies)


def random_graph(steps: int) -> Graph:
    """Return steps that need up to three of the steps shortly before them, from a fixed seed."""
    generator = random.Random(SEED)
    dependencies: list[list[int]] = []
    for position in range(steps):
        reach = range(max(0, position - REACH), position)
        dependencies.append(sorted(generator.sample(reach, min(len(reach), generator.randint(0, 3)))))
    return Graph(f"random {steps}", f"up to 3 of the {REACH} before, seed {SEED}", dependencies)


def skewed(layers: int, columns: int) -> Graph:
    """Return chains side by side, and their end; one step of each layer takes ten times longer."""
    dependencies = [[(y - 1) * columns + x] if y else [] for y in range(layers) for x in range(columns)]
    takes_s = [SLOW_S if x == y % columns else QUICK_S for y in range(layers) for x in range(columns)]
    last = [(layers - 1) * columns + x for x in range(columns)]
    return Graph(
        f"skewed {layers}x{columns}", "chains, one step of each layer ten times slower", [*dependencies, last],
        [*takes_s, QUICK_S],
    )  # fmt: skip


def _workflow(row: dict, name: str) -> Graph:
    tasks = row["tasks"]
    place = {task[0]: position for position, task in enumerate(_sorted(tasks))}
    ordered = _sorted(tasks)
    dependencies = [sorted({place[parent] for parent in task[2]}) for task in ordered]
    about = f"a run of {row['source_file'].split('/')[0]}'s {name}, s as ms"
    return Graph(f"workflow {name}", about, dependencies, [max(task[3], 0.0) / 1_000 for task in ordered])


def _sorted(tasks: list[list]) -> list[list]:
    """Return the tasks with parents first, otherwise as they were."""
    done: set[int] = set()
    found: list[list] = []
    left = list(tasks)
    while left:
        ready = [task for task in left if all(parent in done for parent in task[2])]
        assert ready, "a workflow with a circle"
        found += ready
        done |= {task[0] for task in ready}
        left = [task for task in left if task[0] not in done]
    return found
