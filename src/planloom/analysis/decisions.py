"""Says in sentences what was decided about the cells of a table. Pure: reports in, sentences out.

Columns that share a decision share a sentence, so that a table of a thousand columns says it in a few lines.
"""

from __future__ import annotations

from collections.abc import Sequence

from planloom.analysis.cells import EXAMPLES, CellReport, shown_cells
from planloom.analysis.dialect import listed
from planloom.analysis.formats import TEXT
from planloom.analysis.wording import share

NOTICEABLE_SHARE = 0.02
"""More cells than that of a column that do not fit are worth a warning."""
_TYPES = {"BIGINT": "whole numbers", "DOUBLE": "numbers", "DECIMAL(38,0)": "whole numbers", "BOOLEAN": "true and false"}
_OTHER_TYPES = {"DATE": "dates", "TIMESTAMP": "dates with a time", "TIME": "times of day"}


def cell_decisions(reports: Sequence[CellReport]) -> list[str]:
    """What a reader must know about how the cells were read, the weightiest first."""
    sentences = [report.remark for report in reports if report.remark]
    remarks: dict[str, list[str]] = {}
    for report in reports:
        if report.format.remark:
            remarks.setdefault(report.format.remark, []).append(report.name)
    sentences += [f"{listed(names)}: {remark}." for remark, names in remarks.items()]
    unsure = [report.name for report in reports if report.ambiguous]
    if unsure:
        sentences.append(f"Day and month could be the other way round in {listed(unsure)}: no value settles it.")
    zeros = [report.name for report in reports if report.counts.leading_zero and report.format is TEXT]
    if zeros:
        sentences.append(f"{listed(zeros)}: kept as text, because leading zeros would be lost.")
    texts = [report for report in reports if report.format is TEXT and report.name not in zeros]
    phones = [report.name for report in texts if report.counts.are_phones or report.sampled.are_phones]
    if phones:
        sentences.append(f"{listed(phones)}: kept as text, as telephone numbers.")
    sentences += [_misfit_sentence(report) for report in reports if report.misfits][:EXAMPLES]
    words = [(report.name, report.words_read_as_missing) for report in reports]
    sentences += _missing_sentence(words, "a word for no value, such as `-` or `NA`,")
    infinite = [(report.name, report.counts.infinite) for report in reports if report.format is not TEXT]
    sentences += _missing_sentence(infinite, "an infinite number")
    padded = [report.name for report in reports if report.counts.padded]
    if padded:
        sentences.append(f"Blanks around values removed in {listed(padded)}.")
    return sentences


def _misfit_sentence(report: CellReport) -> str:
    words = _TYPES.get(report.format.type) or _OTHER_TYPES[report.format.type]
    cells = "1 cell does" if report.misfits == 1 else f"{report.misfits:,} cells do"
    missing = "is" if report.misfits == 1 else "are"
    said = f"`{report.name}` holds {words}; {cells} not fit and {missing} read as missing, such as "
    filled = report.counts.filled
    if report.misfits <= NOTICEABLE_SHARE * filled:
        return f"{said}{shown_cells(report.examples)}."
    return (
        f"{said}{shown_cells(report.examples)}: that is {share(report.misfits, filled)} of its {filled:,} values, so "
        "check what they mean before relying on its figures."
    )


def _missing_sentence(counts: Sequence[tuple[str, int]], what: str) -> list[str]:
    found = [(name, count) for name, count in counts if count]
    if not found:
        return []
    total = sum(count for _, count in found)
    cells = "1 cell" if total == 1 else f"{total:,} cells"
    return [f"{cells} with {what} read as missing, in {listed([name for name, _ in found])}."]
