"""docs/api.md against the docstrings of the Python API."""

from pathlib import Path

import pytest

import foretwin
from benchmarks.render import api
from foretwin.errors import ForetwinError

ROOT = Path(__file__).parents[2]


def test_the_page_is_that_of_the_docstrings():
    api.main(check=True, root=ROOT)


def test_the_page_describes_every_public_name():
    described = {name for names in api.SECTIONS.values() for name in names} | set(api.RETURNED)
    assert set(foretwin.__all__) - {"__version__", "errors"} == {name for name in described if "." not in name}


def test_a_page_that_is_stale_or_missing_is_refused(tmp_path):
    with pytest.raises(ForetwinError, match="make docs"):
        api.main(check=True, root=tmp_path)
    api.main(check=False, root=tmp_path)
    page = tmp_path / api.PAGE
    page.write_text(page.read_text().replace("seed: int = 1", "seed: int = 2"))
    with pytest.raises(ForetwinError, match="make docs"):
        api.main(check=True, root=tmp_path)
