import json
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BadInput, TooLarge, UnknownTwin
from foretwin.predictor.bundle import Bundle
from foretwin.serving.http.problems import encode_problem
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.champions import Champions
from support.tiny_bundle import call_of, random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()
ASSET = {"asset": "A", "time": [1, 2.5, 3], "channels": {"speed": [1, 2, 3], "c1": [0.1, 0.2, 0.3], "c2": [4, 5, 6]}}


@pytest.fixture(scope="module")
def champions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    save_tiny_bundle(folder, TWIN)
    found = Champions()
    found.put(Champion(ModelIdentity("foretwin-pump", "3", "r1", "d1"), Bundle.load(folder), ChampionRecord()))
    return found


@pytest.fixture
def decode(champions):
    def decode(assets, most_rows=100, **top):
        body = json.dumps({"twin": "pump", "assets": assets} | top).encode()
        return decode_json(body, champions.get, most_rows)

    return decode


def asset(**changes):
    return ASSET | changes


def channels(**changes):
    return asset(channels=ASSET["channels"] | changes)


def test_the_rows_of_a_call_are_those_that_were_sent_whatever_the_order_of_the_channels(champions):
    rows = random_rows(TWIN, {"A": 5, "B": 3})
    call = decode_json(orjson.dumps(call_of(TWIN, rows)), champions.get, 8)
    tracks = call.tracks
    assert call.contract == TWIN
    assert tracks.assets.tolist() == ["A", "B"]
    assert tracks.ends.tolist() == [4, 7]
    assert tracks.seen().tolist() == [5, 3]
    np.testing.assert_array_equal(tracks.histories.time, rows["time"])
    np.testing.assert_array_equal(tracks.histories.values, rows[list(TWIN.channel_names)].astype(np.float32))


def test_the_run_is_1_unless_it_is_sent(decode):
    assert decode([asset(), asset(asset="B", run=7)]).tracks.runs.tolist() == [1, 7]


@pytest.mark.parametrize(
    ("entry", "field", "reason"),
    [
        (asset(time=[]), "assets[0].time", "is empty"),
        (asset(time="now"), "assets[0].time", 'is "now", a list'),
        (asset(time=[1, 2]), "assets[0].channels.speed", "has 3 values, but time has 2"),
        (asset(time=[1, 1, 2]), "assets[0].time[1]", "does not increase"),
        (asset(time=[1, 3, 2]), "assets[0].time[2]", "does not increase"),
        (asset(time=[1, None, 2]), "assets[0].time[1]", "is null"),
        (asset(time=[1]), "assets[0].time", "has 1 rows, at least 2"),
        (asset(asset=""), "assets[0].asset", 'is "", a text of 1 to 200'),
        (asset(asset=17), "assets[0].asset", "is 17"),
        (asset(asset="x" * 201), "assets[0].asset", "(201 characters)"),
        (asset(run="1"), "assets[0].run", "a whole number from 0"),
        (asset(run=True), "assets[0].run", "a whole number from 0"),
        (asset(run=2**70), "assets[0].run", "a whole number from 0"),
        (asset(run=-1), "assets[0].run", "is -1, a whole number from 0"),
        (asset(run=None), "assets[0].run", "is null, a whole number from 0"),
        (asset(colour="red"), "assets[0].colour", "is unknown"),
        ({"asset": "A", "time": [1, 2]}, "assets[0].channels", "is missing"),
        (asset(channels=[1, 2]), "assets[0].channels", "is a list"),
        (asset(channels={"speed": [1, 2, 3], "c1": [1, 2, 3]}), "assets[0].channels.c2", "is missing"),
        (channels(flow=[1, 2, 3]), "assets[0].channels.flow", "is unknown"),
        (channels(c1=[]), "assets[0].channels.c1", "has 0 values"),
        (channels(c1=5), "assets[0].channels.c1", "is 5"),
        (channels(c1=[1, 2]), "assets[0].channels.c1", "has 2 values"),
        (channels(c1=[1, "2", 3]), "assets[0].channels.c1[1]", 'is "2", a number'),
        (channels(c1=[1, 2, True]), "assets[0].channels.c1[2]", "is a truth value"),
        (channels(c1=[None, 2, 3]), "assets[0].channels.c1[0]", "is null"),
        (channels(c1=[1, [2], 3]), "assets[0].channels.c1[1]", "is a list"),
        (channels(c1=[1, {"a": {"b": [1]}}, 3]), "assets[0].channels.c1[1]", "is an object"),
        (channels(c1=[1, 2, float("nan")]), "assets[0].channels.c1[2]", "a finite number up to"),
        (channels(c2=[1, float("-inf"), 3]), "assets[0].channels.c2[1]", "a finite number up to"),
        (channels(c2=[1, 1e39, 3]), "assets[0].channels.c2[1]", "a finite number up to"),
        (channels(c2=[1, 10**25, -(10**60)]), "assets[0].channels.c2[2]", "is -1e+60, a finite number up to"),
        (channels(c2=[1, 10**400, 3]), "assets[0].channels.c2[1]", "a finite number up to"),
        (17, "assets[0]", "is 17, an object"),
        (None, "assets[0]", "is null"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_path(decode, entry, field, reason):
    with pytest.raises(BadInput) as refused:
        decode([entry])
    assert refused.value.field == field
    assert reason in refused.value.reason


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"\xff\xfe", "body"),
        (b"[" * 5000, "body"),
        (b"9" * 5000, "body"),
        (b"NaN", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"null", "body"),
        (b'{"assets": []}', "twin"),
        (b'{"twin": "pump"}', "assets"),
        (b'{"twin": "pump", "assets": []}', "assets"),
        (b'{"twin": "pump", "assets": {}}', "assets"),
        (b'{"twin": null, "assets": []}', "twin"),
        (b'{"twin": "pump", "assets": [], "x": 1}', "x"),
        (b'{"twin": "pump", "assets": [], "\\ud800": 1}', "\ud800"),
    ],
)
def test_a_body_that_is_no_call_is_refused(champions, body, field):
    with pytest.raises(BadInput) as refused:
        decode_json(body, champions.get, 100)
    assert refused.value.field == field
    orjson.loads(encode_problem(422, refused.value.field, refused.value.reason))


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_tokens_that_are_no_json_numbers_are_refused_with_the_field_that_holds_them(champions, token):
    body = json.dumps({"twin": "pump", "assets": [channels(c2=[1, "HERE", 3])]}).replace('"HERE"', token)
    with pytest.raises(BadInput) as refused:
        decode_json(body.encode(), champions.get, 100)
    assert refused.value.field == "assets[0].channels.c2[1]"


def test_half_a_surrogate_pair_is_no_name(champions):
    body = json.dumps({"twin": "pump", "assets": [ASSET]}).replace('"A"', '"\\ud800"').encode()
    with pytest.raises(BadInput, match=r"assets\[0\].asset: .* without /, \+, #") as refused:
        decode_json(body, champions.get, 100)
    orjson.loads(encode_problem(422, refused.value.field, refused.value.reason))


def test_an_unknown_twin_is_refused_with_those_that_are_served(decode):
    with pytest.raises(UnknownTwin, match='"engine" is not served here; there is pump'):
        decode([ASSET], twin="engine")


def test_an_asset_that_stands_twice_is_refused(decode):
    with pytest.raises(BadInput, match=r'assets\[2\].asset: "A" stands at assets\[0\] already'):
        decode([ASSET, asset(asset="B"), asset(run=2)])


def test_more_rows_than_allowed_in_all_are_refused(decode):
    assert len(decode([ASSET, asset(asset="B")], most_rows=6).tracks.histories.time) == 6
    with pytest.raises(TooLarge, match=r"assets\[1\].time: has 3 rows, 2 more fit"):
        decode([ASSET, asset(asset="B")], most_rows=5)


@pytest.mark.parametrize(
    ("times", "usual"),
    [
        ([60 * i for i in range(4)], "60"),
        ([1e5 + 3600 * i for i in range(4)], "3600"),
        ([i / 60 for i in range(4)], "0.01"),
    ],
)
def test_times_in_another_unit_are_refused(decode, times, usual):
    values = {key: [1, 2, 3, 4] for key in TWIN.channel_names}
    with pytest.raises(BadInput, match=rf"assets\[1\].time: usually advances by {usual}.*times are in h"):
        decode([ASSET, asset(asset="B", time=times, channels=values)])


def test_a_machine_that_stood_still_in_between_is_no_other_unit(decode):
    values = {key: [1, 2, 3, 4] for key in TWIN.channel_names}
    assert len(decode([asset(time=[1, 2, 3, 5000], channels=values)]).tracks) == 1
    assert len(decode([asset(time=[1, 2, 5000], channels={key: [1, 2, 3] for key in TWIN.channel_names})]).tracks) == 1
    assert len(decode([asset(time=[1, 5000], channels={key: [1, 2] for key in TWIN.channel_names})]).tracks) == 1


def test_units_that_are_said_are_checked(decode):
    assert decode([ASSET], units={"time": "h", "c1": "bar"}).tracks
    for units, field, reason in [
        ({"time": "s"}, "units.time", 'is "s", h is needed'),
        ({"c1": "psi"}, "units.c1", 'is "psi", bar is needed'),
        ({"c1": None}, "units.c1", "bar is needed"),
        ({"c9": "bar"}, "units.c9", "no such channel"),
        (["h"], "units", "is a list"),
    ]:
        with pytest.raises(BadInput, match=reason) as refused:
            decode([ASSET], units=units)
        assert refused.value.field == field


@pytest.mark.dated
def test_when_the_data_was_observed_is_read_and_gives_its_age(decode):
    now = datetime.now(UTC)
    call = decode([asset(observed_at=(now - timedelta(hours=2)).isoformat()), asset(asset="B")])
    assert call.ages(now) == [7200, None]


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        ("yesterday", "a moment such as"),
        ("2026-01-01T00:00:00", "has no zone"),
        ("2999-01-01T00:00:00Z", "lies in the future"),
        (17, "is 17, a text"),
    ],
)
@pytest.mark.dated
def test_a_moment_that_is_none_is_refused(decode, moment, reason):
    with pytest.raises(BadInput, match=reason) as refused:
        decode([asset(observed_at=moment)])
    assert refused.value.field == "assets[0].observed_at"
