"""How long is a step's closing brace on its way, from the server's socket to the start of that step?

A planner at a loopback server writes its plan at a set rate; each step is read-only and needs nothing, so it may start
in the moment its brace arrives. Server, client library and run share one process. The floor is what wire and client
library take alone: until the piece with the brace comes out of the model. Bounds are on the whole way; a percentile
is that of all steps of all streams, so a busy neighbour shows.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import AsyncIterator
from itertools import chain
from typing import Final

from bench.measure import Row
from planloom import Agent, tool
from planloom.models import Model, ModelReply, ModelRequest, resolve_model
from planloom.testing import ModelServer, Served

TOKENS_PER_S: Final = 500.0
MEDIAN_BOUND_MS: Final = 5.0
LAST_BOUND_MS: Final = 20.0
SIZES: Final = ((5, 20), (20, 9), (200, 5))
"""Steps of a plan, and how often it is streamed."""
_BRACE: Final = '"depends_on": []}'


class _Watched:
    """A model that notes when each piece came out of it."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.name = model.name
        self.pieces: list[tuple[float, str]] = []

    async def complete(self, request: ModelRequest) -> ModelReply:
        return await self.model.complete(request)

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        async for piece in self.model.stream(request):
            if isinstance(piece, str):
                self.pieces.append((time.monotonic(), piece))
            yield piece


def rows(*, tiny: bool = False) -> list[Row]:
    """Measure plans of 5, 20 and 200 steps."""
    sizes, rate = (((5, 2),), 20_000.0) if tiny else (SIZES, TOKENS_PER_S)
    return [row for steps, times in sizes for row in _rows_of(steps, times, rate)]


def _rows_of(steps: int, times: int, tokens_per_s: float) -> list[Row]:
    floor_ms: list[list[float]] = []
    taken_ms: list[list[float]] = []
    text = _plan_text(steps)
    with ModelServer([Served(text, tokens_per_s=tokens_per_s)] * (times + 1)) as server, asyncio.Runner() as runner:
        model = resolve_model("openai:gpt-4o", base_url=server.base_url, api_key="none", environ={})
        for number in range(times + 1):
            watched = _Watched(model)
            started = runner.run(_reach(watched))
            if number == 0:
                continue  # the first call imports the client and connects
            sent, came = _times(server.requests[-1].sent, text), _times(watched.pieces, text)
            floor_ms.append([(there - here) * 1_000 for here, there in zip(sent, came, strict=True)])
            taken_ms.append([(start - here) * 1_000 for here, start in zip(sent, started, strict=True)])
    floors, taken = sorted(chain(*floor_ms)), sorted(chain(*taken_ms))
    note = f"{times} streams at {tokens_per_s:,.0f} tokens/s, at most {taken[-1]:.2f} ms"
    return [
        _row(f"plan of {steps}, {name}", of(floors), of(taken), bound, note)
        for name, of, bound in (("median", statistics.median, MEDIAN_BOUND_MS), ("99 %", _last, LAST_BOUND_MS))
    ]


def _row(what: str, floor_ms: float, taken_ms: float, bound: float, note: str) -> Row:
    return Row(
        question=f"brace on the wire to start of its step, {what}",
        unit="ms",
        floor=floor_ms,
        planloom=taken_ms,
        ratio=taken_ms / floor_ms,
        bound=bound,
        bound_on="value",
        note=note,
    )


async def _reach(model: _Watched) -> list[float]:
    """Reach a goal and return when each step started, in the order of the plan."""
    started: dict[int, float] = {}

    @tool(read_only=True)
    async def note(number: int) -> int:
        """Note the time."""
        started[number] = time.monotonic()
        return number

    result = await Agent([note], model, model).run("measure")
    result.raise_for_status()
    return [started[number] for number in sorted(started)]


def _plan_text(steps: int) -> str:
    written = [
        {"id": f"s{number}", "description": "note", "tool": "note", "args": {"number": number}, "depends_on": []}
        for number in range(steps)
    ]
    return json.dumps({"goal": "measure", "steps": written, "answer": "done"})


def _times(pieces: list[tuple[float, str]], text: str) -> list[float]:
    """Return the time of the piece that holds the closing brace of each step."""
    ends: list[tuple[int, float]] = []
    characters = 0
    for at_s, piece in pieces:
        characters += len(piece)
        ends.append((characters, at_s))
    found: list[float] = []
    piece_number, place = 0, text.find(_BRACE)
    while place >= 0:
        brace = place + len(_BRACE)
        while ends[piece_number][0] < brace:
            piece_number += 1
        found.append(ends[piece_number][1])
        place = text.find(_BRACE, brace)
    return found


def _last(values: list[float]) -> float:
    """Return the 99th percentile, the largest of fewer than a hundred."""
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))]
