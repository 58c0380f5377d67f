"""Lines: how a record stands in a journal, framed by its format version, checksum and position.

Rule: a start and a success, which nearly all of a run are, come as `Brief`s and are written without a `Record` in
between; what is written is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from json import encoder
from typing import Any, Final
from zlib import crc32

from planloom.errors import JournalError
from planloom.plan.events import EVENT_VERSION, StepStarted, StepSucceeded

FORMAT_VERSION: Final = 1
"""Version of the line; a file of lines may hold several."""
MAX_RECORD_BYTES: Final = 8 * 1024 * 1024
"""Length of one record's JSON; larger values belong into artifacts."""

BriefStart = tuple[int, float, str, str, int]
"""A `StepStarted`: its `seq`, its time in seconds since 1970, the step's id, the tool and the attempt."""
BriefSuccess = tuple[int, float, str, str, int, float]
"""A plain `StepSucceeded`: its `seq`, its time, the step's id, the output as JSON, the attempts, the `latency_ms`."""
Brief = BriefStart | BriefSuccess


def _make_writer() -> Callable[[Any], str]:
    """Return what writes compact JSON. A value that contains itself raises `RecursionError`."""
    make = getattr(encoder, "c_make_encoder", None)
    if make is None:  # another Python, whose encoder is not in C
        return json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), allow_nan=False).encode
    # `json.JSONEncoder.encode` makes such a one for every value, which takes longer than most values do
    write = make(None, _refuse, encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(write(value, 0))


def _refuse(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


write_json: Final = _make_writer()
"""Writes compact JSON. Raises TypeError, ValueError or RecursionError for what is no JSON value."""
_write_text: Final[Callable[[str], str]] = encoder.encode_basestring


_HEAD: Final = f'%d {{"version":{EVENT_VERSION},"seq":%d%s.%06d+00:00","type":'
_START: Final = f'{_HEAD}"{StepStarted.type}","step_id":%s,"data":{{"tool":%s,"attempt":%d}}}}'
_SUCCESS: Final = f'{_HEAD}"{StepSucceeded.type}","step_id":%s,"data":{{"output":%s,"attempts":%d,"latency_ms":%r}}}}'
_LINE: Final = b"%d %%08x %%b" % FORMAT_VERSION
_ALL_OF_A_SECOND: Final = 0.9999995
"""What is nearer to the next second than to its last microsecond."""


def framed(text: str, position: int, name: str) -> bytes:
    """Return the line of a record that is JSON already. Raises `JournalError`, with its name, past the longest."""
    body = f"{position} {text}".encode("utf-8", "backslashreplace")
    size = len(body) - len(f"{position} ")
    if size > MAX_RECORD_BYTES:
        raise _too_long(name, size)
    return _LINE % (crc32(body), body)


def _too_long(name: str, size: int) -> JournalError:
    return JournalError(
        f"{name} is {size:,} bytes, more than {MAX_RECORD_BYTES:,} (MAX_RECORD_BYTES)\n"
        "hint: large values belong into artifacts; the record then holds a reference"
    )


class BriefLines:
    """Writes the lines of the `Brief`s of one run."""

    def __init__(self, run_id: str) -> None:
        self._run = f',"run_id":{_write_text(run_id)},"at":"'
        self._second = 0.0
        self._day_and_second = self._run + "1970-01-01T00:00:00"

    def line(self, brief: Brief, position: int) -> bytes:
        """Return a line. Raises `JournalError` past `MAX_RECORD_BYTES`."""
        at = brief[1]
        part = at - self._second
        if not 0.0 <= part < _ALL_OF_A_SECOND:
            part = self._turn(at)
        micros = int(part * 1e6 + 0.5)
        if len(brief) == 5:
            seq, _, step_id, tool, attempt = brief
            fields = position, seq, self._day_and_second, micros, _write_text(step_id), _write_text(tool), attempt
            text = _START % fields
        else:
            seq, _, step_id, output, attempts, latency_ms = brief
            fields = position, seq, self._day_and_second, micros, _write_text(step_id), output, attempts, latency_ms
            text = _SUCCESS % fields
        if not micros:  # a time of whole seconds is written without them, as `isoformat` does
            text = text.replace(".000000+", "+", 1)
        # half a character, as in the name of a file, is written as an escape, which is one of JSON too
        body = text.encode("utf-8", "backslashreplace")
        if len(body) > MAX_RECORD_BYTES:
            raise _too_long(f"the record of step `{step_id}`", len(body))
        return _LINE % (crc32(body), body)

    def _turn(self, at: float) -> float:
        """Go to the second of a time, and return what of it is left."""
        at = round(at, 6)
        self._second = at // 1.0
        self._day_and_second = self._run + datetime.fromtimestamp(self._second, UTC).isoformat()[:19]
        return at - self._second
