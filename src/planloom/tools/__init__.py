"""Tools: functions a plan can call, with their schemas, facts and limits.

context    what a tool may know about its run          signature  a callable, read by inspection
definition `@tool` and `Tool`                          docstrings the words of a docstring
toolbox    tools by name                               schema     JSON Schema from types, and back
loading    tools from a module or file                 arguments  the check before a call
tables     handles of tables, and their files   frames     tables of pandas, polars and Arrow
annotations types that pydantic cannot describe
address    finding a function from another process     facts      effects, limits, where it runs
checks     plans against a toolbox (imported by itself: it needs jsonschema-rs)
"""

from planloom.tools.address import ToolAddress
from planloom.tools.context import ToolContext
from planloom.tools.definition import Tool, tool
from planloom.tools.facts import RunIn, ToolFacts
from planloom.tools.loading import load_toolbox, resolve_address
from planloom.tools.toolbox import Toolbox, ToolboxLike

__all__ = [
    "RunIn",
    "Tool",
    "ToolAddress",
    "ToolContext",
    "ToolFacts",
    "Toolbox",
    "ToolboxLike",
    "load_toolbox",
    "resolve_address",
    "tool",
]
