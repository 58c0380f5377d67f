"""An environment per contender below the cache folder, from its pinned requirements; kept until these change."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.peers.contenders import PLANLOOM, STANDARD

ROOT = Path(__file__).resolve().parent.parent.parent
REQUIREMENTS = Path(__file__).parent / "requirements"
INSTALL_LIMIT_S = 600.0
_REASON_CHARS = 400


class InstallError(Exception):
    """An environment could not be made; the text says why."""


def environment_python(cache: Path, name: str) -> Path:
    """Return the interpreter of a contender's environment."""
    return cache / "environments" / name / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def install(cache: Path, name: str) -> Path:
    """Make the environment if it is not there as its requirements want it; return its interpreter."""
    python = environment_python(cache, name)
    folder = cache / "environments" / name
    if name == PLANLOOM:  # pinned by the project's own lock file, the code of this working copy
        _uv("sync", "--locked", "--no-dev", "--compile-bytecode", UV_PROJECT_ENVIRONMENT=str(folder))
        return python
    path = REQUIREMENTS / f"{name}.txt"
    wanted = hashlib.sha256(f"{sys.version}\n{path.read_text() if name != STANDARD else ''}".encode()).hexdigest()
    stamp = folder / "requirements.sha256"
    if stamp.exists() and stamp.read_text() == wanted and python.exists():
        return python
    _uv("venv", "--clear", str(folder))
    if name != STANDARD:
        _uv("pip", "install", "--compile-bytecode", "--python", str(python), "--requirements", str(path))
    stamp.write_text(wanted)
    return python


def versions(cache: Path, name: str) -> dict[str, str]:
    """Return what is installed in an environment."""
    listed = _uv("pip", "freeze", "--exclude-editable", "--python", str(environment_python(cache, name)))
    return dict(line.split("==", 1) for line in listed.splitlines() if "==" in line)


def _uv(*arguments: str, **variables: str) -> str:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise InstallError("uv is not installed; `make bench-peers` installs it")
    command = [uv, arguments[0], "--quiet", *arguments[1:]] if arguments[0] != "pip" else [uv, *arguments, "--quiet"]
    environment = {**os.environ, "UV_PYTHON": sys.executable, "UV_PYTHON_DOWNLOADS": "never", **variables}
    environment.pop("VIRTUAL_ENV", None)
    if "freeze" in arguments or arguments[:2] == ("pip", "install"):
        environment.pop("UV_PYTHON")
    if "freeze" in arguments:
        command.remove("--quiet")
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=INSTALL_LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InstallError(f"`uv {' '.join(arguments[:2])}` took more than {INSTALL_LIMIT_S:.0f} s") from error
    if done.returncode:
        raise InstallError(" ".join(done.stderr.split())[:_REASON_CHARS] or f"uv exited with {done.returncode}")
    return done.stdout
