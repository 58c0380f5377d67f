"""Tools from modules and files that a user names, and functions found again in another process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from planloom.errors import ToolLoadError
from planloom.tools import Tool, ToolAddress, load_toolbox, resolve_address

TOOLS = """
    from planloom.tools import Tool, Toolbox, tool

    @tool(read_only=True)
    def look(path: str) -> str:
        return path

    @tool(name="find it")
    def find(path: str) -> str:
        return path

    def plain(value: int) -> int:
        return value

    def broken(*values: int) -> int:
        return 0

    class Holder:
        @staticmethod
        def held(value: int) -> int:
            return value

    box = Toolbox([look, plain])
    empty = Toolbox()
    several = [look, plain]
    named = {"double": lambda value: value * 2}
    number = 3
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder; modules and paths go back to what they were."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def write(folder: Path, name: str, code: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(code), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", ["neither a module nor a .py file", "hint: write module, module:name"]),
        (":box", ["neither a module nor a .py file"]),
        ("skills/missing.py", ["there is no such file", "looked for"]),
        ("mytool.py", ["there is no such file", "did you mean `mytools.py`?"]),
        ("skills", ["there is no tool in `skills`"]),
        ("skills/", ["names neither", "that is a folder"]),
        ("./mytools", ["names neither", "did you mean `./mytools.py`?"]),
        ("a-b", ["names neither"]),
        ("mytool", ["there is no module called `mytool`", "did you mean `mytools`?"]),
        ("zzz.yyy", ["there is no module called `zzz`", "the current folder"]),
        ("mytools.sub", ["there is no module called `mytools.sub`"]),
        ("folder.py", ["it is a folder"]),
        ("mytools.py:lok", ["there is no `lok` in `mytools.py`", "did you mean `look`?"]),
        ("mytools:zzzzzz", ["there is no `zzzzzz` in `mytools`", "it has look, find, box, empty"]),
        ("mytools.py:Holder.zzz", ["there is no `zzz` in `Holder`"]),
        ("mytools.py:", ["`` after the colon is not a Python name"]),
        ("mytools.py:a b", ["`a b` after the colon"]),
        ("mytools:a:b", ["`a:b` after the colon"]),
        ("mytools.py:number", ["cannot load tools from `mytools.py:number`", "not 3"]),
        ("mytools.py:broken", ["`*values`", "hint: take one list"]),
        ("mytools.py:empty", ["there is no tool in `mytools.py:empty`", "hint: put tools"]),
        ("plain.py", ["there is no tool in `plain.py`", "put @tool above a function such as `helper`"]),
        ("shy.py", ["put @tool above a function such as `helper`"]),
        ("nothing.py", ["there is no tool in `nothing.py`", "from planloom import tool"]),
        ("twice.py", ["two tools are called `look`"]),
        ("syntax.py", ["SyntaxError", "syntax.py:2: def broken(:"]),
        ("raises.py", ["ZeroDivisionError: division by zero", "raises.py:5: return 1 / 0"]),
        ("imports.py", ["No module named 'not_installed_here'", "imports.py:2: import", "install what"]),
        ("imports_raising.py", ["division by zero", "raises.py:5"]),
        ("imports", ["No module named 'not_installed_here'", "imports.py:2"]),
        ("exits.py", ["called sys.exit(3) while", "exits.py:3: sys.exit(3)", "__name__"]),
        ("exits", ["called sys.exit(3) while"]),
        ("parses.py", ["called sys.exit(2) while", "parses.py:3"]),
        ("relative.py", ["relative import", "belongs to a package"]),
        ("defines.py", ["ToolDefinitionError: `join`", "defines.py:3", "hint: take one list"]),
        ("stops.py", ["cannot load tools from `stops.py`: GeneratorExit"]),
        ("nul.py", ["cannot load tools"]),
        ("latin.py", ["cannot load tools", "SyntaxError"]),
    ],
)  # fmt: skip
def test_every_failure_is_one_message(folder: Path, spec: str, words: list[str]) -> None:
    """What went wrong, the user's own line, how to mend it; never a traceback."""
    write(folder, "mytools.py", TOOLS)
    (folder / "skills").mkdir()
    (folder / "folder.py").mkdir()
    write(folder, "plain.py", "def helper(a: int) -> int:\n    return a\n")
    write(folder, "shy.py", "def _own(a: int) -> int:\n    return a\n\ndef helper(a: int) -> int:\n    return a\n")
    write(folder, "nothing.py", "x = 1\n")
    write(folder, "twice.py", TOOLS + "\n    @tool(name='look')\n    def other() -> None: ...\n")
    write(folder, "syntax.py", "\ndef broken(:\n    pass\n")
    write(folder, "raises.py", "\n# a comment\n\ndef f():\n    return 1 / 0\n\nf()\n")
    write(folder, "imports.py", "\nimport not_installed_here\n")
    write(folder, "imports_raising.py", "import raises\n")
    write(folder, "exits.py", "import sys\n\nsys.exit(3)\n")
    write(folder, "parses.py", "import argparse\n\nargparse.ArgumentParser(prog='x').parse_args(['--x'])\n")
    write(folder, "relative.py", "from . import other\n")
    write(folder, "defines.py", "from planloom.tools import tool\n\n@tool\ndef join(*parts: str) -> str: ...\n")
    write(folder, "stops.py", "raise GeneratorExit\n")
    (folder / "nul.py").write_bytes(b"x = 1\x00")
    (folder / "latin.py").write_bytes(b"x = '\xe4'")
    with pytest.raises(ToolLoadError) as raised:
        load_toolbox(spec)
    message = str(raised.value)
    assert [] == [word for word in words if word not in message], message
    assert "Traceback" not in message
    assert message.count("hint: ") <= 1


def test_a_failed_file_can_be_mended_and_loaded(folder: Path) -> None:
    """Nothing of the failure stays behind."""
    path = write(folder, "tools_here.py", "1 / 0\n")
    with pytest.raises(ToolLoadError):
        load_toolbox(path)
    write(folder, "tools_here.py", TOOLS)
    assert 3 == len(load_toolbox(path))


def test_control_c_passes_through(folder: Path) -> None:
    """A person who interrupts means the program, not the file."""
    write(folder, "slow.py", "raise KeyboardInterrupt\n")
    for spec in ("slow.py", "slow"):
        with pytest.raises(KeyboardInterrupt):
            load_toolbox(spec)


@pytest.mark.parametrize(
    ("name", "tools"),
    [
        ("", ["look", "find it", "plain"]),
        (":look", ["look"]),
        (":find", ["find it"]),
        (":box", ["look", "plain"]),
        (":several", ["look", "plain"]),
        (":named", ["double"]),
        (":plain", ["plain"]),
        (":Holder.held", ["held"]),
    ],
)
@pytest.mark.parametrize("source", ["mytools", "mytools.py", "./mytools.py", "pack.inner", "pack/inner.py"])
def test_every_form_of_a_name(folder: Path, source: str, name: str, tools: list[str]) -> None:
    """Module or file, whole or one name; the current folder counts."""
    write(folder, "mytools.py", TOOLS)
    write(folder, "pack/inner.py", TOOLS)
    assert tools == list(load_toolbox(source + name))


def test_an_absolute_path_and_a_path_object(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is found from anywhere, and runs once per process."""
    path = write(folder, "deep/with space/my-tools.py", TOOLS)
    monkeypatch.chdir("/")
    first = load_toolbox(str(path))
    assert first["look"] is load_toolbox(path)["look"]
    monkeypatch.setenv("HOME", str(folder / "deep"))
    assert first["look"] is load_toolbox("~/with space/my-tools.py:look")["look"]


def test_imported_tools_count_too(folder: Path) -> None:
    """A file may gather tools from its neighbours."""
    write(folder, "kit/neighbour.py", TOOLS)
    write(folder, "kit/main_tools.py", "from neighbour import look, several\n")
    assert ["look"] == list(load_toolbox("kit/main_tools.py"))


def test_a_neighbour_cannot_stand_in_for_a_library(folder: Path) -> None:
    """A file of tools may be called like a module of the standard library."""
    write(folder, "kit/json.py", TOOLS)
    assert 3 == len(load_toolbox("kit/json.py"))
    assert not sys.path[0].endswith("kit")
    assert str(folder / "kit") == sys.path[-1]


class TestAddresses:
    """A function is found again where the function itself cannot go."""

    SCRIPT = """
        import pickle, sys
        from planloom.tools import Tool, resolve_address
        found = resolve_address(pickle.loads(bytes.fromhex(sys.argv[1])))
        print(type(found).__name__, found("x"))
    """

    def run(self, address: ToolAddress, folder: Path) -> str:
        """What a fresh process finds at the address."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", dedent(self.SCRIPT), pickle.dumps(address).hex()],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert "" == done.stderr
        return done.stdout.strip()

    @pytest.mark.parametrize(
        ("spec", "found"),
        [
            ("mytools:look", "Tool x"),
            ("mytools:plain", "function x"),
            ("mytools:Holder.held", "function x"),
            ("kit/files.py:look", "Tool x"),
            ("kit/files.py:plain", "function x"),
        ],
    )
    def test_in_a_fresh_process(self, folder: Path, spec: str, found: str) -> None:
        """Both for importable modules and for files loaded by path, with their neighbours."""
        write(folder, "mytools.py", TOOLS)
        write(folder, "kit/near.py", "")
        write(folder, "kit/files.py", "import near\n" + dedent(TOOLS))
        (loaded,) = load_toolbox(spec).values()
        assert loaded.address is not None
        assert found == self.run(loaded.address, folder)

    def test_in_this_process(self, folder: Path) -> None:
        """The very same tool comes back."""
        write(folder, "kit/files.py", TOOLS)
        look = load_toolbox("kit/files.py:look")["look"]
        assert look.address is not None
        assert str(folder / "kit" / "files.py") == look.address.file
        assert look is resolve_address(look.address)

    @pytest.mark.parametrize("command", [["script.py"], ["-m", "script"]])
    def test_of_the_main_script(self, folder: Path, command: list[str]) -> None:
        """`__main__` is another module elsewhere; its file or its real name is used, and its guard holds."""
        write(
            folder,
            "script.py",
            """
            import pickle, subprocess, sys
            from planloom.tools import resolve_address, tool

            @tool(run_in="process")
            def look(path: str) -> str:
                return path

            if __name__ == "__main__":
                assert resolve_address(look.address)("x") == "x"
                print(pickle.dumps(look.address).hex())
            """,
        )
        done = subprocess.run(
            [sys.executable, *command], cwd=folder, capture_output=True, text=True, timeout=60, check=True
        )
        assert "Tool x" == self.run(pickle.loads(bytes.fromhex(done.stdout)), folder)

    def test_an_interactive_function_has_none(self) -> None:
        """What stands in no file cannot be found by another process; the message says so."""
        code = (
            "from planloom.tools import tool\ndef f(a: int) -> int: return a\n"
            "print(tool(f).address)\ntool(f, run_in='process')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=dict(os.environ),
        )
        assert "None" == done.stdout.strip()
        assert "interactive session" in done.stderr

    @pytest.mark.parametrize(
        ("address", "words"),
        [
            (ToolAddress("not_there_at_all", None, "f"), "no module called `not_there_at_all`"),
            (ToolAddress("json", None, "decoderr"), "in `json`\nhint: did you mean `decoder`"),
            (ToolAddress("json", None, "__name__"), "is not a function any more"),
            (ToolAddress("x", "/no/such/file.py", "f"), "there is no such file"),
        ],
    )
    def test_of_what_is_gone(self, address: ToolAddress, words: str) -> None:
        """One message, as for loading."""
        with pytest.raises(ToolLoadError, match=words):
            resolve_address(address)


def test_importing_the_package_is_cheap() -> None:
    """Heavy libraries are imported when the first tool is made, not before."""
    code = (
        "import sys, planloom.tools;"
        "heavy = {'pydantic', 'jsonschema_rs', 'docstring_parser', 'asyncio', 'anyio'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "[]" == done.stdout.strip()


def test_tools_of_a_file_are_tools(folder: Path) -> None:
    """A loaded tool is ready to be called."""
    write(folder, "mytools.py", TOOLS)
    found = load_toolbox("mytools.py")["find it"]
    assert isinstance(found, Tool)
    assert "a" == found.function(**found.prepare({"path": "a"}))
