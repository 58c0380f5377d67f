"""Codecs: the same value comes back, or it is said that it cannot; nothing is run because a file names it."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import json
import math
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import PurePath
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, PrivateAttr

from planloom.errors import JournalCorruptError, NotStorableError
from planloom.journal import MAX_INLINE_BYTES, Artifacts, Encoded, standard_codecs

CODECS = standard_codecs()
LONG = "x" * (MAX_INLINE_BYTES + 1)


class Colour(enum.Enum):
    RED = "r"


class Order(BaseModel):
    id: int
    at: datetime
    total: Decimal = Decimal("1.20")


class Forgetful(BaseModel):
    id: int
    _secret: int = PrivateAttr(default=0)


@dataclasses.dataclass(frozen=True)
class Place:
    name: str
    at: tuple[float, float]


@dataclasses.dataclass
class Loose:
    anything: object


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def there_and_back(value, artifacts):
    async def main():
        kept = await CODECS.keep(value, artifacts)
        text = json.dumps(kept, allow_nan=False)
        return json.loads(text), await CODECS.restore(json.loads(text), artifacts)

    return asyncio.run(main())


def forgetful():
    made = Forgetful(id=1)
    made._secret = 5
    return made


def local_class():
    @dataclasses.dataclass
    class Inside:
        n: int

    return Inside(1)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (object(), "a value of type builtins.object cannot be written down"),
        (lambda: 1, "no codec is for it"),
        (iter([1]), "no codec is for it"),
        ({"deep": [open]}, "no codec is for it"),
        (local_class(), "hint: define the class at the top of a module"),
        (forgetful(), "would not come back as it was: some of its fields are not kept"),
        (Loose({1, 2}), "Loose"),
        (Order.model_construct(id="x", at=1), "a Order cannot be written down"),
    ],
    ids=["object", "function", "iterator", "inside", "local", "private", "loose", "invalid"],
)
def test_what_cannot_be_written_down(value, reason, artifacts):
    """The sentence says which type, and what to do."""
    with pytest.raises(NotStorableError, match=reason):
        there_and_back(value, artifacts)


def test_a_value_that_contains_itself(artifacts):
    """It has no end, so it is refused."""
    circle = []
    circle.append(circle)
    with pytest.raises(NotStorableError, match="nested deeper than 200"):
        there_and_back(circle, artifacts)


@pytest.mark.parametrize(
    ("kept", "error", "reason"),
    [
        ({"$value": "nobody", "is": 1}, NotStorableError, "the codec `nobody`, which is not there"),
        ({"$value": "model", "is": {}, "class": "os:system"}, NotStorableError, "the class is not there"),
        ({"$value": "model", "is": {}, "class": "this_is_no:Module"}, NotStorableError, "import `this_is_no` before"),
        ({"$value": "enum", "is": "RED", "class": "builtins:int"}, NotStorableError, "the class is not there"),
        ({"$value": "datetime", "is": "yesterday"}, JournalCorruptError, "a kept datetime cannot be read"),
        ({"$value": "tuple", "is": 3}, JournalCorruptError, "a kept tuple is not a list"),
        ({"$artifact": "sha256:x"}, JournalCorruptError, "is no reference"),
    ],
)
def test_what_cannot_be_read_back(kept, error, reason, artifacts):
    """A damaged or foreign value is an error; nothing that a file names is imported or called."""
    before = set(sys.modules)
    with pytest.raises(error, match=reason):
        asyncio.run(CODECS.restore(kept, artifacts))
    assert "this_is_no" not in set(sys.modules) - before


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "é\ud800"]},
        b"bytes \x00\xff",
        bytearray(b"x"),
        datetime(2024, 2, 29, 12, 30, 0, 1, tzinfo=UTC),
        datetime(2024, 2, 29),
        date(2024, 2, 29),
        time(1, 2, 3),
        timedelta(days=-1, microseconds=1),
        Decimal("1.2300"),
        Decimal("-Infinity"),
        1 + 2j,
        UUID(int=7),
        PurePath("a/b"),
        Colour.RED,
        Order(id=1, at=datetime(2024, 1, 1, tzinfo=UTC)),
        Place("Oslo", (59.9, 10.7)),
        math.inf,
        (1, ("a", Decimal(2))),
        {1, 2, 3},
        frozenset({"a"}),
        {1: "a", (2, 3): "b"},
        {"when": [date(2024, 1, 1)], "raw": b"x", "plain": 1},
        LONG,
        [LONG, date(2024, 1, 1), b"x"],
        Place(LONG, (0.0, 0.0)),
        # what a tool returns is never taken for ours
        {"$artifact": "sha256:" + "0" * 64, "type": "json", "codec": "json", "bytes": 1},
        {"$value": "datetime", "is": "2024-01-01"},
        {"$literal": {"$literal": 1}},
        {"a": {"$artifact": [b"x"]}},
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_same_value_comes_back(value, artifacts):
    """Type and content, small in the record itself, large in an artifact."""
    kept, back = there_and_back(value, artifacts)
    assert (type(value), value) == (type(back), back)
    assert len(json.dumps(kept)) < MAX_INLINE_BYTES + 1_000


def test_nan_comes_back(artifacts):
    """It is equal to nothing, and still itself."""
    assert all(math.isnan(back) for back in there_and_back([math.nan, Decimal("NaN")], artifacts)[1])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.sampled_from(["$artifact", "$value", "$literal", "is"]), inner, max_size=3)
        | st.tuples(inner)
        | st.dates()
    ),
    max_leaves=12,
)


@given(JSON)
def test_any_nesting_comes_back(tmp_path_factory, value):
    """Whatever stands in what."""
    assert value == there_and_back(value, Artifacts(tmp_path_factory.getbasetemp() / "drawn"))[1]


def test_short_json_is_kept_as_it_is(artifacts):
    """It costs no copy, no thread and no file."""
    value = {"a": [1, "x" * 1_000]}

    async def main():
        assert value is await CODECS.keep(value, artifacts)
        assert value is await CODECS.restore(value, artifacts)

    asyncio.run(main())
    assert not artifacts.folder.exists()


@pytest.mark.parametrize("size", [MAX_INLINE_BYTES - 2, MAX_INLINE_BYTES - 1])
def test_the_limit_is_exact(size, artifacts):
    """Text of 64 KiB, quotes included, stands in the record; one byte more is a reference that says what it is."""
    kept, back = there_and_back("x" * size, artifacts)
    assert "x" * size == back
    assert (size + 2 > MAX_INLINE_BYTES) == isinstance(kept, dict)
    if isinstance(kept, dict):
        assert {"$artifact", "type", "codec", "bytes"} == set(kept)
        assert ("json", size + 2) == (kept["type"], kept["bytes"])


def test_a_codec_of_your_own(artifacts):
    """It is asked before the others; a second one of the same name is refused."""

    class Upper:
        name = "upper"

        def matches(self, value):
            return isinstance(value, range)

        def encode(self, value):
            return Encoded("bytes", f"{value.start} {value.stop}".encode(), {"steps": len(value)})

        def decode(self, encoded):
            return range(*map(int, encoded.content.split()))

    codecs = standard_codecs()
    codecs.register(Upper())
    with pytest.raises(ValueError, match="there is a codec `upper` already"):
        codecs.register(Upper())

    async def main():
        kept = await codecs.keep([range(2, 5)], artifacts)
        return kept[0]["steps"], await codecs.restore(kept, artifacts)

    assert (3, [range(2, 5)]) == asyncio.run(main())


def test_numpy_arrays(artifacts):
    """Shape, type and NaN; single numbers; never arrays of objects."""
    numpy = pytest.importorskip("numpy")
    for array in (numpy.arange(6.0).reshape(2, 3), numpy.array([], dtype="int8"), numpy.array(["a", "bc"])):
        kept, back = there_and_back({"data": array}, artifacts)
        assert array.dtype == back["data"].dtype
        assert numpy.array_equal(array, back["data"])
        assert (list(array.shape), "npy") == (kept["data"]["shape"], kept["data"]["type"])
    number = there_and_back(numpy.float32(1.5), artifacts)[1]
    assert (numpy.float32, 1.5) == (type(number), number)
    with pytest.raises(NotStorableError, match="Python objects"):
        there_and_back(numpy.array([object()]), artifacts)


def test_arrow_tables(artifacts):
    """As Parquet, with types."""
    pyarrow = pytest.importorskip("pyarrow")
    pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"a": [1, None], "b": ["x", "é"], "c": pyarrow.array([1, 2], pyarrow.timestamp("ns", "UTC"))})
    kept, back = there_and_back(table, artifacts)
    assert table.equals(back)
    assert ("parquet", 2, ["a", "b", "c"]) == (kept["type"], kept["rows"], kept["columns"])


def test_polars_frames(artifacts):
    """As Parquet."""
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"a": [1, None], "b": ["x", "é"], "c": [[1], []]})
    kept, back = there_and_back([frame], artifacts)
    assert frame.equals(back[0])
    assert ("polars", 2) == (kept[0]["codec"], kept[0]["rows"])


def test_pandas_frames(artifacts):
    """As Parquet, with their index; mixed columns are refused."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1.5, None], "b": ["x", "é"]}, index=pandas.Index([3, 9], name="key"))
    kept, back = there_and_back(frame, artifacts)
    pandas.testing.assert_frame_equal(frame, back)
    assert "parquet" == kept["type"]
    with pytest.raises(NotStorableError, match="a pandas table cannot be written as Parquet"):
        there_and_back(pandas.DataFrame({"a": [1, "x", object()]}), artifacts)
