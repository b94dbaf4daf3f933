"""The page on operations against the code."""

import re

from support.tiny_bundle import REPOSITORY

PAGE = (REPOSITORY / "docs/operations.md").read_text()
TABLE = dict(re.findall(r"^\| `(FORETWIN_[A-Z_]+)` \| (.*?) \|", PAGE, re.MULTILINE))


def read_by_the_code() -> set[str]:
    files = [*(REPOSITORY / "src/foretwin").rglob("*.py"), *(REPOSITORY / "serving").rglob("*.py")]
    return {name for path in files for name in re.findall(r'"(FORETWIN_[A-Z_]+)"', path.read_text())}


def test_the_table_has_every_environment_variable_and_no_other():
    assert sorted(TABLE) == sorted(read_by_the_code())


def test_every_variable_that_the_page_speaks_of_is_in_its_table():
    assert set(re.findall(r"FORETWIN_[A-Z_]+", PAGE)) == set(TABLE)


def test_the_defaults_are_those_of_the_code():
    from foretwin.serving.__main__ import HOST, PORT
    from foretwin.serving.http.connections import ConnectionLimits
    from foretwin.serving.http.limits import Limits
    from foretwin.serving.http.uvicorn_settings import PATIENCE

    assert TABLE["FORETWIN_HOST"] == f"`{HOST}`"
    assert TABLE["FORETWIN_PORT"] == f"`{PORT}`"
    assert TABLE["FORETWIN_MAX_BODY_BYTES"] == f"`{Limits().body_bytes}`"
    assert TABLE["FORETWIN_MAX_ROWS"] == f"`{Limits().rows}`"
    assert TABLE["FORETWIN_MAX_CONNECTIONS"] == f"`{ConnectionLimits().total}`"
    assert TABLE["FORETWIN_MAX_CONNECTIONS_PER_ADDRESS"] == f"`{ConnectionLimits().per_address}`"
    assert TABLE["FORETWIN_PATIENCE"] == f"`{PATIENCE}`"


def test_the_proxy_of_the_example_asks_the_port_that_is_served():
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", PAGE)) == {TABLE["FORETWIN_PORT"].strip("`")}


def test_every_file_that_the_page_links_to_is_there():
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert links
    assert [link for link in links if not (REPOSITORY / "docs" / link).exists()] == []
