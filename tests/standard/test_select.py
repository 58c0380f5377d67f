"""`select`: the same rows in give the same rows out; what cannot be compared is an error that names the row."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planloom.errors import ArgumentsError
from planloom.standard import select

OFFERS: list[dict[str, Any]] = [
    {"name": "a", "price": 30, "shop": {"city": "Rome"}, "tags": ["new", "red"], "Unit price": 3},
    {"name": "b", "price": 10, "shop": {"city": "Oslo"}, "tags": [], "Unit price": 1},
    {"name": "c", "price": None, "shop": {"city": "Rome"}, "tags": ["red"], "Unit price": 2},
    {"name": "d", "price": 10.5, "shop": None, "tags": ["old"], "Unit price": 2},
]
MIXED: list[dict[str, Any]] = [{"v": 1}, {"v": None}, {"v": "n/a"}, {"v": 3}]


def where(path: str, op: str, *value: Any) -> dict[str, Any]:
    return {"where": [{"path": path, "op": op, **({"value": value[0]} if value else {})}]}


def total(op: str) -> dict[str, Any]:
    return {"aggregate": {"x": {"op": op, "path": "v"}}}


def names(items: list[Any], **arguments: Any) -> list[str]:
    prepared = select.prepare({"items": items, **arguments})
    return [item["name"] for item in select(**prepared)["items"]]


@pytest.mark.parametrize(
    ("items", "arguments", "reason"),
    [
        (OFFERS, where("prise", "<", 10), "none of the 4 items has `prise`\nhint: did you mean `price`?"),
        (OFFERS, where("shop.town", "==", "Rome"), "none of the 4 items has `shop.town`"),
        (OFFERS, {"sort_by": "cost"}, "sort_by: none of the 4 items has `cost`\nhint: the items have `name`, `price`"),
        (OFFERS, {"fields": ["cost"]}, "fields[0]: none of the 4 items has `cost`"),
        (OFFERS, {"group_by": "cost"}, "group_by[0]: none of the 4 items has `cost`"),
        (OFFERS, {"aggregate": {"x": {"op": "sum", "path": "cost"}}}, "aggregate.x: none of the 4 items has `cost`"),
        (OFFERS, {"group_by": "name", "sort_by": "price"}, "hint: the items have `name`, `count`, `items`"),
        ([1, 2], where("price", "<", 3), "hint: items[0] is the number 1"),
        (OFFERS, where("price", "<"), "where[0] has no `value`"),
        (OFFERS, where("price", "==", "10"), "no item has that kind of value there: in items[0] it is the number 30"),
        (OFFERS, where("name", "in", [1, 2]), "hint: write numbers without quotes and text with them"),
        (OFFERS, where("price", "in", 10), "`in` needs a list"),
        (OFFERS, where("price", "<", "10"), "`price` is the number 30 in items[0], and where[0] compares it with"),
        (OFFERS, where("price", "<", [1]), "where[0].value is a list, and `<` needs number or text"),
        (OFFERS, where("price", ">", None), "where[0].value is null"),
        (OFFERS, where("price", "starts_with", "1"), "`price` is the number 30 in items[0]"),
        (OFFERS, where("name", "starts_with", 1), "`starts_with` needs text"),
        (OFFERS, where("price", "contains", 1), "`contains` looks for the number 1 in a list or text"),
        (OFFERS, where("name", "contains", 1), "`name` is the text \"a\" in items[0]"),
        (OFFERS, where("tags[*]", "==", "red"), "has [*] in `tags[*]`"),
        (MIXED, where("v", "<", 5), '`v` is the text "n/a" in items[2], and where[0] compares it with the number 5'),
        (MIXED, {"sort_by": "v"}, 'sort_by: `v` is the text "n/a" in items[2], and items[0] has the number 1'),
        (MIXED, total("sum"), '`v` is the text "n/a" in items[2], and it needs numbers'),
        (MIXED, total("max"), '`v` is the text "n/a" in items[2], and items[0] has'),
        (OFFERS, {"sort_by": "tags"}, "`tags` is a list in items[0], and it needs numbers or text or true or false"),
        ([{"v": True}, {"v": 1}], {"sort_by": "v"}, "`v` is the number 1 in items[1], and items[0] has true"),
        (OFFERS, {"aggregate": {"x": {"op": "sum"}}}, "aggregate.x has no `path`"),
        (OFFERS, {"fields": ["name", "name"]}, "two columns called `name`"),
        (OFFERS, {"group_by": {"count": "name"}}, "two columns are called `count`"),
        (OFFERS, {"group_by": "name", "aggregate": {"name": {"op": "count"}}}, "two columns are called `name`"),
        (OFFERS, {"fields": ["name"] * 51}, "at most 50 are allowed"),
        ([{"v": 1e308}, {"v": 1e308}], {"aggregate": {"x": {"op": "sum", "path": "v"}}}, "too large for a number"),
    ],
)  # fmt: skip
def test_refused(items: list[Any], arguments: dict[str, Any], reason: str) -> None:
    """A wrong path, a missing value and mixed types are errors with their place, never an empty result."""
    with pytest.raises(ArgumentsError) as raised:
        names(items, **arguments)
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    "arguments",
    [
        where("price", "=", 1),
        where("price", "eval", 1),
        {"where": [{"field": "price", "op": "<", "value": 1}]},
        {"where": [{"path": "price", "op": "<", "value": 1}] * 51},
        {"first": 0},
        {"sort_by": ["price"] * 51},
        {"aggregate": {"x": {"op": "exec"}}},
        {"items": "name"},
        {"items": {"name": 1}},
    ],
)
def test_refused_by_its_schema(arguments: dict[str, Any]) -> None:
    """What the schema can say, it says, so that a plan is refused before it runs."""
    with pytest.raises(ArgumentsError):
        select.prepare({"items": OFFERS, **arguments})


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, "abcd"),
        (where("price", "==", 10), "b"),
        (where("price", "==", 10.0), "b"),
        (where("price", "!=", 10), "acd"),
        (where("price", "<", 30), "bd"),
        (where("price", ">=", 10.5), "ad"),
        (where("price", "in", [10, 30]), "ab"),
        (where("price", "not_in", [10, 30]), "cd"),
        (where("price", "==", None), "c"),
        (where("price", "is_null"), "c"),
        (where("price", "not_null"), "abd"),
        (where("never", "is_null"), "abcd"),
        (where("never", "not_null"), ""),
        (where("shop.city", "==", "Rome"), "ac"),
        (where("shop.city", "contains", "o"), "abc"),
        (where("shop.city", "starts_with", "R"), "ac"),
        (where("tags", "contains", "red"), "ac"),
        (where("tags[0]", "==", "red"), "c"),
        (where("tags[-1]", "==", "red"), "ac"),
        (where("tags", "==", ["red"]), "c"),
        (where("Unit price", ">", 2), "a"),
        (where('["Unit price"]', ">", 2), "a"),
        ({"sort_by": "price"}, "bdac"),
        ({"sort_by": "price", "descending": True}, "adbc"),
        ({"sort_by": "price", "first": 2}, "bd"),
        ({"first": 99}, "abcd"),
        ({"sort_by": ["Unit price", "name"]}, "bcda"),
        ({"sort_by": [{"path": "Unit price", "descending": True}, "name"]}, "acdb"),
        ({"sort_by": ["Unit price", {"path": "name", "descending": True}]}, "bdca"),
        ({"sort_by": [{"path": "Unit price", "descending": False}], "descending": True}, "bcda"),
        ({"where": [{"path": "price", "op": "not_null"}, {"path": "price", "op": "<", "value": 11}]}, "bd"),
    ],
)
def test_chosen(arguments: dict[str, Any], expected: str) -> None:
    """Conditions, order and number are as written; nulls come last in both directions."""
    assert expected == "".join(names(OFFERS, **arguments))


def test_counts_say_how_many_matched() -> None:
    """The output says how many items there were, met the conditions, and are in the result."""
    result = select(OFFERS, where=[{"path": "price", "op": "not_null"}], sort_by="price", first=1, fields=["name"])
    assert {"items": [{"name": "b"}], "count": 1, "matched": 3, "total": 4} == result


def test_fields_are_named_by_their_last_key() -> None:
    """A projection has flat rows; missing values are null; other names can be given."""
    assert [{"city": "Rome", "tags": "new"}] == select(OFFERS, fields=["shop.city", "tags[0]"], first=1)["items"]
    renamed = select(OFFERS, fields={"who": "name", "city": "shop.city"})["items"]
    assert {"who": "d", "city": None} == renamed[3]


def test_groups_are_in_the_order_of_their_first_item() -> None:
    """Without figures a group has its count and items; null is a group of its own."""
    groups = select(OFFERS, group_by="shop.city")["items"]
    assert [("Rome", 2, "ac"), ("Oslo", 1, "b"), (None, 1, "d")] == [
        (group["city"], group["count"], "".join(item["name"] for item in group["items"])) for group in groups
    ]


def test_groups_are_sorted_by_their_figures() -> None:
    """Figures leave nulls out, and sort_by, first and fields then work on the groups."""
    figures = {
        "total": {"op": "sum", "path": "price"},
        "number": {"op": "count"},
        "priced": {"op": "count", "path": "price"},
    }
    prepared = select.prepare({"items": OFFERS, "group_by": "shop.city", "aggregate": figures, "sort_by": "total"})
    assert [
        {"city": "Oslo", "total": 10, "number": 1, "priced": 1},
        {"city": None, "total": 10.5, "number": 1, "priced": 1},
        {"city": "Rome", "total": 30, "number": 2, "priced": 1},
    ] == select(**prepared)["items"]


@pytest.mark.parametrize(
    ("op", "expected", "of_none"),
    [
        ("count", 3, 0), ("count_distinct", 3, 0), ("sum", 50.5, 0), ("mean", 50.5 / 3, None), ("median", 10.5, None),
        ("min", 10, None), ("max", 30, None), ("first", 30, None), ("last", 10.5, None), ("list", [30, 10, 10.5], []),
    ],
)  # fmt: skip
def test_figure(op: Any, expected: Any, of_none: Any) -> None:
    """Each figure over everything, and over nothing at all."""
    assert [{"x": expected}] == select(OFFERS, aggregate={"x": {"op": op, "path": "price"}})["items"]
    nothing = select(
        OFFERS, where=[{"path": "price", "op": ">", "value": 99}], aggregate={"x": {"op": op, "path": "price"}}
    )
    assert [{"x": of_none}] == nothing["items"]


def test_kinds_are_kept_apart() -> None:
    """true is not 1 and text is not a number, not even when groups and distinct values are counted."""
    items = [{"v": 1}, {"v": True}, {"v": "1"}, {"v": 1.0}, {"v": [1]}, {"v": [True]}]
    assert [1, 1.0] == [item["v"] for item in select(items, where=[{"path": "v", "op": "==", "value": 1}])["items"]]
    assert [{"x": 5}] == select(items, aggregate={"x": {"op": "count_distinct", "path": "v"}})["items"]
    assert [2, 1, 1, 1, 1] == [group["count"] for group in select(items, group_by="v")["items"]]


def test_lists_of_plain_values() -> None:
    """`.` is the element itself."""
    assert [3, 2] == select([1, 3, 2], where=[{"path": ".", "op": ">", "value": 1}], sort_by=".", descending=True)[
        "items"
    ]


def test_an_empty_list_is_no_error() -> None:
    """Nothing in, nothing out: no path can be wrong."""
    assert {"items": [], "count": 0, "matched": 0, "total": 0} == select([], sort_by="x", fields=["y"])


def test_a_path_is_never_read_as_more_than_a_path() -> None:
    """Braces and operators of references inside a path mean a key of that name, which is not there."""
    for path in ("a}} {{b.output", "a ?? b.output", "__class__", "a.__len__", "a()", "{{a}}"):
        with pytest.raises(ArgumentsError, match="none of the 1 items has"):
            select([{"a": 1}], sort_by=path)


def test_the_input_is_not_changed() -> None:
    """Rows come out as they were; sorting does not touch the list that came in."""
    items = [{"v": 2}, {"v": 1}]
    select(items, sort_by="v", group_by=None)
    assert [{"v": 2}, {"v": 1}] == items


@settings(derandomize=True, deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.none() | st.integers(0, 4), st.none() | st.integers(0, 2))), st.booleans())
def test_sorting_is_stable(pairs: list[tuple[int | None, int | None]], down: bool) -> None:
    """Equal rows keep their order, under several keys too, and nulls are last."""
    items = [{"a": a, "b": b, "at": at} for at, (a, b) in enumerate(pairs)]
    result = select(items, sort_by=["a", {"path": "b"}], descending=down)["items"]

    def rank(value: int | None) -> tuple[bool, int]:
        return (value is None, 0 if value is None else -value if down else value)

    assert sorted(items, key=lambda item: (rank(item["a"]), rank(item["b"]))) == result


def test_many_rows() -> None:
    """The work grows with the rows, not with their square."""
    chance = random.Random(7)
    items = [{"n": number, "k": f"k{number % 1000}", "v": chance.random()} for number in range(30_000)]
    result = select(
        items,
        where=[{"path": "k", "op": "in", "value": [f"k{number}" for number in range(900)]}],
        group_by="k",
        aggregate={"best": {"op": "max", "path": "v"}},
        sort_by="best",
        descending=True,
        first=1,
    )
    best = max((item for item in items if int(item["k"][1:]) < 900), key=lambda item: item["v"])
    assert [{"k": best["k"], "best": best["v"]}] == result["items"]
