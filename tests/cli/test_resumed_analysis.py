"""An analysis that goes on later: from another folder, with files that have changed, and no more files than it had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from goal_cases import JOINER, MODEL, plan_text, step

from conftest import Inside
from planloom.testing import ModelServer, ReceivedRequest, Served

pytest.importorskip("duckdb")

DATA = "city,sales\n" + "".join(f"Oslo,{100 + number % 7}\n" for number in range(60))
RECOVERY = plan_text(
    step("other", "load_data", path="secrets.csv"), step("sum", "compute_stats", "other", data="{{other.output}}")
)
PLAN = plan_text(
    step("sales", "load_data", path="{{inputs.path}}"),
    step("figures", "find_outliers", "sales", data="{{sales.output}}", columns=["none such"]),
)


@pytest.fixture
def cut(inside: Inside) -> Inside:
    """A folder with an analysis that was cut short before it had read its file."""
    (inside.folder / "shop.csv").write_text(DATA)
    assert 1 == inside("analyse", "shop.csv", "--timeout", "0.0001").code
    return inside


def _elsewhere(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = inside.folder / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_from_another_folder(cut: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names lead from the folder that the run was begun in, and the report shows them as they were given."""
    elsewhere = _elsewhere(cut, monkeypatch)
    (elsewhere / "shop.csv").write_text("city\nBergen\n")
    done = cut("resume", "last", "--json")
    assert 0 == done.code, done.stderr
    assert 60 == done.document["steps"]["load"]["output"]["rows"]
    assert "shop.csv" == done.document["plan"]["inputs"]["path"]
    report = cut.folder / "shop.report.html"
    assert str(report) == done.document["report"]
    assert str(cut.folder) not in report.read_text()
    assert "has changed" not in done.stderr


def test_a_file_that_has_changed(cut: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said, once, and the new content is read."""
    (cut.folder / "shop.csv").write_text(DATA + "Oslo,7\n")
    _elsewhere(cut, monkeypatch)
    done = cut("resume", "last", "--json")
    assert (0, 61) == (done.code, done.document["steps"]["load"]["output"]["rows"])
    assert 1 == done.stderr.count(f"note: `{cut.folder / 'shop.csv'}` has changed since the run began")


def test_a_file_that_has_gone(cut: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """That is said; the run fails, and can go on once the file is back."""
    (cut.folder / "shop.csv").rename(cut.folder / "away.csv")
    _elsewhere(cut, monkeypatch)
    failed = cut("resume", "last")
    assert 1 == failed.code
    assert f"note: `{cut.folder / 'shop.csv'}` is not there any more" in failed.stderr
    (cut.folder / "away.csv").rename(cut.folder / "shop.csv")
    assert 0 == cut("resume", "last").code


@pytest.mark.parametrize(
    "going_on", [("resume", "last"), ("rerun", "last", "--from", "sales")], ids=["resume", "rerun"]
)
def test_a_question_keeps_to_its_files(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, going_on: tuple[str, ...]
) -> None:
    """A question that goes on has the tools and the files that it had, and the model is told the same of them."""
    (inside.folder / "shop.csv").write_text(DATA)
    (inside.folder / "secrets.csv").write_text("name\nann\n")
    asked: list[list[str]] = []

    def reply(request: ReceivedRequest) -> str | Served:
        if request.texts[0].startswith(JOINER):
            return "It is so."
        asked.append(request.texts)
        return PLAN if len(asked) == 1 else Served(status=400)

    def run(*argv: str, recovery: str = "") -> Any:
        def answer(request: ReceivedRequest) -> str | Served:
            found = reply(request)
            return recovery if recovery and isinstance(found, Served) else found

        with ModelServer(answer) as server:
            return inside(*argv, *MODEL, "--base-url", server.base_url, "--json")

    failed = run("analyse", "shop.csv", "--ask", "How many?")
    assert (4, "failed") == (failed.code, failed.document["status"]), failed.stderr
    _elsewhere(inside, monkeypatch)
    again = run(*going_on, recovery=RECOVERY)
    assert 1 == again.code
    refused = again.document["steps"]["other"]
    assert "`secrets.csv` is none of the files that were given" in refused["error"]["message"], again.stderr
    told = "\n".join(asked[-1])
    assert "<profile>" in told
    assert "fetch_url" not in told
    assert "read_file" not in told
    if going_on[0] == "rerun":  # what the question's own file holds is read again, from where it is
        assert 60 == again.document["steps"]["sales"]["output"]["rows"]
