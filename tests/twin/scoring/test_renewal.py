"""The loop over many machine types: a pass looks at what changed, and nobody's change is missed for that."""

import shutil
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from foretwin.champion.challenger import SHADOW, keep_trial
from foretwin.champion.champion import keep_champion, load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import verify
from foretwin.project.paths import Paths
from foretwin.twin.scoring import renewal
from foretwin.twin.scoring.loop import score_once
from foretwin.twin.scoring.watched import Watching, WatchSettings
from foretwin.twin.store import open_store
from foretwin.twin.store.ownership.twins_with_work import twins_with_work
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.tables import assets, events
from foretwin.twin.store.telemetry.pending_samples import keep_pending
from support.store_costs import counted
from support.stored_readings import NOON, store_rows
from support.tiny_bundle import keep_tiny_champion, random_rows, save_tiny_bundle, tiny_twin

NAMES = ("fan", "lathe", "mill", "oven", "press", "pump", "saw")
TWINS = {name: tiny_twin(name) for name in NAMES}
ROUND = 4  # passes: two machine types in each
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seven")
    for twin in TWINS.values():
        keep_tiny_champion(folder, twin)
    return folder


@pytest.fixture
def root(project, tmp_path, monkeypatch):
    """A project of seven machine types, of which a pass looks at two."""
    monkeypatch.setattr(renewal, "AT_ONCE", 2)
    return shutil.copytree(project, tmp_path / "project")


@pytest.fixture
def quick(tmp_path, migrated):
    """An empty store of SQLite, where the database is no matter."""
    shutil.copyfile(migrated("sqlite", None).removeprefix("sqlite:///"), tmp_path / "twins.db")
    opened = open_store(f"sqlite:///{tmp_path}/twins.db")
    yield opened
    opened.close()


@pytest.fixture
def watching(quick, root):
    """The loop after its first pass."""
    found = Watching(quick, root, WatchSettings())
    assert look(found) == 0
    return found


def look(watching, now=NOON + SECOND):
    return score_once(watching, lambda: now)


def promote(root, twin, version="4", bias=10):
    folder = root / "trained" / f"{twin.name}-{version}"
    folder.mkdir(parents=True)
    save_tiny_bundle(folder, twin, bias=bias)
    identity = ModelIdentity(f"foretwin-{twin.name}", version, "run", verify(folder))
    keep_champion(Paths(root, twin.name), folder, identity)


def write_contract(root, twin):
    path = Paths(root, twin.name).contract
    path.parent.mkdir(parents=True)
    path.write_text(twin.model_dump_json())


def newest(store, name):
    """The newest score of the asset, and the version of the model that gave it."""
    with store.read() as connection:
        number = connection.execute(select(assets.c.id).where(assets.c.name == name)).scalar_one()
        score = scores.history(connection, number, None, None, 100)[0]
        (model,) = scores.models(connection, [score.model]).values()
    return score, model.version


def test_a_pass_without_news_asks_and_looks_at_the_same_for_two_twins_and_for_many(store, root, monkeypatch):
    looked, asked = [], []
    for chosen in (NAMES[:2], None):
        seen = []
        monkeypatch.setattr(renewal, "file_stamp", seen.append)
        monkeypatch.setattr(renewal, "trial_stamp", lambda root, name, seen=seen: seen.append(name))
        watching = Watching(store, root, WatchSettings(twins=chosen))
        look(watching)
        seen.clear()
        with counted(store) as cost:
            for _ in range(ROUND - 1):
                look(watching)
        looked.append(len(seen))
        asked.append(len(cost.statements))
        assert {*watching.twins} == {*(chosen or NAMES)}
        watching.owner.close()
    assert looked == [2 * 2 * (ROUND - 1)] * 2, "two files of two machine types in a pass"
    assert asked[0] == asked[1] <= 8 * (ROUND - 1)


def test_what_was_promoted_scores_the_next_reading_wherever_the_turn_is(quick, root, watching):
    for name in reversed(NAMES):
        promote(root, TWINS[name])
        store_rows(quick, TWINS[name], random_rows(TWINS[name], {name: 9}))
        assert look(watching) == 1
        score, version = newest(quick, name)
        assert version == "4"
        want = load_champion(root, name).bundle.score(random_rows(TWINS[name], {name: 9}))["rul"].iat[0]
        assert score.rul == pytest.approx(want, abs=1e-3)


def test_new_champions_policies_and_trials_are_taken_up_within_a_round(root, watching):
    lathe = TWINS["lathe"]
    other = lathe.model_copy(update={"cases": lathe.cases.model_copy(update={"open_probability": 0.99})})
    write_contract(root, other)
    candidate = root / "candidate"
    candidate.mkdir()
    identity = ModelIdentity("foretwin-oven", "5", "run", save_tiny_bundle(candidate, TWINS["oven"], bias=5))
    keep_trial(Paths(root, "oven"), candidate, identity, SHADOW)
    keep_tiny_champion(root, tiny_twin("welder"))
    promote(root, TWINS["saw"])
    for _ in range(2 * ROUND):  # what came while a round was on its way is seen in the next
        look(watching)
    assert watching.twins["lathe"].policy.cases.open_probability == 0.99
    assert watching.twins["oven"].beside.trial.identity.version == "5"
    assert watching.twins["saw"].champion.identity.version == "4"
    assert watching.passes.held["welder"][0] == 0
    share = watching.settings.memory_bytes // (len(NAMES) + 1)
    assert {one.recent.memory_bytes for one in watching.twins.values()} == {share}


def test_each_twin_has_its_share_of_the_memory_after_others_are_gone(watching, root):
    for name in NAMES[1:]:
        (root / "models" / name).rename(root / f"{name}.gone")
    for _ in range(2 * ROUND):
        look(watching)
    assert watching.twins["fan"].recent.memory_bytes == watching.settings.memory_bytes


def test_a_window_that_another_loop_has_scored_meanwhile_is_held_as_it_is_in_the_store(store, root):
    pump, fan = TWINS["pump"], TWINS["fan"]
    rows = random_rows(pump, {"P": 12})
    watching = Watching(store, root, WatchSettings())
    store_rows(store, pump, rows[:6])
    assert look(watching) == 1
    watching.owner.close()  # as if its session had been lost
    other = Watching(store, root, WatchSettings())
    store_rows(store, pump, rows[6:9])
    assert look(other) == 1
    other.owner.close()
    for hour in range(2, 12):  # while the others are busy
        store_rows(store, fan, random_rows(fan, {"F": hour}).tail(1))
        look(watching)
    store_rows(store, pump, rows[9:])
    assert look(watching) == 1
    want = load_champion(root, "pump").bundle.score(rows)["rul"].iat[0]
    assert newest(store, "P")[0].rul == pytest.approx(want, abs=1e-3)


def test_machines_of_every_twin_that_fall_silent_are_told_within_a_round(quick, root):
    quiet = {
        name: Twin.model_validate({**TWINS[name].model_dump(), "cases": {"stale_after": hours}})
        for hours, name in enumerate(NAMES, 6)
    }
    for name, twin in quiet.items():
        write_contract(root, twin)
        store_rows(quick, twin, random_rows(twin, {name: 3}))
    watching = Watching(quick, root, WatchSettings())
    look(watching)
    for hours in range(6, 6 + len(NAMES)):
        for _ in range(ROUND):
            look(watching, NOON + timedelta(hours=hours) + SECOND)
        with quick.read() as connection:
            told = connection.execute(
                select(func.count()).select_from(events).where(events.c.type == "foretwin.asset.stale.v1")
            )
            assert told.scalar_one() == hours - 5


def test_what_waits_is_told_of_each_twin_with_what_is_oldest(store):
    quiet = tiny_twin("quiet")
    ids = store_rows(store, TWINS["fan"], random_rows(TWINS["fan"], {"a": 3, "b": 3}), NOON)
    ids |= store_rows(store, TWINS["fan"], random_rows(TWINS["fan"], {"c": 3}), NOON + timedelta(hours=2))
    ids |= store_rows(store, quiet, random_rows(quiet, {"d": 3}), NOON)
    with store.write() as connection:
        for hours, name in enumerate("abd", 1):
            twin = "quiet" if name == "d" else "fan"
            keep_pending(connection, twin, {ids[name]: (b"", 1)}, NOON + timedelta(hours=hours))
        keep_pending(connection, "quiet", {ids["d"]: (b"", 0)}, NOON)
        connection.execute(assets.update().where(assets.c.name == "d").values(is_silent=True))
    with store.read() as connection:
        found = twins_with_work(connection, ("fan", "quiet", "saw"))
        assert twins_with_work(connection, ()).heard == {}
    assert found.news == {"fan", "quiet"}
    assert found.waiting == {"fan": NOON + timedelta(hours=1)}
    assert found.heard == {"fan": int(NOON.timestamp()) // 900}
