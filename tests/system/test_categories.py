"""Words through every door: a category is one number from the file to the graph, and an unknown word is unknown."""

from pathlib import Path

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError

from foretwin.champion.champion import Champion, ChampionRecord
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import truncate
from foretwin.errors import BadInput
from foretwin.evaluation.baselines import Features
from foretwin.predictor.bundle import Bundle, save_bundle
from foretwin.predictor.fault_calibration import FaultCalibration
from foretwin.predictor.healthy_baseline import HealthyBaseline, RegimeCentres
from foretwin.predictor.rul_intervals import RulIntervals
from foretwin.registry.versions import signature
from foretwin.serving.scoring.calls.json_call import decode_json
from foretwin.serving.scoring.calls.table_call import decode_table_call
from foretwin.serving.scoring.schemas import example_call
from foretwin.sources.table import read_rows_of
from foretwin.training.candidates.features import FeatureSession, WindowFeatures
from foretwin.training.encoders import ENCODERS
from foretwin.training.network import Network
from foretwin.training.onnx import to_onnx
from foretwin.training.scaling import fit_scaling
from foretwin.training.trainer import Budget, fit
from foretwin.twin.ingest.checks import Fault, rejected_of
from foretwin.twin.simulator.sending import encode_message, to_stream
from foretwin.wire.decoder import decode
from support.small_fleet import CAP, fleet_twin, prepared, worded_rows, worded_twin
from support.small_network import choice_of, network_of

TWIN = worded_twin()
NAMES = list(TWIN.channel_names)
DUTY, RECIPE = NAMES.index("duty"), NAMES.index("recipe")


@pytest.fixture(scope="module")
def development(tmp_path_factory) -> Development:
    return prepared(tmp_path_factory.mktemp("words") / "windows", TWIN, worded_rows(TWIN))


@pytest.fixture(scope="module")
def network(development: Development) -> Network:
    return network_of(TWIN, development, "statistics_convolution")


@pytest.fixture(scope="module")
def champion(tmp_path_factory, network: Network, development: Development) -> Champion:
    folder = tmp_path_factory.mktemp("bundle")
    centres = RegimeCentres((), *(getattr(network.scaling, name).numpy() for name in ("centres", "spread")))
    reference = HealthyBaseline.fit(development.histories, TWIN, centres)
    faults = {axis: FaultCalibration(1.0, 0.0, 0.9) for axis in TWIN.axes}
    intervals = RulIntervals(0.9, (0.0, CAP), (1.0, 1.0), (1.0, 1.0))
    save_bundle(folder, TWIN, to_onnx([network], TWIN), intervals, reference, faults)
    return Champion(ModelIdentity("foretwin-fleet", "3", "r1", "d1"), Bundle.load(folder), ChampionRecord())


def in_words(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows as a sender writes them."""
    words = {name: rows[name].map(TWIN.channels[name].cell, na_action="ignore") for name in ("duty", "recipe")}
    return rows.assign(**words)[["asset", "run", "time", *NAMES]]


def sent() -> pd.DataFrame:
    rows = worded_rows(TWIN)
    return rows[rows["asset"].isin(["f00", "f01", "f02"]) & rows["time"].between(11, 30)].reset_index(drop=True)


def test_all_doors_give_the_answer_of_the_numbers(champion: Champion, network: Network, tmp_path: Path) -> None:
    rows, bundle = sent(), champion.bundle
    words, expected = in_words(rows), bundle.score(rows)
    told = words.astype(object).where(words.notna(), None)
    assets = [
        {"asset": name, "time": own["time"].tolist(), "channels": {channel: own[channel].tolist() for channel in NAMES}}
        for name, own in told.groupby("asset")
    ]
    call = decode_json(orjson.dumps({"twin": TWIN.name, "assets": assets}), lambda _: champion, 1000)
    table = decode_table_call(pa.Table.from_pandas(words, preserve_index=False), champion)
    for found in (bundle.score(words), bundle.answer(call.tracks).frame(), bundle.answer(table.tracks).frame()):
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    source = {"kind": "table", "path": "fleet.csv", "asset": "asset", "time": "time"}
    own = Twin.model_validate(TWIN.model_dump() | {"source": source})
    words.to_csv(tmp_path / "fleet.csv", index=False)
    in_file = read_rows_of(own, own.source, tmp_path / "fleet.csv")
    np.testing.assert_array_equal(in_file[["duty", "recipe"]], rows[["duty", "recipe"]])
    pd.testing.assert_frame_equal(bundle.score(in_file), expected, check_exact=True)

    window = truncate(rows[rows["asset"] == "f00"].reset_index(drop=True), np.array([19]), TWIN.window.length)
    x = torch.from_numpy(window[NAMES].to_numpy(np.float32, copy=True)[None])
    with torch.inference_mode():
        out = network(x, torch.ones(x.shape[:2]), torch.tensor([30.0]))
    # The doors agree in each bit; graph and network add up single precision (2**-24 = 6e-8) in orders of their own.
    assert expected["rul"].iloc[0] / CAP == pytest.approx(float(out.rul), rel=0, abs=1e-6)
    assert "unknown_category: recipe" in expected["warnings"].iloc[2]
    assert not any("unknown" in one for one in expected["warnings"].iloc[0])


def test_a_word_moves_the_answer_and_its_spelling_does_not(champion: Champion) -> None:
    words = in_words(sent())
    score = champion.bundle.score
    pd.testing.assert_frame_equal(score(words.assign(duty=words["duty"].str.upper() + " ")), score(words))
    assert (score(words.assign(duty="idle"))["rul"] - score(words)["rul"]).abs().min() > 1e-4


def test_single_values_and_messages_hold_words_and_what_is_none_is_refused(champion: Champion) -> None:
    contracts = {TWIN.name: TWIN}

    def decoded(message: dict):
        return decode(orjson.dumps(message), "application/json", contracts, TWIN.name, "f00")

    numbers = {"pressure": 50, "vibration": 3, "ballast": 123}
    found = decoded(
        {"time": [1, 2, 3], "channels": {n: [v] * 3 for n, v in numbers.items()} | {"duty": ["FAST", "x", {}]}}
    )
    assert found.readings is not None
    values = np.asarray(found.readings.values)
    assert values[:, DUTY].tolist() == [2, 0]
    assert np.isnan(values[:, RECIPE]).all()
    assert [(one.field, one.detail) for one in found.rejected] == [("channels.duty", "is an object, a text is needed")]
    single = decoded({"time": [1, 2, 3], "channel": ["recipe"] * 3, "value": ["brass", "tin", ""]})
    told = single.values  # noqa: PD011 - no data frame
    assert (told.value.tolist(), single.missing, single.rejected) == ([2, 0], 1, ())
    with pytest.raises(BadInput, match="a text is needed"):
        decode_json(
            orjson.dumps(
                {
                    "twin": TWIN.name,
                    "assets": [
                        {"asset": "a", "time": [1], "channels": {n: [v] for n, v in numbers.items()} | {"duty": [[]]}}
                    ],
                }
            ),
            lambda _: champion,
            100,
        )
    example = example_call(champion.bundle)
    assert set(example["assets"][0]["channels"]["duty"]) <= {"slow", "fast"}
    decode_json(orjson.dumps(example), lambda _: champion, 100)


def test_what_leaves_holds_words_again_and_can_be_sent_again(champion: Champion) -> None:
    rows = sent()[lambda table: table["asset"] == "f02"].reset_index(drop=True)
    stream = to_stream(rows.assign(failed=False), TWIN)
    again = decode(encode_message(stream, np.arange(3), TWIN), "application/json", {TWIN.name: TWIN}, TWIN.name, "f02")
    assert again.readings is not None
    kept = again.readings.values[:, [DUTY, RECIPE]]  # noqa: PD011 - no data frame
    assert kept.tolist() == rows.loc[:2, ["duty", "recipe"]].to_numpy().tolist()
    assert kept[0, 1] == 0, "what was unknown remains so"
    refused = rejected_of(again.readings, TWIN, Fault(0, "time", "clock", "of another day"))
    told = orjson.loads(refused.content)["channels"]
    assert (told["duty"], told["recipe"]) == (TWIN.channels["duty"].cell(rows["duty"].iat[0]), "unknown")
    columns = {column.name: column.type.name for column in signature(TWIN).inputs}
    assert (columns["duty"], columns["pressure"]) == ("string", "double")


def test_unknown_words_of_a_file_are_told_and_taken_as_unknown(tmp_path: Path, caplog) -> None:
    source = {"kind": "table", "path": "fleet.csv", "asset": "asset", "time": "time", "missing_values": ["n/k"]}
    twin = Twin.model_validate(TWIN.model_dump() | {"source": source})
    rows = in_words(sent()).assign(duty=["Fast", "warp", "n/k", *["slow"] * 57])
    rows.to_csv(tmp_path / "fleet.csv", index=False)
    with pytest.raises(Exception, match="column 'duty': is empty"):
        read_rows_of(twin, twin.source, tmp_path / "fleet.csv")
    held = Twin.model_validate(TWIN.model_dump() | {"source": source | {"missing": "carry_forward"}})
    assert read_rows_of(held, held.source, tmp_path / "fleet.csv")["duty"].tolist()[:4] == [2, 0, 0, 1]
    assert "column 'duty': none of its categories, taken as unknown: 'warp' (1 rows)" in caplog.text


def test_a_network_and_the_trees_see_a_column_for_each_word(development: Development) -> None:
    ends = development.ends[::7]
    scaling = fit_scaling(development.histories, np.arange(len(development.fold)), TWIN, 1)
    session = FeatureSession(WindowFeatures(scaling, TWIN, TWIN.window.length), TWIN)
    features = Features(development, TWIN, 1)
    assert len(features.channels) == 2 + 2 + 3 + 2, "numbers, presence and age of the recipe, words of both"
    np.testing.assert_allclose(
        session.at(development.histories, ends), features.at(development.histories, ends), 1e-3, 1e-4
    )
    network, curves = fit(development.hold_out(0), TWIN, choice_of(chance=0.1), Budget(windows=1280, batch=32, seed=1))
    assert curves[-1]["val/loss"] < 0.95 * curves[0]["val/loss"]
    assert network.one_hot.width == 3 + 2 + 3 + 2


@pytest.mark.parametrize("trunk", ENCODERS)
def test_every_encoder_takes_words_and_no_code_is_clipped_or_shifted(development: Development, trunk: str) -> None:
    network = network_of(TWIN, development, trunk)
    x = torch.from_numpy(development.histories.values[:10][None].copy())  # noqa: PD011 - no data frame
    scaled = network.scaling(x)
    assert torch.equal(scaled[:, :, DUTY], x[:, :, DUTY])
    assert torch.isfinite(network(x, torch.ones(1, 10), torch.tensor([10.0])).rul).all()
    shifted = network.one_hot.shifted(scaled, torch.ones(1, 1, scaled.shape[2]))
    assert torch.equal(shifted[:, :, DUTY], scaled[:, :, DUTY])


@pytest.mark.parametrize(
    ("channel", "reason"),
    [
        ({"categories": ["a", "b"], "unit": "bar"}, "leave out unit, role, min and max"),
        ({"categories": ["a", "A "]}, "A  is there in two spellings"),
        ({"categories": ["a", "Unknown"]}, "unknown is what any other word is taken as"),
        ({"categories": ["a", "b"], "grid": {"take": "mean"}}, "of a category take the last"),
    ],
)
def test_a_category_that_cannot_be_meant_is_refused(channel: dict, reason: str) -> None:
    content = TWIN.model_dump()
    with pytest.raises(ValidationError, match=reason):
        Twin.model_validate(content | {"channels": content["channels"] | {"duty": channel}})


def test_words_are_no_regimes_and_other_contracts_are_unchanged() -> None:
    with pytest.raises(ValidationError, match="regimes: duty holds words"):
        worded_twin(regimes={"channels": ["duty"], "count": 2})
    assert Twin.model_validate_json(TWIN.model_dump_json()) == TWIN
    assert "categories" not in fleet_twin().model_dump_json()
