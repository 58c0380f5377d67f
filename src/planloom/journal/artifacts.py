"""Artifacts: large values and values that are not JSON, in files named by the hash of what they hold.

A file is written beside its place, synced and renamed, so it is whole or not there; it is checked when it is read.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from planloom.errors import JournalCorruptError, JournalError
from planloom.journal.base import Journal
from planloom.journal.files import make_folder, said, sync_folder

try:
    import fcntl
except ImportError:  # no such locks on Windows: there the age of a file alone keeps it from being collected
    fcntl = None

ARTIFACT_KEY: Final = "$artifact"
MAX_INLINE_BYTES: Final = 64 * 1024
"""Length of the JSON text of a value up to which it stands in the record itself."""
MAX_ARTIFACT_BYTES: Final = 1024 * 1024 * 1024
"""Size of one artifact."""
MIN_AGE_S: Final = 3600.0
"""Seconds for which an artifact that nothing mentions is kept: its record may be under way."""
_PREFIX: Final = "sha256:"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_PART_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """What a record holds instead of the value: `{"$artifact": "sha256:…", "type": …, "codec": …, "bytes": n, …}`.

    `type` says what the file is (json, parquet, npy, bytes), `codec` who reads it, `facts` what the codec adds, such
    as rows and columns.
    """

    hash: str
    type: str
    codec: str
    bytes: int
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object."""
        fixed = {ARTIFACT_KEY: _PREFIX + self.hash, "type": self.type, "codec": self.codec, "bytes": self.bytes}
        return fixed | dict(self.facts)

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """Read what `to_dict` wrote. Raises `JournalCorruptError` for anything else."""
        facts = dict(written)
        name, type, codec, size = (facts.pop(key, None) for key in (ARTIFACT_KEY, "type", "codec", "bytes"))
        hash = name.removeprefix(_PREFIX) if isinstance(name, str) and name.startswith(_PREFIX) else ""
        if not (_HASH.fullmatch(hash) and isinstance(type, str) and isinstance(codec, str) and isinstance(size, int)):
            raise JournalCorruptError(f"`{str(dict(written))[:200]}` is no reference to an artifact")
        return cls(hash, type, codec, size, facts)


class Artifacts:
    """A folder of artifacts, made when the first is put. Its methods block; many processes may share it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def put(self, content: bytes) -> str:
        """Keep content and return the hex hash that names it. Durable when it returns.

        What is there already is kept as it is, or written again if it is damaged. Raises `JournalError`.
        """
        if len(content) > MAX_ARTIFACT_BYTES:
            raise JournalError(
                f"an artifact of {len(content):,} bytes is more than {MAX_ARTIFACT_BYTES:,} (MAX_ARTIFACT_BYTES)"
            )
        hash = hashlib.sha256(content).hexdigest()
        path = self.path(hash)
        try:
            make_folder(path.parent)
            with self._locked(shared=True):
                if _is_file_of(path, hash, len(content)):
                    os.utime(path)  # young again, so that it is not collected before its record is there
                else:
                    self._write(path, content)
                sync_folder(path.parent)
        except OSError as error:
            raise said(f"the artifact {path}", "written", error) from error
        return hash

    def get(self, hash: str) -> bytes:
        """Return content by its hash. Raises `JournalCorruptError` when it is not what was put or is not there."""
        path = self.path(hash)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise JournalCorruptError(
                f"the artifact {path} is not there\nhint: artifacts belong beside their journal; was one moved alone?"
            ) from None
        except OSError as error:
            raise said(f"the artifact {path}", "read", error) from error
        if hashlib.sha256(content).hexdigest() != hash:
            raise JournalCorruptError(f"the artifact {path} is damaged: its content is not what was written")
        return content

    def path(self, hash: str) -> Path:
        """Return where an artifact is, or would be. Raises `JournalError` for what is no hash."""
        if not _HASH.fullmatch(hash):
            raise JournalError(f"`{hash[:80]}` is no SHA-256 in hexadecimal digits")
        return self.folder / hash[:2] / hash[2:]

    def hashes(self) -> set[str]:
        """Return the hash of everything that is there."""
        return {path.parent.name + path.name for path in self._files() if _HASH.fullmatch(path.parent.name + path.name)}

    def remove(self, hashes: frozenset[str], *, but: frozenset[str], min_age_s: float) -> int:
        """Remove those of `hashes` that are not in `but` and not younger than `min_age_s`; return how many.

        Files that a crash left half written go with them, and do not count.
        """
        removed = 0
        oldest_s = time.time() - min_age_s
        try:
            with self._locked(shared=False):
                for path in self._files():
                    hash = path.parent.name + path.name
                    is_left_over = not _HASH.fullmatch(hash)
                    if not is_left_over and (hash in but or hash not in hashes):
                        continue
                    if path.stat().st_mtime <= oldest_s:
                        path.unlink()
                        removed += not is_left_over
        except OSError as error:
            raise said(f"an artifact in {self.folder}", "removed", error) from error
        return removed

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9a-f][0-9a-f]/*"))

    def _write(self, path: Path, content: bytes) -> None:
        draft = path.with_name(f"{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")
        descriptor = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(descriptor, view[:_PART_BYTES]) :]
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise

    @contextmanager
    def _locked(self, *, shared: bool) -> Generator[None]:
        """Keep what is put and what is removed apart; many may put at once."""
        if fcntl is None or not self.folder.exists():
            yield
            return
        descriptor = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)  # which gives the lock back


async def garbage(journal: Journal, artifacts: Artifacts, *, min_age_s: float = MIN_AGE_S) -> int:
    """Remove the artifacts that no record of the journal mentions; return how many.

    Younger ones stay, for the record of a run that goes on may be under way. One folder belongs to one journal.
    """
    there = frozenset(artifacts.hashes())
    # asked after: what is mentioned by then stays, and what is put from now on is young
    return artifacts.remove(there, but=await journal.artifacts(), min_age_s=min_age_s)


def _is_file_of(path: Path, hash: str, size: int) -> bool:
    try:
        return path.stat().st_size == size and hashlib.sha256(path.read_bytes()).hexdigest() == hash
    except FileNotFoundError:
        return False
