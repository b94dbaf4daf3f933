"""New champions take over from old ones only when they are sound, and nothing else stops the old ones."""

import hashlib
import json
import logging
import shutil
import threading
import time

import pandas as pd
import pytest

from foretwin.champion.champion import keep_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.champion.loaded import PER_SESSION
from foretwin.errors import Conflict
from foretwin.predictor.bundle import verify
from foretwin.project.paths import Paths
from foretwin.serving.scoring import following
from foretwin.serving.scoring.champions import Champions
from foretwin.serving.scoring.following import follow, follow_kept, load_first, ready_champion
from foretwin.serving.scoring.metrics import Metrics
from support.tiny_bundle import keep_tiny_champion, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()


def keep_pump(root, version, twin=TWIN):
    """Keep another champion of the project's pump."""
    bundle = root / "bundles" / version
    if not bundle.exists():
        bundle.mkdir(parents=True)
        save_tiny_bundle(bundle, twin, seed=int(version), bias=60 + int(version))
    keep_champion(Paths(root, "pump"), bundle, ModelIdentity("foretwin-pump", version, "run", verify(bundle)))


class Followed:
    """A project of one pump whose version 3 answers, and what becomes of it."""

    def __init__(self, root):
        self.root = root
        keep_tiny_champion(root, TWIN)
        (root / "data" / "pump").mkdir(parents=True)
        (root / "data" / "pump" / "twin.yaml").write_text("name: pump\n")
        self.folder = root / "models" / "pump" / "champion"
        self.metrics, self.champions = Metrics(), Champions(root)
        load_first(self.champions, [self.folder], self.metrics)

    @property
    def version(self):
        return self.champions.get("pump").identity.version

    def keep(self, version, twin=TWIN):
        """Keep another champion of the pump."""
        keep_pump(self.root, version, twin)

    def look(self):
        follow_kept(self.champions, self.root, self.metrics)

    def count(self, result, twin="pump"):
        """How often a swap ended like this, as Prometheus reads it."""
        text = self.metrics.exposition()[0].decode()
        line = f'foretwin_swaps_total{{result="{result}",twin="{twin}"}} '
        found = [float(one.removeprefix(line)) for one in text.splitlines() if one.startswith(line)]
        return sum(found)


@pytest.fixture
def project(tmp_path):
    return Followed(tmp_path)


@pytest.fixture
def told(caplog):
    """What the service's log says from now on."""
    caplog.set_level(logging.INFO, "foretwin.service")
    caplog.clear()
    return caplog


def test_the_first_champions_answer_and_are_no_swaps(project):
    assert project.version == "3"
    assert project.count("swapped") == project.count("refused") == 0


def test_a_new_champion_takes_over_and_the_log_says_from_which(project, told):
    project.look()
    assert not told.messages
    project.keep("4")
    project.look()
    assert project.version == "4"
    assert told.messages == ["pump: version 4 answers in place of version 3"]
    assert project.count("swapped") == 1
    assert b'version="4"' in project.metrics.exposition()[0]
    assert b'version="3"' not in project.metrics.exposition()[0]


def test_nothing_is_read_again_while_nothing_changes(project, monkeypatch):
    project.keep("4")
    project.look()
    monkeypatch.setattr(following, "read_champion", lambda *_, **__: pytest.fail("read again"))
    project.look()


def test_a_call_that_has_begun_is_answered_by_the_champion_that_it_found(project):
    found = project.champions.get("pump")
    project.keep("4")
    project.look()
    assert found.identity.version == "3"
    assert found.bundle.digest == found.identity.digest


def tamper_with(folder):
    with (folder / "bundle" / "network.onnx").open("ab") as out:
        out.write(b"0")


def tamper(project):
    tamper_with(project.folder)


def answer_otherwise(project):
    scores = project.folder / "golden" / "scores.parquet"
    table = pd.read_parquet(scores)
    table.assign(rul=table["rul"] + 5).to_parquet(scores, index=False)


def lose_the_record(project):
    (project.folder / "record.json").write_text("{}")


def name_another_bundle(project):
    identity = project.folder / "identity.json"
    identity.write_text(identity.read_text().replace('"digest": "', '"digest": "0'))


FAULTS = {
    "network.onnx: missing, unknown or altered": tamper,
    "golden: rul of EXAMPLE-1 is": answer_otherwise,
    "record.json: not a champion's record": lose_the_record,
    "bundle and identity.json differ": name_another_bundle,
}


@pytest.mark.parametrize("reason", FAULTS)
def test_an_unsound_champion_is_refused_once_and_the_old_one_present(project, told, reason):
    project.keep("4")
    FAULTS[reason](project)
    for _ in range(3):
        project.look()
    assert project.version == "3"
    (message,) = told.messages
    assert message.startswith("pump: its new champion is refused, version 3 remains active: ")
    assert reason in message
    assert "\n" not in message
    assert (project.count("refused"), project.count("swapped")) == (1, 0)


def test_a_refused_champion_is_tried_again_when_its_files_change(project, told):
    project.keep("4")
    tamper(project)
    project.look()
    project.keep("4")
    project.look()
    assert project.version == "4"
    assert told.messages[-1] == "pump: version 4 answers in place of version 3"


def test_a_champion_of_another_twin_is_refused(project, told):
    project.keep("4", tiny_twin("fan"))
    project.look()
    assert project.version == "3"
    assert "holds a champion of fan" in told.text


def test_a_network_that_onnxruntime_cannot_read_leaves_the_old_one(project, told):
    project.keep("4")
    bundle, identity = project.folder / "bundle", project.folder / "identity.json"
    before = verify(bundle)
    (bundle / "network.onnx").write_bytes(b"no network")
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["network.onnx"] = hashlib.sha256(b"no network").hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    identity.write_text(identity.read_text().replace(before, verify(bundle)))
    project.look()
    assert project.version == "3"
    assert project.count("failed") == 1
    (message,) = told.messages
    assert "version 3 remains active" in message
    assert "Protobuf parsing failed" in message


def test_a_folder_that_vanishes_leaves_its_champion_answering(project, told):
    shutil.rmtree(project.folder)
    project.look()
    assert project.version == "3"
    assert not told.messages


def test_a_champion_that_is_replaced_while_it_is_read_is_not_judged(project, told, monkeypatch):
    project.keep("4")
    read = following.read_champion

    def read_slowly(folder, threads):
        champion = read(folder, threads)
        monkeypatch.undo()
        project.keep("5")  # its golden windows are not those of version 4
        return champion

    monkeypatch.setattr(following, "read_champion", read_slowly)
    project.look()
    assert project.version == "3"
    assert not told.messages
    project.look()
    assert project.version == "5"


def test_roll_back_is_the_same_path(project, told):
    for version in ("4", "5", "4"):
        project.keep(version)
        project.look()
    assert told.messages[-1] == "pump: version 4 answers in place of version 5"
    assert project.count("swapped") == 3


def test_the_first_champion_of_a_twin_is_served_when_it_comes(project, told):
    keep_tiny_champion(project.root, tiny_twin("fan"))
    project.look()
    assert project.champions.get("fan").identity.version == "3"
    assert told.messages == ["fan: version 3 answers"]


def test_a_damaged_first_champion_stops_nobody_else(tmp_path, told):
    for twin in ("pump", "fan"):
        keep_tiny_champion(tmp_path, tiny_twin(twin))
    (tmp_path / "models" / "pump" / "champion" / "bundle" / "network.onnx").write_bytes(b"")
    champions, metrics = Champions(tmp_path), Metrics()
    load_first(champions, sorted(tmp_path.glob("models/*/champion")), metrics)
    assert list(champions.all()) == ["fan"]
    with pytest.raises(Conflict, match="the champion of pump was refused"):
        champions.get("pump")
    assert "pump: its new champion is refused, no model is active" in told.text


def test_the_thread_follows_within_seconds_and_ends_when_told(project):
    stop = threading.Event()
    work = threading.Thread(target=follow, args=(project.champions, project.root, project.metrics, stop))
    work.start()
    try:
        for version in ("4", "5"):
            project.keep(version)
            deadline = time.monotonic() + 20
            while project.version != version and time.monotonic() < deadline:
                time.sleep(0.05)
            assert project.version == version
    finally:
        stop.set()
        work.join(10)
    assert not work.is_alive()


class Crowded:
    """A project of a pump and a fan, whose service has memory for one network: the fan's is loaded at first."""

    def __init__(self, root):
        self.root = root
        for twin in ("pump", "fan"):
            keep_tiny_champion(root, tiny_twin(twin))
        self.champions, self.metrics = Champions(root, most_bytes=PER_SESSION + 10_000), Metrics()
        load_first(self.champions, sorted(root.glob("models/*/champion")), self.metrics)

    def ready(self, twin="pump"):
        return ready_champion(self.champions, twin, self.metrics)

    def replace(self, twin, scores=lambda table: table):
        """Replace a twin's champion by itself, with other golden scores, as a promotion replaces it."""
        folder = self.root / "models" / twin / "champion"
        shutil.move(folder, self.root / "former")
        shutil.copytree(self.root / "former", folder)
        kept = folder / "golden" / "scores.parquet"
        scores(pd.read_parquet(kept)).to_parquet(kept, index=False)
        shutil.rmtree(self.root / "former")


@pytest.fixture
def crowded(tmp_path):
    return Crowded(tmp_path)


def five_more(table):
    return table.assign(rul=table["rul"] + 5)


def test_champions_beyond_the_memory_are_listed_and_loaded_when_they_are_asked_for(crowded, told):
    assert list(crowded.champions.all()) == ["fan", "pump"]
    assert (len(crowded.champions.loaded), crowded.champions.are_loaded) == (1, False)
    for twin in ("pump", "fan", "pump"):
        assert crowded.ready(twin).bundle.session is not None
        assert crowded.ready(twin).bundle.contract.name == twin
        assert len(crowded.champions.loaded) == 1
    assert not told.messages


def test_an_unsound_champion_that_was_not_loaded_is_refused_when_it_is_first_needed(crowded, told):
    crowded.replace("pump", five_more)
    with pytest.raises(Conflict, match="the champion of pump was refused when it was loaded"):
        crowded.ready()
    with pytest.raises(Conflict, match="the champion of pump was refused when it was loaded"):
        crowded.ready()
    (message,) = told.messages
    assert message.startswith("pump: its new champion is refused, no model is active: ")
    assert "golden: rul of EXAMPLE-1 is" in message
    crowded.replace("pump", lambda table: table.assign(rul=table["rul"] - 5))
    follow_kept(crowded.champions, crowded.root, crowded.metrics)
    assert crowded.ready().bundle.contract.name == "pump"


def test_a_champion_that_was_replaced_before_it_was_needed_is_answered_by_its_successor(crowded):
    keep_pump(crowded.root, "4")
    assert crowded.ready().identity.version == "4"


def test_a_champion_whose_successor_is_refused_goes_on_though_others_need_the_room(crowded, told):
    assert crowded.ready().identity.version == "3"
    keep_pump(crowded.root, "4")
    tamper_with(crowded.root / "models" / "pump" / "champion")
    follow_kept(crowded.champions, crowded.root, crowded.metrics)
    assert "pump: its new champion is refused, version 3 remains active" in told.text
    assert crowded.ready("fan").identity.version == crowded.ready("pump").identity.version == "3"


def test_a_champion_whose_files_are_away_for_a_moment_is_not_given_up(crowded):
    folder = crowded.root / "models" / "pump" / "champion"
    folder.rename(crowded.root / "away")
    with pytest.raises(Conflict, match="the files of the champion of pump are not there just now; try again"):
        crowded.ready()
    (crowded.root / "away").rename(folder)
    assert crowded.ready().identity.version == "3"
