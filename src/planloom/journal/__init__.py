"""The journal: every run as a list of records, durable, fenced, and read back.

base       what a journal is               records    one line per event, with a checksum
lines      how a record is written         memory, sqlite, postgres: the three
writing    the thread that groups appends into commits
owners     who drives a run, alive or not  opening    which journal an address means
writers    the owner of one run            queued     a journal over that thread
artifacts  large values, by their hash     codecs     values that are not JSON, and back
plain_codecs, table_codecs, standard: the codecs that there are
sqlite_store, sqlite_file, wal, postgres_store, files: tables, statements, what the system says
"""

from planloom.journal.artifacts import MAX_INLINE_BYTES, ArtifactRef, Artifacts, garbage
from planloom.journal.base import Journal, RunSummary, RunWriter
from planloom.journal.codecs import Codec, Codecs, Encoded
from planloom.journal.memory import MemoryJournal
from planloom.journal.opening import open_journal
from planloom.journal.records import Dropped, Record, RunRecords
from planloom.journal.sqlite import SqliteJournal
from planloom.journal.standard import standard_codecs

__all__ = [
    "MAX_INLINE_BYTES",
    "ArtifactRef",
    "Artifacts",
    "Codec",
    "Codecs",
    "Dropped",
    "Encoded",
    "Journal",
    "MemoryJournal",
    "Record",
    "RunRecords",
    "RunSummary",
    "RunWriter",
    "SqliteJournal",
    "garbage",
    "open_journal",
    "standard_codecs",
]
