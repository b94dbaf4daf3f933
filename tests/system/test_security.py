"""The page on security against the tests that it names: each is there, and each promise has some."""

import ast
import re

import pytest

from support.tiny_bundle import REPOSITORY

PAGE = (REPOSITORY / "docs/security.md").read_text()
PROMISES = dict(re.findall(r"^### (.+?)\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))
NAMED = re.findall(r"^\* `(tests/[\w/.]+)::(\w+)`$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("promise", PROMISES)
def test_each_promise_names_a_test(promise):
    assert re.search(r"^\* `tests/[\w/.]+::test_\w+`$", PROMISES[promise], re.MULTILINE)


@pytest.mark.parametrize("file", sorted({file for file, _ in NAMED}))
def test_every_test_that_the_page_names_is_there(file):
    tree = ast.parse((REPOSITORY / file).read_text())
    there = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {name for of, name in NAMED if of == file} <= there


def test_every_setting_of_the_page_is_on_the_page_of_settings():
    settings = (REPOSITORY / "docs/settings.md").read_text()
    named = set(re.findall(r"`(FORETWIN_[A-Z_]+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if f"| `{name}` |" not in settings] == []
