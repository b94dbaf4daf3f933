"""What the tests of connectors share."""

import pytest

from foretwin.twin.store import open_store


@pytest.fixture
def small_store(tmp_path):
    """An empty, open store in a file of the test's own folder."""
    opened = open_store(f"sqlite:///{tmp_path}/twins.db")
    yield opened
    opened.close()
