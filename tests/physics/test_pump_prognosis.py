"""The peer that knows the physics, on a small simulated fleet."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foretwin.contract.source import CmapssSource
from foretwin.contract.twin import Twin, load_twin
from foretwin.dataset.splits import Development, prepare
from foretwin.dataset.table import read_rows
from foretwin.dataset.windows import Histories, Windows, last_rows
from foretwin.errors import SourceError
from foretwin.metrics import coverage, rmse
from foretwin.physics import pump_prognosis
from foretwin.physics.pump import learning
from foretwin.physics.pump.filtering import Recordings
from foretwin.physics.pump_prognosis import MEASURED, future_duties, lives_of, predict_with_physics, windows_of
from foretwin.project.params import PrepareParams
from foretwin.sources import pump

ROOT = Path(__file__).parents[2]
PREPARE = PrepareParams(test_share=0.5, folds=2, cuts=6, seed=1)
Answer = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def contract() -> Twin:
    twin = load_twin(ROOT / "data" / "pump" / "twin.yaml")
    return twin.model_copy(update={"source": twin.source.model_copy(update={"assets": 20})})


@pytest.fixture(scope="module")
def data(contract: Twin, tmp_path_factory: pytest.TempPathFactory) -> tuple[Development, Windows]:
    folder = tmp_path_factory.mktemp("pump")
    pump.fetch_pump(contract, folder)
    prepare(pump.adapt_pump(contract, folder), contract, PREPARE, folder)
    test = read_rows(folder / "test.parquet", contract)
    windows = Histories.from_rows(test, contract).cut(last_rows(test), contract.window.length)
    return Development.load(folder, contract, PREPARE), windows


def predict(development: Development, test: Windows, contract: Twin, seed: int = 1) -> Answer:
    """As the benchmark asks, with fewer draws and fewer rounds of learning."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(learning, "SPREADS", (0.1,))
        patched.setattr(learning, "ROUNDS", 2)
        patched.setattr(pump_prognosis, "DRAWS", 60)
        return predict_with_physics(development, test, contract, seed, level=0.9)


@pytest.fixture(scope="module")
def predicted(data: tuple[Development, Windows], contract: Twin) -> Answer:
    return predict(*data, contract)


def test_the_forecast_says_far_more_than_the_mean_life_and_its_interval_covers(
    data: tuple[Development, Windows], predicted: Answer, contract: Twin
) -> None:
    development, test = data
    truth = np.minimum(test.rul, contract.rul.cap)
    mean = np.nanmean(np.minimum(development.histories.rul[development.ends], contract.rul.cap))
    rul, low, high = predicted

    assert rmse(rul, truth) < 0.6 * rmse(np.full(len(test), mean), truth)
    assert coverage(low, high, truth) > 0.75
    assert np.mean(high - low) < 70
    assert (high - low)[truth < 15].mean() < 0.5 * (high - low).mean(), "near its end a pump is known better"


def test_every_prediction_is_possible_and_lies_within_its_interval(
    data: tuple[Development, Windows], predicted: Answer, contract: Twin
) -> None:
    rul, low, high = predicted
    assert rul.shape == low.shape == high.shape == (len(data[1]),)
    assert (low >= 0).all()
    assert (low <= rul).all()
    assert (rul <= high).all()
    assert (high <= contract.rul.cap).all()


def test_no_label_is_looked_at_and_the_same_seed_gives_the_same_answer(
    data: tuple[Development, Windows], predicted: Answer, contract: Twin
) -> None:
    development, test = data
    blind = replace(test, rul=np.full_like(test.rul, np.nan), faults=np.full_like(test.faults, -1))
    histories = development.histories
    unlabelled = replace(histories, rul=np.full_like(histories.rul, np.nan), faults=np.full_like(histories.faults, -1))

    for again, before in zip(
        predict(replace(development, histories=unlabelled), blind, contract), predicted, strict=True
    ):
        np.testing.assert_array_equal(again, before)


def test_windows_are_read_without_their_padding_and_the_longest_comes_first(
    data: tuple[Development, Windows], contract: Twin
) -> None:
    histories = data[0].histories
    ends = np.array([histories.first[-1] + 79, histories.first[-1] + 14])
    windows = windows_of(histories.cut(ends, contract.window.length), np.array([0, 1]), contract)
    flow = histories.values[:, contract.channel_names.index("flow")]

    assert windows.counts.tolist() == [60, 15]
    measured = windows.measured[:, :, MEASURED.index("flow")]
    np.testing.assert_array_equal(measured[:, 0], flow[ends[0] - 59 : ends[0] + 1])
    np.testing.assert_array_equal(measured[:15, 1], flow[ends[1] - 14 : ends[1] + 1])


def test_lives_are_read_whole_and_the_longest_comes_first(data: tuple[Development, Windows], contract: Twin) -> None:
    histories = data[0].histories
    lives = lives_of(histories, contract)

    assert lives.counts.sum() == len(histories.values)
    assert (np.diff(lives.counts) <= 0).all()
    speed = histories.values[:, contract.channel_names.index("commanded_speed")].astype(np.float64)
    recorded = np.arange(lives.counts[0])[:, None] < lives.counts
    assert np.sort(lives.settings["commanded_speed"][recorded]).tolist() == np.sort(speed).tolist()


def test_future_duty_is_made_of_days_that_a_pump_has_seen() -> None:
    numbers = 1000 + np.arange(100.0)[:, None] + [0, 1000]  # rpm: hour and pump can be read from it
    settings = {"commanded_speed": numbers} | dict.fromkeys(
        ("ambient_temperature", "suction_pressure", "discharge_pressure"), np.ones((100, 2))
    )
    lives = Recordings(settings, np.zeros((100, 2, 0)), np.array([100, 30]))
    duties = list(future_duties(lives, (5, 8), 50, np.random.default_rng(1)))
    rpm = np.stack([duty.supply_speed for duty in duties]) * 30 / np.pi

    assert rpm.shape == (50, 5, 8)
    within = np.arange(1, 50) % 24 != 0
    np.testing.assert_allclose(np.diff(rpm, axis=0)[within], 1)
    assert (np.diff(rpm, axis=0)[~within] != 1).any()
    assert np.isin(np.rint(rpm), np.concatenate([numbers[:, 0], numbers[:30, 1]])).all(), "no hour after a life's end"
    assert len(np.unique(np.rint(rpm[0]))) > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": CmapssSource(kind="cmapss", subset="FD001")}, "source.kind is cmapss"),
        ({"rul": None}, "has no `rul`"),
        ({"channels": {}}, "channel commanded_speed is missing"),
    ],
    ids=["source", "rul", "channels"],
)
def test_a_machine_whose_physics_is_not_known_is_refused(
    change: dict, message: str, data: tuple[Development, Windows], contract: Twin
) -> None:
    with pytest.raises(SourceError, match=message):
        predict_with_physics(*data, contract.model_copy(update=change), seed=1, level=0.9)
