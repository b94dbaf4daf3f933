"""The model card, as a reader meets it."""

import base64
import re
from html.parser import HTMLParser

import pytest

from foretwin.evaluation.model_card import write_card
from foretwin.evaluation.report import figures_table
from support.registry_project import measured
from support.tiny_bundle import tiny_twin

TWIN = tiny_twin()
OPEN = {"meta", "img", "br"}  # elements without an end

BUNDLE, COMMIT = "b" * 64, "c" * 40
TRAINING = {
    "bundle": BUNDLE,
    "contract": TWIN.digest,
    "params": {"windows": 200000},
    "data": {"development.parquet": "d" * 64},
    "git": {"commit": COMMIT, "dirty": True},
    "environment": {"python": "3.11"},
}
LINEAGE = {
    "bundle": BUNDLE,
    "assets": {"trained": ["1", "2", "3"], "held_out": ["4"]},
    "validation": {"success": True, "sha256": "e" * 64},
    "study": {"trial": 4, "trials": 10, "value": 0.25},
    "dvc": {"lock": "f" * 64},
}
CHECKS = [
    {"name": "baselines", "passed": True, "sentence": "RUL RMSE 10 h beats the constant baseline's 40 h"},
    {"name": "coverage", "passed": False, "sentence": "the 90% interval holds 60 % <b>of the truths</b>"},
]
SLICES = [
    {"kind": "all", "name": "all", "assets": 20, "windows": 60, "question": "rul_rmse", "candidate": 10.0},
    {"kind": "fault", "name": "mode: leak", "assets": 7, "windows": 9, "question": "fault_error", "candidate": 0.25},
]
SLICES = [{**SLICES[0], "low": 8.0, "high": 12.5, "champion": 11.0}, {**SLICES[1], "low": None, "high": None}]
SLICES[1]["champion"] = None
VERDICT = {
    "promoted": False,
    "forced": None,
    "reasons": [CHECKS[1]["sentence"]],
    "checks": CHECKS,
    "slices": SLICES,
    "name": "foretwin-pump",
    "version": "3",
    "run": "run-of-3",
    "champion": {"version": "2"},
    "evidence": {"bundle": BUNDLE},
    "decided_at": "2026-11-21T22:34:43+00:00",
}


def metrics() -> dict:
    network = measured(10)
    network["rul"]["interval"] = {"level": 0.9, "coverage": 0.6, "width": 21.5}
    network["fault"]["mode"] |= {"ece": 0.04, "unknown": 0.11, "accuracy_answered": 0.92}
    return {
        "twin": "pump",
        "bundle": BUNDLE,
        "assets": 20,
        "cuts": 60,
        "unit": "h",
        "network": network,
        "baselines": {"constant": measured(40), "linear": measured(20)},
    }


class Page(HTMLParser):
    """The text of a page, its table rows, and whether every element ends where it should."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.rows, self.links = "", [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag not in OPEN:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> inside {self.open}"

    def handle_data(self, data):
        if "style" in self.open:
            return
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def card(tmp_path, contract=TWIN, lineage=LINEAGE, **changed) -> Page:
    (tmp_path / "plots").mkdir(exist_ok=True)
    (tmp_path / "plots" / "rul.png").write_bytes(b"a picture")
    write_card(contract, TRAINING, metrics(), {**VERDICT, **changed}, lineage, tmp_path / "card.html")
    page = Page((tmp_path / "card.html").read_text(encoding="utf-8"))
    assert page.open == []
    page.text = re.sub(r"\s+", " ", page.text)
    return page


def test_the_verdict_stands_with_every_check_and_what_was_written_is_shown_as_text(tmp_path):
    text = card(tmp_path).text
    assert "Refused: version 2 stays the champion." in text
    assert "✓ baselines RUL RMSE 10 h beats the constant baseline's 40 h" in text
    assert "✗ coverage the 90% interval holds 60 % <b>of the truths</b>" in text


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"promoted": True}, "Promoted: every check of the gate passed."),
        ({"promoted": True, "forced": "sensor exchanged"}, "although the gate refused it: sensor exchanged"),
        ({"champion": None}, "Refused: there is no champion."),
    ],
)
def test_each_outcome_has_its_sentence(tmp_path, changed, sentence):
    assert sentence in card(tmp_path, **changed).text


def test_figures_baselines_and_slices_with_their_intervals_are_tables(tmp_path):
    rows = card(tmp_path).rows
    for row in figures_table(metrics(), TWIN):
        assert row in rows
    assert ["all", "20", "60", "RUL RMSE", "10 h", "8 h to 12.5 h", "11 h"] in rows
    assert ["mode: leak", "7", "9", "wrong fault answers", "25 %", "", ""] in rows


def test_intended_use_data_calibration_limits_and_origin_are_told(tmp_path):
    text = card(tmp_path).text
    for told in (
        "From the last 8 readings of 3 channels, one each 1 h, it says how long the machine has left, up to 100 h",
        "Mode (healthy, wear, leak); Bearing (good, worn)",
        "interval of the remaining life holds 60.0 % of the truths; it is 21.5 h wide",
        "Mode: the probabilities are off by 4.0 percentage points on average (ECE); 11 % of the answers are unknown",
        "machines trained on3",
        "validationpassed",
        "development.parquetSHA-256 dddd",
        "lives of more than 100 h apart",
        "fewer than 2 readings is not scored",
        "out_of_training_range",
        "unknown means that no class is probable enough",
        "It was not tested on other fleets",
        f"{COMMIT} and changes that were not committed",
        "trial 4 of 10",
        'foretwin rollback pump --reason "why"',
    ):
        assert told in text, told


def test_the_page_needs_nothing_beside_itself_and_holds_the_pictures(tmp_path):
    page = card(tmp_path)
    assert page.links == ["data:image/png;base64," + base64.b64encode(b"a picture").decode()]
    text = (tmp_path / "card.html").read_text(encoding="utf-8")
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"@import|url\(|<script", text)


def test_a_twin_without_faults_and_a_project_without_lineage_have_a_card_too(tmp_path):
    text = card(tmp_path, tiny_twin(faults=False), None).text
    assert "what is failing" not in text
    assert "machines trained on" not in text
