"""Health of a process: alive while its work moves, ready while it can do it, and the metrics that say so."""

import asyncio
import math

import httpx
import pytest

from foretwin.errors import ParamsError
from foretwin.operations.health.endpoints import health_app, health_served
from foretwin.operations.health.families import FAMILIES, family
from foretwin.operations.health.process_state import ProcessState
from foretwin.project.loops import Heartbeat
from foretwin.twin.simulator.processes import free_port
from support.tiny_bundle import REPOSITORY


def asked(state: ProcessState, path: str, host: str = "127.0.0.1", listens_on: str = "127.0.0.1") -> httpx.Response:
    async def ask():
        transport = httpx.ASGITransport(health_app(state, listens_on))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_a_heartbeat_hangs_only_when_a_move_is_overdue():
    beating = Heartbeat(patience=-1)  # any moment without a move is too long
    assert beating.hangs_for is not None
    beating.beat(pause=60)
    assert beating.hangs_for is None
    beating.fail("the broker is away", pause=math.inf)
    assert beating.hangs_for is None
    assert beating.trouble == "the broker is away"
    beating.done()
    assert beating.trouble is None
    assert Heartbeat().hangs_for is None


def test_a_process_is_ready_once_its_work_came_through_and_its_checks_pass():
    wrong = ["the store is away"]
    state = ProcessState("watch", Heartbeat(), (lambda: wrong[0] if wrong else None,))
    refused = asked(state, "/readyz")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["detail"] == "service: watch has not come through its work yet"
    state.heartbeat.done()
    assert asked(state, "/readyz").json()["detail"] == "service: the store is away"
    wrong.clear()
    assert asked(state, "/readyz").json() == {"status": "ready"}
    state.heartbeat.fail("the registry does not answer")
    assert asked(state, "/readyz").json()["detail"] == "service: the registry does not answer"
    assert asked(state, "/livez").status_code == 200, "what is waited for is no reason to start it again"


def test_a_process_that_hangs_is_not_alive():
    state = ProcessState("watch", Heartbeat(patience=-5))
    state.heartbeat.done()
    dead = asked(state, "/livez")
    assert dead.status_code == 503
    assert "watch has not moved for " in dead.json()["detail"]
    assert "foretwin_ready 0.0" in asked(state, "/metrics").text


def test_metrics_have_the_process_and_its_own_families():
    state = ProcessState("ingest", Heartbeat(), (), (lambda: [family("foretwin_messages_waiting", [((), 7.0)])],))
    state.heartbeat.done()
    text = asked(state, "/metrics").text
    assert 'foretwin_process_info{process="ingest"' in text
    assert "foretwin_ready 1.0" in text
    assert "foretwin_messages_waiting 7.0" in text
    assert "process_resident_memory_bytes" in text
    assert f"# HELP foretwin_ready {FAMILIES['foretwin_ready'][0]}" in text


def test_on_loopback_only_this_machine_is_answered():
    state = ProcessState("watch", Heartbeat())
    assert asked(state, "/livez", "plant.example.com").status_code == 403
    assert asked(state, "/livez", "plant.example.com", listens_on="0.0.0.0").status_code == 200  # noqa: S104


def test_without_a_port_nothing_listens(monkeypatch):
    monkeypatch.delenv("FORETWIN_HEALTH_PORT", raising=False)
    with health_served(ProcessState("watch", Heartbeat())) as url:
        assert url is None


def test_a_port_that_is_taken_is_refused_and_a_free_one_is_answered_on(monkeypatch):
    monkeypatch.setenv("FORETWIN_HEALTH_PORT", str(free_port()))
    with health_served(ProcessState("watch", Heartbeat())) as url:
        assert httpx.get(f"{url}/livez", trust_env=False).json() == {"status": "alive"}
        with (
            pytest.raises(ParamsError, match=r"FORETWIN_HEALTH_PORT: .* give each process a port of its own"),
            health_served(ProcessState("ingest", Heartbeat())),
        ):
            pass
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/livez", trust_env=False)


def test_the_page_has_every_metric_with_its_labels_and_processes():
    page = (REPOSITORY / "docs/health.md").read_text()
    table = page[page.index("<!-- processes -->") : page.index("<!-- end -->", page.index("<!-- processes -->"))]
    rows = {
        f"| `{name}` | {about} | {', '.join(f'`{label}`' for label in labels)} | {', '.join(processes)} |"
        for name, (about, labels, processes) in FAMILIES.items()
    }
    assert rows == {line for line in table.splitlines() if line.startswith("| `")}
