"""`foretwin mcp`, driven by the protocol's own client over standard input and output, with keys as any caller."""

import asyncio
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mcp import Client, StdioServerParameters

from foretwin.client.assistant.protocol_server import ACTOR, server_for
from foretwin.client.assistant.tools import tools_of
from foretwin.client.clients import AsyncClient
from foretwin.errors import BadInput
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import KeyRequest, make_key
from foretwin.twin.store import open_store
from support.live_project import live, living_project, message, score

pytestmark = pytest.mark.dated

FORETWIN = Path(sys.executable).with_name("foretwin")


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """URL, root and keys of a plant with two pumps, of which one has a case."""
    root = living_project(tmp_path_factory.mktemp("assisted") / "project")
    keys = root / "keys.json"

    def key(name: str, *scopes: str, **bounds) -> str:
        return make_key(keys, KeyRequest(name, list(scopes), 1e6, None, **bounds), "ann", datetime.now(UTC))

    made = {
        "boss": key("boss", "read", "score", "ingest", "operate", "work"),
        "reader": key("reader", "read", "score"),
        "helper": key("helper", "read", "score", "assist"),
        "bound": key("bound", "read", assets=("P-2",)),
    }
    store = open_store(f"sqlite:///{root}/twins.db")
    with live(store, root, Guard(keys)) as client:
        client.headers["authorization"] = f"Bearer {made['boss']}"
        for name in ("P-1", "P-2"):
            client.put(f"/v1/twins/{name}", json={"twin": "pump"}).raise_for_status()
            client.post(f"/v1/twins/{name}/readings", json=message(count=4)).raise_for_status()
        score(store, root)
        yield client, made
    store.close()


def assisted(plant, key: str, *calls: tuple[str, dict], as_command: bool = False) -> tuple[dict, list]:
    """The tools by name, and of each call the text of its failure, or its answer.

    In this process, or as the command over standard input and output.
    """
    client, keys = plant
    url = str(client.base_url)

    async def ask(server) -> tuple[dict, list]:
        answers = []
        async with Client(server, read_timeout_seconds=60) as assistant:
            listed = (await assistant.list_tools()).tools
            for name, arguments in calls:
                answer = await assistant.call_tool(name, arguments)
                text = answer.content[0].text
                answers.append(text if answer.is_error else json.loads(text))
        return {one.name: one for one in listed}, answers

    async def talk() -> tuple[dict, list]:
        if as_command:
            env = {"PATH": os.environ["PATH"], "FORETWIN_KEY": keys[key]}
            return await ask(StdioServerParameters(command=str(FORETWIN), args=["mcp", "--url", url], env=env))
        async with AsyncClient(url, keys[key], actor=ACTOR) as called:
            return await ask(await server_for(called))

    return asyncio.run(talk())


@pytest.mark.slow
def test_an_assistant_reads_explains_and_asks_for_lineage_as_its_key_may(plant):
    case = plant[0].get("/v1/cases?asset=P-1").json()["items"][0]["id"]
    tools, answers = assisted(
        plant,
        "reader",
        ("fleet", {"sort": "urgency", "limit": 1}),
        ("explanation", {"asset": "P-1"}),
        ("lineage", {"asset": "P-1"}),
        ("service_request", {"case": str(case)}),
        ("end_of_life", {"asset": "P-1"}),
        ("twin", {"asset": "P-9"}),
        ("fleet", {"colour": "red"}),
        ("acknowledge", {"case": str(case)}),
        as_command=True,
    )
    assert {"overview", "fleet", "twin", "cases", "what_if", "scores", "thread", "kpis"} <= tools.keys()
    assert not {"acknowledge", "verdict", "readings_csv", "export", "ready"} & tools.keys()
    assert tools["fleet"].annotations.read_only_hint
    fleet, explained, lineage, request, ending, *refused = answers
    assert len(fleet["items"]) == 1
    assert explained["model"]["version"] == "3"
    assert lineage["champion"]["twin"] == "pump"
    assert lineage["last_score"]["model"]["version"] == "3"
    assert request["asset"]["name"] == "P-1"
    assert ending["asset"] == "P-1"
    assert "is not known" in refused[0]
    assert "colour: is no argument of fleet" in refused[1]
    assert "acknowledge is no tool here" in refused[2]


def test_what_it_changes_needs_a_scope_of_its_own_and_is_in_the_audit(plant):
    client, keys = plant
    case = client.get("/v1/cases?asset=P-1").json()["items"][0]["id"]
    tools, (acknowledged, closed) = assisted(
        plant,
        "helper",
        ("acknowledge", {"case": str(case)}),
        ("verdict", {"case": str(case), "verdict": "no_fault_found", "note": "looked at it"}),
    )
    assert tools["verdict"].annotations.destructive_hint
    assert acknowledged["state"] == "acknowledged"
    assert closed["verdict"] == "no_fault_found"
    thread = client.get("/v1/twins/P-1/thread").json()["entries"]
    actors = {one["actor"] for one in thread if one["kind"] in ("case", "verdict") and one["actor"] != "watch"}
    assert actors == {"helper/assistant"}
    elsewhere = client.post(
        f"/v1/cases/{case}/comments", json={"text": "x"}, headers={"authorization": f"Bearer {keys['helper']}"}
    )
    assert elsewhere.status_code == 403, "its key opens no more of the work than that"


def test_it_sees_the_machines_of_its_key_alone(plant):
    tools, (fleet, other) = assisted(plant, "bound", ("fleet", {}), ("twin", {"asset": "P-1"}))
    assert [one["asset"] for one in fleet["items"]] == ["P-2"]
    assert "P-1" not in json.dumps(fleet)
    assert "key bound" in other
    assert "explanation" not in tools


def test_who_may_work_is_offered_no_change_without_the_scope(plant):
    document = plant[0].get("/openapi.json").json()
    assert "verdict" not in tools_of(document, ["read", "work", "admin"]).tools
    box = tools_of(document, ["assist"])
    assert set(box.tools) == {"acknowledge", "verdict"}
    path, query, body = box.find("verdict").request({"case": "a/b", "verdict": "confirmed"})
    assert (path, query, body) == ("/v1/cases/a%2Fb/verdict", {}, {"verdict": "confirmed"})
    with pytest.raises(BadInput, match="case: is missing"):
        box.find("acknowledge").request({})
