"""For tests of plans and tools, yours and ours: time that jumps, tools that follow a script, plans in a line.

    clock = VirtualClock()
    search = ScriptedTool("search", [ConnectionError("down"), ["a", "b"]], takes_s=30, read_only=True)
    plan = PlanBuilder("find it").step("s", "search", q="tea").build()
    result = clock.execute(plan, [search.tool])      # takes a minute of virtual time and no real one

Nothing here needs a test framework.
"""

from planloom.testing.clock import DeadlockError, InlineWorkers, VirtualClock, VirtualLoop
from planloom.testing.models import ScriptedModel
from planloom.testing.plans import PlanBuilder, chain, fan, layered
from planloom.testing.server import ModelServer
from planloom.testing.tools import HANG, Call, ScriptedTool
from planloom.testing.wire import ReceivedRequest, Served

__all__ = [
    "HANG",
    "Call",
    "DeadlockError",
    "InlineWorkers",
    "ModelServer",
    "PlanBuilder",
    "ReceivedRequest",
    "ScriptedModel",
    "ScriptedTool",
    "Served",
    "VirtualClock",
    "VirtualLoop",
    "chain",
    "fan",
    "layered",
]
