"""What a call is answered with."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pyarrow as pa
import pytest

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import BundleError
from foretwin.predictor.bundle import Bundle
from foretwin.serving.scoring.answer import encode_answer
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.schemas import _score_schema, answer_columns
from foretwin.wire.tables import ARROW, JSON, PARQUET, read_table
from support.tiny_bundle import asks_chances, call_of, random_rows, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def champion_of(folder, twin, **more):
    folder.mkdir(exist_ok=True)
    save_tiny_bundle(folder, twin, **more)
    return Champion(ModelIdentity("foretwin-pump", "3", "r1", "d1"), Bundle.load(folder), ChampionRecord())


@pytest.fixture
def champion(tmp_path):
    return champion_of(tmp_path, TWIN)


def asked(champion, rows, observed_at=None):
    call = call_of(champion.bundle.contract, rows)
    if observed_at:
        call["assets"][0]["observed_at"] = observed_at.isoformat()
    call = decode_json(orjson.dumps(call), lambda name: champion, 1000)
    return call, champion.bundle.answer(call.tracks)


def answer_of(champion, rows, **more):
    return orjson.loads(encode_answer(*asked(champion, rows, **more), NOW, JSON))


def test_the_answer_holds_each_number_and_what_proves_it(champion):
    rows = random_rows(TWIN, {"A": 8, "B": 3})
    table = champion.bundle.score(rows)
    answer = answer_of(champion, rows)
    identity = {"name": "foretwin-pump", "version": "3", "run": "r1", "digest": "d1"}
    assert answer["model"] == identity | {"contract": TWIN.digest}
    first, second = answer["scores"]
    assert [first["asset"], first["time"], first["rows"]] == ["A", 8.0, 8]
    interval = {"value": table["rul"][0], "low": table["rul_low"][0], "high": table["rul_high"][0]}
    assert first["rul"] == interval | {"level": 0.9, "unit": "h"}
    assert second["faults"]["mode"]["leak"] == table["p_mode_leak"][1]
    assert list(second["faults"]) == ["mode", "bearing"]
    assert second["diagnosis"] == {"mode": table["mode"][1], "bearing": table["bearing"][1]}
    assert second["warnings"] == ["short_history: 3 of 8 rows"]
    assert "data_age" not in first


@pytest.mark.parametrize(("rul", "faults"), [(True, False), (False, True)])
def test_the_answer_leaves_out_what_the_twin_does_not_have(rul, faults, tmp_path):
    twin = tiny_twin(rul=rul, faults=faults)
    (score,) = answer_of(champion_of(tmp_path, twin), random_rows(twin, {"A": 4}))["scores"]
    assert ("rul" in score) is rul
    assert bool(score["faults"]) is faults
    assert bool(score["diagnosis"]) is faults


def test_a_number_that_is_not_finite_is_never_sent(tmp_path):
    with pytest.raises(BundleError, match="rul is not finite for A"):
        answer_of(champion_of(tmp_path, TWIN, bias=np.nan), random_rows(TWIN, {"A": 4}))


def test_the_age_of_the_data_is_told_and_stale_data_warned_of(tmp_path):
    patient = TWIN.model_copy(update={"cases": TWIN.cases.model_copy(update={"stale_after": 3.0})})
    champion = champion_of(tmp_path, patient)
    rows = random_rows(patient, {"A": 8, "B": 8})
    for hours, stale in [(2, False), (4, True)]:
        first, second = answer_of(champion, rows, observed_at=NOW - timedelta(hours=hours))["scores"]
        assert first["data_age"] == hours * 3600
        assert any(warning.startswith("stale: ") for warning in first["warnings"]) is stale
        assert "data_age" not in second
        assert second["warnings"] == []


@pytest.mark.parametrize("kind", [ARROW, PARQUET])
def test_as_a_table_it_holds_the_same_and_the_model_in_its_metadata(champion, kind):
    rows = random_rows(TWIN, {"A": 8, "B": 3})
    call, answers = asked(champion, rows, observed_at=NOW - timedelta(hours=2))
    body = encode_answer(call, answers, NOW, kind)
    table = pa.ipc.open_stream(body).read_all() if kind == ARROW else pa.parquet.read_table(pa.BufferReader(body))
    want = champion.bundle.score(rows)
    got = table.to_pandas()
    assert got["data_age"].tolist()[0] == 7200
    assert np.isnan(got["data_age"].tolist()[1])
    assert got["warnings"].map(list).tolist() == want["warnings"].tolist()
    plain = [name for name in want.columns if name != "warnings"]
    for name in plain:
        assert got[name].tolist() == want[name].tolist(), name
    told = json.loads(table.schema.metadata[b"foretwin"])
    assert told == answer_of(champion, rows)["model"] | {"unit": "h", "level": "0.9"}


def test_the_module_reads_what_it_writes(champion):
    call, answers = asked(champion, random_rows(TWIN, {"A": 8}))
    table = pa.ipc.open_stream(encode_answer(call, answers, NOW, ARROW)).read_all()
    plain = table.drop_columns(["warnings"])
    out = pa.BufferOutputStream()
    with pa.ipc.new_stream(out, plain.schema) as stream:
        stream.write_table(plain)
    assert read_table(out.getvalue().to_pybytes(), ARROW, 10, 10**6).num_rows == 1


def test_chances_of_a_failure_are_in_the_answer_and_its_schema_where_the_contract_asks(tmp_path):
    rows = random_rows(TWIN, {"A": 8})
    assert "p_failure" not in answer_of(champion_of(tmp_path / "plain", TWIN), rows)["scores"][0]
    champion = champion_of(tmp_path / "asked", asks_chances(TWIN, 24, 96))
    (score,) = answer_of(champion, rows)["scores"]
    table = champion.bundle.score(rows)
    assert score["p_failure"] == {"24": table["p_failure_24"][0], "96": table["p_failure_96"][0]}
    described = _score_schema(champion)["properties"]["p_failure"]
    assert described["required"] == ["24", "96"]
    call, answers = asked(champion, rows)
    sent = encode_answer(call, answers, NOW, ARROW)
    told = pa.ipc.open_stream(sent).read_all().column("p_failure_96")
    assert told.to_pylist() == table["p_failure_96"].tolist()
    assert "`p_failure_24`, `p_failure_96`" in answer_columns(champion.bundle.contract)
