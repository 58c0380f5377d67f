"""`read_file` and `write_file`: nothing outside the root, nothing but regular files, and never half a file."""

from __future__ import annotations

import errno
import os
import socket
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.errors import ArgumentsError, DataError, PlanloomError, UsageError
from planloom.standard import file_tools, folder
from planloom.standard.folder import SUPPORTED, split_path
from planloom.tools.checks import find_issues

pytestmark = pytest.mark.skipif(not SUPPORTED, reason="this system cannot open a path part by part")


class Tools:
    """The two tools over one root, called as the engine calls them: with prepared arguments."""

    def __init__(self, root: Path, **options: Any) -> None:
        self.box = file_tools(root, **options)

    def read(self, path: str, **arguments: Any) -> dict[str, Any]:
        read_file = self.box["read_file"]
        return read_file(**read_file.prepare({"path": path, **arguments}))

    def write(self, path: str, text: str = "new", **arguments: Any) -> dict[str, Any]:
        write_file = self.box["write_file"]
        return write_file(**write_file.prepare({"path": path, "text": text, **arguments}))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a few files in it, and a secret beside it."""
    inside = tmp_path / "root"
    (inside / "sub").mkdir(parents=True)
    (inside / "a.txt").write_text("hello", encoding="utf-8")
    (inside / "sub" / "b.json").write_text('{"n": [1, 2]}', encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret", encoding="utf-8")
    return inside


OUTSIDE = [
    "/etc/passwd", "//etc/passwd", "../secret.txt", "sub/../../secret.txt", "sub/..", "..", "./../secret.txt", "~/x",
    "~root/x", "sub\\..\\..\\secret.txt", "C:/x", "C:\\x", "\\\\server\\x", "a\0.txt", "a\n.txt", "\x7f", "", ".", "./",
    "/", "sub/", "a.txt/", "x/" * 40 + "y", "x" * 1_001, "\ud800.txt",
]  # fmt: skip


@pytest.mark.parametrize("path", OUTSIDE)
def test_paths_that_lead_elsewhere(root: Path, path: str) -> None:
    """A path that leads out of the root, may be read in two ways, or names no file is refused for both tools."""
    tools = Tools(root)
    for call in (tools.read, tools.write):
        with pytest.raises(ArgumentsError):
            call(path)
    assert ["a.txt", "sub"] == sorted(entry.name for entry in root.iterdir())


@pytest.mark.parametrize(
    "path", ["link.txt", "linked/secret.txt", "linked/new.txt", "sub/up/secret.txt", "inner", "self/a.txt"]
)
def test_links_are_not_followed(root: Path, path: str) -> None:
    """Neither a file nor a folder on the way may be a link, not even one that stays inside."""
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    (root / "linked").symlink_to(root.parent / "outside")
    (root / "sub" / "up").symlink_to("../../outside")
    (root / "inner").symlink_to("a.txt")
    (root / "self").symlink_to(".")
    tools = Tools(root)
    for mode in ("create", "replace", "append"):
        with pytest.raises(ArgumentsError, match="is a link, and links are not followed"):
            tools.write(path, mode=mode)
    with pytest.raises(ArgumentsError, match="is a link, and links are not followed"):
        tools.read(path)
    assert "secret" == (root.parent / "secret.txt").read_text()
    assert ["secret.txt"] == [entry.name for entry in (root.parent / "outside").iterdir()]


def test_dangling_links_are_not_followed(root: Path) -> None:
    """A link to what is not there yet would create a file outside."""
    (root / "new.txt").symlink_to(root.parent / "planted.txt")
    for mode in ("create", "replace", "append"):
        with pytest.raises(ArgumentsError, match="is a link"):
            Tools(root).write("new.txt", mode=mode)
    assert not (root.parent / "planted.txt").exists()


def test_a_folder_swapped_for_a_link_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened is what is read: a swap between two parts of the path changes nothing."""
    (root / "sub" / "secret.txt").write_text("mine", encoding="utf-8")
    opened = folder._open_folder

    def open_and_swap(*arguments: Any, **options: Any) -> int:
        handle = opened(*arguments, **options)
        (root / "sub").rename(root / "moved")
        (root / "sub").symlink_to(root.parent / "outside")
        return handle

    monkeypatch.setattr(folder, "_open_folder", open_and_swap)
    assert "mine" == Tools(root).read("sub/secret.txt")["text"]


@pytest.mark.parametrize("plant", ["link", "pipe"])
def test_a_file_swapped_meanwhile(root: Path, monkeypatch: pytest.MonkeyPatch, plant: str) -> None:
    """A swap between the look and the open is seen at the open, and a pipe does not block it."""
    opened = folder._read_regular

    def swap_and_open(*arguments: Any) -> bytes:
        (root / "a.txt").unlink()
        if plant == "link":
            (root / "a.txt").symlink_to(root.parent / "secret.txt")
        else:
            os.mkfifo(root / "a.txt")
        return opened(*arguments)

    monkeypatch.setattr(folder, "_read_regular", swap_and_open)
    with pytest.raises(ArgumentsError, match=f"is a {plant}"):
        Tools(root).read("a.txt")


def test_a_link_planted_where_a_file_is_to_go(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that appears while the text is written is replaced or refused, never written through."""
    synced = os.fsync

    def plant(handle: int) -> None:
        synced(handle)
        (root / "new.txt").symlink_to(root.parent / "secret.txt")

    monkeypatch.setattr(folder.os, "fsync", plant)
    with pytest.raises(DataError, match="already exists"):
        Tools(root).write("new.txt")
    (root / "new.txt").unlink()
    Tools(root).write("new.txt", mode="replace")
    assert (False, "new") == ((root / "new.txt").is_symlink(), (root / "new.txt").read_text())
    assert "secret" == (root.parent / "secret.txt").read_text()


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        previous = Path.cwd()
        os.chdir(path.parent)  # the path of a socket is at most 100 bytes long
        listener.bind(path.name)
        os.chdir(previous)


@pytest.mark.parametrize(
    ("make", "kind"),
    [(os.mkfifo, "a pipe"), (make_socket, "a socket"), (Path.mkdir, "a folder")],
)
def test_only_regular_files(root: Path, make: Callable[[Path], None], kind: str) -> None:
    """Pipes, sockets and folders are neither read nor replaced, and no call waits for one."""
    make(root / "odd")
    tools = Tools(root)
    with pytest.raises(ArgumentsError, match=f"`odd` is {kind}"):
        tools.read("odd")
    for mode in ("create", "replace", "append"):
        with pytest.raises(ArgumentsError, match=f"`odd` is {kind}"):
            tools.write("odd", mode=mode)


def test_devices_are_not_opened() -> None:
    """A device is refused before it is opened, since opening one can do something."""
    if not stat.S_ISCHR(Path("/dev/null").stat().st_mode):
        pytest.skip("there is no /dev/null to try")
    tools = Tools(Path("/dev"))
    for call in (tools.read, tools.write):
        with pytest.raises(ArgumentsError, match="`null` is a device"):
            call("null")


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("none.txt", DataError, "there is no `none.txt` below the root"),
        ("none/a.txt", DataError, "there is no `none/a.txt`"),
        ("a.txt/b", ArgumentsError, "`a.txt` is a file, and a folder is needed there"),
        ("x" * 300, DataError, "file name too long"),
    ],
)
def test_reading_what_is_not_there(root: Path, path: str, error: type[Exception], reason: str) -> None:
    """What the system says becomes one sentence with the path as it was given, never the root's."""
    with pytest.raises(error) as raised:
        Tools(root).read(path)
    assert reason in str(raised.value)
    assert str(root) not in str(raised.value)


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        ("grün".encode(), "utf-8", "grün"),
        (b"\xef\xbb\xbfmarked", "utf-8", "marked"),
        ("grün".encode("cp1252"), "cp1252", "grün"),
        ("grün".encode("utf-16"), "utf-16", "grün"),
        (b"a\r\nb\n", "utf-8", "a\r\nb\n"),
        (b"", "utf-8", ""),
    ],
)
def test_encodings(root: Path, content: bytes, encoding: str, expected: str) -> None:
    """The encoding is stated, a byte order mark is no text, line breaks stay as they are."""
    (root / "c.txt").write_bytes(content)
    result = Tools(root).read("c.txt", encoding=encoding)
    assert {"path": "c.txt", "text": expected, "json": None, "encoding": encoding, "size_bytes": len(content)} == result


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        ("grün".encode("cp1252"), "utf-8", "is not utf-8: byte 2 does not fit\nhint: give its encoding"),
        (b"\x89PNG\x00\x01", "latin-1", "has NUL in it"),
        (b"a\x00", "utf-8", "has NUL in it"),
        (b"abc", "utf-16", "is not utf-16"),
    ],
)
def test_what_is_no_text(root: Path, content: bytes, encoding: str, reason: str) -> None:
    """Bytes are never guessed into text."""
    (root / "c.txt").write_bytes(content)
    with pytest.raises(DataError) as raised:
        Tools(root).read("c.txt", encoding=encoding)
    assert reason in str(raised.value)


def test_odd_codecs_cannot_be_named(root: Path) -> None:
    """Only encodings of text are offered: no zip, no punycode, no unicode_escape."""
    with pytest.raises(ArgumentsError, match="encoding"):
        Tools(root).read("a.txt", encoding="unicode_escape")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"n": 1}', {"n": 1}),
        ("[1, NaN]", None),
        ("{", None),
        ("1e999", None),
        ("[" * 100_000, None),
        ('"\\ud800"', None),
    ],
)
def test_json_files(root: Path, text: str, expected: Any) -> None:
    """A .json file has its value beside its text; what no step can pass on is not JSON here."""
    (root / "c.JSON").write_text(text, encoding="utf-8")
    result = Tools(root).read("c.JSON")
    assert (text, expected) == (result["text"], result["json"])
    assert {"n": [1, 2]} == Tools(root).read("./sub//b.json")["json"]


def test_size_limits(root: Path) -> None:
    """A file or text past the limit is refused, also when a file grows past it by appending."""
    (root / "big.txt").write_bytes(b"x" * 101)
    tools = Tools(root, max_bytes=100)
    with pytest.raises(DataError, match="has 101 bytes, more than the limit of 100"):
        tools.read("big.txt")
    with pytest.raises(ArgumentsError, match="102 bytes"):
        tools.write("new.txt", "ü" * 51)
    tools.write("new.txt", "x" * 60)
    with pytest.raises(DataError, match="would be larger than 100 bytes"):
        tools.write("new.txt", "x" * 60, mode="append")
    assert 60 == (root / "new.txt").stat().st_size


def test_a_file_that_hides_its_size() -> None:
    """A file that says 0 bytes and has more is held to the limit by what is read."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("there is no /proc to try")
    with pytest.raises(DataError, match="more than the limit of 10"):
        Tools(Path(f"/proc/{os.getpid()}"), max_bytes=10).read("status")


def test_writing(root: Path) -> None:
    """Create makes folders and refuses what is there; replace and append take both."""
    tools = Tools(root)
    assert {"path": "x/y/n.txt", "size_bytes": 4, "created": True} == tools.write("x/y/n.txt", "zwö")
    with pytest.raises(DataError, match='already exists\nhint: give another path, or mode "replace" or "append"'):
        tools.write("x/y/n.txt")
    assert {"path": "x/y/n.txt", "size_bytes": 3, "created": False} == tools.write("x/y/n.txt", mode="replace")
    assert {"path": "x/y/n.txt", "size_bytes": 7, "created": False} == tools.write("x/y/n.txt", "\r\nab", mode="append")
    assert b"new\r\nab" == (root / "x/y/n.txt").read_bytes()
    assert {"path": "m.txt", "size_bytes": 3, "created": True} == tools.write("m.txt", mode="append")
    assert ["a.txt", "m.txt", "sub", "x"] == sorted(entry.name for entry in root.iterdir())


def test_half_a_character_cannot_be_written(root: Path) -> None:
    """A lone surrogate is refused before anything is touched."""
    with pytest.raises(ArgumentsError):
        Tools(root).write("a.txt", "a\ud800", mode="replace")
    assert "hello" == (root / "a.txt").read_text()


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_a_failed_write_leaves_the_old_file(
    root: Path, monkeypatch: pytest.MonkeyPatch, failing: str, mode: str
) -> None:
    """When the disk is full the old content stands, and nothing is left behind."""

    def full(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folder.os, failing, full)
    with pytest.raises(DataError, match=r"`a\.txt`: no space left on device"):
        Tools(root).write("a.txt", mode=mode)
    assert "hello" == (root / "a.txt").read_text()
    assert ["a.txt", "sub"] == sorted(entry.name for entry in root.iterdir())


def test_a_file_system_without_hard_links(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a name cannot be taken by a link, create still never replaces anything."""

    def refuse(*arguments: Any, **options: Any) -> None:
        (root / "taken.txt").write_text("theirs", encoding="utf-8")
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(folder.os, "link", refuse)
    Tools(root).write("free.txt")
    (root / "taken.txt").unlink()
    with pytest.raises(DataError, match="already exists"):
        Tools(root).write("taken.txt")
    assert ("new", "theirs") == ((root / "free.txt").read_text(), (root / "taken.txt").read_text())


def test_permissions_stay_and_hard_links_part(root: Path) -> None:
    """A replaced file keeps its mode; another name of the old file keeps the old content."""
    (root / "a.txt").chmod(0o640)
    os.link(root / "a.txt", root.parent / "other-name")
    for mode in ("replace", "append"):
        Tools(root).write("a.txt", mode=mode)
    assert 0o640 == stat.S_IMODE((root / "a.txt").stat().st_mode)
    assert ("newnew", "hello") == ((root / "a.txt").read_text(), (root.parent / "other-name").read_text())


def test_appending_at_the_same_time(root: Path) -> None:
    """Steps that append to one file at once lose none of their lines."""
    tools = Tools(root)
    threads = [
        threading.Thread(target=lambda: [tools.write("log.txt", "line\n", mode="append") for _ in range(10)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "line\n" * 80 == (root / "log.txt").read_text()


def test_no_handle_is_left_open(root: Path) -> None:
    """Failures on every part of the way close what was opened."""
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files cannot be counted here")
    tools = Tools(root)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in ("sub/b.json", "sub/none", "none/none", "a.txt/b", "sub"):
        for call in (tools.read, tools.write):
            try:
                call(path)
            except PlanloomError:
                continue
    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_the_root_is_fixed_when_the_tools_are_made(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later change of the current folder does not move the root."""
    monkeypatch.chdir(root)
    tools = Tools(Path())
    monkeypatch.chdir(root.parent)
    assert "hello" == tools.read("a.txt")["text"]
    with pytest.raises(UsageError, match="is not a folder"):
        file_tools(root / "a.txt")


def step(path: Any) -> dict[str, Any]:
    return {"id": "w", "description": "w", "depends_on": [], "tool": "write_file", "args": {"path": path, "text": "x"}}


@pytest.mark.parametrize(
    "path", ["../x", "/x", "./x", "a//b", "a/./b", "a/../b", "a/", "..", ".", ".env", "a/.b", "a\\b", ""]
)
def test_a_plan_with_such_a_path_is_refused(root: Path, path: str) -> None:
    """The schema alone refuses a path out of the root, and every second spelling of one inside."""
    issues = find_issues({"steps": [step(path)]}, file_tools(root))
    assert ["argument-type"] == [issue.code for issue in issues if issue.severity == "error"]


@pytest.mark.parametrize("path", ["a.txt", "a/b c/ü.md", "a..b/c...", "{{inputs.name}}", "out/{{inputs.name}}"])
def test_a_plan_with_such_a_path_is_fine(root: Path, path: str) -> None:
    """Plain relative paths and references pass."""
    issues = find_issues({"inputs": {"name": "x"}, "steps": [step(path)]}, file_tools(root))
    assert [] == [issue for issue in issues if issue.severity == "error"]


def test_two_steps_that_write_one_file_are_seen(root: Path) -> None:
    """`writes` names the file, so two parallel writers are a conflict."""
    issues = find_issues({"steps": [step("a"), {**step("a"), "id": "v"}]}, file_tools(root))
    assert ["conflict"] == [issue.code for issue in issues if issue.severity == "error"]


@pytest.mark.parametrize("path", [".env", ".ssh/id", "sub/.git/hooks/x", "..a", "...", "sub/.planloom-0.tmp"])
def test_hidden_files(root: Path, path: str) -> None:
    """Keys stand in hidden files and programs run what is in them: they are neither read nor written."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("key", encoding="utf-8")
    for call in (Tools(root).read, Tools(root).write):
        with pytest.raises(ArgumentsError, match="is hidden"):
            call(path)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(alphabet="a./\\~:\0 é", max_size=12) | st.text(max_size=20))
def test_any_path_is_refused_or_split(path: str) -> None:
    """What is let through is a list of plain names below the root."""
    try:
        parts = split_path(path)
    except ArgumentsError:
        return
    assert parts
    assert not any(part in ("", ".", "..") or "/" in part or "\0" in part for part in parts)
