"""Artifacts: whole or not there, checked, kept once, and removed only when nothing mentions them."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from planloom.errors import JournalCorruptError, JournalError
from planloom.journal import ArtifactRef, Artifacts, MemoryJournal, Record, SqliteJournal, garbage, standard_codecs
from planloom.journal import artifacts as module

CONTENT = b"rows and columns " * 10_000
HASH = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def files(artifacts):
    return sorted(path.name for path in artifacts.folder.glob("*/*"))


@pytest.mark.parametrize("change", [lambda c: c[:-1], lambda c: b"", lambda c: b"R" + c[1:]])
def test_damage_is_seen_when_read_and_mended_when_put(artifacts, change):
    """A file that is not what its name says is never returned; the same content put again makes it whole."""
    artifacts.put(CONTENT)
    artifacts.path(HASH).write_bytes(change(CONTENT))
    with pytest.raises(JournalCorruptError, match="is damaged: its content is not what was written"):
        artifacts.get(HASH)
    artifacts.put(CONTENT)
    assert CONTENT == artifacts.get(HASH)


def test_what_is_not_there_is_said(artifacts):
    """With a hint about what may have happened."""
    with pytest.raises(JournalCorruptError, match=r"(?s)is not there.*hint: artifacts belong beside their journal"):
        artifacts.get(HASH)


@pytest.mark.parametrize("hash", ["", "..", "../../etc/passwd", "A" * 64, "a" * 63])
def test_only_a_hash_names_a_file(artifacts, hash):
    """No reference leads out of the folder."""
    with pytest.raises(JournalError, match="is no SHA-256"):
        artifacts.get(hash)


@pytest.mark.parametrize(
    "written",
    [
        {"$artifact": "sha256:../x", "type": "json", "codec": "json", "bytes": 1},
        {"$artifact": 3, "type": "json", "codec": "json", "bytes": 1},
        {"$artifact": "sha256:" + "a" * 64},
    ],
)
def test_what_is_no_reference(written):
    """A damaged reference is refused before a file is looked for."""
    with pytest.raises(JournalCorruptError, match="is no reference to an artifact"):
        ArtifactRef.from_dict(written)


@pytest.mark.parametrize("name", ["write", "fsync", "open"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_disk_that_fails_leaves_nothing_half_written(artifacts, monkeypatch, name, code):
    """It is one sentence with the reason; a later try goes through."""
    artifacts.put(b"another")
    real = getattr(os, name)

    def failing(*arguments):
        if name == "open" and not str(arguments[0]).endswith(".tmp"):
            return real(*arguments)
        raise OSError(code, "injected")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, name, failing)
        with pytest.raises(JournalError, match=r"the artifact .* cannot be written: (the disk|permission)"):
            artifacts.put(CONTENT)
    assert 1 == len(files(artifacts))
    assert CONTENT == artifacts.get(artifacts.put(CONTENT))


KILLED = """
import os, sys
from planloom.journal import Artifacts
real = os.write
def write(descriptor, content):
    real(descriptor, content[:1000])
    os.kill(os.getpid(), 9)
os.write = write
Artifacts(sys.argv[1]).put(b"x" * 100_000)
"""


def test_a_process_killed_while_it_writes(artifacts):
    """The artifact is not there; the half-written file is removed with the next garbage."""
    done = subprocess.run([sys.executable, "-c", KILLED, artifacts.folder], timeout=60)
    assert -9 == done.returncode
    assert set() == artifacts.hashes()
    assert 1 == len(files(artifacts))
    assert 0 == asyncio.run(garbage(MemoryJournal(), artifacts, min_age_s=0))
    assert [] == files(artifacts)


def test_equal_content_is_kept_once(artifacts):
    """Private, and not written twice."""
    assert HASH == artifacts.put(CONTENT)
    path = artifacts.path(HASH)
    before = path.stat().st_ino
    assert HASH == artifacts.put(CONTENT)
    assert (before, 0o600, {HASH}) == (path.stat().st_ino, stat.S_IMODE(path.stat().st_mode), artifacts.hashes())


def test_content_past_the_limit_is_refused(artifacts, monkeypatch):
    """With the name of the limit."""
    monkeypatch.setattr(module, "MAX_ARTIFACT_BYTES", 10)
    with pytest.raises(JournalError, match=r"11 bytes is more than 10 \(MAX_ARTIFACT_BYTES\)"):
        artifacts.put(b"x" * 11)


def test_a_file_in_the_place_of_the_folder(tmp_path):
    """It is said, as for any other file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError, match="a part of its path is a file"):
        Artifacts(tmp_path / "file" / "artifacts").put(b"x")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_garbage_is_what_nothing_mentions(artifacts, tmp_path, kind):
    """What a record mentions stays, also through the JSON of another artifact; what is young stays."""
    codecs = standard_codecs()
    value = {"parts": [b"one", b"two"], "text": "x" * 100_000}

    async def main():
        journal = MemoryJournal() if kind == "memory" else SqliteJournal(tmp_path / "runs.db")
        kept = await codecs.keep(value, artifacts)
        lost = await codecs.keep(b"three", artifacts)
        writer = await journal.open_run("r1", "goal", {})
        await writer.append([Record(1, "r1", 1.0, "step-succeeded", "s", {"output": kept})])
        young = await garbage(journal, artifacts)
        removed = await garbage(journal, artifacts, min_age_s=0)
        assert (0, 1, 3) == (young, removed, len(artifacts.hashes()))
        output = (await journal.read("r1"))[0].data["output"]
        assert value == await codecs.restore(output, artifacts)
        with pytest.raises(JournalCorruptError):
            await codecs.restore(lost, artifacts)
        await writer.close()
        await journal.delete(["r1"])
        assert 3 == await garbage(journal, artifacts, min_age_s=0)
        assert [] == files(artifacts)
        await journal.close()

    asyncio.run(main())


def test_what_is_put_again_is_young_again(artifacts):
    """An old artifact that a live run has just asked for is not taken from under it."""
    artifacts.put(CONTENT)
    os.utime(artifacts.path(HASH), (0, 0))
    artifacts.put(CONTENT)
    assert 0 == asyncio.run(garbage(MemoryJournal(), artifacts, min_age_s=60))
    os.utime(artifacts.path(HASH), (0, 0))
    assert 1 == asyncio.run(garbage(MemoryJournal(), artifacts, min_age_s=60))


def test_garbage_where_nothing_was_put(tmp_path):
    """No folder, nothing to do."""
    assert 0 == asyncio.run(garbage(MemoryJournal(), Artifacts(tmp_path / "none")))
    assert not Path(tmp_path / "none").exists()
