"""A model whose calls are paid from an account: reserved before they are made, corrected after. It is a `Model` itself.

Rule: whatever becomes of a call (a reply, a failure, a cancellation, a stream that is left early), its reservation is
settled before the caller hears of it. A call that the budget has no room for is never made.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from planloom.errors import ModelReplyError, ModelTimeoutError, PlanloomError
from planloom.models.base import CHARACTERS_PER_TOKEN, Model, ModelReply, ModelRequest
from planloom.models.providers import PROVIDERS
from planloom.plan.budget import Account, Reservation

DEFAULT_OUTPUT_TOKENS: Final = 4_096
"""What a call without a limit of its own may answer under a bound on tokens or cost, which must be known before."""

OnReply = Callable[[ModelRequest, ModelReply], None]
Price = Callable[[str, int, int], float | None]
"""From a model's name, input and output tokens to US dollars, or None when the price is not known."""


class PaidModel:
    """`model`, with every call paid from `account` and every one above it.

    `on_reply` hears of each reply and its request, also of one that is refused, empty or cut at its limit. `price`
    estimates what a call may cost at most; it is asked only where a budget bounds the cost. Under a bound on tokens or
    cost, a request without an output limit gets `DEFAULT_OUTPUT_TOKENS`. A model that is paid from one of these
    accounts already, such as one that an agent inside an agent is given, is not paid twice.

    Both ways raise `BudgetExceededError` instead of making a call that there is no room for. A call that fails counts
    as a call. Its tokens are what the provider said when it ended the reply; none when it refused the call; and else
    what was asked and what had been answered, estimated, at a cost that is not known.
    """

    def __init__(
        self, model: Model, account: Account, on_reply: OnReply | None = None, *, price: Price | None = None
    ) -> None:
        while isinstance(model, PaidModel) and account.is_within(model.account):
            model = model.model
        self.model: Model = model
        self.account = account
        self._on_reply = on_reply
        self._price = price

    @property
    def name(self) -> str:
        """The name of the model that answers."""
        return self.model.name

    def __repr__(self) -> str:
        return f"<paid {self.model!r}>"

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask and wait for the whole reply. Raises `ModelError` and `BudgetExceededError`."""
        call = await self._begin(request)
        try:
            reply = await self.model.complete(call.request)
        except BaseException as error:
            call.fail(error)
            raise
        call.end(reply)
        return reply

    async def stream(self, request: ModelRequest) -> AsyncIterator[str | ModelReply]:
        """Ask and get the text in pieces, and the reply last. Raises `ModelError` and `BudgetExceededError`."""
        call = await self._begin(request)
        try:
            async with streaming(self.model, call.request) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelReply):
                        # before it is handed on: who stops reading here has paid for it all the same
                        call.end(piece)
                    else:
                        call.characters += len(piece)
                    yield piece
        except BaseException as error:
            call.fail(error)
            raise
        finally:
            call.leave()

    async def _begin(self, request: ModelRequest) -> _Call:
        account = self.account
        if request.max_output_tokens is None and account.bounds_tokens:
            request = replace(request, max_output_tokens=DEFAULT_OUTPUT_TOKENS)
        asked = request.estimate_input_tokens()
        limit = request.max_output_tokens or DEFAULT_OUTPUT_TOKENS
        cost_usd = None
        if account.bounds_cost:
            if self._price is not None:
                cost_usd = self._price(self.model.name, asked, limit)
            else:
                await _load_prices(self.model.name)
                cost_usd = price_usd(self.model.name, asked, limit)
        # nothing may come between this and the call: from here on the reservation is the call's to settle
        return _Call(account, account.reserve(asked, limit, cost_usd), request, asked, self._on_reply)


class _Call:
    """One reserved call; the first of `end`, `fail` and `leave` settles it."""

    def __init__(
        self, account: Account, reservation: Reservation, request: ModelRequest, asked: int, on_reply: OnReply | None
    ) -> None:
        self.request = request
        self.characters = 0
        """How much text has come so far."""
        self._account = account
        self._reservation = reservation
        self._asked = asked
        self._on_reply = on_reply

    def end(self, reply: ModelReply) -> None:
        """Pay what the reply says."""
        if not self._reservation.is_open:
            return
        usage = reply.usage
        self._account.settle(self._reservation, usage.input_tokens, usage.output_tokens, reply.cost_usd)
        if self._on_reply is not None:
            self._on_reply(self.request, reply)

    def fail(self, error: BaseException) -> None:
        """Pay what a call that failed has used, as far as that can be known."""
        if isinstance(error, ModelReplyError) and error.reply is not None:
            self.end(error.reply)
        elif isinstance(error, ModelReplyError):
            self.characters = max(self.characters, len(error.text))
            self.leave()
        elif isinstance(error, PlanloomError) and not isinstance(error, ModelTimeoutError):
            self._account.settle(self._reservation)  # it was refused, or never sent
        else:
            self.leave()  # the provider may have read it all, and nobody says

    def leave(self) -> None:
        """Pay by estimate: what was asked, and what had been answered."""
        if self._reservation.is_open:
            self._account.settle(self._reservation, self._asked, -(-self.characters // CHARACTERS_PER_TOKEN), None)


@asynccontextmanager
async def streaming(model: Model, request: ModelRequest) -> AsyncGenerator[AsyncIterator[str | ModelReply]]:
    """Give the stream of a call, and close it however the block is left; iterators that cannot be closed will do."""
    stream = model.stream(request)
    try:
        yield stream
    finally:
        close: Any = getattr(stream, "aclose", None)
        if close is not None:
            await close()


def price_usd(model_name: str, input_tokens: int, output_tokens: int) -> float | None:
    """Return what a call costs by the price table of `genai-prices`, or None when the price is not known.

    `model_name` is `PROVIDER:NAME`. Never raises: a price is never worth a run.
    """
    provider, name = _parts(model_name)
    if not name:
        return None
    try:
        from genai_prices import Usage, calc_price  # a heavy library that comes with the providers' extras

        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        return float(calc_price(usage, model_ref=name, provider_id=provider).total_price)
    except Exception:  # noqa: BLE001 - not installed, look-up errors, and what a price table may trip over
        return None


def _parts(model_name: str) -> tuple[str, str]:
    """Return the provider and the model's own name; both empty for what no price table can know."""
    provider, _, name = model_name.partition(":")
    return (provider, name) if provider in PROVIDERS else ("", "")


async def _load_prices(model_name: str) -> None:
    """Import the price table on a thread: it takes half a second, in which steps would stand still."""
    if _parts(model_name)[1] and "genai_prices" not in sys.modules:
        await asyncio.to_thread(price_usd, model_name, 1, 1)
