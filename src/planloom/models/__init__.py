"""Models behind one small protocol: ask for a reply, whole or streamed.

    base        the protocol, requests and replies
    resolve     names to models, defaults, what is there and missing
    providers   the providers: extras, variables, addresses
    direct      a real model: tries, deadlines, modes, over pydantic-ai's `direct` functions
    clients     the provider libraries' clients, with their own retries off
    loops       one client per event loop
    failures    whatever goes wrong, as one value and one sentence
    retry       limits of a call, and when to try again
    modes       JSON Schema, JSON object or text
    secrets     keys that do not show

Importing this package imports no provider's library; the first call does, on a thread.
"""

from planloom.models.base import (
    FinishReason,
    Message,
    Model,
    ModelReply,
    ModelRequest,
    ModelUsage,
    OutputMode,
    Purpose,
    check_reply,
    estimate_tokens,
)
from planloom.models.resolve import ModelStatus, ProviderStatus, default_models, model_status, resolve_model
from planloom.models.retry import CallLimits

__all__ = [
    "CallLimits",
    "FinishReason",
    "Message",
    "Model",
    "ModelReply",
    "ModelRequest",
    "ModelStatus",
    "ModelUsage",
    "OutputMode",
    "ProviderStatus",
    "Purpose",
    "check_reply",
    "default_models",
    "estimate_tokens",
    "model_status",
    "resolve_model",
]
