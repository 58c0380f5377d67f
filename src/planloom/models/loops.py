"""Keeps one client per event loop: connections belong to the loop they were made on, and end with it.

A program may ask the same model from several loops, one after another (`run_sync` twice) or at once (threads). Each
gets a client of its own. It is closed when its model is dropped, and else when the loop shuts down its async
generators, as `asyncio.run` does at its end; so nobody has to close a model, and nothing is left open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary, finalize

from planloom.models.clients import Client

CLOSE_TIMEOUT_S: Final = 5.0


class LoopClients:
    """The clients of one model, by event loop, opened on first use."""

    def __init__(self, open_client: Callable[[], Client]) -> None:
        self._open = open_client
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, _Place] = WeakKeyDictionary()
        finalize(self, _drop, self._places).atexit = False

    async def get(self) -> Client | Exception:
        """Return the running loop's client, opened on a thread the first time: the imports take seconds.

        What goes wrong there is returned, not raised, so that its text cannot get into a traceback.
        """
        loop = asyncio.get_running_loop()
        place = self._places.get(loop)
        if place is None:
            place = self._places[loop] = _Place()
        if place.client is not None:
            return place.client
        async with place.lock:
            if place.client is None:
                client = await asyncio.to_thread(self._try_open)
                if isinstance(client, Exception):
                    return client
                await place.fill(client)
        return place.client or RuntimeError("the model was closed while it was opened")

    async def aclose(self) -> None:
        """Close the running loop's client. The next call opens a new one."""
        place = self._places.pop(asyncio.get_running_loop(), None)
        if place is not None:
            await place.close()

    def _try_open(self) -> Client | Exception:
        try:
            return self._open()
        except Exception as error:  # noqa: BLE001 - the caller makes one sentence of it
            return error


_keepers: WeakKeyDictionary[asyncio.AbstractEventLoop, set[AsyncGenerator[None]]] = WeakKeyDictionary()
"""Async generators that each wait for the end of their loop; held here, or they would end with their model, too late
for the loop to wait for what they close."""


class _Place:
    """What there is for one loop."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.lock = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._keeper: AsyncGenerator[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def fill(self, client: Client) -> None:
        """Take a client in, and have it closed when the loop ends: a loop closes each generator that was begun."""
        self._keeper = self._keep()
        await anext(self._keeper)
        _keepers.setdefault(self._loop, set()).add(self._keeper)
        self.client = client

    async def close(self) -> None:
        """Close the client, once; whoever comes second waits until it is closed."""
        await self._close_client()
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            _keepers.get(self._loop, set[AsyncGenerator[None]]()).discard(keeper)
            with suppress(RuntimeError):  # the loop is ending it at this moment
                await keeper.aclose()

    def close_soon(self) -> None:
        """Close the client in a task of its own; called on the loop."""
        self._closing = self._loop.create_task(self.close())

    async def _keep(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self._close_client()

    async def _close_client(self) -> None:
        async with self.lock:
            if self.client is None:
                return
            with suppress(Exception):  # a connection that does not want to close must not spoil the program's end
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self.client.close()
            self.client = None


def _drop(places: WeakKeyDictionary[asyncio.AbstractEventLoop, _Place]) -> None:
    """Close the clients of a model that nobody has any more; may be called on any thread."""
    for loop, place in list(places.items()):
        if place.client is not None:
            with suppress(RuntimeError):  # the loop is closed, and so are its connections
                loop.call_soon_threadsafe(place.close_soon)
