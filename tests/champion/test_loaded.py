"""Champions in bounded memory: loaded once when needed, let go when others need the room, and never mixed up."""

import gc
import shutil
import threading
import weakref
from dataclasses import replace

import pytest

from foretwin.champion import loaded
from foretwin.champion.champion import load_champion, read_champion
from foretwin.champion.golden import example_rows
from foretwin.champion.loaded import PER_SESSION, LoadedChampions
from foretwin.errors import BundleError
from support.tiny_bundle import keep_tiny_champion, tiny_twin

NAMES = ("fan", "mill", "press", "pump")
TWO = int(2.5 * PER_SESSION)  # bytes that hold two tiny champions


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A project whose four twins answer 60, 61, 62 and 63 to a window of zeros."""
    folder = tmp_path_factory.mktemp("project")
    for i, name in enumerate(NAMES):
        keep_tiny_champion(folder, tiny_twin(name), bias=60 + i)
    return folder


@pytest.fixture
def known(root):
    return {name: load_champion(root, name, threads=None) for name in NAMES}


def rul_of(champion):
    rows = example_rows(champion.bundle)
    rows[list(champion.bundle.contract.channel_names)] = 0.0
    return champion.bundle.score(rows)["rul"].iat[0]


def test_a_described_champion_tells_what_it_is_and_that_it_cannot_score(known, root):
    fan = known["fan"]
    assert fan.identity == load_champion(root, "fan").identity
    assert fan.bundle.contract.name == "fan"
    with pytest.raises(BundleError, match="bundle of fan: was loaded without its network; load it with threads"):
        rul_of(fan)


def test_the_least_recently_used_make_room_and_every_twin_is_answered_by_its_own(known):
    champions = LoadedChampions(TWO)
    for _ in range(2):
        answers = [rul_of(champions.get(known[name])) for name in NAMES]
        assert [round(answer - answers[0], 3) for answer in answers] == [0, 1, 2, 3]
        assert len(champions) == 2
        assert champions.size <= TWO
    assert champions.loads == 8
    champions.get(known["press"])  # in memory, and used now
    champions.get(known["fan"])
    assert champions.held(known["press"]) is not None
    assert champions.held(known["pump"]) is None
    assert champions.loads == 9
    assert champions.evictions == 7


def test_one_that_is_larger_than_the_bound_is_loaded_all_the_same(known):
    champions = LoadedChampions(1)
    assert not champions.has_room(known["fan"])
    for name in NAMES:
        champions.get(known[name])
        assert len(champions) == 1


def test_whoever_uses_one_that_was_let_go_finishes_and_its_memory_is_free_afterwards(known):
    champions = LoadedChampions(1)
    in_use = champions.get(known["fan"])
    session = weakref.ref(in_use.bundle.session)
    champions.get(known["mill"])
    assert champions.held(known["fan"]) is None
    assert round(rul_of(in_use)) == 60
    del in_use
    gc.collect()
    assert session() is None


def test_two_who_need_the_same_one_at_once_load_it_once(known, monkeypatch):
    both, make = threading.Barrier(2), loaded.make_session
    slow = threading.Event()

    def make_slowly(*given, **more):
        slow.wait(0.2)
        return make(*given, **more)

    monkeypatch.setattr(loaded, "make_session", make_slowly)
    champions, found = LoadedChampions(TWO), []

    def ask():
        both.wait(10)
        found.append(champions.get(known["fan"]))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert found[0] is found[1]
    assert champions.loads == 1


def test_a_champion_is_checked_when_it_is_first_loaded_and_not_again(known):
    checked = []
    champions = LoadedChampions(1, lambda champion: checked.append(champion.bundle.contract.name))
    for name in ("fan", "mill", "fan", "mill"):
        champions.get(known[name])
    assert checked == ["fan", "mill"]


def test_one_whose_check_fails_is_not_kept(known):
    def refuse(champion):
        raise BundleError("answers otherwise")

    champions = LoadedChampions(TWO, refuse)
    for _ in range(2):
        with pytest.raises(BundleError, match="answers otherwise"):
            champions.get(known["fan"])
    assert len(champions) == champions.size == 0


@pytest.fixture
def replaced(root, tmp_path):
    """Describe the fan, and put another champion into the place of its files."""

    def replace_files(champions=None):
        shutil.copytree(root / "models", tmp_path / "models")
        folder = tmp_path / "models" / "fan" / "champion"
        fan = read_champion(folder, threads=None)
        if champions is not None:
            champions.get(fan)
        shutil.rmtree(folder)
        shutil.copytree(root / "models" / "mill" / "champion", folder)
        return fan

    return replace_files


def test_files_that_are_no_longer_those_that_were_described_are_not_loaded(replaced):
    with pytest.raises(BundleError, match=r"is no longer the bundle .* of fan; it was replaced"):
        LoadedChampions(TWO).get(replaced())


def test_one_whose_files_were_replaced_stays_in_memory_since_it_could_not_come_back(replaced, known):
    champions = LoadedChampions(1)
    fan = replaced(champions)
    for name in ("mill", "press"):
        champions.get(known[name])
    assert champions.held(fan) is not None
    assert champions.held(known["mill"]) is None
    champions.drop("fan")
    assert champions.held(fan) is None


def test_a_champion_that_is_described_anew_takes_the_place_of_the_former(known):
    champions = LoadedChampions(TWO)
    champions.get(known["fan"])
    again = replace(known["fan"])
    assert champions.held(again) is None
    champions.get(again)
    assert champions.held(known["fan"]) is None
    assert len(champions) == 1
    assert champions.size < 2 * PER_SESSION
