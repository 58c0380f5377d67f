"""Who is asked what, when: every cell in rounds, in each of which every contender has its turn, the floor before it.

Processes of a block live for one graph, so that peak memory is that graph's. A contender leaves a cell when it has used
its seconds, a graph when a run took too long, and the benchmark when it fails to start; each is written down.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.peers.contenders import Block, Contender
from bench.peers.graphs import Graph
from bench.peers.processes import ContenderError, ContenderProcess
from bench.peers.protocol import digest_of
from bench.peers.results import Cell, Turn

_ROUND_S = 0.05
"""A turn repeats a short run for about this long."""
_MOST_REPEATS = 15
_WARM_UP_BELOW_S = 0.5
"""The first run of a cell is a warm-up and not kept, unless it takes longer: then it hardly matters, and costs."""
_FEW_TURNS = 3
_CHEAP_TURN_S = 1.5
"""A contender that has used its seconds still takes a few turns, unless each takes longer than this."""
_LONG_FLOOR_S = 0.1
"""A floor that takes longer is measured once per round, not before every contender."""
_ANSWER_LIMIT_S = 300.0


@dataclass(frozen=True)
class Effort:
    """How much is measured. Seconds are a contender's own, per cell."""

    rounds: int = 5
    budget_s: float = 1.0
    slow_s: float = 20.0
    """A run that takes longer is not repeated, and its contender does no other body on that graph."""
    too_slow_s: float = 45.0
    """A run that would take longer, by what a step took on other graphs, is not begun."""
    hurry_after_s: float = 1_500.0
    """From then on every cell gets one round, so that a busy machine does not keep anybody for an hour."""


@dataclass
class Bench:
    """One run of the benchmark: what it is made of, and what it found."""

    cache: Path
    effort: Effort
    say: Callable[[str], None]
    cells: list[Cell] = field(default_factory=list)
    broken: dict[str, str] = field(default_factory=dict)
    """Contenders that are out of it, with the reason."""
    began: float = field(default_factory=time.monotonic)
    reported: dict[str, str] = field(default_factory=dict)
    """The version that each contender's process reported."""
    keep: Callable[[], None] = lambda: None
    """Called after every graph of a block, when `cells` is worth keeping."""

    def run(self, blocks: Iterable[Block], graphs: list[Graph], wanted: set[str]) -> None:
        """Measure all blocks on all graphs."""
        (self.cache / "scratch").mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=self.cache / "scratch"))
        try:
            for block in blocks:
                partners = {block.floor, block.planloom}
                contenders = [c for c in block.contenders if c.name in wanted | partners]
                if not {c.name for c in contenders} & wanted - (partners if block.stays else set()):
                    continue
                done = {cell.graph for cell in self.cells if cell.block == block.name}
                mine = [g for g in graphs if not block.shapes or g.name.split()[0] in block.shapes]
                mine = [g for g in mine if g.name not in done]
                for part in [mine] * bool(mine) if block.stays else [[graph] for graph in mine]:
                    self._run_block(block, contenders, part, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _run_block(self, block: Block, contenders: list[Contender], graphs: list[Graph], scratch: Path) -> None:
        live: dict[str, ContenderProcess] = {}
        try:
            for contender in contenders:
                if contender.name not in self.broken:
                    live[contender.name] = ContenderProcess(contender, self.cache, scratch)
            for contender in contenders:
                if process := live.get(contender.name):
                    try:
                        process.wait_until_ready()
                        self.reported[contender.name] = process.hello["version"]
                    except ContenderError as error:
                        self._broke(contender.name, f"did not start: {error}", live)
            for graph in graphs:
                self.say(f"{block.name}: {graph.name}")
                for mode in block.modes:
                    for body in graph.bodies:
                        turns = _Turns(self, block, graph, body, mode, contenders, live, scratch)
                        self.cells += turns.take()
                self.keep()
        finally:
            for process in live.values():
                process.end()

    def _broke(self, name: str, reason: str, live: dict[str, ContenderProcess]) -> None:
        self.broken[name] = reason
        with suppress(KeyError):
            live.pop(name).end()


class _Turns:
    """The rounds of one cell for all contenders of a block."""

    def __init__(
        self,
        bench: Bench,
        block: Block,
        graph: Graph,
        body: str,
        mode: str,
        contenders: list[Contender],
        live: dict[str, ContenderProcess],
        scratch: Path,
    ) -> None:
        self.bench, self.block, self.graph, self.body, self.mode = bench, block, graph, body, mode
        self.contenders, self.live, self.scratch = contenders, live, scratch
        self.digest = digest_of(graph.values())
        steps, shortest_s = len(graph.dependencies), graph.critical_path_s(body)
        self.cells = {c.name: Cell(block.name, c.name, graph.name, body, mode, steps, shortest_s) for c in contenders}
        self.used_s = dict.fromkeys(self.cells, 0.0)
        self.last_s: dict[str, float] = {}

    def take(self) -> list[Cell]:
        """Take the turns; return a cell for every contender, with its turns or with the reason for none."""
        for contender in self.contenders:
            self.cells[contender.name].not_run = self._reason_against(contender)
        is_late = time.monotonic() - self.bench.began > self.bench.effort.hurry_after_s
        for number in range(1 if is_late else self.bench.effort.rounds):
            if number and not any(self._goes_on(contender.name) for contender in self.contenders):
                break
            floor_s = self._partner_s(self.block.floor)
            planloom_s = self._partner_s(self.block.planloom)
            for contender in self.contenders:
                name = contender.name
                if name in (self.block.floor, self.block.planloom):
                    turns = self.cells[name].turns
                    if turns and turns[-1].floor_s is None:
                        turns[-1].floor_s, turns[-1].planloom_s = floor_s, planloom_s
                    continue
                if (number and not self._goes_on(name)) or self.cells[name].not_run:
                    continue
                if floor_s is not None and floor_s < _LONG_FLOOR_S:
                    floor_s = self._turn(self.block.floor, keeps=False)
                if (taken_s := self._turn(name)) is not None:
                    self.cells[name].turns[-1].floor_s = floor_s
                    self.cells[name].turns[-1].planloom_s = planloom_s
                    self._weigh(name, taken_s)
        if is_late and self.bench.effort.rounds > 1:
            for cell in self.cells.values():
                cell.note = cell.note or ("one round: the benchmark was late" if cell.turns else "")
        return list(self.cells.values())

    def _goes_on(self, name: str) -> bool:
        """Whether a contender takes one more turn: it has seconds left, or too few turns that do not cost much."""
        cell = self.cells[name]
        if cell.not_run or not cell.turns or self.used_s[name] < self.bench.effort.budget_s:
            return not cell.not_run
        return len(cell.turns) < _FEW_TURNS and cell.turns[-1].build_s + cell.turns[-1].median_s < _CHEAP_TURN_S

    def _partner_s(self, name: str) -> float | None:
        return None if name not in self.cells or self.cells[name].not_run else self._turn(name)

    def _reason_against(self, contender: Contender) -> str:
        """Say why a contender does not run this cell at all; empty when it does."""
        if reason := self.bench.broken.get(contender.name):
            return reason
        if reason := dict(contender.refuses).get(self.mode):
            return reason
        effort, steps = self.bench.effort, len(self.graph.dependencies)
        before = [cell for cell in self.bench.cells if cell.contender == contender.name and cell.turns]
        before = [cell for cell in before if cell.block == self.block.name]
        for cell in before:
            if cell.graph == self.graph.name and cell.run_s > effort.slow_s:
                return f"its first body on this graph took {cell.run_s:.0f} s (more than {effort.slow_s:.0f} s)"
        # a chain says what a step costs that waits for the one before, which says nothing of those side by side
        before = [cell for cell in before if not cell.graph.startswith("chain")]
        if before and contender.name not in (self.block.floor, self.block.planloom):
            overhead_s = min((cell.run_s - cell.critical_path_s) / cell.steps for cell in before)
            expected_s = overhead_s * steps
            if expected_s > effort.too_slow_s:
                return (
                    f"at {overhead_s * 1e3:.0f} ms a step, as measured on smaller graphs, about {expected_s:.0f} s "
                    f"(more than {effort.too_slow_s:.0f} s)"
                )
        return ""

    def _turn(self, name: str, *, keeps: bool = True) -> float | None:
        """Ask a contender once; return the median of its runs, None when it failed, which its cell then says."""
        cell, process = self.cells[name], self.live.get(name)
        if process is None:
            cell.not_run = self.bench.broken.get(name, "its process has ended")
            return None
        last_s = self.last_s.get(name)
        repeats = 1 if last_s is None else max(1, min(_MOST_REPEATS, int(_ROUND_S / max(last_s, 1e-6))))
        folder = Path(tempfile.mkdtemp(dir=self.scratch))
        request = {
            "names": [f"s{position}" for position in range(cell.steps)],
            "dependencies": self.graph.dependencies,
            "takes_s": self.graph.takes_s(self.body),
            "is_async": self.mode == "async",
            "repeats": repeats,
            "slow_s": self.bench.effort.slow_s,
            "folder": str(folder),
        }
        try:
            answer = process.ask(request, _ANSWER_LIMIT_S)
            wrong = sum(digest != self.digest for digest in answer["digests"])
            if wrong:
                raise ContenderError(f"wrong values in {wrong} of {len(answer['digests'])} runs")
        except ContenderError as error:
            cell.not_run, cell.turns = f"failed: {error}", []
            if str(error).startswith(("no answer", "its process", "ended before")):
                self.bench._broke(name, f"{error}, on {self.graph.name}", self.live)
            return None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        turn = Turn(answer["build_s"], answer["run_s"])
        self.last_s[name] = turn.median_s
        if last_s is None and turn.median_s < _WARM_UP_BELOW_S:
            return self._turn(name, keeps=keeps)
        self.used_s[name] += turn.build_s + sum(turn.run_s)
        cell.checked += cell.steps * len(turn.run_s)
        cell.own_mb, cell.children_mb = answer["own_mb"], answer["children_mb"]
        if keeps:
            cell.turns.append(turn)
        return turn.median_s

    def _weigh(self, name: str, taken_s: float) -> None:
        if taken_s > self.bench.effort.slow_s:
            self.cells[name].note = f"one repeat: a run took more than {self.bench.effort.slow_s:.0f} s"
