"""A plan read for drawing: clean text, edges, waves. Every plan has an outline, however broken it is.

Steps that wait for each other in a circle, and all that wait for those, stand in waves of their own after the
rest. Steps are known by their position in the plan, so two steps with one id stay two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from planloom.drawing.words import NO_ID, clean, count, name_some
from planloom.plan.graph import graph_of

if TYPE_CHECKING:
    from planloom.plan.model import Plan, Step

MAX_ID_CHARS: Final = 80
MAX_DESCRIBED_STEPS: Final = 60
"""Steps told one by one in a text alternative."""
MAX_UNKNOWN_NAMED: Final = 5
"""Unknown dependencies named per step."""

STATUSES: Final = (
    "succeeded",
    "running",
    "ready",
    "pending",
    "waiting",
    "held",
    "unknown",
    "failed",
    "skipped",
    "cancelled",
)


@dataclass(frozen=True, slots=True)
class DrawnStep:
    """What a drawing says about one step; all text is clean and on one line, "" where there is none."""

    key: str
    """The id as written, to look the step up with; never drawn."""
    id: str
    tool: str
    description: str
    when: str
    for_each: str
    unknown: tuple[str, ...]
    """Ids in `depends_on` or in references that no step has."""
    is_duplicate: bool
    """Whether an earlier step has the same id; steps without one share none."""

    @property
    def notes(self) -> list[str]:
        """What is special about the step, one phrase each."""
        notes: list[str] = []
        if self.when:
            notes.append(f"when {self.when}")
        if self.for_each:
            notes.append(f"for each {self.for_each}")
        if self.is_duplicate:
            notes.append("duplicate id")
        if self.unknown:
            notes.append("waits for unknown " + ", ".join(self.unknown))
        return notes


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` waits for `source` (positions)."""

    source: int
    target: int
    carries_data: bool
    """Whether the target uses the source's output, status or error, or only waits for it."""
    in_circle: bool
    """Whether both ends wait for each other, so that neither can ever start."""
    is_backward: bool
    """Whether the source does not stand in an earlier wave; true for one edge at least of every circle."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A plan for drawing."""

    goal: str
    steps: tuple[DrawnStep, ...]
    edges: tuple[Edge, ...]
    waves: tuple[tuple[int, ...], ...]
    blocked_from: int
    """The first wave that can never start because of a circle; `len(waves)` when there is none."""
    longest_chain: tuple[int, ...]
    """Positions along one longest chain of steps that can run."""

    @property
    def is_blocked(self) -> bool:
        """Whether some steps wait for each other in a circle."""
        return self.blocked_from < len(self.waves)


def outline_of(plan: Plan) -> Outline:
    """Return the outline of any plan, valid or not, in time linear in its steps and dependencies."""
    graph = graph_of(plan)
    dependencies, dependents = graph.dependencies, graph.dependents
    waves = graph.waves()
    blocked_from = len(waves)
    wave_of = [-1] * len(dependencies)
    for number, wave in enumerate(waves):
        for position in wave:
            wave_of[position] = number
    blocked = [position for position, wave in enumerate(wave_of) if wave < 0]
    circle_of = _circles(blocked, dependents)
    if blocked:
        waves += _blocked_waves(blocked, dependents, wave_of, blocked_from)
    edges: list[Edge] = []
    for target, sources in enumerate(dependencies):
        referenced = frozenset(graph.referenced[target])
        for source in sources:
            in_circle = circle_of.get(source, -1) == circle_of.get(target, -2)
            edges.append(Edge(source, target, source in referenced, in_circle, wave_of[source] >= wave_of[target]))
    return Outline(
        goal=clean(plan.goal),
        steps=tuple(_drawn_steps(plan.steps, graph.index)),
        edges=tuple(edges),
        waves=tuple(map(tuple, waves)),
        blocked_from=blocked_from,
        longest_chain=tuple(_longest_chain(waves[:blocked_from], dependencies, wave_of)),
    )


def status_of(statuses: Mapping[str, str], step: DrawnStep) -> str:
    """Return the step's state; one that is missing or no state of Planloom's counts as pending."""
    status = str(statuses.get(step.key, "pending"))
    return status if status in STATUSES else "pending"


def _drawn_steps(steps: Sequence[Step], index: Mapping[str, int]) -> list[DrawnStep]:
    drawn: list[DrawnStep] = []
    seen: set[str] = set()
    for step in steps:
        step_id, tool = clean(step.id, MAX_ID_CHARS), clean(step.tool, MAX_ID_CHARS)
        description = clean(step.description)
        needed = dict.fromkeys((*step.depends_on, *step.wiring().step_ids))
        unknown = [name for name in needed if name not in index]
        named = [clean(name, MAX_ID_CHARS) for name in unknown[:MAX_UNKNOWN_NAMED]]
        if len(unknown) > len(named):
            named.append(f"{len(unknown) - len(named)} more")
        drawn.append(
            DrawnStep(
                key=step.id,
                id=step_id,
                tool=tool,
                description="" if description in (tool, step_id) else description,
                when=clean(step.when),
                for_each=_elements(step.for_each),
                unknown=tuple(named),
                is_duplicate=bool(step.id) and step.id in seen,
            )
        )
        seen.add(step.id)
    return drawn


def _elements(for_each: object) -> str:
    if isinstance(for_each, list | tuple):
        size = len(for_each)  # pyright: ignore[reportUnknownArgumentType]
        return "of 1 element" if size == 1 else f"of {size:,} elements"
    return clean(for_each)


def _longest_chain(waves: list[list[int]], dependencies: Sequence[Sequence[int]], wave_of: list[int]) -> list[int]:
    if not waves:
        return []
    chain = [waves[-1][0]]
    for number in range(len(waves) - 2, -1, -1):
        chain.append(next(source for source in dependencies[chain[-1]] if wave_of[source] == number))
    return chain[::-1]


def _finish_order(blocked: list[int], dependents: Sequence[Sequence[int]]) -> list[int]:
    """Positions in the order in which a depth-first walk leaves them."""
    inside, seen = set(blocked), set[int]()
    finished: list[int] = []
    for root in blocked:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(dependents[root]))]
        while stack:
            position, rest = stack[-1]
            for following in rest:
                if following in inside and following not in seen:
                    seen.add(following)
                    stack.append((following, iter(dependents[following])))
                    break
            else:
                finished.append(position)
                stack.pop()
    return finished


def _circles(blocked: list[int], dependents: Sequence[Sequence[int]]) -> dict[int, int]:
    """Give every step of a circle the number of its circle (Kosaraju: walk the reversed edges)."""
    inside = set(blocked)
    sources: dict[int, list[int]] = {position: [] for position in blocked}
    for position in blocked:
        for target in dependents[position]:
            if target in inside:
                sources[target].append(position)
    circle_of: dict[int, int] = {}
    for number, root in enumerate(reversed(_finish_order(blocked, dependents))):
        pending = [root] if root not in circle_of else []
        while pending:
            position = pending.pop()
            if position not in circle_of:
                circle_of[position] = number
                pending.extend(source for source in sources[position] if source not in circle_of)
    return circle_of


def _blocked_waves(
    blocked: list[int], dependents: Sequence[Sequence[int]], wave_of: list[int], first: int
) -> list[list[int]]:
    """Put the blocked steps into waves, as if the edges that close a circle were not there; fills `wave_of`."""
    order = _finish_order(blocked, dependents)[::-1]
    rank = {position: number for number, position in enumerate(order)}
    for position in order:
        wave_of[position] = max(wave_of[position], first)
        for target in dependents[position]:
            if rank[target] > rank[position]:
                wave_of[target] = max(wave_of[target], wave_of[position] + 1)
    waves: list[list[int]] = [[] for _ in range(max(wave_of) - first + 1)]
    for position in blocked:
        waves[wave_of[position] - first].append(position)
    return waves


def facts(outline: Outline) -> str:
    """Return the plan's size in a few words: steps, waves, longest chain."""
    said = [count(len(outline.steps), "step"), count(outline.blocked_from, "wave")]
    if len(outline.longest_chain) > 1:
        said.append(f"longest chain {count(len(outline.longest_chain), 'step')}")
    if outline.is_blocked:
        blocked = sum(map(len, outline.waves[outline.blocked_from :]))
        said.append(f"{count(blocked, 'step')} can never start")
    return " · ".join(said)


def describe(outline: Outline, statuses: Sequence[str] | None) -> str:
    """Return a drawing's text alternative: every step and what it waits for, up to `MAX_DESCRIBED_STEPS`."""
    sentences = [facts(outline) + "."]
    told = [position for wave in outline.waves for position in wave][:MAX_DESCRIBED_STEPS]
    sources: dict[int, list[str]] = {position: [] for position in told}
    for edge in outline.edges:
        if edge.target in sources:
            sources[edge.target].append(outline.steps[edge.source].id)
    for position in told:
        step = outline.steps[position]
        state = f" ({statuses[position]})" if statuses is not None else ""
        waits = f", after {name_some(sources[position])}" if sources[position] else ""
        sentences.append(f"{step.id or NO_ID}{state}: {step.tool}{waits}.")
    if len(outline.steps) > len(told):
        sentences.append(f"And {count(len(outline.steps) - len(told), 'more step')}.")
    return " ".join(sentences)
