"""Planloom: a goal becomes a validated graph of tool calls that runs at the speed of its critical path.

The map of the code; imports point one way, to the left:

    errors, plan (pure) <- tools, models, drawing, journal <- engine, standard <- planning <- agent <- analysis <- cli

    errors     every exception, as a tree
    plan       the plan and its references, graph, issues, validation, run state, events, schedule
    tools      functions a plan can call: schemas, facts, toolboxes, loading
    models     language models behind one small protocol (an extra per provider)
    standard   tools for every day: calculate, select, files, web pages, a question to the worker model
    journal    what a run records, so that it can go on after a crash: in memory, SQLite, PostgreSQL
    engine     runs plans: tasks, threads, processes, timers, events to listeners
    planning   a goal becomes a valid plan: prompts, reading what models write, mending
    agent      goals: plan, run, replan, answer; the LLM Compiler and ReAct beside it, and their comparison
    drawing    plans and runs as text, Mermaid and SVG
    analysis   a data-analysis agent on CSV and Parquet files (extra `analysis`)
    testing    a virtual clock, scripted tools and a plan builder, for users' own tests too
    cli        the command `planloom`

Public names are loaded when they are first used, so that `import planloom` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planloom.plan.tool_spec import read_tools_with

if TYPE_CHECKING:
    from planloom.agent.agent import Agent
    from planloom.agent.compare import Comparison
    from planloom.agent.people import Approval, Approver
    from planloom.agent.react import react
    from planloom.engine.execute import execute_plan, resume_run, stream_plan
    from planloom.errors import (
        ArgumentsError,
        BudgetExceededError,
        DataError,
        MissingExtraError,
        PlanCycleError,
        PlanFormatError,
        PlanloomError,
        PlanValidationError,
        ReplanError,
        Retry,
        StepExecutionError,
        ToolDefinitionError,
        ToolLoadError,
        UsageError,
    )
    from planloom.plan.budget import Budget
    from planloom.plan.events import Event
    from planloom.plan.graph import critical_path, topological_waves
    from planloom.plan.history import Words
    from planloom.plan.issues import Issue
    from planloom.plan.limits import Limits
    from planloom.plan.model import MISSING, Plan, Step
    from planloom.plan.results import RunResult, StepError, StepResult, Usage
    from planloom.plan.state import RunStatus, StepStatus
    from planloom.planning.create import compile_plan, create_plan
    from planloom.planning.recovery import replan
    from planloom.tools.checks import find_issues, validate_plan
    from planloom.tools.context import ToolContext
    from planloom.tools.definition import Tool, tool
    from planloom.tools.loading import load_toolbox
    from planloom.tools.toolbox import Toolbox

__version__ = "0.1.0"

_HOMES = {
    "planloom.agent.agent": ("Agent",),
    "planloom.agent.compare": ("Comparison",),
    "planloom.agent.people": ("Approval", "Approver"),
    "planloom.agent.react": ("react",),
    "planloom.engine.execute": ("execute_plan", "resume_run", "stream_plan"),
    "planloom.errors": (
        "ArgumentsError",
        "BudgetExceededError",
        "DataError",
        "MissingExtraError",
        "PlanCycleError",
        "PlanFormatError",
        "PlanValidationError",
        "PlanloomError",
        "ReplanError",
        "Retry",
        "StepExecutionError",
        "ToolDefinitionError",
        "ToolLoadError",
        "UsageError",
    ),
    "planloom.plan.budget": ("Budget",),
    "planloom.plan.events": ("Event",),
    "planloom.plan.graph": ("critical_path", "topological_waves"),
    "planloom.plan.history": ("Words",),
    "planloom.plan.issues": ("Issue",),
    "planloom.plan.limits": ("Limits",),
    "planloom.plan.model": ("MISSING", "Plan", "Step"),
    "planloom.plan.results": ("RunResult", "StepError", "StepResult", "Usage"),
    "planloom.plan.state": ("RunStatus", "StepStatus"),
    "planloom.planning.create": ("compile_plan", "create_plan"),
    "planloom.planning.recovery": ("replan",),
    "planloom.tools.checks": ("find_issues", "validate_plan"),
    "planloom.tools.context": ("ToolContext",),
    "planloom.tools.loading": ("load_toolbox",),
    "planloom.tools.definition": ("Tool", "tool"),
    "planloom.tools.toolbox": ("Toolbox",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "MISSING",
    "Agent",
    "Approval",
    "Approver",
    "ArgumentsError",
    "Budget",
    "BudgetExceededError",
    "Comparison",
    "DataError",
    "Event",
    "Issue",
    "Limits",
    "MissingExtraError",
    "Plan",
    "PlanCycleError",
    "PlanFormatError",
    "PlanValidationError",
    "PlanloomError",
    "ReplanError",
    "Retry",
    "RunResult",
    "RunStatus",
    "Step",
    "StepError",
    "StepExecutionError",
    "StepResult",
    "StepStatus",
    "Tool",
    "ToolContext",
    "ToolDefinitionError",
    "ToolLoadError",
    "Toolbox",
    "Usage",
    "UsageError",
    "Words",
    "compile_plan",
    "create_plan",
    "critical_path",
    "execute_plan",
    "find_issues",
    "load_toolbox",
    "react",
    "replan",
    "resume_run",
    "stream_plan",
    "tool",
    "topological_waves",
    "validate_plan",
]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'planloom' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


# the pure core may not import the tools, and still takes functions wherever it takes a toolbox
read_tools_with(lambda source: __getattr__("Toolbox").of(source))
