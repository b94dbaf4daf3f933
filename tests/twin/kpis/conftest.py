"""A store and a fleet in it whose history a test writes."""

import pytest

from foretwin.twin.store import open_store
from support.kpis_fleet import Fleet


@pytest.fixture
def store(tmp_path):
    """SQLite alone: what is stored is asked of both databases in test_kpis_store.py."""
    opened = open_store(f"sqlite:///{tmp_path}/twins.db")
    yield opened
    opened.close()


@pytest.fixture
def fleet(store) -> Fleet:
    return Fleet(store)
