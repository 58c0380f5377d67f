"""Fixtures of the standard toolbox's tests: a scripted site, and a `fetch_url` that may ask the loopback address."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from planloom.standard import WebLimits, fetch_tool
from planloom.standard.addresses import Address, refusal_of
from planloom.tools import Tool

sys.path.insert(0, str(Path(__file__).parent))  # under importlib mode pytest adds no folder to the path

from scripted_site import Site


def refuse_but_one(address: Address) -> str | None:
    """127.0.0.1 alone is let in, as a network of one's own would be; 127.0.0.2 stays refused."""
    return None if address == ip_address("127.0.0.1") else refusal_of(address)


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    """Start scripted sites; they end with the test."""
    with ExitStack() as stack:
        yield lambda pages, **options: stack.enter_context(Site(pages, **options))


@pytest.fixture
def fetch_from(serve: Callable[..., Site]) -> Callable[..., Any]:
    """Serve one answer at site.test and fetch it: `fetch_from(page, path="/", limits=…)`; gives the tool's output."""

    def fetch(page: Any, path: str = "/", *, limits: WebLimits | None = None, **arguments: Any) -> Any:
        site = serve({path: page})
        return local_tool(limits=limits)(url=f"http://site.test:{site.port}{path}", **arguments)

    return fetch


def local_tool(hosts: dict[str, list[str]] | None = None, **options: Any) -> Tool:
    """A `fetch_url` whose resolver knows only `hosts` (default: every name is 127.0.0.1)."""
    return fetch_tool(
        resolve=lambda host, _: ["127.0.0.1"] if hosts is None else hosts[host], refusal=refuse_but_one, **options
    )


@pytest.fixture
def make_tool() -> Callable[..., Tool]:
    """The maker of such tools."""
    return local_tool
