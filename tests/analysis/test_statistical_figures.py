"""Every figure of the statistical tools, held against SciPy, pandas and scikit-learn on the same values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, get_args

import pytest

from planloom import Toolbox, ToolContext
from planloom.analysis.groups import Measure
from planloom.analysis.statistical_tools import STATISTICAL_TOOLS

numpy = pytest.importorskip("numpy")
pandas = pytest.importorskip("pandas")
stats = pytest.importorskip("scipy.stats")

Load = Callable[..., dict[str, Any]]
TOOLS = Toolbox(STATISTICAL_TOOLS)


@pytest.fixture
def run(context: ToolContext) -> Callable[..., Any]:
    """Call a statistical tool by name; its output must be plain JSON."""

    def call(tool: str, data: Any, /, **arguments: Any) -> Any:
        found = TOOLS[tool](data=data, context=context, **arguments)
        json.dumps(found, allow_nan=False)
        return found

    return call


@pytest.fixture(scope="module")
def frame() -> Any:
    """120 rows with missing values, ties, a skewed column, groups of unequal size, and dates out of order."""
    random = numpy.random.default_rng(7)
    size = 120
    made = pandas.DataFrame(
        {
            "x": random.normal(10, 3, size).round(2),
            "skewed": random.exponential(2, size).round(3) * 1000,
            "ties": random.integers(0, 6, size),
            "group": random.choice(["a", "b", "b", "c"], size),
            "yes": random.choice([True, False], size),
            "day": pandas.date_range("2024-01-01", periods=size, freq="3D")[::-1],
        }
    )
    made["y"] = (made["x"] * 2 + random.normal(0, 4, size)).round(2)
    made.loc[3:9, "x"] = None
    made.loc[7:20, "y"] = None
    made.loc[[0, 50], "group"] = None
    return made


@pytest.fixture
def table(frame: Any, load: Load) -> dict[str, Any]:
    """The frame as a table of the run."""
    return load(frame.to_csv(index=False))


@pytest.mark.parametrize("column", ["x", "skewed", "ties"])
def test_distribution(column: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Moments in both variants, quantiles and all normality tests are those of SciPy and pandas."""
    found = run("analyse_distribution", table, column=column)
    values = frame[column].dropna()
    z = (values - values.mean()) / values.std()
    expected = {
        "n": len(values),
        "missing": len(frame) - len(values),
        "mean": values.mean(),
        "median": values.median(),
        "std": values.std(),
        "std_population": values.std(ddof=0),
        "skewness": stats.skew(values),
        "skewness_unbiased": values.skew(),
        "kurtosis": stats.kurtosis(values),
        "kurtosis_unbiased": values.kurt(),
        "iqr": stats.iqr(values),
    }
    assert pytest.approx(expected, rel=1e-9) == {key: found[key] for key in expected}
    assert pytest.approx([values.quantile(q) for q in (0.01, 0.9, 0.99)]) == [
        found["quantiles"][q] for q in ("0.01", "0.9", "0.99")
    ]
    tests = {
        "shapiro": stats.shapiro(values),
        "dagostino": stats.normaltest(values),
        "jarque_bera": stats.jarque_bera(values),
        "kolmogorov_smirnov": stats.kstest(z, "norm"),
    }
    for name, result in tests.items():
        test = found["normality"][name]
        assert pytest.approx([result.statistic, result.pvalue], rel=1e-6) == [test["statistic"], test["p_value"]], name
        assert (result.pvalue >= 0.05) == test["normal"]
    anderson = stats.anderson(values, "norm", method="interpolate")
    assert pytest.approx(anderson.statistic) == found["normality"]["anderson"]["statistic"]
    p_value = found["normality"]["anderson"]["p_value"]
    assert pytest.approx(min(max(p_value, 0.01), 0.15), abs=0.003) == anderson.pvalue  # SciPy's table ends there
    assert len(values) == sum(bar["count"] for bar in found["histogram"])


def test_histogram_is_numpys(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Bins are as NumPy cuts them: each takes in its start, the last one its end too."""
    values = frame["skewed"]
    for bins in (1, 7, 20):
        counts, edges = numpy.histogram(values, bins=bins)
        found = run("analyse_distribution", table, column="skewed", bins=bins)["histogram"]
        assert counts.tolist() == [bar["count"] for bar in found]
        assert pytest.approx(edges.tolist()) == [found[0]["start"], *(bar["end"] for bar in found)]


def test_published_values(load: Load, run: Callable[..., Any]) -> None:
    """Shapiro and Wilk's own example (1965, weights of eleven men): W = 0.79."""
    table = load("w\n" + "\n".join(map(str, [148, 154, 158, 160, 161, 162, 166, 170, 182, 195, 236])))
    found = run("analyse_distribution", table, column="w")["normality"]["shapiro"]
    assert pytest.approx((0.79, 0.0067), abs=0.002) == (found["statistic"], found["p_value"])


@pytest.mark.parametrize("method", ["pearson", "spearman", "kendall"])
def test_correlations(method: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Each pair is SciPy's on the rows that have both; the strongest is first; the matrix is pandas'."""
    names = ["x", "y", "ties", "skewed"]
    found = run("correlate", table, columns=names, method=method)
    function = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[method]
    for pair in found["pairs"]:
        both = frame[[pair["a"], pair["b"]]].dropna()
        result = function(both[pair["a"]], both[pair["b"]])
        assert pytest.approx((result.statistic, result.pvalue, len(both))) == (pair["r"], pair["p_value"], pair["n"])
    strengths = [abs(pair["r"]) for pair in found["pairs"]]
    assert (6, sorted(strengths, reverse=True)) == (len(strengths), strengths)
    whole = frame[names].corr(method)
    assert pytest.approx(whole.loc["x", "y"]) == found["matrix"]["x"]["y"] == found["matrix"]["y"]["x"]
    target = run("correlate", table, target="y", method=method, limit=1)
    assert ("y", "x", 3) == (target["pairs"][0]["a"], target["pairs"][0]["b"], target["left_out"])


COMPARISONS: dict[str, Callable[..., Any]] = {
    "t": lambda a, b: stats.ttest_ind(a, b),
    "welch": lambda a, b: stats.ttest_ind(a, b, equal_var=False),
    "mann-whitney": lambda a, b: stats.mannwhitneyu(a, b),
    "ks": lambda a, b: stats.ks_2samp(a, b),
    "anova": lambda a, b: stats.f_oneway(a, b),
    "welch-anova": lambda a, b: stats.f_oneway(a, b, equal_var=False),
    "kruskal": lambda a, b: stats.kruskal(a, b),
    "levene": lambda a, b: stats.levene(a, b),
}


@pytest.mark.parametrize("test", COMPARISONS)
def test_two_groups(test: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Every test of two groups is SciPy's, with the figures of the groups in the order asked for."""
    a, b = (frame.loc[frame["group"] == name, "x"].dropna() for name in ("b", "a"))
    result = COMPARISONS[test](a, b)
    found = run("compare_groups", table, column="x", by="group", groups=["b", "a"], test=test)
    assert pytest.approx((result.statistic, result.pvalue)) == (found["statistic"], found["p_value"])
    assert ["b", "a"] == [group["group"] for group in found["groups"]]
    figures = [len(a), a.mean(), a.std(), a.median()]
    assert pytest.approx(figures) == [found["groups"][0][key] for key in ("n", "mean", "std", "median")]
    assert (result.pvalue < 0.05) == found["significant"]
    if test in ("t", "welch"):
        assert pytest.approx(list(result.confidence_interval())) == found["interval"]
        assert pytest.approx([result.df]) == found["df"]


@pytest.mark.parametrize("test", ["anova", "kruskal", "levene"])
def test_three_groups(test: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Without `groups`, all are compared; rows without a group are left out."""
    samples = [frame.loc[frame["group"] == name, "x"].dropna() for name in ("a", "b", "c")]
    result = {"anova": stats.f_oneway, "kruskal": stats.kruskal, "levene": stats.levene}[test](*samples)
    found = run("compare_groups", table, column="x", by="group", test=test)
    assert pytest.approx((result.statistic, result.pvalue)) == (found["statistic"], found["p_value"])
    if test == "anova":
        assert found["p_value"] == run("compare_groups", table, column="x", by="group")["p_value"]


@pytest.mark.parametrize("alternative", ["two-sided", "less", "greater"])
def test_pairs_and_values(alternative: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Paired and one-sample tests are SciPy's, in each direction."""
    both = frame[["x", "y"]].dropna()
    cases = [
        (stats.ttest_rel(both["x"], both["y"], alternative=alternative), {"other": "y", "test": "paired-t"}),
        (stats.wilcoxon(both["x"], both["y"], alternative=alternative), {"other": "y", "test": "wilcoxon"}),
        (stats.ttest_1samp(frame["x"].dropna(), 9.5, alternative=alternative), {"value": 9.5}),
        (
            stats.ttest_ind(frame["x"].dropna(), frame["y"].dropna(), equal_var=False, alternative=alternative),
            {"other": "y"},
        ),
    ]
    for result, arguments in cases:
        found = run("compare_groups", table, column="x", alternative=alternative, **arguments)
        assert pytest.approx((result.statistic, result.pvalue)) == (found["statistic"], found["p_value"]), arguments


@pytest.mark.parametrize(("a", "b"), [("group", "yes"), ("group", "ties"), ("yes", "ties")])
def test_independence(a: str, b: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Chi-square with SciPy's default correction, Cramér's V, Fisher's exact test where the table is 2x2."""
    counts = pandas.crosstab(frame[a], frame[b])
    result = stats.chi2_contingency(counts)
    found = run("test_independence", table, a=a, b=b)
    assert pytest.approx((result.statistic, result.pvalue, result.dof)) == (
        found["chi_square"], found["p_value"], found["df"],
    )  # fmt: skip
    assert counts.to_numpy().tolist() == found["table"]["counts"]
    assert pytest.approx(stats.contingency.association(counts)) == found["cramers_v"]
    assert pytest.approx(result.expected_freq.min()) == found["smallest_expected"]


def test_two_by_two(load: Load, run: Callable[..., Any]) -> None:
    """Fisher's lady tasting tea: p = 0.4857; Yates's correction can be turned off."""
    cells = [("tea", "tea", 3), ("tea", "milk", 1), ("milk", "tea", 1), ("milk", "milk", 3)]
    table = load("truth,guess\n" + "".join(f"{a},{b}\n" * count for a, b, count in cells))
    found = run("test_independence", table, a="truth", b="guess")
    assert pytest.approx(34 / 70) == found["fisher"]["p_value"]
    assert 4 == found["cells_expected_below_5"]
    plain = run("test_independence", table, a="truth", b="guess", yates=False)
    assert pytest.approx((2.0, 0.5)) == (plain["chi_square"], found["chi_square"])
    assert found["chi_square_uncorrected"] == plain["chi_square"]


def test_groups(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Every measure is pandas', the missing group is last, and the order can be that of a measure."""
    measures = ["count", "missing", "distinct", "sum", "mean", "median", "std", "min", "max", "q25", "q75", "skewness"]
    found = run("group_summary", table, by=["group"], columns=["x"], measures=[*measures, "kurtosis", "std_population"])
    assert ["a", "b", "c", None] == [group["group"]["group"] for group in found["groups"]]
    for group in found["groups"]:
        name = group["group"]["group"]
        rows = frame[frame["group"].isna()] if name is None else frame[frame["group"] == name]
        values = rows["x"].dropna()
        expected = [
            len(values), rows["x"].isna().sum(), values.nunique(), values.sum(), values.mean(), values.median(),
            values.std(), values.min(), values.max(), values.quantile(0.25), values.quantile(0.75), stats.skew(values),
            stats.kurtosis(values), values.std(ddof=0),
        ]  # fmt: skip
        assert pytest.approx(expected) == list(group["values"]["x"].values())
        assert len(rows) == group["rows"]
    best = run("group_summary", table, by=["group"], columns=["x"], order_by="mean", descending=True, limit=1)
    means = frame.groupby("group")["x"].mean()
    assert pytest.approx(means.max()) == best["groups"][0]["values"]["x"]["mean"]
    assert (4, 3) == (best["group_count"], best["left_out"])


def test_whole_table_and_pairs_of_keys(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """No keys make one group; two make the combinations that occur; true counts as 1 when asked for."""
    (whole,) = run("group_summary", table, by=[], columns=["yes", "x"], measures=["mean", "sum", "range"])["groups"]
    assert pytest.approx((frame["yes"].mean(), frame["x"].sum())) == (
        whole["values"]["yes"]["mean"], whole["values"]["x"]["sum"],
    )  # fmt: skip
    pairs = run("group_summary", table, by=["group", "yes"], measures=["median"], order_by="rows", descending=True)
    expected = frame.groupby(["group", "yes"], dropna=False).size()
    assert (len(expected), expected.max()) == (pairs["group_count"], pairs["groups"][0]["rows"])
    dates = run("group_summary", table, by=["yes"], columns=["day"], measures=["min", "max", "count"])
    assert str(frame[~frame["yes"]]["day"].min().date()) == dates["groups"][0]["values"]["day"]["min"]


def test_counted_values(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Values and combinations with counts and shares; missing ones are counted apart."""
    found = run("count_values", table, columns=["group"], limit=2)
    expected = frame["group"].value_counts()
    assert [(name, int(count)) for name, count in expected.head(2).items()] == [
        (value["group"]["group"], value["count"]) for value in found["values"]
    ]
    assert (3, 2, 1) == (found["distinct"], found["missing"], found["left_out"])
    assert pytest.approx(expected.iloc[0] / expected.sum()) == found["values"][0]["share"]
    both = run("count_values", table, columns=["group", "yes"])
    assert len(frame) - 2 == sum(value["count"] for value in both["values"])


def test_missing_values(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """Missing cells per column, complete rows, and which columns are missing together."""
    found = run("count_missing", table)
    assert {name: int(count) for name, count in frame.isna().sum().items()} == {
        name: column["missing"] for name, column in found["columns"].items()
    }
    assert (len(frame.dropna()), len(frame) - len(frame.dropna())) == (
        found["complete_rows"],
        found["rows_with_missing"],
    )
    assert {"columns": ["y", "x"], "rows": 3} in found["patterns"]
    assert found["rows_with_missing"] == sum(pattern["rows"] for pattern in found["patterns"])


@pytest.mark.parametrize(
    ("method", "threshold", "ddof"),
    [("iqr", None, 1), ("iqr", 3.0, 1), ("z-score", 2.0, 1), ("z-score", 2.0, 0), ("mad", None, 1), ("mad", 2.0, 1)],
)
def test_outliers(
    method: str, threshold: float | None, ddof: int, frame: Any, table: Any, run: Callable[..., Any]
) -> None:
    """Counts and rows are those of the formula; what is removed is what was found."""
    values = frame["skewed"]
    q25, q75 = values.quantile(0.25), values.quantile(0.75)
    reach = (threshold or 1.5) * (q75 - q25)
    far = {
        "iqr": (values < q25 - reach) | (values > q75 + reach),
        "z-score": abs(values - values.mean()) / values.std(ddof=ddof) > (threshold or 3),
        "mad": abs(values - values.median()) / stats.median_abs_deviation(values, scale="normal") > (threshold or 3.5),
    }[method]
    arguments = {"columns": ["skewed"], "method": method, "threshold": threshold, "ddof": ddof}
    found = run("find_outliers", table, show=["group"], **arguments)
    column = found["columns"]["skewed"]
    assert (int(far.sum()), len(frame)) == (column["count"], column["n"])
    assert int(far.sum()) > 0
    expected = values[far].sort_values(ascending=False, kind="stable")
    assert [row + 1 for row in expected.index][:20] == [example["row"] for example in found["examples"]]
    assert pytest.approx([values[far].min(), values[far].mean(), values[far].median()]) == [
        column["outlier_min"], column["outlier_mean"], column["outlier_median"],
    ]  # fmt: skip
    assert len(frame) - int(far.sum()) == run("remove_outliers", table, **arguments)["rows"]
    assert int(far.sum()) == run("remove_outliers", table, keep="outliers", **arguments)["rows"]


def test_isolation_forest(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """The same rows as scikit-learn with that seed; rows with a missing value are kept; order is kept."""
    ensemble = pytest.importorskip("sklearn.ensemble")
    cells = frame[["x", "skewed"]].dropna()
    marks = ensemble.IsolationForest(contamination=0.1, random_state=42).fit_predict(cells.to_numpy())
    expected = [row + 1 for row in cells.index[marks == -1]]
    arguments = {"columns": ["x", "skewed"], "method": "isolation-forest", "threshold": 0.1}
    found = run("find_outliers", table, **arguments)
    assert expected == sorted(example["row"] for example in found["examples"])
    rest = run("remove_outliers", table, **arguments)
    assert (len(frame) - len(expected), [column["name"] for column in table["columns"]]) == (
        rest["rows"], [column["name"] for column in rest["columns"]],
    )  # fmt: skip
    far = run("remove_outliers", table, keep="outliers", **arguments)
    mean = run("group_summary", far, by=[], columns=["skewed"], measures=["mean"])
    assert pytest.approx(frame["skewed"][marks_of(expected)].mean()) == mean["groups"][0]["values"]["skewed"]["mean"]


def marks_of(rows: list[int]) -> list[int]:
    """Places from 0 of rows from 1."""
    return [row - 1 for row in rows]


def test_trend(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """The line is SciPy's on days; Mann-Kendall's tau is Kendall's; the ends are those in time, not in the file."""
    both = frame[["day", "y"]].dropna()
    days = (both["day"] - both["day"].min()).dt.days
    line = stats.linregress(days, both["y"])
    found = run("find_trend", table, time="day", column="y")
    assert pytest.approx([line.slope, line.intercept, line.rvalue, line.pvalue, line.stderr]) == [
        found[key] for key in ("slope", "intercept", "r", "p_value", "standard_error")
    ]
    assert pytest.approx(stats.kendalltau(days, both["y"]).statistic) == found["mann_kendall"]["tau"]
    ordered = both.sort_values("day")
    assert (ordered["y"].iloc[0], ordered["y"].iloc[-1]) == (found["first"], found["last"])
    assert pytest.approx((found["last"] / found["first"] - 1) * 100) == found["change_percent"]


def test_mann_kendall_with_ties(frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """With ties the variance is Kendall's, as SciPy's, to which the correction for continuity is added."""
    found = run("find_trend", table, time="day", column="ties")["mann_kendall"]
    result = stats.kendalltau(frame["day"].astype("int64"), frame["ties"], method="asymptotic")
    deviation = abs(found["s"]) / stats.norm.isf(result.pvalue / 2)
    assert pytest.approx((abs(found["s"]) - 1) / deviation) == abs(found["z"])


def test_trend_with_tied_times(load: Load, run: Callable[..., Any]) -> None:
    """Rows of the same time each count in the line; first and last are their means, and how many there are is said."""
    days = ["2024-01-01"] * 3 + ["2024-01-02", "2024-01-03", "2024-01-03"]
    values = [1.0, 2.0, 6.0, 4.0, 7.0, 8.0]
    found = run("find_trend", load("d,v\n" + "".join(map("{},{}\n".format, days, values))), time="d", column="v")
    line = stats.linregress([0, 0, 0, 1, 2, 2], values)
    assert pytest.approx([line.slope, line.intercept, line.pvalue]) == [
        found[key] for key in ("slope", "intercept", "p_value")
    ]
    assert (6, 3, 5, 3.0, 7.5) == tuple(found[key] for key in ("n", "times", "tied_rows", "first", "last"))
    assert "5 of 6 rows share their time with others (3 different times): each counts by itself" in found["method"]


def test_trend_over_years(load: Load, run: Callable[..., Any]) -> None:
    """Time may be a number, such as a year; the slope is per year and the line's start at year 0."""
    years, values = list(range(2000, 2010)), [3.0, 3.5, 3.4, 4.1, 4.0, 4.6, 5.2, 5.0, 5.5, 6.1]
    found = run("find_trend", load("year,v\n" + "".join(map("{},{}\n".format, years, values))), time="Year", column="v")
    line = stats.linregress(years, values)
    assert pytest.approx([line.slope, line.intercept]) == [found["slope"], found["intercept"]]
    assert (10, 0) == (found["times"], found["tied_rows"])
    assert "every row has a time of its own" in found["method"]
    assert ("rising", "unit of `year`", 39) == (found["direction"], found["unit"], found["mann_kendall"]["s"])
    z = 38 / math.sqrt(10 * 9 * 25 / 18)
    assert pytest.approx((z, 2 * stats.norm.sf(z))) == (found["mann_kendall"]["z"], found["mann_kendall"]["p_value"])


@pytest.mark.parametrize("measure", ["mean", "sum", "median", "min", "max", "count", "std", "first", "last"])
def test_resampled(measure: str, frame: Any, table: Any, run: Callable[..., Any], context: ToolContext) -> None:
    """One row per month, as pandas makes them."""
    months = run("resample", table, time="day", every="month", columns=["y"], measure=measure)
    expected = frame.sort_values("day").dropna(subset=["y"]).set_index("day")["y"].resample("MS").agg(measure)
    whole = frame.set_index("day").resample("MS").size()
    groups = run("group_summary", months, by=["day"], columns=["y"], measures=["max"])["groups"]
    assert [str(day.date()) for day in whole.index] == [group["group"]["day"] for group in groups]
    found = {group["group"]["day"]: group["values"]["y"]["max"] for group in groups}
    assert pytest.approx({str(day.date()): value for day, value in expected.dropna().items()}) == {
        day: found[day] for day in (str(day.date()) for day in expected.dropna().index)
    }


def test_empty_periods(load: Load, run: Callable[..., Any]) -> None:
    """A period without rows is a row too: missing for a mean, 0 for a sum; with `by` it is none."""
    table = load("day,shop,sales\n2024-01-31,a,1\n2024-04-01,b,3\n2024-04-02,a,4\n,a,9\n")
    for measure, missing in (("mean", 2), ("sum", 0)):
        months = run("resample", table, time="day", every="month", columns=["sales"], measure=measure)
        assert (4, missing) == (months["rows"], run("count_missing", months)["missing"])
        assert "1 row without a time left out" in months["decisions"][-1]
    split = run("resample", table, time="day", every="month", measure="sum", by=["shop"])
    assert (3, ["day", "shop", "sales"]) == (split["rows"], [column["name"] for column in split["columns"]])


@pytest.mark.parametrize("kind", ["difference", "percent", "log", "rolling-mean", "cumulative-sum"])
def test_change(kind: str, frame: Any, table: Any, run: Callable[..., Any]) -> None:
    """The new column is what pandas computes on the rows sorted by time."""
    made = run("compute_change", table, time="day", column="skewed", periods=3, kind=kind, name="new")
    values = frame.sort_values("day")["skewed"]
    expected = {
        "difference": lambda: values.diff(3),
        "percent": lambda: values.pct_change(3) * 100,
        "log": lambda: numpy.log(values / values.shift(3)),
        "rolling-mean": lambda: values.rolling(3).mean(),
        "cumulative-sum": lambda: values.cumsum(),
    }[kind]().dropna()
    (found,) = run("group_summary", made, by=[], columns=["new"], measures=["count", "mean", "min", "max"])["groups"]
    assert pytest.approx([len(expected), expected.mean(), expected.min(), expected.max()]) == list(
        found["values"]["new"].values()
    )


def test_change_within_groups(load: Load, run: Callable[..., Any]) -> None:
    """Rows are counted back within each group; a percent of 0 and a missing value give nothing."""
    table = load("shop,year,v\nb,2001,0\na,2002,3\na,2001,2\nb,2002,5\nb,2003,\nb,2004,6\na,2003,6\n")
    made = run("compute_change", table, time="year", column="v", kind="percent", by=["shop"])
    found = run("group_summary", made, by=["shop"], columns=["v percent"], measures=["count", "sum"])["groups"]
    assert [(2, pytest.approx(150.0)), (0, None)] == [tuple(group["values"]["v percent"].values()) for group in found]
    assert "Added `v percent`" in made["decisions"][-1]


def test_profile(load: Load, run: Callable[..., Any]) -> None:
    """The profile says what is worth knowing, and nothing of columns that have nothing odd."""
    rows = [f"{n},{n % 4},{n % 3 if n < 8 else ''},same,{n * n * n},{n + 0.5 if n < 19 else 'n/k'}," for n in range(20)]
    rows[19] = rows[18]
    found = run("profile_table", load("id,plain,half,one,cubes,mixed,nothing\n" + "\n".join(rows) + "\n"))
    assert 1 == found["duplicate_rows"]
    said = "\n".join(found["findings"])
    for finding in (
        "1 row repeats",
        "`half` is mostly missing (60 %)",
        "`one` has the same value",
        "`nothing` is empty",
    ):
        assert finding in said
    assert "`plain`" not in said
    assert {"value": 0, "count": 5, "share": 0.25} in found["columns"]["plain"]["top"]


@pytest.mark.parametrize("order_by", ["group", "rows", "mean"])
@pytest.mark.parametrize("descending", [True, False])
def test_rows_without_a_group_come_last(order_by: str, descending: bool, load: Load, run: Callable[..., Any]) -> None:
    """Whatever the order, the first group is one that has a name."""
    table = load("rep,n\nA,1\nB,2\nB,3\n,0\n,9\n,9\n,9\n")
    groups = run(
        "group_summary", table, by=["rep"], measures=["mean"], order_by=order_by, descending=descending
    )["groups"]  # fmt: skip
    assert None is groups[-1]["group"]["rep"]
    assert (["B", "A"] if descending else ["A", "B"]) == [group["group"]["rep"] for group in groups[:-1]]


@pytest.mark.parametrize("measure", get_args(Measure))
def test_each_measure_alone(measure: str, load: Load, run: Callable[..., Any]) -> None:
    """A measure asked for alone, or as the order alone, is what it is among all; missing values have none."""
    table = load("g,n\nA,1\nA,2\nA,4\nB,\nB,\n")
    whole = run("group_summary", table, by=["g"], measures=list(get_args(Measure)))["groups"]
    for asked in ({"measures": [measure]}, {"measures": ["count"], "order_by": measure, "descending": True}):
        groups = run("group_summary", table, by=["g"], **asked)["groups"]
        for group in groups:
            same = next(other for other in whole if other["group"] == group["group"])
            assert same["values"]["n"][measure] == group["values"]["n"][measure]
