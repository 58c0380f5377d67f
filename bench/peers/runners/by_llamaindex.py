"""LlamaIndex Workflows: one typed step that does a node's work, an event for every node that is ready.

A step per node, with an event class each, costs a look at every step for every event; users with a graph in data send
events to one step with as many workers as the graph is wide. Sync bodies go to the loop's default threads.
"""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from workflows import Context, Workflow, step
from workflows.events import Event, StartEvent, StopEvent

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync


class Ready(Event):
    """All that a step waits for is done."""

    position: int


class Progress:
    """What one run knows: the values so far, and who still waits for how many."""

    def __init__(self, request: Request) -> None:
        self.values = [0] * len(request.names)
        self.unmet = [len(needed) for needed in request.dependencies]
        self.open_steps = len(request.names)


class Begin(StartEvent):
    """Starts a run."""


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Declare a workflow as wide as the graph, and check it."""
    dependents, dependencies, takes_s = request.dependents, request.dependencies, request.takes_s
    workers = max(len(level) for level in request.levels) if request.is_async else THREADS
    progress: dict[str, Progress] = {}
    if not request.is_async:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))

    class Graph(Workflow):
        @step
        async def begin(self, context: Context, _event: Begin) -> Ready | None:
            for position, needed in enumerate(dependencies):
                if not needed:
                    context.send_event(Ready(position=position))

        @step(num_workers=workers)
        async def work(self, context: Context, event: Ready) -> Ready | StopEvent | None:
            position, known = event.position, progress["run"]
            given = [known.values[dependency] for dependency in dependencies[position]]
            if request.is_async:
                known.values[position] = await work_async(position, given, takes_s[position])
            else:
                known.values[position] = await asyncio.to_thread(work_sync, position, given, takes_s[position])
            for dependent in dependents[position]:
                known.unmet[dependent] -= 1
                if not known.unmet[dependent]:
                    context.send_event(Ready(position=dependent))
            known.open_steps -= 1
            return None if known.open_steps else StopEvent(result=known.values)

    workflow = Graph(timeout=None)

    async def run() -> list[int]:
        progress["run"] = Progress(request)
        return await workflow.run(start_event=Begin())

    yield run


if __name__ == "__main__":
    serve(build, "llama-index-workflows")
