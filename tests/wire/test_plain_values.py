"""Columns of plain numbers are decoded as each of their values would be on its own."""

import numpy as np
import pytest

from foretwin.wire import value_columns
from foretwin.wire.plain_values import decode_plain
from foretwin.wire.value_columns import ValueColumns
from support.plant_connections import tagged_twin

TWIN = tagged_twin("flow", "speed")
SECOND = 1_790_000_000


def fields(time, value, channel="flow", quality=None):
    """Two values, the second of them as it is always."""
    return {"time": [time, SECOND], "channel": [channel, "speed"], "value": [value, 2], "quality": [quality, None]}


@pytest.mark.parametrize(
    "time",
    [SECOND, SECOND + 0.1234567, 9e8, SECOND * 1000 + 0.5, SECOND * 10**3 + 7, SECOND * 10**6 + 1, 99_999_999_999],
)
@pytest.mark.parametrize("value", [0, -1.5, 3.4028235e38, 2**70])
def test_plain_values_are_those_that_are_found_one_by_one(monkeypatch, time, value):
    columns = ValueColumns(TWIN, ["P-1", "P-0"], fields(time, value))
    plain = decode_plain(*columns[:3])
    monkeypatch.setattr(value_columns, "decode_plain", lambda *_: None)
    single, wrong = columns.decode()
    assert plain is not None
    assert wrong == ()
    assert plain.names == single.names == ("P-1", "P-0")
    for name in ("asset", "time", "dated", "channel", "value"):
        one, other = getattr(plain, name), getattr(single, name)
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "odd",
    [
        fields(SECOND, float("nan")),
        fields(SECOND, 1e39),
        fields(SECOND, 10**400),
        fields(SECOND, True),
        fields(SECOND, "1"),
        fields(SECOND, None),
        fields(SECOND * 10**9, 1),
        fields(5.0, 1),
        fields(float("nan"), 1),
        fields("2026-11-21T12:00:00Z", 1),
        fields(SECOND, 1, channel="flaw"),
        fields(SECOND, 1, channel=None),
        fields(SECOND, 1, quality="bad"),
    ],
)
def test_anything_else_is_looked_at_on_its_own(odd):
    assert decode_plain(TWIN, "P-1", odd) is None
    assert decode_plain(TWIN, ["P-1", "P/1"], fields(SECOND, 1)) is None
    assert decode_plain(TWIN, ["P-1", 7], fields(SECOND, 1)) is None
