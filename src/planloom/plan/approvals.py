"""What a person's word is bound to: the hash of a whole plan, or of one call with its arguments. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from planloom.plan.model import Plan


def plan_digest(plan: Plan) -> str:
    """Return the SHA-256 of a plan, in hexadecimal digits. A plan that differs anywhere has another one."""
    return _digest(plan.to_dict())


def call_digest(step_id: str, tool: str, args: Mapping[str, Any]) -> str:
    """Return the SHA-256 of one call, in hexadecimal digits; `step_id` is that of the element in a `for_each`."""
    return _digest([step_id, tool, args])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True, default=str).encode()).hexdigest()
