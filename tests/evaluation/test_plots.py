"""Pictures: there for each question that a twin has, readable, and complete in themselves."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from foretwin.evaluation.plots import bars, contributions, draw_all, predictions_table
from foretwin.predictor.shapley import Attribution, Explanation
from support.small_fleet import CAP, QUESTIONS, fleet_twin
from support.small_scores import ALONG_A_RUN, COUNT, PICTURES, drawn, example_of, scores_of, truth_of


def is_a_picture(pixels: np.ndarray) -> bool:
    """Large enough to be read, and of more than a blank page's colours."""
    colours = np.unique((pixels[:, :, :3] * 255).astype(np.int64) @ [1 << 16, 1 << 8, 1])
    ink = (pixels[:, :, :3] < 0.95).any(axis=2).mean()
    return min(pixels.shape[:2]) > 300 and len(colours) > 20 and bool(0.005 < ink < 0.9)


@pytest.mark.parametrize("questions", QUESTIONS)
def test_there_is_a_picture_for_each_question_that_the_twin_has(questions: str, tmp_path: Path) -> None:
    pictures = drawn(fleet_twin(questions), tmp_path)
    assert set(pictures) == PICTURES[questions]
    for name, pixels in pictures.items():
        assert is_a_picture(pixels), name


def test_a_blank_page_is_not_taken_for_a_picture() -> None:
    assert not is_a_picture(np.ones((600, 900, 4)))


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "again"):
        (tmp_path / name).mkdir()
        drawn(fleet_twin(), tmp_path / name)
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_pictures_show_the_scores(tmp_path: Path) -> None:
    twin = fleet_twin()
    before = drawn(twin, tmp_path)
    truth = truth_of(twin)
    scores = scores_of(twin, truth)
    columns = ["p_mode_healthy", "p_mode_wear", "p_mode_leak"]
    worse = scores.assign(rul=CAP - scores["rul"]).assign(**{c: scores[columns[i - 1]] for i, c in enumerate(columns)})
    worse = worse.assign(rul_low=(worse["rul"] - 5).clip(0), rul_high=worse["rul"] + 5)
    draw_all(twin, worse, truth, example_of(twin), tmp_path)
    for name in ("predicted_against_true", "error_by_remaining_life", "confusion_mode"):
        assert not np.array_equal(before[name], matplotlib.image.imread(tmp_path / f"{name}.png"))


def explanation_of(channels: int, sign: float = 1) -> Explanation:
    """Contributions of c0, c1, ... to all questions, the last one's the largest."""
    values = {f"c{i}": sign * (-1) ** i * i / 10 for i in range(channels)}
    found = {
        question: Attribution(answer, unit, 20.0, 20 + sum(values.values()), values)
        for question, answer, unit in (("rul", "rul", "h"), ("mode", "wear", "probability"), ("bearing", "good", "x"))
    }
    return Explanation("f03", 1, 49.0, found)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("channels", [0, 24])
def test_contributions_are_drawn_however_many_channels_there_are(channels: int, tmp_path: Path) -> None:
    path = tmp_path / "why.png"
    contributions(fleet_twin(), explanation_of(channels), path)
    pixels = matplotlib.image.imread(path)
    assert is_a_picture(pixels)
    contributions(fleet_twin(), explanation_of(channels, sign=-1), path)
    assert np.array_equal(pixels, matplotlib.image.imread(path)) == (channels < 2), "c0 contributes nothing"


def test_the_largest_contributions_have_bars_of_their_own_and_the_others_one_together() -> None:
    found = explanation_of(24).questions["rul"]
    drawn_bars = bars(found)
    assert [name for name, _ in drawn_bars] == [*(f"c{i}" for i in range(23, 11, -1)), "12 others"]
    assert sum(value for _, value in drawn_bars) == pytest.approx(sum(found.contributions.values()))
    assert drawn_bars[-1][1] == pytest.approx(sum((-1) ** i * i / 10 for i in range(12)))
    assert [name for name, _ in bars(explanation_of(12).questions["rul"])] == [f"c{i}" for i in range(11, -1, -1)]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("unknown", [0, COUNT - 1, COUNT])
def test_pictures_are_drawn_however_few_truths_are_known(unknown: int, tmp_path: Path) -> None:
    twin = fleet_twin()
    truth = truth_of(twin, unknown)
    draw_all(twin, scores_of(twin, truth), truth, None, tmp_path)
    allowed = PICTURES["faults"] if unknown == COUNT else PICTURES["both"] - ALONG_A_RUN
    assert {path.stem for path in tmp_path.iterdir()} == allowed


def test_a_prediction_s_row_names_its_asset_and_its_capped_truth() -> None:
    twin = fleet_twin()
    truth = truth_of(twin)
    scores = scores_of(twin, truth).assign(**dict.fromkeys(twin.axes, "unknown"))
    scores["asset"] = "pump@hall-2@" + scores["rows"].astype(str)  # an asset may have an @ in its name
    table = predictions_table(twin, scores, truth)
    axes = [name for axis in twin.axes for name in (f"true_{axis}", axis)]
    assert table.columns.tolist() == ["asset", "time", "true", "predicted", *axes]
    assert set(table["asset"]) == {"pump@hall-2"}
    known = ~np.isnan(truth.rul)
    np.testing.assert_array_equal(table.loc[known[table.index], "true"], np.minimum(truth.rul[known], CAP))
    np.testing.assert_array_equal(table["predicted"], scores["rul"][table.index])


@pytest.mark.parametrize("questions", QUESTIONS)
def test_the_predictions_have_the_faults_too(questions: str) -> None:
    twin = fleet_twin(questions)
    truth = truth_of(twin)
    scores = scores_of(twin, truth).assign(**dict.fromkeys(twin.axes, "unknown"))
    table = predictions_table(twin, scores, truth)
    labelled = np.zeros(len(scores), dtype=bool) if twin.rul is None else ~np.isnan(truth.rul)
    for axis in twin.axes:
        names = [*twin.classes(axis), ""]
        assert table[f"true_{axis}"].tolist() == [names[truth.faults[axis][i]] for i in table.index]
        assert set(table[axis]) == {"unknown"}
        labelled |= truth.faults[axis] >= 0
    assert table.index.tolist() == np.flatnonzero(labelled).tolist(), "what has no label at all is left out"
