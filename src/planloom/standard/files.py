"""`read_file` and `write_file`: text files inside one root, which is given in Python and never by a plan."""

from __future__ import annotations

import os
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from typing_extensions import TypedDict

from planloom.errors import ArgumentsError, DataError
from planloom.plan.issues import shorten
from planloom.standard.folder import SUPPORTED, Folder, WriteMode
from planloom.standard.json_text import read_json
from planloom.tools import Toolbox, tool

MAX_FILE_BYTES: Final = 10_000_000

__all__ = ["MAX_FILE_BYTES", "SUPPORTED", "FileText", "WrittenFile", "file_tools"]

Encoding = Literal["utf-8", "utf-16", "cp1252", "latin-1"]
_PART: Final = r"[^/\\.][^/\\]*"
FilePath = Annotated[
    str,
    # only in the schema: so a plan is refused before it runs, and at run time the message says what is wrong
    Field(json_schema_extra={"pattern": rf"^{_PART}(/{_PART})*$"}),
]
"""A relative path in its one plain spelling, so that two steps that write the same file are seen to do so."""


class FileText(TypedDict):
    """`json` is the value of a `.json` file that is valid JSON, else null; `size_bytes` is the size of the file."""

    path: str
    text: str
    json: Any
    encoding: str
    size_bytes: int


class WrittenFile(TypedDict):
    """`size_bytes` is the size of the whole file, `created` whether it is new."""

    path: str
    size_bytes: int
    created: bool


def file_tools(root: str | os.PathLike[str] = ".", *, max_bytes: int = MAX_FILE_BYTES) -> Toolbox:
    """Make `read_file` and `write_file` for the files below `root` (default: the current folder, as it is now).

    `max_bytes` is the largest file that is read or written. Links are never followed, not even inside the root, and
    hidden files (with a dot in front) are neither read nor written. Raises UsageError when `root` is not a folder, and
    on Windows, where a path cannot be opened safely part by part.
    """
    folder = Folder(root)

    @tool(read_only=True, retries=0, timeout_s=60)
    def read_file(path: FilePath, encoding: Encoding = "utf-8") -> FileText:
        """Read a text file below the working folder: `text`, and for a .json file its value as `json`.

        Args:
            path: Relative, such as `data/prices.json`.
            encoding: Of the file; a byte order mark is left out of the text.
        """
        content = folder.read(path, max_bytes)
        text = _decoded(content, encoding, path)
        value: Any = None
        if path.lower().endswith(".json"):
            try:
                value = read_json(text)
            except ValueError:
                value = None
        return {"path": path, "text": text, "json": value, "encoding": encoding, "size_bytes": len(content)}

    @tool(destructive=True, retries=0, timeout_s=60, writes=("file:{path}",))
    def write_file(path: FilePath, text: str, mode: WriteMode = "create") -> WrittenFile:
        """Write a text file (UTF-8) below the working folder, in one step; missing folders are made.

        Args:
            path: Relative, such as `out/report.md`.
            text: The whole text, or what to add. It is written as it is, without a line break added.
            mode: create fails if the file is there, replace overwrites it, append adds at its end.
        """
        try:
            content = text.encode("utf-8")
        except UnicodeEncodeError:
            raise ArgumentsError("`write_file`: the text has half a character in it (a lone surrogate)") from None
        if len(content) > max_bytes:
            raise ArgumentsError(
                f"`write_file`: the text has {len(content):,} bytes, more than the limit of {max_bytes:,}"
            )
        size, created = folder.write(path, content, mode, max_bytes)
        return {"path": path, "size_bytes": size, "created": created}

    return Toolbox([read_file, write_file])


def _decoded(content: bytes, encoding: Encoding, path: str) -> str:
    try:
        text = content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        raise DataError(
            f"`{shorten(path)}` is not {encoding}: byte {error.start} does not fit\n"
            'hint: give its encoding, such as "cp1252"; only text can be read'
        ) from None
    if "\0" in text:
        raise DataError(f"`{shorten(path)}` is not {encoding} text: it has NUL in it\nhint: only text can be read")
    return text
