"""Real time."""

from __future__ import annotations

import time


class SystemClock:
    """The machine's clock."""

    is_virtual = False

    def now(self) -> float:
        """Return the seconds since 1970, UTC."""
        return time.time()
