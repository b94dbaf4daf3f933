"""The registry's alias is followed by a process of its own, which starts only when there is something to do."""

import logging
import shutil
import time

import pytest

from foretwin import registry
from foretwin.champion.champion import load_champion
from foretwin.errors import ParamsError
from foretwin.registry.sync import follow_registry
from foretwin.serving.scoring.alias import Alias
from foretwin.serving.scoring.metrics import Metrics
from support.registry_project import Project

pytest_plugins = ["support.registry_project"]

LONG = 60  # seconds


class Watched:
    """An Alias of a project, and how often it started its process."""

    def __init__(self, root, **environ):
        self.root, self.metrics, self.starts = root, Metrics(), 0
        self.alias = Alias(root, self.metrics, environ)
        start = self.alias._start

        def counted():
            self.starts += 1
            start()

        self.alias._start = counted

    def settle(self):
        """Look until nothing runs any more."""
        self.alias.look()
        deadline = time.monotonic() + LONG
        while self.alias._running is not None and time.monotonic() < deadline:
            time.sleep(0.1)
            self.alias.look()
        for _ in range(3):
            self.alias.look()
        assert self.alias._running is None

    @property
    def failures(self):
        text = self.metrics.exposition()[0].decode()
        return sum(float(line.split()[-1]) for line in text.splitlines() if 'swaps_total{result="failed"' in line)

    @property
    def version(self):
        return load_champion(self.root, "pump").identity.version


@pytest.fixture
def kept(promoted: Project) -> Project:
    """A project whose version 1 is kept; version 2 is registered as well, and is champion."""
    list(follow_registry(promoted.root))
    promoted.train(2, 8)
    promoted.promote()
    return promoted


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.INFO, "foretwin.service")
    return caplog


def test_a_moved_alias_is_followed_there_and_back_and_no_more(kept, told):
    watched = Watched(kept.root)
    watched.settle()
    assert (watched.version, watched.starts) == ("2", 1)
    assert told.messages == ["pump: the registry names version 2, kept was version 1"]
    registry.set_champion(kept.root, "pump", "1")
    watched.settle()
    assert (watched.version, watched.starts) == ("1", 2)
    assert watched.failures == 0


def test_a_store_that_changes_otherwise_starts_nothing(promoted):
    promoted.package()
    watched = Watched(promoted.root)
    watched.settle()
    promoted.client.set_registered_model_tag("foretwin-pump", "note", "seen")
    watched.settle()
    assert watched.starts == 0


def test_a_project_without_a_registry_starts_nothing_and_gets_none(tmp_path):
    watched = Watched(tmp_path)
    watched.settle()
    assert watched.starts == 0
    assert list(tmp_path.iterdir()) == []


def test_zero_seconds_are_never(kept):
    watched = Watched(kept.root, FORETWIN_FOLLOW_SECONDS="0")
    watched.settle()
    assert (watched.version, watched.starts) == ("1", 0)


@pytest.mark.parametrize("text", ["-1", "1.5", "often", "", "9999999999"])
def test_what_is_no_number_of_seconds_is_refused(tmp_path, text):
    with pytest.raises(ParamsError, match="FORETWIN_FOLLOW_SECONDS: is "):
        Alias(tmp_path, Metrics(), {"FORETWIN_FOLLOW_SECONDS": text})


def test_a_bundle_that_cannot_be_kept_is_told_once_counted_and_tried_again(kept, told):
    network = registry.champion(kept.root, "pump").folder / "network.onnx"
    whole = network.read_bytes()
    network.write_bytes(b"another network")
    watched = Watched(kept.root, FORETWIN_FOLLOW_SECONDS="1")
    for _ in range(2):
        watched.settle()
        time.sleep(1)
    assert (watched.version, watched.starts, watched.failures) == ("1", 2, 2)
    (message,) = told.messages
    assert message.startswith("pump: the registry could not be followed: foretwin-pump version 2: ")
    network.write_bytes(whole)
    watched.settle()
    assert watched.version == "2"


def test_what_could_not_be_kept_is_not_tried_at_every_change_of_the_store(kept):
    (registry.champion(kept.root, "pump").folder / "network.onnx").write_bytes(b"another network")
    watched = Watched(kept.root)
    watched.settle()
    kept.client.set_registered_model_tag("foretwin-pump", "note", "seen")
    watched.settle()
    assert watched.starts == 1


def test_a_registry_elsewhere_is_asked_again_and_again(kept, own_store, told):
    """No file tells of its changes, and it may be away."""
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    watched = Watched(kept.root, FORETWIN_FOLLOW_SECONDS="1", **away)
    watched.settle()
    time.sleep(1)
    watched.settle()
    assert (watched.starts, watched.failures) == (2, 2)
    (message,) = told.messages
    assert message.startswith("*: the registry could not be followed: ")
    assert "127.0.0.1" in message


def test_a_store_of_another_path_is_followed_like_the_projects_own(kept):
    shutil.move(kept.root / "mlflow.db", kept.root / "elsewhere.db")
    watched = Watched(kept.root, MLFLOW_TRACKING_URI="sqlite:///elsewhere.db")
    watched.settle()
    assert (watched.version, watched.starts) == ("2", 1)


def test_a_process_that_runs_is_ended_with_the_service(kept):
    watched = Watched(kept.root)
    watched.alias.look()
    process = watched.alias._running.process
    watched.alias.close()
    assert process.poll() is not None
    watched.alias.close()
