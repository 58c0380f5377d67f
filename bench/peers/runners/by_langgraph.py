"""LangGraph: a `StateGraph` with a node per step, edges for dependencies, and a reducer that merges the values.

Async bodies are awaited by `ainvoke`; sync ones run on the threads of `invoke`. With `durable` a SQLite saver keeps
every superstep and every task's writes before the next begins (`durability="sync"`, the strictest it has).
"""

from __future__ import annotations

import operator
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import START, StateGraph

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync

DURABLE = "durable" in sys.argv


class State(TypedDict):
    """What nodes read, and what they add to."""

    values: Annotated[dict[str, int], operator.or_]


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Add the nodes and the edges, and compile."""
    names = request.names
    builder = StateGraph(State)
    for position, name in enumerate(names):
        builder.add_node(name, _node(request, position))
    for name, needed in zip(names, request.dependencies, strict=True):
        if len(needed) > 1:
            builder.add_edge([names[dependency] for dependency in needed], name)
        else:
            builder.add_edge(names[needed[0]] if needed else START, name)
    async with AsyncExitStack() as stack:
        saver = None
        if DURABLE:
            path = Path(request.folder) / "langgraph.db"
            saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(path)))
            await saver.setup()
        graph = builder.compile(checkpointer=saver)
        config = {"recursion_limit": len(request.levels) + 10, "max_concurrency": None if request.is_async else THREADS}
        threads = count()

        async def run_async() -> list[int]:
            if DURABLE:
                own = {**config, "configurable": {"thread_id": f"run-{next(threads)}"}}
                state = await graph.ainvoke({"values": {}}, own, durability="sync")
            else:
                state = await graph.ainvoke({"values": {}}, config)
            return [state["values"][name] for name in names]

        def run_sync() -> list[int]:
            state = graph.invoke({"values": {}}, config)
            return [state["values"][name] for name in names]

        yield run_async if request.is_async else run_sync


def _node(request: Request, position: int) -> Callable[[State], Any]:
    name, takes_s = request.names[position], request.takes_s[position]
    needed = [request.names[dependency] for dependency in request.dependencies[position]]

    async def node_async(state: State) -> dict[str, Any]:
        values = state["values"]
        return {"values": {name: await work_async(position, [values[n] for n in needed], takes_s)}}

    def node_sync(state: State) -> dict[str, Any]:
        values = state["values"]
        return {"values": {name: work_sync(position, [values[n] for n in needed], takes_s)}}

    return node_async if request.is_async else node_sync


if __name__ == "__main__":
    serve(build, "langgraph")
