"""The command line as its users meet it: a process of its own, in a folder of its own, with a clean environment."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from planloom.cli.main import main

DEADLINE_S = 30.0
"""Nothing here may take longer; generous, because the machine may be busy."""
HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # under importlib mode pytest adds no folder to the path


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> Any:
        """Stdout as the one JSON document that it must be."""
        return json.loads(self.stdout)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Stdout as JSON Lines."""
        return [json.loads(line) for line in self.stdout.splitlines()]


class Command:
    """Starts `python -m planloom` in a folder that holds the tools of `kitchen.py` as `tools.py`."""

    def __init__(self, folder: Path, compiled: Path) -> None:
        """`compiled` is where Python keeps compiled modules: half of a short command's time is compiling."""
        self.folder = folder
        self.started: list[subprocess.Popen[bytes]] = []
        dropped = ("PLANLOOM_", "XDG_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE")
        dropped += ("GROQ_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "MISTRAL_", "OLLAMA_")
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        self.environment |= {"HOME": str(folder), "TERM": "xterm-256color", "PYTHONPYCACHEPREFIX": str(compiled)}
        self.write("tools.py", (HERE / "kitchen.py").read_text())

    def write(self, name: str, content: str | bytes | dict[str, Any] | list[Any]) -> Path:
        """Write a file into the folder; objects as JSON."""
        path = self.folder / name
        if isinstance(content, dict | list):
            content = json.dumps(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def plan(self, *steps: Mapping[str, Any], name: str = "plan.json", **fields: Any) -> Path:
        """Write a plan of steps, each given as `{"id": …, "tool": …}` and whatever else it needs."""
        complete = [{"args": {}, "depends_on": [], "description": "a step", **step} for step in steps]
        return self.write(name, {"version": 1, "goal": "try it", "steps": complete, **fields})

    def start(
        self,
        *argv: str,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = (sys.executable, "-m", "planloom"),
        **options: Any,
    ) -> subprocess.Popen[bytes]:
        """Start a command with its streams as pipes."""
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [*program, *argv],
            env={**self.environment, **(env or {})},
            **{"cwd": self.folder, **piped, **options},
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs, and close every pipe."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait(DEADLINE_S)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def __call__(
        self, *argv: str, stdin: str | bytes | None = None, env: Mapping[str, str] | None = None, **options: Any
    ) -> Ended:
        """Run a command to its end."""
        if stdin is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*argv, env=env, **options)
        return finish(process, stdin.encode() if isinstance(stdin, str) else stdin)

    def in_terminal(
        self, *argv: str, columns: int = 80, lines: int = 24, env: Mapping[str, str] | None = None, **options: Any
    ) -> Terminal:
        """Start a command whose stderr (and, if nothing else is said, stdout) is a terminal."""
        return Terminal(self, argv, columns, lines, env or {}, options)


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Ended:
    """Wait for a process to end."""
    try:
        stdout, stderr = process.communicate(stdin, timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        stdout, stderr = process.communicate()
        pytest.fail(f"it did not end; stdout: {stdout!r}; stderr: {stderr!r}")
    return Ended(process.returncode, (stdout or b"").decode(), (stderr or b"").decode())


def read_until(process: subprocess.Popen[bytes], text: str) -> str:
    """Read a process's stderr until `text` has come."""
    assert process.stderr is not None
    return _read_until(process.stderr.fileno(), text)


def _read_until(descriptor: int, text: str, seen: str = "") -> str:
    deadline = time.monotonic() + DEADLINE_S
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            pytest.fail(f"{text!r} did not come; what came: {seen!r}")
        try:
            received = os.read(descriptor, 65536)
        except OSError:
            received = b""
        if not received:
            pytest.fail(f"it ended before {text!r} came; what came: {seen!r}")
        seen += received.decode(errors="replace")
    return seen


class Terminal:
    """A process in a pseudo-terminal of a given size."""

    def __init__(
        self,
        command: Command,
        argv: Sequence[str],
        columns: int,
        lines: int,
        env: Mapping[str, str],
        options: Mapping[str, Any],
    ) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self.control, inside = pty.openpty()
        fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        streams = {"stdin": inside, "stdout": inside, "stderr": inside, **options}
        self.process = command.start(*argv, env=env, start_new_session=True, **streams)
        os.close(inside)
        self.seen = ""

    def until(self, text: str) -> str:
        """Read until `text` has come; return all that has."""
        self.seen = _read_until(self.control, text, self.seen)
        return self.seen

    def end(self) -> tuple[int, str]:
        """Read to the end; return the exit code and all that was shown."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.control], [], [], 0.2)
            if not ready:
                if self.process.poll() is None:
                    continue
                break
            try:
                received = os.read(self.control, 65536)
            except OSError:  # Linux says so when the last process has closed its end
                break
            if not received:
                break
            self.seen += received.decode(errors="replace")
        else:
            self.process.kill()
            pytest.fail(f"it did not end; what came: {self.seen!r}")
        os.close(self.control)
        return self.process.wait(DEADLINE_S), self.seen


@pytest.fixture(scope="session")
def compiled(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for compiled modules, kept from one test run to the next where there is a cache."""
    cache = getattr(pytestconfig, "cache", None)
    return tmp_path_factory.mktemp("compiled") if cache is None else cache.mkdir("planloom-compiled")


@pytest.fixture(scope="session")
def new_command(tmp_path_factory: pytest.TempPathFactory, compiled: Path) -> Iterator[Callable[[], Command]]:
    """Makes command lines, each in an empty folder but for `tools.py`. What still runs at the end is killed."""
    made: list[Command] = []

    def make() -> Command:
        made.append(Command(tmp_path_factory.mktemp("cli"), compiled))
        return made[-1]

    yield make
    for command in made:
        command.close()


@pytest.fixture
def command(new_command: Callable[[], Command]) -> Iterator[Command]:
    """One command line, in a folder of its own."""
    made = new_command()
    yield made
    made.close()


@pytest.fixture(scope="session")
def seen() -> Callable[..., str]:
    """Reads a process's stderr until a text has come."""
    return read_until


@pytest.fixture(scope="session")
def stop_when_seen() -> Callable[..., tuple[Ended, float]]:
    """Sends signals once a text is on stderr, or two events on stdout; returns the end, and the seconds to it."""

    def stop(process: subprocess.Popen[bytes], text: str, signals: Sequence[signal.Signals]) -> tuple[Ended, float]:
        before = ""
        head = b""
        if text:
            before = read_until(process, text)
        elif signals:
            assert process.stdout is not None
            head = process.stdout.readline() + process.stdout.readline()
        started = time.monotonic()
        for number in signals:
            process.send_signal(number)
        ended = finish(process)
        return Ended(ended.code, head.decode() + ended.stdout, before + ended.stderr), time.monotonic() - started

    return stop


OF_MODELS = ("PLANLOOM_", "GROQ_", "OPENAI_", "ANTHROPIC_", "GOOGLE_", "GEMINI_", "MISTRAL_", "OLLAMA_", "XDG_")


class Inside:
    """Runs commands in this process, in an empty folder that holds `tools.py`: one import of the models for all."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capture = capture
        (folder / "tools.py").write_text((HERE / "kitchen.py").read_text())

    def __call__(self, *argv: str) -> Ended:
        """Run a command to its end."""
        self._capture.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(argv)
        printed = self._capture.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, printed.out, printed.err)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Inside:
    """Runs commands in this process, with no key and no setting but those that a test sets."""
    for name in os.environ:
        if name.startswith(OF_MODELS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return Inside(tmp_path, capsys)
