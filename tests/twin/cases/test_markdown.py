"""Names, places and notes in a document are read as they were written, whatever Markdown makes of such characters."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from foretwin.cli.twins.monitor import fleet_case_text
from foretwin.contract.twin import load_twin
from foretwin.twin.cases.markdown import escape_markdown
from foretwin.twin.cases.service_request import as_text, service_request
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.casework import cases
from foretwin.twin.store.scoring import scores
from support.stored_case import NOON, store_case

PUMP = load_twin(Path(__file__).parents[3] / "data" / "pump" / "twin.yaml")
EVIL = [
    "hall 3 | urgent |",
    "[pay here](https://evil.example)",
    "<img src=x onerror=alert(1)>",
    "*all* _stop_ ~~now~~ `rm`",
    "https://evil.example",
    "&lt;b&gt; \\| \\",
    "one\n\n# two",
]


def cells(text: str) -> dict[str, str]:
    """The rows of the first table as a reader sees them; an assertion fails where a cell is more than text."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(text)
    shown = []
    for token in (one for one in tokens if one.type == "inline"):
        assert {child.type for child in token.children} <= {"text", "text_special", "softbreak"}, token.children
        shown.append("".join(child.content for child in token.children))
    begin = shown.index("Asset")
    return dict(zip(shown[begin::2], shown[begin + 1 :: 2], strict=False))


@pytest.mark.parametrize("evil", EVIL)
def test_a_service_request_shows_what_was_written(tmp_path, evil):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    case = store_case(store, PUMP, "mode.thrust_bearing", name="P_1 *new*")
    with store.write() as connection:
        asset = assets.find_asset(connection, "P_1 *new*")
        assets.describe_asset(connection, asset, {"serial_number": evil, "location": evil, "tags": {evil: evil}})
        assets.fit_part(connection, asset, "thrust bearing set", evil, evil, NOON)
        (score,) = scores.history(connection, asset.id, None, None, 1)
        scores.add_scores(connection, [replace(score, warnings=[evil])])
    with store.read() as connection:
        text = as_text(service_request(connection, PUMP, case, NOON))
    store.close()

    seen, line = cells(text), " ".join(evil.split())
    assert seen["Asset"] == f"P_1 *new*, serial number {line}"
    assert (seen["Location"], seen["Tags"]) == (line, f"{line} = {line}")
    assert seen["Fitted now"].startswith(f"serial number {line}, {line}, since")
    assert text.splitlines()[-1] == f"- {escape_markdown(evil)}"


def test_a_digest_shows_names_as_they_are(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/twins.db")
    waiting = {"name": "[P](x)", "fault": "mode.wear", "severity": "planned", "since": NOON}
    with store.write() as connection:
        new = cases.NewCase("pump", None, None, "digest", "planned", None, {"count": 1, "sentences": ["<b>"]})
        text = fleet_case_text(cases.insert(connection, new, "watch", NOON), [waiting])
    store.close()
    assert text.splitlines()[-2:] == [r"- \<b\>", r"- \[P\](x): mode.wear, planned, waiting since 2026-11-21 12:00 UTC"]


@settings(deadline=None)
@given(st.text(max_size=30).filter(lambda text: text.isprintable() and text.strip()))
def test_whatever_is_written_is_read(text):
    line = " ".join(text.split())
    assert cells(f"| | |\n| --- | --- |\n| Asset | {escape_markdown(text)} |\n") == {"Asset": line}


def test_an_address_becomes_no_link_and_a_name_stays_legible():
    assert escape_markdown("see https://evil.example") == r"see https\://evil.example"
    assert escape_markdown("P-017_a (hall 3.1)") == "P-017_a (hall 3.1)"
    assert escape_markdown("a\nb\u202ec\x1b[0m") == r"a b c \[0m"
