"""The program of the process that turns one sheet of a workbook into CSV. It is a process because a small workbook can
unfold into more memory than there is; what it may use is limited before it opens anything.

Formulas are never computed: a cell is the value that the workbook keeps for it.
"""

# pyright: basic, reportMissingImports=false
from __future__ import annotations

import csv
import datetime as dt
import json
import os
import sys
import threading
from typing import Any

WHOLE = 2**53


def convert(request: dict[str, Any]) -> dict[str, Any]:
    """Write one sheet; the answer names all sheets, the one that was read, and the rows that were empty."""
    import python_calamine as calamine

    try:
        with open(request["path"], "rb") as file:  # noqa: PTH123 (by its content; a name may say anything)
            workbook = calamine.CalamineWorkbook.from_filelike(file)
        names = workbook.sheet_names
        wanted = request["sheet"]
        if wanted is not None and wanted not in names:
            return {"problem": "sheet", "message": "", "sheets": names[:100]}
        filled = [wanted] if wanted is not None else names
        for name in filled:
            sheet = workbook.get_sheet_by_name(name)
            if sheet.height and sheet.width:
                break
        else:
            return {"problem": "empty", "message": "", "sheets": names[:100]}
        if sheet.width > request["columns"]:
            return {"problem": "columns", "message": str(sheet.width), "sheets": names[:100]}
        empty = write_rows(sheet, request["output"])
        return {"problem": None, "sheets": names[:100], "sheet": name, "empty": empty}
    except calamine.PasswordError:
        return {"problem": "password", "message": ""}
    except (calamine.CalamineError, calamine.ZipError, calamine.XmlError) as error:
        return {"problem": "damaged", "message": str(error)[:300]}
    except MemoryError:
        return {"problem": "memory", "message": ""}


def write_rows(sheet: Any, output: str) -> int:
    """Write the rows that hold anything, and return the number of the others."""
    empty = 0
    with open(output, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        writer = csv.writer(file)
        for row in sheet.iter_rows():
            cells = [text_of(cell) for cell in row]
            if any(cells):
                writer.writerow(cells)
            else:
                empty += 1
    return empty


def text_of(cell: Any) -> str:
    """A cell as text that the reading of text files knows."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < WHOLE else repr(cell)
    if isinstance(cell, dt.datetime):
        return str(cell.date()) if cell.time() == dt.time() else cell.isoformat(sep=" ")
    if isinstance(cell, dt.timedelta):
        minutes, seconds = divmod(int(cell.total_seconds()), 60)
        return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return str(cell).replace("\x00", "")


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.stdin.buffer.read())
    sys.path[:] = request["import_path"]
    from planloom.analysis.sandbox_process import end_process, limit_process

    limit_process(request["memory_bytes"], request["file_bytes"])
    timer = threading.Timer(request["kill_s"], end_process)
    timer.daemon = True
    timer.start()
    try:
        answer = convert(request)
    except OSError as error:
        answer = {"problem": "damaged", "message": str(error)[:300]}
    sys.stdout.write(json.dumps(answer))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
