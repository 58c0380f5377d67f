"""Results as files below bench/results: what was measured, on which machine, when, and by which command.

The pages are rendered from these files and from nothing else. A question that is measured again replaces its own rows.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "bench" / "results"
VERSION: Final = 1
_DEPENDENCIES: Final = (
    "planloom",
    "pydantic",
    "jsonschema-rs",
    "duckdb",
    "pandas",
    "numpy",
    "scipy",
    "pydantic-ai-slim",
)


def read_results(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """Return a document of results, None when it was never measured."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def write_results(name: str, document: dict[str, Any], folder: Path = FOLDER) -> None:
    """Write a document whole or not at all, so that an interruption leaves the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{name}.json"
    unfinished.write_text(_text(document), encoding="utf-8")
    unfinished.replace(folder / f"{name}.json")


def _text(document: dict[str, Any]) -> str:
    """Return the document as JSON with a line for every entry of its lists, so that a change shows as few lines."""
    parts: list[str] = []
    for key, value in document.items():
        if isinstance(value, list) and value:
            shown = "[\n  " + ",\n  ".join(json.dumps(entry, ensure_ascii=False) for entry in value) + "\n ]"
        else:
            shown = json.dumps(value, indent=1, ensure_ascii=False).replace("\n", "\n ")
        parts.append(f" {json.dumps(key)}: {shown}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def head(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Return what every document says of itself; taken before the measurements, as the load average is."""
    return {
        "version": VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", module, *arguments]),
        "machine": machine(),
        "versions": versions(),
        "commit": commit(),
    }


def machine() -> dict[str, Any]:
    """Return what the machine is, and how busy it has been in the last minute."""
    cpu = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "system": f"{platform.system()} {platform.release()}",
        "processor": cpu,
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": sys.version.split()[0],
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of what the figures depend on, as far as it is installed."""
    found: dict[str, str] = {}
    for name in _DEPENDENCIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Return the commit that was measured, with `+` when what is measured had changed since; empty without git."""
    named, changed = (_git(*arguments) for arguments in (("rev-parse", "--short", "HEAD"), _CHANGED))
    return named + ("+" if changed else "")


_CHANGED: Final = ("status", "--porcelain", "--", "src", "bench", "pyproject.toml", "uv.lock", ":!bench/results")
"""Results do not count: the first of them would make all later ones look changed."""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=10, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()
