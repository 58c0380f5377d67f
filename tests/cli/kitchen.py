"""Tools that behave and tools that do not, for the tests of the command line. Copied next to each test's plan."""

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
import time

from planloom import ToolContext, tool

print("kitchen is open")  # an import that talks must not spoil a document


@tool(read_only=True)
def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: The first.
        b: The second.
    """
    print("adding", a, "and", b)
    return a + b


@tool(read_only=True)
def echo(value: str) -> str:
    """Give back the value."""
    return value


@tool(read_only=True)
def unspoken() -> str:
    """Give back text that a terminal must not be given as it is."""
    return "\x1b[31mred\x1b[0m \ud800 [bold]é\u202e\r\nbell\x07"


@tool(read_only=True)
def shout() -> str:
    """Write to the real stdout from a child process."""
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
    return "done"


@tool(read_only=True, retries=0)
def boom(text: str = "no luck") -> str:
    """Always fail."""
    raise ValueError(text)


@tool
def maybe(seconds: float = 60) -> str:
    """Have an effect that cannot be repeated, and take long."""
    time.sleep(seconds)
    return "done"


_calls: dict[str, int] = {}


@tool(read_only=True, retries=2)
def flaky(key: str, fails: int = 1) -> int:
    """Fail a few times, then give the number of calls."""
    _calls[key] = _calls.get(key, 0) + 1
    if _calls[key] <= fails:
        raise ConnectionError("reset by peer")
    return _calls[key]


@tool(read_only=True)
async def wait(seconds: float = 60.0, text: str = "waited") -> str:
    """Wait without holding anything up."""
    await asyncio.sleep(seconds)
    return text


@tool(read_only=True)
async def counted(context: ToolContext) -> str:
    """Report progress, and then wait until it is stopped."""
    context.report(0.5)
    context.report("half \x1b[31mway")
    await asyncio.sleep(60)
    return "done"


@tool(read_only=True)
async def block(seconds: float = 60.0) -> str:
    """Hold up the event loop."""
    time.sleep(seconds)  # this is the misdeed
    return "blocked"


@tool(read_only=True, retries=0)
async def spin() -> str:
    """Hold up the event loop for ever, in Python code."""
    while True:
        pass


@tool(read_only=True, retries=0)
async def stubborn() -> str:
    """Ignore every request to end."""
    while True:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)


@tool(read_only=True, retries=0)
def freeze() -> str:
    """Keep the interpreter's lock for years, in C code on a thread."""
    re.match(r"(a+)+$", "a" * 60 + "b")
    return "thawed"


@tool(read_only=True)
async def litter() -> str:
    """Leave a task that ignores its end, and a thread that lives on."""

    async def stay() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    _left.append(asyncio.create_task(stay()))
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "left"


_left: list[object] = []


@tool(read_only=True)
async def spoiled() -> str:
    """Start a task and a thread that fail by themselves."""

    async def fail() -> None:
        raise RuntimeError("a task went wrong")

    def fail_too() -> None:
        raise RuntimeError("a thread went wrong")

    _left.append(asyncio.create_task(fail()))
    thread = threading.Thread(target=fail_too)
    thread.start()
    thread.join()
    await asyncio.sleep(0)
    _left.clear()
    return "fine"
