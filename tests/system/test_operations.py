"""The page on operations and the page of settings against the code."""

import re

import pytest

from benchmarks.render import settings
from foretwin.errors import ForetwinError
from foretwin.project.settings import SETTINGS
from support.tiny_bundle import REPOSITORY

PAGE = (REPOSITORY / "docs/operations.md").read_text()


def test_the_page_of_settings_is_that_of_the_registry(tmp_path):
    settings.main(check=True, root=REPOSITORY)
    with pytest.raises(ForetwinError, match="make docs"):
        settings.main(check=True, root=tmp_path)


def test_every_variable_that_a_page_speaks_of_is_a_setting():
    served = [
        path for path in REPOSITORY.glob("serving/**/*") if path.is_file() and path.suffix not in (".pyc", ".whl")
    ]
    pages = [*REPOSITORY.glob("docs/*.md"), REPOSITORY / "README.md", *served]
    named = {name for page in pages for name in re.findall(r"\bFORETWIN_[A-Z_]+[A-Z]\b", page.read_text())}
    assert named
    assert named - SETTINGS.keys() == set()


def test_the_proxy_of_the_example_asks_the_port_that_is_served():
    assert SETTINGS["FORETWIN_PORT"].default in re.findall(r"127\.0\.0\.1:(\d+)", PAGE)


def test_every_file_that_the_page_links_to_is_there():
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert links
    assert [link for link in links if not (REPOSITORY / "docs" / link).exists()] == []
