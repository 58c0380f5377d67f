"""Dask: a custom graph, computed by the threaded scheduler, the one for Python functions in one process.

With `distributed`, computed by the distributed scheduler with one worker in this process, which its documentation
recommends on one machine too, and which alone awaits coroutine functions. A worker thread is a slot for those as well.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from dask import threaded
from distributed import Client, LocalCluster

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync

DISTRIBUTED = "distributed" in sys.argv
CLIENTS: list[Client] = []


async def step_async(position: int, values: list[int], takes_s: float) -> int:
    """Work on the worker's event loop."""
    return await work_async(position, values, takes_s)


def step_sync(position: int, values: list[int], takes_s: float) -> int:
    """Work on a worker thread."""
    return work_sync(position, values, takes_s)


@asynccontextmanager
async def session() -> AsyncGenerator[None]:
    """Start the cluster, without its web page."""
    if not DISTRIBUTED:
        yield
        return
    cluster = LocalCluster(n_workers=1, threads_per_worker=THREADS, processes=False, dashboard_address=None)
    with cluster, Client(cluster) as client:
        CLIENTS.append(client)
        yield


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Make the graph as Dask takes it: a dict of calls in which keys stand for their values."""
    step = step_async if request.is_async else step_sync
    names = request.names
    graph = {
        name: (step, position, [names[dependency] for dependency in needed], takes_s)
        for position, (name, needed, takes_s) in enumerate(
            zip(names, request.dependencies, request.takes_s, strict=True)
        )
    }

    def run_threaded() -> list[int]:
        return list(threaded.get(graph, names, num_workers=THREADS))

    def run_distributed() -> list[int]:
        return CLIENTS[0].get(graph, names)

    yield run_distributed if DISTRIBUTED else run_threaded


if __name__ == "__main__":
    serve(build, "distributed" if DISTRIBUTED else "dask", session)
