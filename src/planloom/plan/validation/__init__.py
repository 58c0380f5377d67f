"""Validation: every issue of a plan at once, before anything runs.

An ordered tuple of small passes, one file each. A pass reads the inspection (plan, graph, tools) and reports
issues; it changes nothing else. Each is linear in the plan, and what could grow faster is bounded by
`Limits` and said in a `limit` issue.
"""

from planloom.plan.validation.run import inspect_plan

__all__ = ["inspect_plan"]
