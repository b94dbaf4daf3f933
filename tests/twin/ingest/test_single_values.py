"""Values that come singly: in any order, with any break, they become the rows that their file gives."""

import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput
from foretwin.twin.connectors.files import ingest_file
from foretwin.twin.data_export import export_asset
from foretwin.twin.ingest.ingest import ingest
from foretwin.twin.ingest.receipt import Receipt
from foretwin.twin.ingest.single_values.due import settle_due
from foretwin.twin.ingest.single_values.pending import PendingValues
from foretwin.twin.ingest.single_values.settling import settle_values
from foretwin.twin.store import Store, assets, open_store
from foretwin.twin.store.erasure import erase
from foretwin.twin.store.tables import quarantine, readings
from foretwin.twin.store.telemetry.pending_samples import pending_samples
from foretwin.twin.store.telemetry.windows import ReadingQuery, newest_windows
from foretwin.wire.decoder import decode
from foretwin.wire.tables import JSON
from support.written_table import adapted

BEGUN = datetime(2026, 3, 28, 20, 0, 7, tzinfo=UTC)
NOW = BEGUN + timedelta(days=30)
MUCH_LATER = BEGUN + timedelta(days=100)
WAIT = 3.0  # h
REMEDY = {"part": "ram", "instruction": "replace it", "lead_time": 1}
CHANNELS = {
    "force": {"grid": {"take": "mean"}},
    "level": {"grid": {"take": "interpolate", "longest_age": 2.5}, "may_be_missing": True},
    "iron": {"grid": {"take": "last", "longest_age": 12}, "may_be_missing": True},
    "starts": {"grid": {"take": "count"}},
}


def press(channels=CHANNELS, **clock) -> Twin:
    fields = {"unit": "1", "role": "sensor", "min": -1e4, "max": 1e4}
    source = {
        "kind": "table",
        "path": "press.csv",
        "asset": "asset",
        "time": "time",
        "tag": "channel",
        "value": "value",
    }
    return Twin.model_validate(
        {
            "name": "press",
            "title": "Press",
            "source": source,
            "clock": {"unit": "h", "step": 1, "wait": WAIT} | clock,
            "channels": {name: fields | more for name, more in channels.items()},
            "rul": {"cap": 10, "remedy": REMEDY},
            "window": {"length": 400},
        }
    )


PRESS = press()
PLAIN = press({"force": {}, "iron": {}})


def fleet(seed: int = 1, hours: int = 40) -> pd.DataFrame:
    """Values of three machines: a fast channel, a slow one, one that a machine lacks; and a standstill of ten hours."""
    generator = np.random.default_rng(seed)
    rows = []
    for asset in ("A", "B", "C"):
        for channel, each in (("force", 0.4), ("level", 1.3), ("iron", 7), ("starts", 2)):
            if (asset, channel) == ("B", "iron"):
                continue
            times = np.arange(0, hours, each) + generator.uniform(0, 0.1, len(np.arange(0, hours, each)))
            times = times[(times < 15) | (times > 25)]
            moments = [BEGUN + timedelta(seconds=round(3600 * time)) for time in (0.0, *times)]
            rows += [(asset, m, channel, round(float(generator.normal()), 3)) for m in dict.fromkeys(moments)]
    return pd.DataFrame(rows, columns=["asset", "time", "channel", "value"]).sort_values("time", kind="stable")


def body(asset, time, channel, value, **more) -> bytes:
    stamp = time if not isinstance(time, datetime) else time.isoformat().replace("+00:00", "Z")
    return json.dumps({"asset": asset, "time": stamp, "channel": channel, "value": value} | more).encode()


def send(store: Store, *bodies: bytes, twin: Twin = PRESS, now: datetime = NOW) -> Receipt:
    found = [decode(one, JSON, {twin.name: twin}, twin.name, None) for one in bodies]
    return ingest(store, {twin.name: twin}, found, "mqtt", now)


def held(store: Store, twin: Twin = PRESS) -> pd.DataFrame:
    """The readings that the store holds."""
    with store.read() as connection:
        known = {one.id: name for name, one in assets.find_all(connection, "ABC").items()}
        found = newest_windows(connection, ReadingQuery(twin.name, twin.channel_names, 10**9), list(known), 400)
    columns = dict(zip(twin.channel_names, np.transpose(found.values), strict=True))
    frame = pd.DataFrame({"asset": [known[i] for i in found.asset.tolist()], "time": found.time, **columns})
    return frame.sort_values(["asset", "time"], ignore_index=True)


def of_file(twin: Twin, table: pd.DataFrame, tmp_path: Path) -> pd.DataFrame:
    """The rows of the same values as one file."""
    table.assign(time=[one.isoformat() for one in table["time"]]).to_csv(tmp_path / "press.csv", index=False)
    rows = adapted(twin, tmp_path, tmp_path / "raw")[["asset", "time", *twin.channel_names]]
    return rows.sort_values(["asset", "time"], ignore_index=True)


def in_disorder(table: pd.DataFrame, by: float, seed: int) -> pd.DataFrame:
    """The values as they come: each up to so many hours late."""
    late = pd.to_timedelta(np.random.default_rng(seed).uniform(0, by, len(table)), "h")
    return table.assign(came=table["time"] + late).sort_values("came", kind="stable")


def counted(store: Store, table) -> int:
    with store.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def test_a_fleet_that_comes_value_by_value_in_disorder_gives_the_rows_of_its_file(tmp_path):
    table = fleet()
    expected = of_file(PRESS, table, tmp_path)
    url = f"sqlite:///{tmp_path}/twins.db"
    came = [
        body(*row)
        for row in in_disorder(table, 0.95 * WAIT, 2)[["asset", "time", "channel", "value"]].itertuples(index=False)
    ]
    for begin in range(0, len(came), 60):  # each time by a process that was started anew
        store = open_store(url)
        receipt = send(store, *came[begin : begin + 60])
        assert receipt.waiting == len(came[begin : begin + 60])
        store.close()
    store = open_store(url)
    assert counted(store, pending_samples) == 3, "a row per machine, not per value"
    assert len(held(store)) < len(expected), "the last ones wait"
    assert settle_due(store, {"press": PRESS}, NOW + timedelta(hours=WAIT - 0.1)).stored == 0
    settle_due(store, {"press": PRESS}, NOW + timedelta(hours=WAIT + 0.1))
    pd.testing.assert_frame_equal(held(store), expected, check_dtype=False)
    assert expected["iron"].isna().any()
    assert np.diff(expected.loc[expected["asset"] == "A", "time"]).max() > 5, "a standstill stays one"
    assert counted(store, quarantine) == 0


def test_what_is_sent_again_changes_nothing_and_is_set_aside_once(store):
    table = fleet(hours=12)
    bodies = [body(*row) for row in table.itertuples(index=False)]
    first = send(store, *bodies)
    before, waiting = held(store), first.waiting
    assert send(store, bodies[-1]).duplicates == 1
    again = send(store, *bodies)
    assert (again.stored, again.waiting) == (0, 0)
    assert again.duplicates + len(again.rejected) == waiting
    set_aside = counted(store, quarantine)
    assert len(send(store, *bodies).rejected) == len(again.rejected)
    assert counted(store, quarantine) == set_aside
    pd.testing.assert_frame_equal(held(store), before)
    assert settle_due(store, {"press": PRESS}, NOW + timedelta(days=1)).stored > 0
    assert settle_due(store, {"press": PRESS}, NOW + timedelta(days=2)) == Receipt()


def test_a_reading_is_made_at_once_when_each_channel_has_its_value():
    store = open_store("sqlite://")
    for hour in range(6):
        send(
            store,
            *(body("A", BEGUN + timedelta(hours=hour), channel, hour) for channel in ("force", "iron")),
            twin=PLAIN,
        )
    assert held(store, PLAIN)["time"].tolist() == [0, 1, 2, 3, 4, 5]
    with store.read() as connection:
        heard = assets.find_asset(connection, "A").received_at
    assert heard == BEGUN + timedelta(hours=5), "dated by its own time, although it came a month later"
    early = send(store, body("A", BEGUN + timedelta(hours=6), "iron", 6), twin=PLAIN)
    assert (early.stored, early.waiting) == (0, 1)


def test_a_step_that_lacks_a_channel_is_set_aside_as_a_reading():
    store = open_store("sqlite://")
    send(store, body("A", BEGUN, "force", 1), body("A", BEGUN, "iron", 1), twin=PLAIN)
    receipt = send(
        store,
        body("A", BEGUN + timedelta(hours=1), "force", 2),
        body("A", BEGUN + timedelta(hours=9), "force", 3),
        twin=PLAIN,
    )
    assert receipt.stored == 1
    (refused,) = receipt.rejected
    assert (refused.field, refused.reason) == ("channels.iron", "type")
    assert json.loads(refused.content)["time"] == 1
    assert counted(store, quarantine) == 1


@pytest.mark.parametrize(
    ("sent", "field", "reason"),
    [
        ({"time": "2026-03-29T02:30:00"}, "time", "type"),
        ({"time": "yesterday"}, "time", "type"),
        ({"time": MUCH_LATER + timedelta(hours=1)}, "time", "clock"),
        ({"time": BEGUN + timedelta(hours=1200)}, "time", "clock"),
        ({"time": 5}, "time", "clock"),
        ({"time": BEGUN + timedelta(hours=1.5)}, "time", "order"),
        ({"channel": "forse"}, "channel", "unknown"),
        ({"value": "high"}, "value", "type"),
        ({"value": True}, "value", "type"),
        ({"asset": "a/b"}, "asset", None),
    ],
    ids=["no offset", "no time", "future", "jump", "other clock", "late", "channel", "text", "flag", "name"],
)
def test_each_wrong_value_is_refused_alone_with_what_is_wrong(sent, field, reason):
    store = open_store("sqlite://")
    send(store, *(body("A", BEGUN + timedelta(hours=h), c, 1) for h in range(9) for c in ("force", "iron")), twin=PLAIN)
    good = {"asset": "A", "time": BEGUN + timedelta(hours=9.5), "channel": "force", "value": 1.0}
    if reason is None:
        with pytest.raises(BadInput, match="asset"):
            send(store, body(**good | sent), twin=PLAIN)
        return
    receipt = send(store, body(**good), body(**good | sent), twin=PLAIN, now=MUCH_LATER)
    assert receipt.waiting == 1
    assert [(one.field, one.reason) for one in receipt.rejected] == [(field, reason)]


@pytest.mark.parametrize("quality", ["Good", "ok", 192, 192.0, None])
def test_a_value_of_good_quality_counts_and_others_are_missing(quality, caplog):
    caplog.set_level("INFO")
    store = open_store("sqlite://")
    receipt = send(store, body("A", BEGUN, "force", 1, quality=quality), twin=PLAIN)
    assert (receipt.waiting, receipt.rejected) == (1, ())
    bad = send(
        store, body("A", BEGUN, "force", "I/O Timeout", quality="Bad"), body("A", BEGUN, "iron", None), twin=PLAIN
    )
    assert (bad.waiting, bad.rejected) == (0, ())
    assert "2 single values are empty or of no good quality: taken as missing" in caplog.text


@pytest.mark.parametrize("scale", [1, 10**3, 10**6, 10**9], ids=["s", "ms", "us", "ns"])
def test_moments_may_be_numbers_since_1970(scale):
    store = open_store("sqlite://")
    stamps = [int((BEGUN + timedelta(hours=hour)).timestamp()) * scale for hour in range(8)]
    send(store, *(body("A", stamp, channel, 1) for stamp in stamps for channel in ("force", "iron")), twin=PLAIN)
    assert held(store, PLAIN)["time"].tolist() == list(range(8))


def test_a_new_run_begins_at_its_own_first_value_and_takes_none_of_the_one_before():
    store = open_store("sqlite://")
    old = [body("A", BEGUN + timedelta(hours=h), c, 1) for h in range(9) for c in ("force", "iron")]
    send(store, *old, twin=PLAIN)
    with store.write() as connection:
        assets.begin_run(connection, assets.find_asset(connection, "A"), 2)
    late = send(store, old[-1], body("A", BEGUN + timedelta(hours=20), "force", 2), twin=PLAIN)
    assert [(one.field, one.reason) for one in late.rejected] == [("time", "order")]
    send(
        store,
        *(body("A", BEGUN + timedelta(hours=h), c, 2) for h in range(21, 30) for c in ("force", "iron")),
        twin=PLAIN,
    )
    with store.read() as connection:
        runs = connection.execute(select(readings.c.run, func.min(readings.c.time)).group_by(readings.c.run)).all()
    assert sorted(map(tuple, runs)) == [(1, 0.0), (2, 1.0)], "hour 20 lacks iron, so it is no reading of run 2"


def test_what_a_tag_showed_long_before_holds_and_a_run_begins_with_the_present(tmp_path):
    twin = press({name: {"grid": {"take": "last"}, "may_be_missing": True} for name in ("force", "mode", "step")})
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    begun = [("mode", -3000, 7), ("step", -1500, 2), ("force", 0, 1)]  # the first two tell their changes alone
    later = [*(("force", hour, 1 + hour) for hour in range(1, 8)), ("mode", 5, 8)]
    for channel, hour, value in (*begun, *later):
        receipt = send(store, body("A", BEGUN + timedelta(hours=hour), channel, value), twin=twin)
        assert receipt.rejected == ()
    rows = held(store, twin)
    assert rows["time"].tolist() == [0, 1, 2, 3, 4]
    assert rows["force"].tolist() == [1, 2, 3, 4, 5]
    assert rows[["mode", "step"]].drop_duplicates().to_numpy().tolist() == [[7, 2]]
    # a clock that jumps after the machine has spoken is refused as ever
    jumped = send(store, body("A", BEGUN + timedelta(hours=2000), "force", 0), twin=twin, now=MUCH_LATER)
    assert [one.reason for one in jumped.rejected] == ["clock"]
    store.close()


def test_a_file_of_single_values_loses_none_however_long_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr("foretwin.twin.ingest.single_values.taking.MOST_WAITING", 60)
    monkeypatch.setattr("foretwin.twin.ingest.single_values.taking.AT_ONCE", 20)
    table = fleet()
    expected = of_file(PRESS, table, tmp_path)
    stamped = table.assign(time=[one.isoformat() for one in table["time"]], quality="good")
    canonical = PRESS.model_copy(update={"source": PRESS.source.model_copy(update={"asset": "machine"})})
    stamped.to_csv(tmp_path / "values.csv", index=False)
    store = open_store("sqlite://")
    receipts = list(ingest_file(store, canonical, tmp_path / "values.csv", NOW))
    assert sum(one.waiting for one in receipts) == len(table)
    settle_due(store, {"press": PRESS}, NOW + timedelta(days=1))
    pd.testing.assert_frame_equal(held(store), expected, check_dtype=False)


def test_a_file_in_the_owner_s_columns_comes_to_the_same_readings(tmp_path):
    expected = of_file(PRESS, fleet(), tmp_path)
    store = open_store("sqlite://")
    receipts = list(ingest_file(store, PRESS, tmp_path / "press.csv", NOW))
    assert sum(one.stored for one in receipts) == len(expected)
    assert not any(one.rejected for one in receipts)
    pd.testing.assert_frame_equal(held(store), expected, check_dtype=False)


def test_a_device_goes_on_in_the_run_that_a_file_began(tmp_path):
    hours = [(BEGUN + timedelta(hours=h), c, h) for h in range(6) for c in ("force", "iron")]
    table = pd.DataFrame([("A", *one) for one in hours], columns=["asset", "time", "channel", "value"])
    of_file(PLAIN, table, tmp_path)
    store = open_store("sqlite://")
    list(ingest_file(store, PLAIN, tmp_path / "press.csv", NOW))
    send(
        store,
        *(body("A", BEGUN + timedelta(hours=h), c, h) for h in range(8, 12) for c in ("force", "iron")),
        twin=PLAIN,
    )
    settle_due(store, {"press": PLAIN}, NOW + timedelta(days=1))
    assert held(store, PLAIN)["time"].tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]
    assert held(store, PLAIN)["iron"].tolist() == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]


def test_what_waits_is_bounded_and_what_is_beyond_is_told(monkeypatch):
    monkeypatch.setattr("foretwin.twin.ingest.single_values.taking.MOST_WAITING", 5)
    store = open_store("sqlite://")
    receipt = send(store, *(body("A", BEGUN + timedelta(minutes=m), "force", 1) for m in range(8)), twin=PLAIN)
    assert receipt.waiting == 5
    assert {one.reason for one in receipt.rejected} == {"waiting"}
    assert len(receipt.rejected) == 3


VALUES = st.lists(
    st.tuples(st.integers(0, 200).map(lambda n: n / 10), st.integers(0, 3), st.integers(-9, 9)),
    min_size=1,
    unique_by=lambda one: one[:2],
)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.integers(1, 5))
def test_any_pieces_in_order_of_time_settle_to_the_rows_of_all_at_once(values, pieces):
    values = sorted(values)
    time, channel, value = (np.array(column) for column in zip(*values, strict=True))
    start = PendingValues.empty(1, False, PRESS.channel_names)
    whole = settle_values(start.joined(time.astype(float), channel, value.astype(float)), PRESS, everything=True)
    found, pending = [], start
    for part in np.array_split(np.arange(len(time)), pieces):
        pending = PendingValues.unpack(pending.pack(), PRESS.channel_names)
        step = settle_values(pending.joined(time[part].astype(float), channel[part], value[part].astype(float)), PRESS)
        found.append(step)
        pending = step.left
    found.append(settle_values(pending, PRESS, everything=True))
    np.testing.assert_array_equal(np.concatenate([one.time for one in found]), whole.time)
    values = [one.values for one in found]  # noqa: PD011 - no data frame
    np.testing.assert_array_equal(np.concatenate(values), whole.values)


def test_what_waits_of_a_machine_is_exported_and_erased_with_it(tmp_path):
    store = open_store("sqlite://")
    send(store, body("A", BEGUN, "force", 1), body("B", BEGUN, "iron", 2), twin=PLAIN)
    export_asset(store, tmp_path, {"press": PLAIN}, "A", tmp_path / "A.zip", NOW)
    with zipfile.ZipFile(tmp_path / "A.zip") as archive:
        (waiting,) = json.loads(archive.read("waiting.json"))
    assert waiting == {"run": 1, "dated": True, "time": BEGUN.timestamp() * 1e6, "channel": "force", "value": 1.0}
    with store.write() as connection:
        erase(connection, assets.find_asset(connection, "A"))
    assert counted(store, pending_samples) == 1
