"""What the peers' benchmark has measured is not lost when it is interrupted, and is only used for the same thing."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FINGERPRINT = {"effort": {"rounds": 5}, "graphs": ["chain 5", "wide 1-3-1"], "commit": "abc"}


@pytest.fixture(autouse=True)
def _root_is_importable(monkeypatch):
    """`bench` is found from the root of the repository, as `python -m bench` finds it."""
    monkeypatch.syspath_prepend(str(ROOT))


def module(name):
    return importlib.import_module(f"bench.peers.{name}")


@pytest.fixture
def command(monkeypatch, tmp_path):
    """The command, with its cache in a folder of this test."""
    found = module("__main__")
    monkeypatch.setattr(found, "CACHE", tmp_path)
    return found


def new_bench(tmp_path, said):
    harness = module("harness")
    return harness.Bench(tmp_path, harness.Effort(), said.append)


def cell(block, contender, graph):
    results = module("results")
    turns = [results.Turn(0.1, [0.5, 0.7], floor_s=0.2, planloom_s=0.3)]
    return results.Cell(block, contender, graph, "no-op", "async", 5, 0.0, turns)


def test_an_interrupted_run_is_gone_on_with(command, tmp_path):
    """Cells, versions and seconds come back as they were kept."""
    said: list[str] = []
    first, second = new_bench(tmp_path, said), new_bench(tmp_path, said)
    first.cells.append(cell("in process", "floor", "chain 5"))
    first.reported["floor"] = "3.11"
    command._keep(first, FINGERPRINT, 61.0)

    assert 61.0 == command._go_on(second, FINGERPRINT, is_fresh=False)
    assert first.cells == second.cells
    assert {"floor": "3.11"} == second.reported


@pytest.mark.parametrize(("fingerprint", "is_fresh"), [({**FINGERPRINT, "commit": "def"}, False), (FINGERPRINT, True)])
def test_figures_of_something_else_are_not_used(command, tmp_path, fingerprint, is_fresh):
    """Another commit, and `--fresh`: everything is measured anew."""
    said: list[str] = []
    first, second = new_bench(tmp_path, said), new_bench(tmp_path, said)
    first.cells.append(cell("in process", "floor", "chain 5"))
    command._keep(first, FINGERPRINT, 61.0)

    assert 0.0 == command._go_on(second, fingerprint, is_fresh=is_fresh)
    assert [] == second.cells


def test_graphs_that_are_done_are_not_run_again(monkeypatch, tmp_path):
    """Only in the block in which they were measured; what is there is kept after every graph by the block."""
    harness, contenders, graphs = module("harness"), module("contenders"), module("graphs")
    ran = []

    def run_block(self, block, contenders, part, scratch):
        ran.append((block.name, [graph.name for graph in part]))

    monkeypatch.setattr(harness.Bench, "_run_block", run_block)
    bench = new_bench(tmp_path, [])
    bench.cells = [cell("in process", "floor", "chain 5"), cell("with a server", "floor", "chain 5")]

    bench.run(contenders.BLOCKS, [graphs.chain(5), graphs.wide(3)], set(contenders.NAMES))

    assert [
        ("in process", ["wide 1-3-1"]),
        ("durable", ["chain 5"]),
        ("with a server", ["wide 1-3-1"]),
    ] == ran


def refused(tmp_path, name, measured):
    """Say why a contender would not run a graph of 1,000 steps, after a second a step on another graph."""
    harness, contenders, graphs = module("harness"), module("contenders"), module("graphs")
    block = contenders.DURABLE
    bench = new_bench(tmp_path, [])
    bench.cells = [cell(block.name, name, measured)]
    bench.cells[0].turns[0].run_s = [5.0]
    turns = harness._Turns(
        bench, block, graphs.layered(10, 100), "no-op", "async", list(block.contenders), {}, tmp_path
    )
    return turns._reason_against(next(one for one in block.contenders if one.name == name))


def test_what_would_take_too_long_is_not_begun(tmp_path):
    """It is said at which cost of a step, and measured where."""
    assert "at 1000 ms a step" in refused(tmp_path, "dbos", "skewed 10x10")


@pytest.mark.parametrize(("name", "measured"), [("dbos", "chain 100"), ("planloom-durable", "skewed 10x10")])
def test_what_cannot_be_foreseen_is_run(tmp_path, name, measured):
    """A chain says nothing of steps side by side; and without the partners of all ratios nothing could be compared."""
    assert "" == refused(tmp_path, name, measured)


def test_a_short_table_and_a_sentence_are_made_of_the_cells():
    """Microseconds a step of no-op async bodies; durable cells stand in a table of their own."""
    pages = module("pages")
    cells = [cell("in process", "planloom", "layered 2x3"), cell("durable", "floor-durable", "layered 2x3")]
    contenders = [{"name": "planloom", "title": "Planloom"}, {"name": "floor-durable", "title": "a writer"}]
    document = {"cells": [one.document() for one in cells], "contenders": contenders}

    assert 120_000 == pytest.approx(pages.no_op_step_us(document, "planloom", "layered"))
    assert pages.no_op_step_us(document, "floor-durable", "layered") is None
    first, second = pages.summary(document).split("The same with every step durable.")
    assert "| Planloom | 120,000.0 (3.0x) |" in first
    assert "| a writer | 120,000.0 (3.0x) |" in second
