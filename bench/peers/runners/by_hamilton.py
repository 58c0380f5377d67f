"""Hamilton: a module with one function per step, its parameters named after its dependencies.

Async functions run under the async driver; sync ones under the driver with `FutureAdapter`, its own pool of threads.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from hamilton import ad_hoc_utils, async_driver, base, driver
from hamilton.plugins.h_threadpool import FutureAdapter

from bench.peers.protocol import THREADS, Request, Run, serve, work_async, work_sync

RECURSION_LIMIT = 20_000
"""Its walk over the graph is recursive: a few frames for every step of the longest path."""


@asynccontextmanager
async def build(request: Request) -> AsyncGenerator[Run]:
    """Write the module, load it, let the driver make its graph."""
    sys.setrecursionlimit(RECURSION_LIMIT)
    module = ad_hoc_utils.module_from_source(_source(request))
    module.work_async, module.work_sync = work_async, work_sync
    names = request.names
    if request.is_async:
        builder = async_driver.Builder().with_modules(module).with_adapters(base.DictResult())
        graph = await builder.build()

        async def run_async() -> list[int]:
            found = await graph.execute(names)
            return [found[name] for name in names]

        yield run_async
        return
    adapter = FutureAdapter(max_workers=THREADS)
    graph = driver.Builder().with_modules(module).with_adapters(adapter).build()

    def run_sync() -> list[int]:
        found = graph.execute(names)
        return [found[name] for name in names]

    yield run_sync
    adapter.executor.shutdown()


def _source(request: Request) -> str:
    lines: list[str] = []
    for position, (name, needed) in enumerate(zip(request.names, request.dependencies, strict=True)):
        given = [request.names[dependency] for dependency in needed]
        parameters = ", ".join(f"{dependency}: int" for dependency in given)
        call = f"({position}, [{', '.join(given)}], {request.takes_s[position]!r})"
        if request.is_async:
            lines.append(f"async def {name}({parameters}) -> int:\n    return await work_async{call}\n")
        else:
            lines.append(f"def {name}({parameters}) -> int:\n    return work_sync{call}\n")
    return "\n".join(lines)


if __name__ == "__main__":
    serve(build, "apache-hamilton")
