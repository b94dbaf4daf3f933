"""What `dvc push` and `dvc pull` carry to another place: the same champion, with the same scores."""

import json
import re
import shutil
from pathlib import Path

import pytest

from foretwin import registry
from foretwin.champion import ledger
from foretwin.champion.champion import load_champion
from foretwin.champion.golden import check_golden
from foretwin.dataset.table import read_rows
from foretwin.project.paths import Paths
from support.clone import run
from support.served import JSON, served
from support.tiny_bundle import call_of

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def places(built, tmp_path_factory) -> tuple[Path, Path]:
    """A built project whose results were pushed, and a clone of it elsewhere that pulled them."""
    folder = tmp_path_factory.mktemp("places")
    here, elsewhere = folder / "here", folder / "elsewhere"
    shutil.copytree(built, here, symlinks=True)
    run(f"dvc remote add -d second {folder}/remote && git commit -qam remote && dvc push", here)
    run(f"git clone -q {here} {elsewhere}", folder)
    shutil.move(here / ".dvc/cache", folder / "not to be found")
    run("dvc pull", elsewhere)
    return here, elsewhere


def test_the_clone_has_the_same_champion_and_it_answers_as_it_did(places):
    before, after = (load_champion(place, "pump") for place in places)
    assert after.identity == before.identity
    assert after.record == before.record
    check_golden(places[1] / "models/pump/champion", after.bundle)


def test_the_clone_scores_a_file_to_the_same_bytes(places):
    for place in places:
        run("foretwin score data/pump/windows/test.parquet --twin pump --out scores.csv", place)
    scores = [(place / "scores.csv").read_bytes() for place in places]
    assert scores[0] == scores[1]
    assert scores[0].count(b"\n") > 100


def test_the_services_of_both_places_answer_a_call_with_the_same_bytes(places):
    contract = Paths(places[1], "pump").load_contract()
    rows = read_rows(places[1] / "data/pump/windows/test.parquet", contract)
    call, answers = json.dumps(call_of(contract, rows[rows["asset"] == rows["asset"].iat[0]])), []
    for place in places:
        with served(place) as service:
            answer = service.client.post("/v1/score", content=call, headers=JSON)
            assert answer.status_code == 200, answer.text
            answers.append(answer.content)
    assert answers[0] == answers[1]
    assert json.loads(answers[0])["scores"][0]["rul"]["value"] > 0


def test_publish_makes_the_records_of_mlflow_in_the_clone(places):
    here, elsewhere = places
    before = registry.champion(here, "pump")
    run("foretwin publish", elsewhere)
    after = registry.champion(elsewhere, "pump")
    assert (after.name, after.version, after.digest) == (before.name, before.version, before.digest)
    assert after.folder.is_relative_to(elsewhere)
    decisions = [ledger.read(Paths(place, "pump").ledger) for place in places]
    assert decisions[0] == decisions[1]
    assert decisions[1][-1].champion == after.version


def test_a_repro_in_the_clone_trains_nothing(places):
    shown = run("dvc repro", places[1])
    ran = set(re.findall(r"Running stage '(.*)'", shown))
    assert ran <= {"data/pump/dvc.yaml:fetch", "data/pump/dvc.yaml:publish", "twin@pump"}, shown
