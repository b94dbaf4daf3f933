"""Which champion answers a call, and what a call is told where none does."""

import json
import sys
import threading

import pytest

from foretwin.champion.champion import Champion, load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.errors import Conflict, UnknownTwin
from foretwin.serving.scoring.champions import Champions
from support.tiny_bundle import keep_tiny_champion, tiny_twin


@pytest.fixture
def champion(tmp_path):
    keep_tiny_champion(tmp_path, tiny_twin("pump"))
    return load_champion(tmp_path, "pump")


@pytest.fixture
def champions(tmp_path, champion):
    """The pump's champion, in a project that also has a contract of a fan."""
    for twin in ("pump", "fan"):
        (tmp_path / "data" / twin).mkdir(parents=True)
        (tmp_path / "data" / twin / "twin.yaml").write_text("name: whatever\n")
    found = Champions(tmp_path)
    found.put(champion)
    return found


def of_version(champion, version):
    return Champion(
        ModelIdentity("foretwin-pump", version, f"run-{version}", champion.identity.digest), champion.bundle
    )


def test_a_twin_with_a_champion_is_answered_by_it(champions, champion):
    assert champions.get("pump") is champion
    assert dict(champions.all()) == {"pump": champion}


@pytest.mark.parametrize("twin", ["press", "", "..", "../data/fan", "fan/", "*"])
def test_a_twin_that_nobody_knows_is_told_which_there_are(champions, twin):
    with pytest.raises(UnknownTwin, match="is not served here; there is pump") as refused:
        champions.get(twin)
    assert refused.value.field == "twin"


def test_a_long_name_is_not_repeated_whole(champions):
    with pytest.raises(UnknownTwin) as refused:
        champions.get("x" * 5000)
    assert len(str(refused.value)) < 200


def test_a_twin_with_a_contract_but_without_a_champion_is_a_conflict(champions):
    with pytest.raises(Conflict, match="fan has no champion yet; `dvc repro` trains and promotes one"):
        champions.get("fan")


def test_a_refused_candidate_is_no_missing_one(champions, tmp_path):
    verdict = {"promoted": False, "version": "1", "reasons": ["the linear baseline is better"]}
    (tmp_path / "models" / "fan").mkdir(parents=True)
    (tmp_path / "models" / "fan" / "promotion.json").write_text(json.dumps(verdict))
    with pytest.raises(Conflict, match="version 1 was refused by the gate because the linear baseline is better"):
        champions.get("fan")


def test_a_bento_alone_knows_its_own_twins_only(champion):
    champions = Champions()
    with pytest.raises(UnknownTwin, match="there is none"):
        champions.get("fan")
    champions.put(champion)
    with pytest.raises(UnknownTwin, match="there is pump"):
        champions.get("fan")


def test_a_twin_whose_only_champion_was_refused_is_a_conflict_until_one_is_accepted(champions, champion):
    champions.drop("pump")
    champions.refuse("pump")
    with pytest.raises(Conflict, match="the champion of pump was refused when it was loaded; the service's log says"):
        champions.get("pump")
    champions.put(champion)
    assert champions.get("pump") is champion


def test_a_refused_champion_leaves_the_one_before_answering(champions, champion):
    champions.refuse("pump")
    assert champions.get("pump") is champion


def test_a_state_that_was_read_does_not_change(champions, champion):
    before = champions.all()
    champions.put(of_version(champion, "4"))
    champions.drop("pump")
    assert before["pump"] is champion
    assert not champions.all()
    with pytest.raises(TypeError):
        before["pump"] = champion


@pytest.fixture
def hasty():
    """Threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
def test_writers_at_once_lose_nothing(champion):
    champions, count = Champions(), 40

    def put(twin):
        contract = tiny_twin(twin)
        bundle = champion.bundle.__class__(**{**vars(champion.bundle), "contract": contract})
        for _ in range(20):
            champions.put(Champion(champion.identity, bundle))

    threads = [threading.Thread(target=put, args=(f"twin-{i}",)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(champions.all()) == sorted(f"twin-{i}" for i in range(count))
