import json

import numpy as np
import orjson
import pytest
from tiny_bundle import call_of, random_rows, save_tiny_bundle, tiny_twin

from foretwin.bundle import Bundle
from foretwin.errors import BadInput, BundleError, ParamsError, TooLarge, UnknownTwin
from foretwin.scoring_call import ANSWER_SCHEMA, Limits, ModelIdentity, decode_call, encode_problem, encode_scores

TWIN = tiny_twin()
TWINS = {"pump": TWIN}
ASSET = {"asset": "A", "time": [1, 2.5, 3], "channels": {"speed": [1, 2, 3], "c1": [0.1, 0.2, 0.3], "c2": [4, 5, 6]}}
IDENTITY = ModelIdentity("foretwin-pump", "3", "r1", "d1")


def decode(assets, most_rows=100, **top):
    return decode_call(json.dumps({"twin": "pump", "assets": assets} | top).encode(), TWINS, most_rows)


def asset(**changes):
    return ASSET | changes


def channels(**changes):
    return asset(channels=ASSET["channels"] | changes)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle")
    save_tiny_bundle(folder, TWIN)
    return Bundle.load(folder)


def test_the_rows_of_a_call_are_those_that_were_sent_whatever_the_order_of_the_channels():
    rows = random_rows(TWIN, {"A": 5, "B": 3})
    call = decode_call(orjson.dumps(call_of(TWIN, rows)), TWINS, 8)
    assert call.twin == "pump"
    assert list(call.rows.columns) == ["asset", "run", "time", *TWIN.channel_names]
    assert call.rows["asset"].tolist() == ["A"] * 5 + ["B"] * 3
    np.testing.assert_array_equal(call.rows["time"], rows["time"])
    for name in TWIN.channel_names:
        np.testing.assert_array_equal(call.rows[name], rows[name].astype(np.float32))


def test_the_run_is_1_unless_it_is_sent():
    rows = decode([asset(), asset(asset="B", run=7)]).rows
    assert rows["run"].tolist() == [1] * 3 + [7] * 3


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
        (asset(run="1"), "assets[0].run", "an integer"),
        (asset(run=True), "assets[0].run", "an integer"),
        (asset(run=2**70), "assets[0].run", "an integer"),
        (asset(colour="red"), "assets[0].colour", "is unknown"),
        ({"asset": "A", "time": [1, 2]}, "assets[0].channels", "is missing"),
        (asset(channels=[1, 2]), "assets[0].channels", "is a list"),
        (asset(channels={"speed": [1, 2, 3], "c1": [1, 2, 3]}), "assets[0].channels.c2", "is missing"),
        (channels(flow=[1, 2, 3]), "assets[0].channels.flow", "is unknown"),
        (channels(c1=[]), "assets[0].channels.c1", "is empty"),
        (channels(c1=5), "assets[0].channels.c1", "is 5"),
        (channels(c1=[1, 2]), "assets[0].channels.c1", "has 2 values"),
        (channels(c1=[1, "2", 3]), "assets[0].channels.c1[1]", 'is "2", a number'),
        (channels(c1=[1, 2, True]), "assets[0].channels.c1[2]", "is a truth value"),
        (channels(c1=[None, 2, 3]), "assets[0].channels.c1[0]", "is null"),
        (channels(c1=[1, [2], 3]), "assets[0].channels.c1[1]", "is a list"),
        (channels(c1=[1, {"a": {"b": [1]}}, 3]), "assets[0].channels.c1[1]", "is an object"),
        (channels(c1=[1, 2, float("nan")]), "assets[0].channels.c1[2]", "not a finite number"),
        (channels(c2=[1, float("-inf"), 3]), "assets[0].channels.c2[1]", "not a finite number"),
        (channels(c2=[1, 1e39, 3]), "assets[0].channels.c2[1]", "not a finite number"),
        (channels(c2=[1, 10**25, -(10**60)]), "assets[0].channels.c2[2]", "not a finite number"),
        (channels(c2=[1, 10**400, 3]), "assets[0].channels.c2[1]", "not a finite number"),
        (17, "assets[0]", "is 17, an object"),
        (None, "assets[0]", "is null"),
    ],
)
def test_what_breaks_the_contract_is_refused_with_its_path(entry, field, reason):
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
def test_a_body_that_is_no_call_is_refused(body, field):
    with pytest.raises(BadInput) as refused:
        decode_call(body, TWINS, 100)
    assert refused.value.field == field
    orjson.loads(encode_problem(422, refused.value.field, refused.value.reason))


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_tokens_that_are_no_json_numbers_are_refused_with_the_field_that_holds_them(token):
    body = json.dumps({"twin": "pump", "assets": [channels(c2=[1, "HERE", 3])]}).replace('"HERE"', token)
    with pytest.raises(BadInput) as refused:
        decode_call(body.encode(), TWINS, 100)
    assert refused.value.field == "assets[0].channels.c2[1]"


def test_a_body_that_only_a_lenient_parser_reads_is_refused():
    body = json.dumps({"twin": "pump", "assets": [ASSET]}).replace('"A"', '"\\ud800"').encode()
    with pytest.raises(BadInput, match="body: is not JSON"):
        decode_call(body, TWINS, 100)


def test_an_unknown_twin_is_refused_with_those_that_are_served():
    with pytest.raises(UnknownTwin, match='"engine" is not served here; there is pump'):
        decode([ASSET], twin="engine")


def test_an_asset_that_stands_twice_is_refused():
    with pytest.raises(BadInput, match=r'assets\[2\].asset: "A" stands at assets\[0\] already'):
        decode([ASSET, asset(asset="B"), asset(run=2)])


def test_more_rows_than_allowed_in_all_are_refused():
    assert len(decode([ASSET, asset(asset="B")], most_rows=6).rows) == 6
    with pytest.raises(TooLarge, match=r"assets\[1\].time: has 3 rows, 2 more fit"):
        decode([ASSET, asset(asset="B")], most_rows=5)


def test_the_answer_holds_each_number_of_the_table(bundle):
    rows = random_rows(TWIN, {"A": 8, "B": 3})
    table = bundle.score(rows)
    answer = orjson.loads(encode_scores(bundle, IDENTITY, table))
    assert answer["model"] == {"name": "foretwin-pump", "version": "3", "run": "r1"}
    first, second = answer["scores"]
    assert [first["asset"], first["time"]] == ["A", 8.0]
    assert first["rul"] == {
        "value": table["rul"][0],
        "low": table["rul_low"][0],
        "high": table["rul_high"][0],
        "level": 0.9,
        "unit": "h",
    }
    assert second["faults"]["mode"]["leak"] == table["p_mode_leak"][1]
    assert list(second["faults"]) == ["mode", "bearing"]
    assert second["diagnosis"] == {"mode": table["mode"][1], "bearing": table["bearing"][1]}
    assert second["warnings"] == ["short_history: 3 of 8 rows"]


@pytest.mark.parametrize(("rul", "faults"), [(True, False), (False, True)])
def test_the_answer_leaves_out_what_the_twin_does_not_have(rul, faults, tmp_path):
    twin = tiny_twin(rul=rul, faults=faults)
    save_tiny_bundle(tmp_path, twin)
    bundle = Bundle.load(tmp_path)
    (score,) = orjson.loads(encode_scores(bundle, IDENTITY, bundle.score(random_rows(twin, {"A": 4}))))["scores"]
    assert ("rul" in score) is rul
    assert bool(score["faults"]) is faults
    assert bool(score["diagnosis"]) is faults


def test_the_answer_and_its_schema_have_the_same_fields(bundle):
    table = bundle.score(random_rows(TWIN, {"A": 4})).assign(mode="unknown")
    answer = orjson.loads(encode_scores(bundle, IDENTITY, table))
    (score,) = answer["scores"]
    assert score["diagnosis"]["mode"] == "unknown"
    fields = ANSWER_SCHEMA["properties"]
    assert set(fields) == set(answer)
    assert set(fields["model"]["properties"]) == set(answer["model"])
    described = fields["scores"]["items"]["properties"]
    assert set(described) == set(score)
    assert set(described["rul"]["properties"]) == set(score["rul"])
    kinds = {"string": str, "number": float, "object": dict, "array": list}
    assert all(isinstance(score[name], kinds[described[name]["type"]]) for name in described)


@pytest.mark.parametrize("column", ["rul", "rul_low", "p_mode_wear"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_never_sent(bundle, column, value):
    table = bundle.score(random_rows(TWIN, {"A": 4, "B": 4}))
    table.loc[1, column] = value
    with pytest.raises(BundleError, match=f"{column} is not finite"):
        encode_scores(bundle, IDENTITY, table)


def test_limits_come_from_the_environment_and_have_defaults():
    assert Limits.from_env({}) == Limits(8 * 1024 * 1024, 100_000)
    assert Limits.from_env({"FORETWIN_MAX_BODY_BYTES": "10", "FORETWIN_MAX_ROWS": "20"}) == Limits(10, 20)


@pytest.mark.parametrize("value", ["", "0", "-5", "many", "1.5", "9" * 30])
def test_a_limit_that_is_no_positive_integer_is_refused(value):
    with pytest.raises(ParamsError, match="FORETWIN_MAX_ROWS"):
        Limits.from_env({"FORETWIN_MAX_ROWS": value})


def test_an_identity_that_cannot_be_read_is_refused(tmp_path):
    path = tmp_path / "identity.json"
    for content in ("{", "[]", '{"name": "x"}'):
        path.write_text(content)
        with pytest.raises(BundleError, match=r"identity.json: not a champion's identity"):
            ModelIdentity.read(path)
