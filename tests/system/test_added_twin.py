"""A machine type that is added while the processes of a plant run: real commands, none of which is started again.

That `foretwin watch` takes up a champion that comes later is tested with the traces of its passes.
"""

import json
import shutil
import threading

from foretwin.twin.connectors.mqtt.session import connect_broker
from foretwin.twin.simulator.processes import wait_for
from support.commands import shown
from support.live_project import FAN, PUMP, living_project, message
from support.plant_processes import PATIENCE, plant_processes
from support.tiny_bundle import REPOSITORY, shipped_params

TAGS = """hall:
  url: {url}
  twin: fan
  tags:
    - {{at: "hall/{{asset}}/{{channel}}"}}
"""


def test_an_added_machine_type_is_taken_up_by_live_and_ingest(tmp_path, broker, monkeypatch):
    root = living_project(tmp_path / "project", PUMP)
    (root / "params.yaml").write_text(shipped_params())
    (root / "pipelines").mkdir()
    shutil.copy(REPOSITORY / "pipelines" / "chain.yaml", root / "pipelines")
    session = connect_broker(broker.url, "gateway", threading.Event())

    with plant_processes(root, tmp_path) as plant:
        plant.start("live", "--open", "--port", str(plant.port))
        plant.start("ingest", FORETWIN_MQTT_URL=broker.url)
        plant.wait_until_ready()

        def fleet():
            return plant.client.get(f"{plant.url}/v1/twins?twin=fan").text

        def post():
            return plant.client.post(f"{plant.url}/v1/twins/F-1/readings?twin=fan", json=message(4)).status_code

        (root / "data/fan").mkdir()
        (root / "data/fan/twin.yaml").write_text("name: fan\nchannels: what\n")
        assert post() == 404, "it is not there yet"
        (root / "data/fan/dvc.yaml").touch()
        plant.wait_for_words("ingest", "taken up once it is corrected")
        (root / "data/fan/dvc.yaml").unlink()
        (root / "data/fan/twin.yaml").write_text(FAN.model_dump_json())
        assert post() == 404, "a draft that is on no list is nobody's"
        monkeypatch.chdir(root)
        shown("add", "fan")
        wait_for(lambda: post() == 200, "live to take its readings", PATIENCE)
        plant.wait_for_words("ingest", "fan: taken up")
        session.publish("foretwin/fan/F-2/readings", json.dumps(message(4)).encode()).result(20)
        wait_for(lambda: '"F-2"' in fleet(), "readings of the topics", PATIENCE)
        (root / "connections.yaml").write_text(TAGS.format(url=broker.url))
        stands = 'foretwin_connection_up{connection="hall"} 1.0'
        wait_for(lambda: stands in plant.asked("ingest", "/metrics").text, "the connection of the hall", PATIENCE)
        for name in list(plant.running):
            plant.end(name)
    session.close()
    assert plant.said("live").count("taken up") == 1
