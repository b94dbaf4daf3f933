"""Pictures, page and summary: there for each question that a twin has, readable, and complete in themselves."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
import yaml
from small_fleet import CAP, QUESTIONS, fleet_twin

from foretwin.config import Paths
from foretwin.contract import Twin
from foretwin.errors import RegistryError
from foretwin.evaluation import Truth, figures
from foretwin.explanation import Attribution, Explanation
from foretwin.plots import bars, contributions, draw_all, predictions_table
from foretwin.report import figures_table, subset_tables, write_page
from foretwin.summary import print_summary

COUNT = 60
ALONG_A_RUN = {"one_asset", "alpha_lambda"}
PICTURES = {
    "rul": {"predicted_against_true", "error_by_remaining_life", "coverage_by_remaining_life"} | ALONG_A_RUN,
    "faults": {"confusion_mode", "confusion_bearing"},
}
PICTURES["both"] = PICTURES["rul"] | PICTURES["faults"]


def truth_of(twin: Twin, unknown: int = 5) -> Truth:
    """True labels at COUNT cuts; the first `unknown` ones are not known."""
    generator = np.random.default_rng(1)
    rul = generator.uniform(0, 1.5 * CAP, COUNT)
    rul[:unknown] = np.nan
    faults = {axis: generator.integers(0, len(twin.classes(axis)), COUNT) for axis in twin.axes}
    for classes in faults.values():
        classes[:unknown] = -1
    return Truth(rul, faults, subset=np.full(COUNT, ""))


def scores_of(twin: Twin, truth: Truth) -> pd.DataFrame:
    """What a fair predictor says at these cuts."""
    generator = np.random.default_rng(2)
    names = [f"f{i:02d}@{7 * i}" for i in range(COUNT)]
    table: dict[str, object] = {"asset": names, "run": 1, "time": np.arange(COUNT, dtype=float), "rows": 10}
    if twin.rul:
        rul = np.clip(np.nan_to_num(truth.rul, nan=20) + generator.normal(0, 4, COUNT), 0, CAP)
        table |= {"rul": rul, "rul_low": (rul - 5).clip(0), "rul_high": (rul + 5).clip(0, CAP)}
    for axis in twin.axes:
        weights = generator.random((COUNT, len(twin.classes(axis))))
        weights[np.arange(COUNT), truth.faults[axis].clip(0)] += 0.5
        weights /= weights.sum(axis=1, keepdims=True)
        table |= {f"p_{axis}_{name}": weights[:, i] for i, name in enumerate(twin.classes(axis))}
    return pd.DataFrame(table)


def example_of(twin: Twin, asset: str = "f03") -> pd.DataFrame | None:
    """One run's scores from its beginning to its end."""
    if twin.rul is None:
        return None
    true = np.arange(49.0, -1, -1)
    rul = np.clip(true + 3 * np.sin(true), 0, CAP)
    columns = {"asset": [f"{asset}@{i}" for i in range(50)], "time": 49 - true, "rul": rul, "true_rul": true}
    return pd.DataFrame({**columns, "rul_low": (rul - 4).clip(0), "rul_high": (rul + 4).clip(0, CAP)})


def metrics_of(twin: Twin, truth: Truth, scores: pd.DataFrame) -> dict:
    """As the evaluate stage writes them."""
    rul = scores["rul"].to_numpy() if twin.rul else None
    network = figures(twin, truth, rul, [truth.faults[axis].clip(0) for axis in twin.axes])
    baseline = figures(twin, truth, None if rul is None else rul * 0 + 9, [truth.faults[a] * 0 for a in twin.axes])
    if twin.rul:
        network["rul"]["interval"] = {"level": 0.9, "coverage": 0.875, "width": 9.5}
    return {
        "twin": twin.name,
        "bundle": "0123456789abcdef" * 4,
        "assets": 12,
        "cuts": COUNT,
        "unit": "h",
        "network": network,
        "baselines": {"constant": baseline, "gradient_boosting": baseline},
    }


def drawn(twin: Twin, folder: Path) -> dict[str, np.ndarray]:
    """name -> pixels (H, W, 4) of every picture of the twin, drawn into the folder and read back."""
    truth = truth_of(twin)
    draw_all(twin, scores_of(twin, truth), truth, example_of(twin), folder)
    assert {path.suffix for path in folder.iterdir()} == {".png"}
    return {path.stem: matplotlib.image.imread(path) for path in folder.iterdir()}


def is_a_picture(pixels: np.ndarray) -> bool:
    """Large enough to be read, and of more than a blank page's colours."""
    colours = np.unique((pixels[:, :, :3] * 255).astype(np.uint8).reshape(-1, 3), axis=0)
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
    scores = scores_of(twin, truth)
    scores["asset"] = "pump@hall-2@" + scores["rows"].astype(str)  # an asset may have an @ in its name
    table = predictions_table(twin, scores, truth)
    assert table.columns.tolist() == ["asset", "time", "true", "predicted"]
    assert set(table["asset"]) == {"pump@hall-2"}
    assert len(table) == COUNT - 5
    np.testing.assert_array_equal(table["true"], np.minimum(truth.rul[5:], CAP))
    np.testing.assert_array_equal(table["predicted"], scores["rul"][5:])
    assert len(predictions_table(fleet_twin("faults"), scores_of(fleet_twin("faults"), truth), truth)) == 0


class Page(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.references: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("questions", QUESTIONS)
def test_the_page_carries_its_pictures_and_refers_to_nothing_outside(questions: str, tmp_path: Path) -> None:
    twin = fleet_twin(questions)
    drawn(twin, tmp_path)
    truth = truth_of(twin)
    path = tmp_path / "report.html"
    write_page(twin, metrics_of(twin, truth, scores_of(twin, truth)), tmp_path, path)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert len(page.references) == len(PICTURES[questions])
    assert all(reference.startswith("data:image/png;base64,") for reference in page.references)
    assert not re.search(r"https?://|//\w|@import|url\(", re.sub(r"base64,[^\"]*", "", text))
    words = " ".join(page.words)
    assert f"Measured at {COUNT} points of 12 assets" in words
    assert "gradient boosting" in words
    assert ("RMSE (h)" in words) == QUESTIONS[questions][0]
    assert ("mode macro-F1" in words) == QUESTIONS[questions][1]


def test_a_contract_s_text_cannot_become_markup(tmp_path: Path) -> None:
    twin = fleet_twin().model_copy(update={"title": "<script>alert(1)</script>", "description": "a < b & c"})
    truth = truth_of(twin)
    write_page(twin, metrics_of(twin, truth, scores_of(twin, truth)), tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>" not in text
    assert "a &lt; b &amp; c" in text


def test_the_table_has_a_row_for_the_network_and_each_baseline() -> None:
    twin = fleet_twin()
    truth = truth_of(twin)
    metrics = metrics_of(twin, truth, scores_of(twin, truth))
    header, network, *baselines = figures_table(metrics, twin)
    assert header[:2] == ["model", "RMSE (h)"]
    assert header[-2:] == ["mode macro-F1", "bearing macro-F1"]
    assert network[0] == "network"
    assert network[1] == f"{metrics['network']['rul']['clipped']['rmse']:.2f}"
    assert network[4:6] == ["87.5%", "9.5"]
    assert network[-2:] == ["1.000", "1.000"]
    assert [row[0] for row in baselines] == ["constant", "gradient boosting"]
    assert all(len(row) == len(header) for row in (network, *baselines))
    assert baselines[0][4:6] == ["", ""], "a baseline has no interval"


def test_each_subset_has_a_table_of_its_own(tmp_path: Path) -> None:
    twin = fleet_twin("faults")
    truth = truth_of(twin)
    parted = replace(truth, subset=np.where(np.arange(COUNT) % 3 == 0, "cold", "warm"))
    assert subset_tables(metrics_of(twin, truth, scores_of(twin, truth)), twin) == {}
    metrics = metrics_of(twin, parted, scores_of(twin, parted))
    tables = subset_tables(metrics, twin)
    assert list(tables) == ["cold", "warm"]
    for subset, (header, *rows) in tables.items():
        assert header == figures_table(metrics, twin)[0]
        assert [row[0] for row in rows] == ["network", "constant", "gradient boosting"]
        expected = metrics["baselines"]["constant"]["subsets"][subset]["fault"]["mode"]["macro_f1"]
        assert rows[1][1] == f"{expected:.3f}"
    write_page(twin, metrics, tmp_path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.count("<table>") == 3
    assert "Of these, warm alone" in text


def finished_project(root: Path, promotion: dict) -> None:
    """What the summary reads of a project."""
    twin = fleet_twin()
    paths = Paths(root, twin.name)
    truth = truth_of(twin)
    paths.data.mkdir(parents=True)
    paths.models.mkdir(parents=True)
    paths.contract.write_text(yaml.safe_dump(twin.model_dump(mode="json"), sort_keys=False))
    (paths.models / "metrics.json").write_text(json.dumps(metrics_of(twin, truth, scores_of(twin, truth))))
    (paths.models / "promotion.json").write_text(json.dumps(promotion))


CHAMPION = {"name": "foretwin-fleet", "version": "3"}


@pytest.mark.parametrize(
    ("promotion", "told"),
    [
        ({"promoted": True, "champion": CHAMPION}, "champion  foretwin-fleet version 3: this network"),
        (
            {"promoted": False, "champion": CHAMPION},
            "champion  foretwin-fleet version 3: an earlier one; this network was refused",
        ),
        ({"promoted": False, "champion": None}, "champion  none: this network was refused"),
    ],
)
def test_the_summary_prints_figures_champion_paths_and_next_steps(
    promotion: dict, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_project(tmp_path, promotion)
    print_summary(tmp_path, ["fleet"])
    out = capsys.readouterr().out
    assert told in out.splitlines()
    assert "Small fleet: 60 predictions for 12 held-out assets" in out
    assert "gradient boosting" in " ".join(out.split())
    assert str(tmp_path / "models" / "fleet" / "report.html") in out
    assert "make serve" in out


def test_a_summary_before_the_pipeline_has_run_says_what_to_do(tmp_path: Path) -> None:
    finished_project(tmp_path, {"promoted": True, "champion": CHAMPION})
    (tmp_path / "models" / "fleet" / "metrics.json").unlink()
    with pytest.raises(RegistryError, match=r"metrics\.json: not there yet; run `dvc repro` first"):
        print_summary(tmp_path, ["fleet"])
