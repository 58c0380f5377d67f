"""`planloom analyse`, from a file to tables, a report, a document."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("duckdb")

DATA = (
    "city,sales,[bold]x\n"
    + "".join(f"Oslo,{100 + number % 7},{number}\n" for number in range(60))
    + "Ber\x1bgen,9000,1\n"
)


def test_people(command: Any) -> None:
    """The summary comes first, then the anomalies, then the statistics; the report is one file; no key is needed."""
    command.write("shop.csv", DATA)
    ended = command("analyse", "shop.csv")
    assert 0 == ended.code, ended.stderr
    heads = ["Summary\n", "\nAnomalies: ", "\nStatistics\n", "\nColumns\n"]
    places = [ended.stdout.index(head) for head in heads]
    assert sorted(places) == places
    assert "9,000 (row 61" in ended.stdout
    assert "[bold]x" in ended.stdout
    assert "\x1b" not in ended.stdout + ended.stderr
    for words in (
        "no model is asked: the built-in playbook is run",
        "wave 1",
        "done    load in ",
        "report: shop.report.html",
    ):
        assert words in ended.stderr
    page = (command.folder / "shop.report.html").read_text()
    assert "<html" in page
    assert "https://" not in page.replace("http://www.w3.org", "")


def test_document(command: Any) -> None:
    """`--json` prints the run, and where the report is; a file that cannot be read does not hold up the others."""
    command.write("shop.csv", DATA)
    command.write("empty.csv", "")
    ended = command("analyse", "shop.csv", "empty.csv", "--json", "--output", "both.html")
    assert 1 == ended.code
    document = ended.document
    assert (1, "failed", "both.html") == (document["version"], document["status"], document["report"])
    assert "load_data" == document["plan"]["steps"][0]["tool"]
    assert "is empty" in ended.stderr
    assert (command.folder / "both.html").is_file()


def test_events(command: Any) -> None:
    """`--events` streams the run."""
    command.write("shop.csv", DATA)
    ended = command("analyse", "shop.csv", "--events")
    assert (0, "run-finished") == (ended.code, ended.events[-1]["type"])
