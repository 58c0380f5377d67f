"""A pause of the garbage collector, for work that makes very many objects and no circles."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_MANY: Final = 2_000


@contextmanager
def without_collections(count: int) -> Generator[None]:
    """Keep the garbage collector from walking many objects again and again while more of them are made.

    They hold no circles, so there is nothing to collect; it takes two fifths of the time otherwise. `count` is how many
    steps or records there are: for few there is no pause.
    """
    if count < _MANY or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
