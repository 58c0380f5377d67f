"""The command line called from a Python program, as tests of users do: it leaves that program as it was."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

import pytest

from planloom.cli.main import main

PLAN = {"steps": [], "answer": {"x": 1}}


def test_leaves_the_process_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`main` ends with SystemExit, prints where `sys.stdout` leads, and gives back streams, signals and hooks."""
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    before = (sys.stdout, sys.stderr, signal.getsignal(signal.SIGINT), threading.excepthook, sys.unraisablehook)
    for argv, code in ((["execute", str(plan), "--json"], 0), (["graph", "nowhere.json"], 2), (["--version"], 0)):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert code == ended.value.code
        printed = capsys.readouterr()
        if "--json" in argv:
            assert {"x": 1} == json.loads(printed.out)["answer"]
    assert before == (sys.stdout, sys.stderr, signal.getsignal(signal.SIGINT), threading.excepthook, sys.unraisablehook)
