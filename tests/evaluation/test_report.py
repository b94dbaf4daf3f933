"""Page, tables and summary: what a twin achieved, told to people."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from foretwin.cli.pipeline.figures import print_summary
from foretwin.errors import RegistryError
from foretwin.evaluation.report import (
    BEST,
    EQUAL,
    STARS_MEAN,
    best_marks,
    figures_table,
    marked_table,
    subset_tables,
    write_page,
)
from foretwin.project.paths import Paths
from support.small_fleet import QUESTIONS, fleet_twin
from support.small_scores import COUNT, PICTURES, drawn, metrics_of, scores_of, truth_of


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


def test_the_best_figure_is_marked_and_those_that_are_not_surely_worse(tmp_path: Path) -> None:
    twin = fleet_twin()
    truth = truth_of(twin)
    metrics = metrics_of(twin, truth, scores_of(twin, truth))
    assert {mark for row in best_marks(metrics, twin) for mark in row} == {""}, "nothing was compared"
    write_page(twin, metrics, tmp_path, tmp_path / "before.html")
    assert STARS_MEAN not in (tmp_path / "before.html").read_text()
    metrics["comparison"] = {
        "rul": {"best": "gradient_boosting", "chances": {"network": 0.03, "constant": 0.0}},
        "bearing": {"best": "network", "chances": {"gradient_boosting": 0.02, "constant": 0.0}},
    }
    header, network, constant, boosting = best_marks(metrics, twin)
    assert (network[1], constant[1], boosting[1]) == (EQUAL, "", BEST)
    assert (network[-1], constant[-1], boosting[-1]) == (BEST, "", "")
    assert set(header) == {""}
    figure = figures_table(metrics, twin)[3][1]
    assert marked_table(metrics, twin, {BEST: "<{}>"})[3][1] == f"<{figure}>"
    write_page(twin, metrics, tmp_path, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert f"{figure}**" in page
    assert STARS_MEAN in page


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


def finished_project(root: Path) -> None:
    """What the summary reads of a project."""
    twin = fleet_twin()
    paths = Paths(root, twin.name)
    truth = truth_of(twin)
    paths.data.mkdir(parents=True)
    paths.models.mkdir(parents=True)
    paths.contract.write_text(yaml.safe_dump(twin.model_dump(mode="json"), sort_keys=False))
    (paths.models / "evaluation.json").write_text(json.dumps(metrics_of(twin, truth, scores_of(twin, truth))))
    (paths.models / "promotion.json").write_text(json.dumps({"promoted": False}))


def test_the_summary_prints_figures_champion_paths_and_next_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished_project(tmp_path)
    print_summary(tmp_path, ["fleet"])
    out = capsys.readouterr().out
    assert "champion  none: this network was refused" in out.splitlines()
    assert "Small fleet: 60 predictions for 12 held-out assets" in out
    assert "gradient boosting" in " ".join(out.split())
    assert str(tmp_path / "models" / "fleet" / "report.html") in out
    assert "foretwin serve --open" in out


def test_a_summary_before_the_pipeline_has_run_says_what_to_do(tmp_path: Path) -> None:
    finished_project(tmp_path)
    (tmp_path / "models" / "fleet" / "evaluation.json").unlink()
    with pytest.raises(RegistryError, match=r"metrics\.json: not there yet; run `dvc repro` first"):
        print_summary(tmp_path, ["fleet"])
