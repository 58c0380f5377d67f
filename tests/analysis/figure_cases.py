"""Answers and what their numbers are: text, and every figure in order with its source (None: no step gave it).

A source is the step with its path; `given` stands for the question. Numbers that are no figures (dates, ordinals,
names) are not listed at all, so a case that lists nothing says that nothing may be flagged.
"""

from __future__ import annotations

from typing import Final

OUTPUTS: Final = {
    "load": {"rows": 1234, "columns": [{"name": "price"}, {"name": "1stFlrSF"}, {"name": "Q4"}, {"name": "Age 65+"},
                                       {"name": "city"}]},
    "stats": {"numeric": {"price": {"mean": 39.2071, "max": 1_250_000, "min": -6.0}, "odd key": {"mean": -0.4512}},
              "first": "2019-01-01", "last": "2021-12-31", "quantiles": {"0.9": 88.25}},
    "groups": {"groups": [{"group": {"region": "Oslo"}, "total": 612.5}, {"group": {"region": "Rome"}, "total": 200},
                          {"group": {"region": "Bern"}, "total": 777.25}, {"group": {"region": "Nice"}, "total": 64.12},
                          {"group": {"region": "Bonn"}, "total": 18.4}, {"group": {"region": "Graz"}, "total": 31.75}]},
    "test": {"p_value": 1.2e-9, "statistic": -7.25, "share": 0.123, "note": "opens at 12:45, 27 of them late"},
    "change": {"percent": -4.6, "value": -0.05, "trend": 8.5, "peak": 2_300_000},
    "found": {"examples": [{"row": row} for row in (301, 302, 303, 304, 306, 309, 311)],
              "left_out": 30, "total": 37, "outliers": {"a": None, "b": None, "c": None, "d": None}},
}  # fmt: skip
QUESTION: Final = "What do the top 15 cost in 2022?"

MEAN: Final = "stats.numeric.price.mean"
MIN: Final = "stats.numeric.price.min"
FALL: Final = "change.percent"

Case = tuple[str, list[tuple[str, str | None]]]

ROUNDING: Final[list[Case]] = [
    ("The mean is 39.2071.", [("39.2071", MEAN)]),
    ("The mean is 39.207.", [("39.207", MEAN)]),
    ("The mean is 39.", [("39", MEAN)]),
    ("The mean is 39.3.", [("39.3", None)]),
    ("The mean is 39.20.", [("39.20", None)]),
    ("The mean is 40.", [("40", None)]),
    ("Rome has 205.", [("205", None)]),
    ("Rome has over 205.", [("205", None)]),
    ("Rome has about 205.", [("205", None)]),
    ("Rome has 200.", [("200", "groups.groups[1].total")]),
    ("Oslo has 613 or 612.", [("613", "groups.groups[0].total"), ("612", "groups.groups[0].total")]),
    ("Oslo has 614.", [("614", None)]),
    ("About 1,200 rows.", [("1,200", "load.rows")]),
    ("1,200 rows.", [("1,200", None)]),
    ("About 1,300 rows.", [("1,300", None)]),
    ("About 1,230 rows.", [("1,230", "load.rows")]),
    ("About 1,250 rows.", [("1,250", None)]),
    ("More than 1,200 rows.", [("1,200", "load.rows")]),
    ("More than 1,240 rows.", [("1,240", None)]),
    ("Nearly 1,240 rows.", [("1,240", "load.rows")]),
    ("Nearly 1,230 rows.", [("1,230", None)]),
    ("About 40.", [("40", MEAN)]),
    ("Under 40.", [("40", MEAN)]),
    ("The 0.9 quantile is 88.25.", [("0.9", "stats.quantiles"), ("88.25", 'stats.quantiles["0.9"]')]),
]

SIGNS: Final[list[Case]] = [
    ("The least is -6.", [("-6", MIN)]),
    ("The least is −6.", [("−6", MIN)]),
    ("The least is –6.0.", [("–6.0", MIN)]),
    ("The least is -$6.", [("6", MIN)]),
    ("The least is $-6.", [("-6", MIN)]),
    ("The least is 6.", [("6", None)]),
    ("The trend is -8.5.", [("-8.5", None)]),
    ("The trend is +8.5.", [("+8.5", "change.trend")]),
    ("The statistic is 7.25.", [("7.25", None)]),
    ("The statistic is 7.25 in absolute value.", [("7.25", "test.statistic")]),
    ("It fell by 4.6 %.", [("4.6 %", FALL)]),
    ("It fell by 5 %.", [("5 %", "change.value")]),
    ("It was down 4.6%.", [("4.6%", FALL)]),
    ("A decrease of 4.6 percent.", [("4.6 percent", FALL)]),
    ("It is 4.6 % lower.", [("4.6 %", FALL)]),
    ("A negative link of 7.25.", [("7.25", "test.statistic")]),
    ("It rose by 4.6 %.", [("4.6 %", None)]),
    ("It fell at first. Then it rose by 4.6 %.", [("4.6 %", None)]),
    ("Costs fell, and sales rose by 4.6 %.", [("4.6 %", None)]),
    ("Der Umsatz sank um 4,6 %.", [("4,6 %", FALL)]),
    ("between 18.4-64 units", [("18.4", "groups.groups[4].total"), ("64", "groups.groups[3].total")]),
]  # fmt: skip

FORMS: Final[list[Case]] = [
    ("There are 1,234 rows.", [("1,234", "load.rows")]),
    ("There are 1 234 rows.", [("1 234", "load.rows")]),
    ("There are 1\u202f234 rows.", [("1\u202f234", "load.rows")]),
    ("There are 1'234 rows.", [("1'234", "load.rows")]),
    ("Im Mittel 39,21 bei 1.234 Zeilen.", [("39,21", MEAN), ("1.234", "load.rows")]),
    ("Höchstens 1.250.000,00.", [("1.250.000,00", "stats.numeric.price.max")]),
    ("At most 1,250,000.00.", [("1,250,000.00", "stats.numeric.price.max")]),
    ("At most 12,50,000.", [("12,50,000", "stats.numeric.price.max")]),
    ("It is 39,21.", [("39,21", MEAN)]),
    ("It is 12,34.", [("12,34", None)]),
    ("They are 612.5,200,18.4", [("612.5", "groups.groups[0].total"), ("200", "groups.groups[1].total"),
                                 ("18.4", "groups.groups[4].total")]),
    ("It peaks at 2.3 million.", [("2.3 million", "change.peak")]),
    ("It peaks at 2.3M, 2,300k or $2.3m.", [("2.3M", "change.peak"), ("2,300k", "change.peak"),
                                           ("2.3m", "change.peak")]),
    ("It peaks at 2.4 million.", [("2.4 million", None)]),
    ("It has 1.2k rows.", [("1.2k", "load.rows")]),
    ("It has 1.3k rows.", [("1.3k", None)]),
    ("A share of 12.3 %.", [("12.3 %", "test.share")]),
    ("A share of 12 percent.", [("12 percent", "test.share")]),
    ("A share of 12.4 %.", [("12.4 %", None)]),
    ("A share of 0.123.", [("0.123", "test.share")]),
    ("A share of 0.123 %.", [("0.123 %", None)]),
    ("A share of 0.12 percent.", [("0.12 percent", None)]),
    ("It changed by -4.6 %.", [("-4.6 %", FALL)]),
    ("It changed by -460 %.", [("-460 %", None)]),
    ("The trend is 8.5 % or 850 %.", [("8.5 %", "change.trend"), ("850 %", "change.trend")]),
    ("It changed by -0.05 % or -5 %.", [("-0.05 %", "change.value"), ("-5 %", "change.value")]),
    ("p = 1.2e-9", [("1.2e-9", "test.p_value")]),
    ("p = 1.2 × 10⁻⁹", [("1.2 × 10⁻⁹", "test.p_value")]),
    ("p = 1.2 x 10^-9", [("1.2 x 10^-9", "test.p_value")]),
    ("p = 1.3 × 10⁻⁹", [("1.3 × 10⁻⁹", None)]),
    ("It is significant (p < 0.001).", [("0.001", "test.p_value")]),
    ("The share is < 0.2.", [("0.2", "test.share")]),
    ("The share is < 0.5.", [("0.5", None)]),
    ("**39.21**, _39.21_, '39.21', `39.21`", [("39.21", MEAN)] * 4),
    ("| Oslo | 612.5 | 77 |", [("612.5", "groups.groups[0].total"), ("77", None)]),
]  # fmt: skip

SKIPPED_BEFORE: Final[list[Case]] = [
    ("77 mar", [("77", None)]),
    ("Only 12 may differ.", [("12", None)]),
    ("It costs $2024.", [("2024", None)]),
    ("It costs 2024 USD.", [("2024", None)]),
    ("They sold 1950 units.", [("1950", None)]),
    ("They sold 2020 units.", [("2020", None)]),
    ("In March 1950 units were sold.", [("1950", None)]),
    ("The total is 1999.", [("1999", None)]),
    ("They sold 77units and 31.75kg.", [("77", None), ("31.75", "groups.groups[5].total")]),
    ("The ratio is 12:46.", [("12", None), ("46", None)]),
    ("It has `77` and `77 units`.", [("77", None), ("77", None)]),
    ("`price > 100`", [("100", None)]),
    ("512. That is the sum.", [("512", None)]),
    ("The answer is 2.", [("2", None)]),
    ("x = 3", [("3", None)]),
    ("The change is -2.", [("-2", None)]),
    ("77/100 and 1.234.567", [("77", None), ("100", None), ("1.234.567", None)]),
    ("2024-77", [("2024", None), ("77", None)]),
]

LENGTHS: Final[list[Case]] = [
    ("It has 5 columns.", [("5", "load.columns")]),
    ("Columns: 5", [("5", "load.columns")]),
    ("It has 6 groups, 6 regions.", [("6", "groups.groups"), ("6", "groups.groups")]),
    ("It has 4 outliers.", [("4", "found.outliers")]),
    ("It costs 5.", [("5", None)]),
    ("It takes 4 days.", [("4", None)]),
    ("It takes 5 days.", [("5", None)]),
    ("There are 7 examples.", [("7", None)]),
    ("There are 37 outliers.", [("37", "found.total")]),
]

NO_FIGURES: Final = [
    "On 2024-03-01. In 2024-03 it began, at 2024-03-01T12:30:59Z.",
    "On 1/3/2024 and 01.03.2024.",
    "At 12:30 or 12:30:59, 3:15 pm and 5 pm.",
    "It opens 12:45.",
    "On 14 March 2024, March 14, 2024, 3 Mar and 14 may 2024.",
    "Since March 2024, and in 1997.",
    "2019 was the best year, then 2020 and 2021.",
    "From 2019 to 2021 (2020 apart), 2019–2021, in the 1990s.",
    "Sales of 2019 beat those of 2021.",
    "In 2022, as asked.",
    "In Q4 2017 and FY 2018.",
    "The 14th and the 21st of May, the 90th percentile.",
    "1. First\n2. Second\n(3) Third\n\n## 4. Fourth\n5) Fifth",
    "| # | city |\n|---|---|\n| 1 | Oslo |\n| 2 | Rome |\n| 3 | Bern |\n| 4 | Nice |\n| 5 | Bonn |",
    "See step 12, question 44 and #77.",
    "Version 1.22.333 of it, v2.14, 192.168.0.12.",
    "In `column_17` and `Q4 2019`, of sales2024.csv",
    "In Q4, H1N1 and covid19, COVID-19, x_12 and stats_22.",
    "1stFlrSF grows with Age 65+.",
    "Both of the 2 files, 3 in all, 0 left, in 3D.",
    "With 95 % confidence, the 99% CI and the 90 % significance level.",
    "https://example.org/4711/12, open 24/7",
    "",
]
