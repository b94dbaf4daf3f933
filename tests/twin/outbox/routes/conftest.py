"""What tests of routes start from."""

import shutil

import pytest

from foretwin.twin.outbox import dispatcher
from foretwin.twin.store import open_store


@pytest.fixture(autouse=True)
def looks_often(monkeypatch):
    monkeypatch.setattr(dispatcher, "PAUSE", 0.05)


@pytest.fixture
def one_store(tmp_path, migrated):
    """A store on SQLite alone: what differs between databases is the outbox's to test."""
    shutil.copyfile(migrated("sqlite", None).removeprefix("sqlite:///"), tmp_path / "twins.db")
    opened = open_store(f"sqlite:///{tmp_path}/twins.db")
    yield opened
    opened.close()
