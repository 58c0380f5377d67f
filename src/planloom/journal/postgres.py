"""The journal in PostgreSQL, for runs that many machines share. Needs the extra `postgres`.

Rule: epochs stand in a table, and every append locks its run's row while it checks them. Time is the server's.
"""

from __future__ import annotations

from importlib.util import find_spec

from planloom.errors import MissingExtraError
from planloom.journal.base import LEASE_S
from planloom.journal.postgres_store import PostgresStore
from planloom.journal.queued import QueuedJournal


class PostgresJournal(QueuedJournal):
    """Runs in the database at `address`, such as `postgresql://user@host/database`.

    `schema` is the schema that holds its tables; it is made, with them, when it is first used. `lease_s` is how many
    seconds an owner that shows no sign of life keeps its run. A connection that breaks is made again, and what was
    under way is written once. Raises `MissingExtraError` without psycopg.
    """

    def __init__(self, address: str, *, schema: str = "planloom", lease_s: float = LEASE_S) -> None:
        if find_spec("psycopg") is None:
            raise MissingExtraError("postgres", "a journal in PostgreSQL")
        super().__init__(PostgresStore(address, schema, lease_s), lease_s)
