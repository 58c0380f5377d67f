"""The way in, and the only way out: signals, errors and exit codes of the command `planloom`.

Rule: a command ends with one of the documented exit codes and never with a traceback. Nothing heavy is imported
before the signals are taken care of.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Generator, Sequence
from typing import NoReturn, TextIO

import click

from planloom.cli.leaving import leave
from planloom.cli.signals import leave_on_signals
from planloom.errors import (
    BudgetExceededError,
    MissingExtraError,
    ModelError,
    PlanloomError,
    PlanValidationError,
    RunNotFoundError,
    RunOwnedError,
    ToolDefinitionError,
    ToolLoadError,
    UsageError,
)

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INVALID = 3
EXIT_MODEL = 4
EXIT_BUDGET = 6
DEBUG_VARIABLE = "PLANLOOM_DEBUG"
"""When it is set, errors come with their traceback."""


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, by default with the process's own arguments. Always ends with `SystemExit`."""
    known = frozenset(threading.enumerate())
    streams = sys.stdout, sys.stderr
    with leave_on_signals(), _quiet_tracebacks():
        try:
            code = _run(args)
        finally:
            sys.stdout, sys.stderr = streams
        leave(_flush(code), known)


def _run(args: Sequence[str] | None) -> int:
    """Run a command and turn whatever comes out of it into an exit code."""
    import click

    from planloom.cli.commands import group

    try:
        returned = group.main(None if args is None else list(args), prog_name="planloom", standalone_mode=False)
        return returned if isinstance(returned, int) else 0
    except click.ClickException as error:
        return _refuse(error)
    except PlanloomError as error:
        return _fail(error)
    except SystemExit as error:
        if "PacifyFlushWrapper" in type(sys.stdout).__name__:  # click's way out when the reader of its help has left
            return 0
        return error.code if isinstance(error.code, int) else 0 if error.code is None else EXIT_FAILED
    except BrokenPipeError:
        return 0
    except OSError as error:  # from what click prints (help, the version), or no temporary folder
        where = f"`{error.filename}`: " if error.filename else ""
        _say(f"error: {where}{error.strerror or error}")
        return EXIT_FAILED
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BaseException as error:  # noqa: BLE001 - the promise: one line, never a traceback
        return _internal_error(error)


# ---- what an error says, and its exit code -------------------------------------------------------------------


def _refuse(error: click.ClickException) -> int:
    """Say what is wrong with the command line."""
    message = error.format_message()
    _say(f"error: {message}")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None and "\nhint: " not in message:
        _say(f"hint: {context.command_path} --help")
    return EXIT_USAGE


def _fail(error: PlanloomError) -> int:
    """Say what went wrong; who has to act on it decides the exit code."""
    _trace()
    if isinstance(error, PlanValidationError):
        _say(str(error))
        return EXIT_INVALID
    _say(f"error: {error}")
    mistakes = (
        UsageError, MissingExtraError, ToolLoadError, ToolDefinitionError, RunNotFoundError, RunOwnedError,
    )  # fmt: skip
    if isinstance(error, mistakes):  # a missing key is a mistake, though a model's error too
        return EXIT_USAGE
    if isinstance(error, ModelError):
        return EXIT_MODEL
    return EXIT_BUDGET if isinstance(error, BudgetExceededError) else EXIT_FAILED


def _internal_error(error: BaseException) -> int:
    from planloom.cli.text import first_line

    _trace()
    _say(f"internal error: {type(error).__name__}: {first_line(_text_of(error), 400) or 'no message'}")
    _say(
        f"hint: this is a fault of Planloom; please report it, with what {DEBUG_VARIABLE}=1 and `planloom doctor` print"
    )
    return EXIT_FAILED


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception whose own text fails
        return "its message could not be read"


def _say(text: str) -> None:
    from planloom.cli.terminal import paint, wants_control_codes, write_words
    from planloom.cli.text import visible

    head, newline, rest = visible(text).partition("\n")
    write_words(
        sys.stderr,
        (paint(head, "red") if wants_control_codes(sys.stderr) and not head.startswith("hint: ") else head)
        + newline
        + rest,
    )


def _trace() -> None:
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exc()


def _flush(code: int) -> int:
    """Flush what click has printed; a reader who has left is no reason for a traceback at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:  # pyright: ignore[reportUnnecessaryComparison] (closed by the shell)
                stream.flush()
        except (OSError, ValueError) as error:
            assert stream is not None
            _forget(stream)
            if not isinstance(error, BrokenPipeError):
                code = code or EXIT_FAILED
    return code


def _forget(stream: TextIO) -> None:
    """Let a stream that cannot be written lead to nowhere, so that the interpreter's own flush is quiet."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        return


# ---- tracebacks of others --------------------------------------------------------------------------------------


@contextlib.contextmanager
def _quiet_tracebacks() -> Generator[None, None, None]:
    """Threads and finalisers of tools fail on their own: one line each, and the traceback only when it is asked for."""
    earlier = threading.excepthook, sys.unraisablehook
    if not os.environ.get(DEBUG_VARIABLE):
        threading.excepthook = lambda args: _say_stray("a thread of a tool", args.exc_value)
        sys.unraisablehook = lambda args: _say_stray("the clean-up of an object", args.exc_value)
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = earlier


def _say_stray(where: str, error: BaseException | None) -> None:
    if error is not None:
        from planloom.cli.text import first_line

        _say(f"note: {where} failed: {type(error).__name__}: {first_line(_text_of(error))}")
