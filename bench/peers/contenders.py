"""Who takes part: the file that runs, its environment, what it can do, and how it is written in one line.

A `Block` is a set of contenders that are measured in turns, against its own floor and its own Planloom.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.peers.protocol import THREADS

STANDARD = "standard"
PLANLOOM = "planloom"


@dataclass(frozen=True)
class Contender:
    """One row of the tables. `refuses` says why it has no async or no sync bodies."""

    name: str
    title: str
    module: str
    environment: str
    about: str
    arguments: tuple[str, ...] = ()
    refuses: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Block:
    """Contenders that take turns. With `stays` a process lives through all graphs, because it starts a server."""

    name: str
    contenders: tuple[Contender, ...]
    floor: str
    planloom: str
    modes: tuple[str, ...] = ("async", "sync")
    shapes: tuple[str, ...] = ()
    """The first words of the graphs that are run; none: all."""
    stays: bool = False


FLOOR = Contender("floor", "raw asyncio (floor)", "floor", STANDARD, f"a task per step; {THREADS} threads")
OURS = Contender("planloom", "Planloom", "by_planloom", PLANLOOM, f"execute_plan; {THREADS} threads, its own limit")
_NO_ASYNC = ("async", "its threaded scheduler runs no coroutine functions; see Dask distributed")
_TUTORIAL = "levels, gather, to_thread with its default threads"
_LANGGRAPH = f"StateGraph, a node per step, a reducer; ainvoke, or invoke with {THREADS} threads"
_LLAMAINDEX = f"one step, an event per ready node; workers as wide as the graph, or {THREADS} threads"
_HAMILTON = f"a function per step; async driver, or FutureAdapter with {THREADS} threads"
_DISTRIBUTED = f"a custom graph, one worker in the process with {THREADS} threads"
_PREFECT = f"tasks awaited in an async flow, or submitted to {THREADS} threads; ephemeral API server on SQLite"

IN_PROCESS = Block(
    "in process",
    (
        FLOOR,
        OURS,
        Contender("tutorial", "tutorial (levels)", "tutorial", STANDARD, _TUTORIAL),
        Contender(
            "graphlib", "graphlib", "by_graphlib", STANDARD, f"its documented loop, with asyncio or {THREADS} threads"
        ),
        Contender("langgraph", "LangGraph", "by_langgraph", "langgraph", _LANGGRAPH),
        Contender("llamaindex", "LlamaIndex Workflows", "by_llamaindex", "llamaindex", _LLAMAINDEX),
        Contender("hamilton", "Hamilton", "by_hamilton", "hamilton", _HAMILTON),
        Contender(
            "dask",
            "Dask (threads)",
            "by_dask",
            "dask",
            f"a custom graph, threaded scheduler with {THREADS} threads",
            refuses=(_NO_ASYNC,),
        ),
        Contender("dask-distributed", "Dask distributed", "by_dask", "dask", _DISTRIBUTED, ("distributed",)),
    ),
    floor="floor",
    planloom="planloom",
)
DURABLE = Block(
    "durable",
    (
        Contender(
            "floor-durable", "raw asyncio, grouped commits (floor)", "floor", STANDARD,
            "one writer thread, SQLite WAL and FULL", ("durable",),
        ),
        Contender(
            "planloom-durable", "Planloom, journal", "by_planloom", PLANLOOM, "journal= a SQLite file, WAL and FULL",
            ("durable",),
        ),
        Contender(
            "langgraph-durable", "LangGraph, SQLite saver", "by_langgraph", "langgraph",
            'AsyncSqliteSaver (WAL and FULL), durability="sync"', ("durable",),
        ),
        Contender("dbos", "DBOS (levels)", "by_dbos", "dbos", "steps of a workflow on SQLite, levels with gather"),
        Contender("dbos-wait", "DBOS (asyncio_wait)", "by_dbos", "dbos", "the same with asyncio_wait", ("wait",)),
    ),
    floor="floor-durable",
    planloom="planloom-durable",
    modes=("async",),
    shapes=("chain", "layered", "skewed"),
)  # fmt: skip
SERVER = Block(
    "with a server",
    (FLOOR, OURS, Contender("prefect", "Prefect", "by_prefect", "prefect", _PREFECT)),
    floor="floor",
    planloom="planloom",
    stays=True,
)
BLOCKS = (IN_PROCESS, DURABLE, SERVER)
NAMES = tuple(dict.fromkeys(contender.name for block in BLOCKS for contender in block.contenders))
