"""Decoding readings: whatever comes ends as readings, as rejected ones, or as one refusal."""

import io
import json

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from foretwin.errors import BadInput, NotFound, TooLarge
from foretwin.wire.decoder import decode, undecodable
from foretwin.wire.readings import Decoded, Readings
from foretwin.wire.tables import ARROW, JSON, PARQUET
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
CONTRACTS = {"pump": TWIN}
CHANNELS = {"speed": 1.0, "c1": 2.0, "c2": 3.0}
TWICE = {name: [1, 2] for name in CHANNELS}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["pump", "P-1", "speed", "bar", 1, 2.5]),
)
ANYTHING = st.recursive(ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))


def message(**changes) -> dict:
    return {"twin": "pump", "asset": "P-1", "time": 1, "channels": CHANNELS} | changes


def decoded(content, kind: str = JSON, twin: str | None = None, asset: str | None = None) -> Decoded:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return decode(body, kind, CONTRACTS, twin, asset)


def columns(times, values, **more) -> dict:
    return {"time": times, **dict(zip(TWIN.channel_names, values.T, strict=True)), **more}


def as_arrow(table: pa.Table) -> bytes:
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema) as stream:
        stream.write_table(table)
    return out.getvalue()


def as_parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


def assets(readings: Readings) -> list[str]:
    return [readings.names[place] for place in readings.asset]


def reasons(found: Decoded) -> list[tuple[str, str]]:
    return [(one.field, one.reason) for one in found.rejected]


def test_a_message_becomes_rows_in_the_contracts_order():
    found = decoded(message(run=3, time=[5, 6], channels={"c2": [1, 2], "c1": [3, 4], "speed": [5.5, 6]}))
    readings = found.readings
    assert found.rejected == ()
    assert readings.twin == "pump"
    assert assets(readings) == ["P-1", "P-1"]
    assert readings.run.tolist() == [3, 3]
    assert readings.time.tolist() == [5, 6]
    assert readings.values.dtype == np.float32
    assert readings.values.tolist() == [[5.5, 3, 1], [6, 4, 2]]


def test_a_single_number_is_a_column_of_one_and_a_run_that_is_not_named_the_present_one():
    found = decoded(message(channels=CHANNELS | {"c1": [2.0]}))
    assert found.readings.values.tolist() == [[1, 2, 3]]
    assert found.readings.run.tolist() == [-1]


def test_topic_or_path_may_name_twin_and_asset_but_not_contradict_the_message():
    assert assets(decoded({"time": 1, "channels": CHANNELS}, twin="pump", asset="P-2").readings) == ["P-2"]
    assert decoded(message(), twin="pump", asset="P-1").readings is not None
    for field, given_by_path in (("asset", {"asset": "P-2"}), ("twin", {"twin": "fan"})):
        with pytest.raises(BadInput, match="but topic, path or query says") as refused:
            decoded(message(), **given_by_path)
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"[1]", "body"),
        (b"\xff", "body"),
        (b"[" * 100_000, "body"),
        (message(time=[], channels={name: [] for name in CHANNELS}), "time"),
        ({"twin": "pump", "asset": "P-1", "channels": CHANNELS}, "time"),
        ({"twin": "pump", "asset": "P-1", "time": 1}, "channels"),
        (message(channels=[1]), "channels"),
        (message(units="bar"), "units"),
        (message(sensors={}), "sensors"),
        (message(asset="a/b"), "asset"),
        (message(asset="a\nb"), "asset"),
        (message(asset="\ud800"), "asset"),
        (message(asset="a" * 201), "asset"),
        (message(asset=7), "asset"),
        (message(twin=None), "twin"),
        (message(twin="fan"), "twin"),
    ],
)
def test_a_body_of_no_use_is_refused_by_its_field(body, field):
    with pytest.raises(BadInput) as refused:
        decoded(body)
    assert refused.value.field == field
    assert "\n" not in str(refused.value)


def test_a_twin_that_nobody_knows_is_not_found():
    with pytest.raises(NotFound, match="there is pump"):
        decoded(message(twin="fan"))


def test_a_content_type_may_have_parameters_and_others_are_refused():
    assert decoded(message(), kind="application/JSON; charset=utf-8").readings is not None
    with pytest.raises(BadInput, match=r"vnd\.apache\.parquet"):
        decoded(message(), kind="text/plain")


@pytest.mark.parametrize("bad", ["1.5", None, True, [1], {}, 10**400, 1e39, float("nan"), float("inf")])
def test_a_bad_cell_rejects_its_reading_alone(bad):
    found = decoded(message(run=1, time=[1, 2, 3], channels={"speed": [1, 1, 1], "c1": [1, bad, 3], "c2": [1, 1, 1]}))
    assert found.readings.time.tolist() == [1, 3]
    assert found.readings.values[:, 1].tolist() == [1, 3]
    assert reasons(found) == [("channels.c1", "type")]
    content = json.loads(found.rejected[0].content)
    assert (content["asset"], content["run"], content["time"]) == ("P-1", 1, 2)


def test_a_wrong_time_or_run_rejects_its_readings():
    assert reasons(decoded(message(time=["x", 2], channels=TWICE))) == [("time", "type")]
    assert reasons(decoded(message(run=-1))) == [("run", "order")]
    for run in (1.5, True, "1", 2**31, 10**30):
        assert reasons(decoded(message(run=run))) == [("run", "type")]


def test_a_unit_that_is_not_the_contracts_rejects_every_reading():
    assert decoded(message(time=[1, 2], channels=TWICE, units={"c1": "bar", "time": "h"})).rejected == ()
    for units in ({"c1": "psi"}, {"time": "s"}, {"c1": 7}, {"c9": "bar"}):
        found = decoded(message(time=[1, 2], channels=TWICE, units=units))
        assert found.readings is None
        assert reasons(found) == [(f"units.{next(iter(units))}", "unit")] * 2
    assert json.loads(found.rejected[1].content)["units"] == units


def test_missing_and_unknown_channels_reject_every_reading():
    assert reasons(decoded(message(channels={"speed": 1, "c1": 1}))) == [("channels.c2", "type")]
    assert reasons(decoded(message(channels=CHANNELS | {"time": 1}))) == [("channels.time", "type")]


def test_lists_of_different_lengths_reject_the_message_as_it_is():
    sent = message(time=[1, 2], channels={"speed": [1, 2], "c1": [1], "c2": [1, 2]})
    found = decoded(sent)
    assert reasons(found) == [("channels.c1", "type")]
    assert json.loads(found.rejected[0].content) == sent


def test_a_table_may_hold_several_assets_and_runs():
    table = pa.table(columns(np.arange(3.0), np.ones((3, 3), np.float32), asset=["a", "b", "a"], run=[1, None, 2]))
    for kind, write in ((ARROW, as_arrow), (PARQUET, as_parquet)):
        readings = decoded(write(table), kind, "pump").readings
        assert assets(readings) == ["a", "b", "a"]
        assert readings.run.tolist() == [1, -1, 2]


def test_cells_of_a_table_that_are_wrong_reject_their_rows():
    table = pa.table(
        {
            "asset": ["a", None, "a/b", "a", "a", "a", "a"],
            "run": [1, 1, 1, -5, 1, 1, 1],
            "time": [1.0, 2, 3, 4, None, 6, 7],
            "speed": pa.array([1, 1, 1, 1, 1, None, 1], pa.int64()),
            "c1": [1.0, 1, 1, 1, 1, 1, float("inf")],
            "c2": pa.array([1.0] * 7).dictionary_encode(),
        }
    )
    found = decoded(as_arrow(table), ARROW, "pump")
    assert found.readings.time.tolist() == [1]
    assert reasons(found) == [
        ("asset", "unknown"),
        ("asset", "unknown"),
        ("run", "order"),
        ("time", "type"),
        ("channels.speed", "type"),
        ("channels.c1", "type"),
    ]


def test_text_is_no_number_in_a_table():
    table = pa.table(columns(np.arange(2.0), np.ones((2, 3), np.float32))).set_column(1, "speed", pa.array(["1", "2"]))
    found = decoded(as_arrow(table), ARROW, "pump", "a")
    assert reasons(found) == [("channels.speed", "type")] * 2
    assert json.loads(found.rejected[1].content)["channels"]["speed"] == "2"


def test_the_unit_in_a_fields_metadata_is_checked():
    table = pa.table(columns(np.arange(2.0), np.ones((2, 3), np.float32)))
    field = pa.field("c1", pa.float32(), metadata={b"unit": b"psi"})
    marked = table.cast(table.schema.set(table.schema.get_field_index("c1"), field))
    for kind, write in ((ARROW, as_arrow), (PARQUET, as_parquet)):
        assert reasons(decoded(write(marked), kind, "pump", "a")) == [("units.c1", "unit")] * 2


def test_a_table_without_time_asset_or_with_a_column_twice_is_refused():
    table = pa.table(columns(np.arange(2.0), np.ones((2, 3), np.float32)))
    numbered = table.append_column("asset", pa.array([1, 2]))
    named = table.append_column("asset", pa.array(["a", "b"]))
    wrong = {
        "time": (table.drop(["time"]), "a"),
        "asset": (table, None),
        "speed": (table.append_column("speed", table.column("c1")), "a"),
    }
    for field, (content, asset) in wrong.items():
        with pytest.raises(BadInput) as refused:
            decoded(as_arrow(content), ARROW, "pump", asset)
        assert refused.value.field == field
    with pytest.raises(BadInput, match="text is needed"):
        decoded(as_arrow(numbered), ARROW, "pump")
    with pytest.raises(BadInput, match="but topic, path or query says"):
        decoded(as_arrow(named), ARROW, "pump", "a")


def test_more_readings_than_one_body_may_hold_are_too_large():
    count = 1_000_001
    table = pa.table({name: pa.array(np.zeros(count, np.float32)) for name in ("time", *TWIN.channel_names)})
    for body, kind in ((as_parquet(table), PARQUET), (as_arrow(table), ARROW)):
        with pytest.raises(TooLarge):
            decoded(body, kind, "pump", "a")


def test_a_refused_body_can_be_put_into_quarantine():
    for body, reason in ((b"\xff{", "undecodable"), (orjson.dumps(message(twin="fan")), "unknown")):
        with pytest.raises(BadInput) as refused:
            decoded(body)
        found = undecodable(body, refused.value, "pump", "P-1")
        assert [(one.reason, one.asset) for one in found.rejected] == [(reason, "P-1")]
    assert undecodable(b"\xff{", BadInput("body", "x"), None, None).rejected[0].content == "\\xff{"


FLOATS = arrays(np.float32, (4, 3), elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
TIMES = arrays(np.float64, 4, elements=st.floats(-3e38, 3e38))


@settings(deadline=None)
@given(values=FLOATS, times=TIMES)
def test_valid_readings_come_through_every_form_exactly(values, times):
    table = pa.table(columns(times, values))
    lists = {name: column.tolist() for name, column in zip(TWIN.channel_names, values.T, strict=True)}
    bodies = {
        JSON: json.dumps(message(time=times.tolist(), channels=lists)).encode(),
        ARROW: as_arrow(table),
        PARQUET: as_parquet(table),
    }
    for kind, body in bodies.items():
        readings = decode(body, kind, CONTRACTS, "pump", "P-1").readings
        assert np.array_equal(readings.values, values)
        assert np.array_equal(readings.time, times)


@settings(deadline=None)
@given(values=FLOATS)
def test_the_shortest_digits_of_a_float32_are_read_back_exactly(values):
    lists = {name: np.ascontiguousarray(c) for name, c in zip(TWIN.channel_names, values.T, strict=True)}
    body = orjson.dumps(message(time=[1, 2, 3, 4], channels=lists), option=orjson.OPT_SERIALIZE_NUMPY)
    assert np.array_equal(decoded(body).readings.values, values)


def end_well(body: bytes, kind: str) -> None:
    try:
        found = decode(body, kind, CONTRACTS, "pump", None)
    except BadInput as error:
        found = undecodable(body, error, "pump", None)
    assert isinstance(found, Decoded)
    if found.readings is not None:
        assert np.isfinite(found.readings.values).all()
        assert np.isfinite(found.readings.time).all()
        assert (found.readings.run >= -1).all()
    for one in found.rejected:
        assert "\n" not in one.detail
        assert one.reason in ("unit", "type", "order", "unknown", "undecodable")


@settings(deadline=None)
@given(content=st.dictionaries(st.sampled_from(["twin", "asset", "run", "time", "channels", "units"]), ANYTHING))
def test_any_fields_end_as_readings_or_in_a_refusal(content):
    end_well(json.dumps(message(**content)).encode(), JSON)


@settings(deadline=None)
@given(
    channels=st.dictionaries(st.sampled_from(["speed", "c1", "c2"]), ODD | st.lists(ODD, min_size=2, max_size=2)),
    time=ODD | st.lists(ODD, min_size=2, max_size=2),
    run=ODD,
    units=st.dictionaries(st.sampled_from(["speed", "time", "x"]), ODD, max_size=1),
)
def test_any_cells_end_as_readings_or_in_a_refusal(channels, time, run, units):
    content = message(time=time, channels=CHANNELS | channels, run=run, units=units)
    end_well(json.dumps(content).encode(), JSON)


@settings(deadline=None)
@given(body=st.binary(max_size=200), kind=st.sampled_from([JSON, ARROW, PARQUET]))
def test_any_bytes_end_in_a_refusal(body, kind):
    end_well(body, kind)


@settings(deadline=None)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255), kind=st.sampled_from([ARROW, PARQUET]))
def test_a_damaged_table_ends_as_readings_or_in_a_refusal(place, byte, kind):
    table = pa.table(columns(np.arange(4.0), np.ones((4, 3), np.float32), asset=["a", "b", "c", "d"]))
    body = bytearray(as_arrow(table) if kind == ARROW else as_parquet(table))
    body[place % len(body)] = byte
    end_well(bytes(body), kind)
