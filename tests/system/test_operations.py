"""The page on operations and the page of settings against the code."""

import re
import shlex

import click
import pytest

from benchmarks.render import settings
from foretwin.errors import ForetwinError
from foretwin.project.settings import SETTINGS
from support.commands import check_command
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


BLOCK = re.compile(r"^```(?:sh|ini)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|&& |\$\(|\.venv/bin/|=\S+ )foretwin (?=[a-z])([^#|;&)\n]*)", re.MULTILINE)
TYPED = [
    (page, command.strip())
    for page in ("health", "operations", "settings", "watching")
    for block in BLOCK.findall((REPOSITORY / f"docs/{page}.md").read_text())
    for command in COMMAND.findall(block)
]


@pytest.mark.parametrize(("page", "command"), TYPED)
def test_every_command_of_a_page_is_one_that_there_is(page, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "history.csv").touch()  # a file that is read must be there
    check_command([word for word in shlex.split(command) if word != "..."])


def test_the_pages_have_commands_and_a_mistyped_one_would_be_found():
    assert len(TYPED) > 10
    with pytest.raises(click.UsageError):
        check_command(["watch", "--memroy", "512"])
    with pytest.raises(click.UsageError):
        check_command(["keys", "nwe", "ann"])
