"""The house: arrows between packages, purity of the core, sizes. Exceptions are listed by name and shrink."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "planloom"

# a package may import itself and what stands here
MAY_IMPORT = {
    "errors": set(),
    "plan": {"errors"},
    "tools": {"errors", "plan"},
    "models": {"errors", "plan"},
    "drawing": {"errors", "plan"},
    "journal": {"errors", "plan"},
    "standard": {"errors", "plan", "tools", "models"},
    "engine": {"errors", "plan", "tools", "journal"},
    "planning": {"errors", "plan", "tools", "models", "engine"},
    "agent": {"errors", "plan", "tools", "models", "journal", "engine", "planning", "standard", "drawing"},
    "analysis": {"errors", "plan", "tools", "models", "drawing", "engine", "agent"},
    "testing": {"errors", "plan", "tools", "models", "engine"},
    "cli": {"errors", "plan", "tools", "models", "drawing", "engine", "standard", "planning", "agent", "analysis"},
    "__main__": {"cli"},
}
# errors name the types they carry, which is not a dependency of the program
TYPES_ONLY = {"errors": {"plan", "models"}}
IMPURE = {
    "asyncio", "concurrent", "contextvars", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "requests", "selectors", "shutil", "signal", "socket", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip
# the heavier half, which the command line and the public names load when they are first used
LATE = {"analysis", "agent", "engine", "cli", "drawing"}
PURE_PACKAGES = ("plan", "drawing")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70
LONG_FILES: set[str] = set()
LONG_FUNCTIONS: set[str] = set()

FILES = sorted(SOURCE.rglob("*.py"))


def package_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports_of(tree: ast.AST) -> Iterator[tuple[ast.stmt, str, bool]]:
    """Every import in a module: the node, the module's name, and whether only the type checker sees it."""
    typed = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name, id(node) in typed) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node, node.module or "", id(node) in typed


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_file(path: Path) -> None:
    """A file keeps to the arrows, the purity of its package, and the sizes, and says what it is for."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    name = str(path.relative_to(SOURCE))
    package = package_of(path)
    problems: list[str] = []
    for node, module, is_typed in imports_of(tree):
        top, *rest = module.split(".")
        if top == "planloom" and rest and package != "__init__":
            allowed = MAY_IMPORT[package] | {package} | (TYPES_ONLY.get(package, set()) if is_typed else set())
            if rest[0] not in allowed:
                problems.append(f"line {node.lineno}: {package} must not import planloom.{rest[0]}")
        if package in PURE_PACKAGES and top in IMPURE:
            problems.append(f"line {node.lineno}: {package} is pure and must not import {top}")
    problems += internal_imports_in_functions(tree) if package != "__init__" else []
    if len(text.splitlines()) > MAX_FILE_LINES and name not in LONG_FILES:
        problems.append(f"{len(text.splitlines())} lines are more than {MAX_FILE_LINES}")
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES and f"{name}:{node.name}" not in LONG_FUNCTIONS:
                problems.append(f"line {node.lineno}: {node.name} has {lines} lines, more than {MAX_FUNCTION_LINES}")
    if not ast.get_docstring(tree):
        problems.append("no docstring that says what the file is for")
    assert [] == problems


def internal_imports_in_functions(tree: ast.AST) -> list[str]:
    """Imports of the package's own modules inside functions hide cycles; the command line may delay its commands."""
    return [
        f"line {inner.lineno}: {node.name} imports {module} inside a function"
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner, module, _ in imports_of(node)
        if module.startswith("planloom.") and module.split(".")[1] not in LATE
    ]


def test_no_import_cycles() -> None:
    """No module of the package imports itself by way of others."""
    modules = {".".join(("planloom", *path.relative_to(SOURCE).with_suffix("").parts)): path for path in FILES}
    edges = {
        name: {
            module
            for _, module, is_typed in imports_of(ast.parse(path.read_text(encoding="utf-8")))
            if not is_typed and module in modules
        }
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for other in sorted(edges[name]):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(modules):
        visit(name, ())
