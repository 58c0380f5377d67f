"""How the calls of each tool of a run are made: looked up once per tool, and learned while the run goes on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from planloom.engine.secrecy import prepare
from planloom.engine.settings import RunSettings
from planloom.plan.redaction import Redactor
from planloom.tools import Tool


class Way:
    """How calls of one tool are made.

    `is_bare` says that without arguments there is nothing to prepare. `may_share`: one task may make many of its calls,
    one after another; `shares`: it does, because the last one did not wait for anything.
    """

    __slots__ = ("context_parameter", "function", "is_async", "is_bare", "may_share", "name", "prepare", "shares")

    def __init__(self, tool: Tool, redactor: Redactor | None, settings: RunSettings) -> None:
        self.name = tool.name
        self.function = tool.function
        self.is_async = tool.is_async
        self.context_parameter = tool.context_parameter
        self.is_bare = tool.coerces and tool.context_parameter is None and not tool.parameters.get("properties")
        self.prepare: Callable[[dict[str, Any]], dict[str, Any]] = (
            tool.prepare if redactor is None else partial(prepare, tool, redactor=redactor)
        )
        waits_for_journal = settings.recorder is not None and (tool.cache or not (tool.read_only or tool.idempotent))
        is_plain = tool.run_in == "loop" and not tool.takes_tables
        self.may_share = self.shares = is_plain and not waits_for_journal and not settings.hooks.is_gate


class Ways(dict[Tool, Way]):
    """The ways of all tools of a run, each made when it is first asked for."""

    def __init__(self, redactor: Redactor | None, settings: RunSettings) -> None:
        super().__init__()
        self._redactor = redactor
        self._settings = settings

    def __missing__(self, tool: Tool) -> Way:
        way = self[tool] = Way(tool, self._redactor, self._settings)
        return way
