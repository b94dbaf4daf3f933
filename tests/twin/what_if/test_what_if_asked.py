"""What-if over HTTP and on the command line, with a real degradation model of a small fleet."""

import shutil

import pytest
from click.testing import CliRunner

from foretwin.cli.main import main
from foretwin.twin.store import open_store
from support.described_answers import assert_as_described
from support.live_project import assert_problem, live
from support.pump_lives import keep, lives

SLOWER = {"name": "slower", "settings": {"commanded_speed": 3240}}


@pytest.fixture(scope="module")
def root(learnt_project, tmp_path_factory):
    """A project with a degradation model, and a store with one pump at half of its life."""
    made = shutil.copytree(learnt_project, tmp_path_factory.mktemp("asked") / "project")
    store = open_store(f"sqlite:///{made}/twins.db")
    keep(store, "P-1", *lives(range(1000, 1001), 0.5).rows(0))
    store.close()
    return made


@pytest.fixture
def client(root):
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root) as client:
        yield client
    store.close()


def test_options_are_compared_over_http(client):
    answer = client.post("/v1/twins/P-1/what-if", json={"options": [SLOWER]}).raise_for_status().json()
    assert_as_described(client.get("/openapi.json").json(), "POST", "/v1/twins/{asset}/what-if", answer)
    assert answer["asset"] == "P-1"
    assert {"stale", "age_seconds", "assumptions"} <= set(answer)
    assert [one["name"] for one in answer["options"]] == ["slower", "as now"]
    assert answer["options"][0]["difference"]["value"] > 0


@pytest.mark.parametrize(
    ("option", "field"),
    [
        (SLOWER | {"settings": {"colour": 1}}, "options[0].settings.colour"),
        (SLOWER | {"settings": {"commanded_speed": 99_999}}, "options[0].settings.commanded_speed"),
        (SLOWER | {"settings": {"commanded_speed": "slow"}}, "options[0].settings.commanded_speed"),
        (SLOWER | {"name": "as now"}, "options[0].name"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_its_field(client, option, field):
    assert_problem(client.post("/v1/twins/P-1/what-if", json={"options": [option]}), 422, field)


def test_options_are_compared_and_drawn_on_the_command_line(root, monkeypatch):
    monkeypatch.chdir(root)
    arguments = ["what-if", "P-1", "--option", "slower:commanded_speed=3240", "--option"]
    arguments += ["weekend:commanded_speed=2400for48/3600", "--out", "future.png"]
    result = CliRunner(env={"COLUMNS": "200"}).invoke(main, arguments)
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert all(words in told for words in ("slower", "weekend", "as now", "lives 72 h", "wrote future.png"))
    assert (root / "future.png").read_bytes().startswith(b"\x89PNG")
    refused = CliRunner().invoke(main, ["what-if", "P-1", "--option", "slower:colour=1"])
    assert refused.exit_code == 1
    assert "colour" in refused.stderr
