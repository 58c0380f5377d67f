"""Starts one of this package's own programs in a process of its own, asks it one thing, and never waits for ever.

The program reads one JSON request and answers with one JSON line. Its environment is empty. It is killed when its time
is over and when the step is cancelled, and ends by itself at that time if the caller is gone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from planloom.errors import DataError

LOOK_S: Final = 0.2
"""How often a running process is asked whether its step was cancelled."""
KEPT_VARIABLES: Final = ("SYSTEMROOT", "LD_LIBRARY_PATH")
"""What Python itself may need to start."""


def never() -> bool:
    """No step, so none that is cancelled."""
    return False


def ask_process(
    program: Path, request: Mapping[str, Any], folder: Path, limit_s: float, cancelled: Callable[[], bool] = never
) -> dict[str, Any]:
    """The answer of `program`; its key `problem` is `time` if it had to be killed, `ended` if it died.

    Raises `DataError` when the step was cancelled.
    """
    environment = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    sent: bytes | None = json.dumps(
        {**request, "import_path": [str(Path(entry).resolve()) for entry in sys.path], "kill_s": limit_s}
    ).encode()
    with subprocess.Popen(  # noqa: S603 (this Python and a file of this package; all else goes by its input)
        [sys.executable, "-I", "-S", str(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            said, waited_s = None, 0.0
            while said is None:
                try:
                    said, _ = process.communicate(sent, timeout=LOOK_S)
                except subprocess.TimeoutExpired:
                    sent, waited_s = None, waited_s + LOOK_S
                    if cancelled():
                        raise DataError("it was cancelled") from None
                    if waited_s > limit_s:
                        return {"problem": "time", "message": ""}
        finally:
            process.kill()
    try:
        return json.loads(said)
    except ValueError:
        return {"problem": "ended", "message": ""}
