"""The codecs that Planloom brings, as one registry."""

from __future__ import annotations

from planloom.journal.codecs import Codecs
from planloom.journal.plain_codecs import PLAIN_CODECS
from planloom.journal.table_codecs import TABLE_CODECS


def standard_codecs() -> Codecs:
    """Return a new registry with every codec that Planloom brings; register your own in it."""
    return Codecs((*TABLE_CODECS, *PLAIN_CODECS))
