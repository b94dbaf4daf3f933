"""Champions that one host publishes and others fetch: whole, verified, and kept while the place is away."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import boto3
import httpx
import pytest
from click.testing import CliRunner

from foretwin.champion.champion import keep_champion, kept_identity, load_champion
from foretwin.champion.identity import ModelIdentity
from foretwin.champion.signature import make_signing_key
from foretwin.cli.main import main
from foretwin.errors import RegistryError
from foretwin.predictor.bundle import verify
from foretwin.project.digests import file_digests
from foretwin.project.paths import Paths
from foretwin.registry.shared_champions import SharedChampions
from foretwin.twin.simulator.processes import free_port, listens, started, wait_for
from support.tiny_bundle import environment, keep_tiny_champion, save_tiny_bundle, tiny_twin

TWIN = tiny_twin()


class Hosts:
    """A host that publishes its pump, version 3, and one that fetches; `place` is between them."""

    def __init__(self, root):
        self.here, self.there, self.files = root / "here", root / "there", root / "place"
        keep_tiny_champion(self.here, TWIN)
        contract = Paths(self.here, "pump").contract
        contract.parent.mkdir(parents=True)
        contract.write_text(TWIN.model_dump_json(indent=1))
        self.there.mkdir()
        self.publisher = SharedChampions(self.here, self.files.as_uri())
        self.fetcher = SharedChampions(self.there, self.files.as_uri())

    def promote(self, version):
        """Let another version be the champion here."""
        bundle = self.here / "bundles" / version
        if not bundle.exists():
            bundle.mkdir(parents=True)
            save_tiny_bundle(bundle, TWIN, bias=60 + int(version))
        keep_champion(Paths(self.here, "pump"), bundle, ModelIdentity("foretwin-pump", version, "run", verify(bundle)))

    def share(self):
        """Publish here and fetch there; return what that changed, as version or error."""
        assert not [change["error"] for change in self.publisher.publish() if "error" in change]
        return [change.get("version") or change["error"] for change in self.fetcher.fetch()]

    @property
    def version(self):
        found = kept_identity(Paths(self.there, "pump"))
        return found and found.version


@pytest.fixture
def hosts(tmp_path):
    return Hosts(tmp_path)


def champion_files(root):
    return file_digests(Paths(root, "pump").models / "champion")


def test_a_host_gets_the_champion_byte_by_byte_and_its_contract(hosts):
    assert hosts.share() == ["3"]
    assert champion_files(hosts.there) == champion_files(hosts.here)
    assert Paths(hosts.there, "pump").load_contract() == TWIN
    assert load_champion(hosts.there, "pump").identity == load_champion(hosts.here, "pump").identity


def test_a_look_without_news_reads_nothing_but_the_list(hosts):
    hosts.share()
    shutil.rmtree(hosts.files / "files")
    assert hosts.share() == []
    again = SharedChampions(hosts.there, hosts.files.as_uri())  # as a process that was started again
    assert list(again.fetch()) == []


def test_a_promotion_and_a_roll_back_arrive_and_files_that_stayed_are_not_fetched_again(hosts):
    hosts.share()
    hosts.promote("4")
    golden = hosts.files / "files" / shared_file(hosts, "golden/rows.parquet")
    assert next(hosts.publisher.publish())["told"] == "pump: version 4 is published, before it was version 3"
    golden.unlink()
    (change,) = hosts.fetcher.fetch()
    assert re.fullmatch(r"pump: file://\S+/place names version 4, kept was version 3", change["told"])
    assert hosts.version == "4"
    golden.write_bytes((hosts.here / "models/pump/champion/golden/rows.parquet").read_bytes())
    hosts.promote("3")
    assert hosts.share() == ["3"]


def shared_file(hosts, name):
    return json.loads((hosts.files / "champions" / "pump.json").read_text())["files"][name]["sha256"]


def test_a_file_that_is_not_the_one_of_its_digest_is_refused_and_the_former_stays(hosts):
    hosts.share()
    hosts.promote("4")
    list(hosts.publisher.publish())
    network = shared_file(hosts, "bundle/network.onnx")
    content = (hosts.files / "files" / network).read_bytes()
    for wrong in (content[:-1], content + b"0", content[:-1] + b"0"):
        (hosts.files / "files" / network).write_bytes(wrong)
        (change,) = hosts.fetcher.fetch()
        assert change["error"].startswith(f"files/{network}: is not the file of this digest")
        assert hosts.version == "3"
    (hosts.files / "files" / network).write_bytes(content)
    assert [change["version"] for change in hosts.fetcher.fetch()] == ["4"]


@pytest.mark.parametrize("name", ["../outside", "/outside", "bundle/../../../outside", "bundle\\..\\outside"])
def test_a_pointer_to_a_place_outside_of_the_champion_is_refused(hosts, name):
    list(hosts.publisher.publish())
    path = hosts.files / "champions" / "pump.json"
    pointer = json.loads(path.read_text())
    pointer["files"][name] = pointer["files"]["record.json"]
    path.write_text(json.dumps(pointer))
    (change,) = hosts.fetcher.fetch()
    assert change["error"] == f"champions/pump.json: names {name}; publish it again"
    assert hosts.version is None
    assert not list(hosts.there.rglob("outside"))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"twin": "pump"}', '{"twin": "fan"}'])
def test_a_pointer_that_is_none_stops_nobody_else(hosts, content):
    keep_tiny_champion(hosts.here, tiny_twin("fan"))
    list(hosts.publisher.publish())
    (hosts.files / "champions" / "fan.json").write_text(content)
    changes = {change["twin"]: change for change in hosts.fetcher.fetch()}
    assert changes["fan"]["error"].startswith("champions/fan.json: ")
    assert changes["pump"]["version"] == "3"


def test_a_champion_of_another_twin_is_refused(hosts):
    list(hosts.publisher.publish())
    pointer = (hosts.files / "champions" / "pump.json").read_text()
    (hosts.files / "champions" / "fan.json").write_text(pointer.replace('"twin": "pump"', '"twin": "fan"'))
    errors = [change["error"] for change in hosts.fetcher.fetch() if "error" in change]
    assert len(errors) == 1
    assert errors[0].startswith("champions/fan.json: its files are foretwin-pump:3-")
    assert not (hosts.there / "models/fan/champion").exists()


def test_a_champion_without_a_trusted_signature_is_refused_until_it_is_signed(hosts, tmp_path, monkeypatch):
    trusted = make_signing_key(tmp_path / "key.pem", hosts.here)
    list(hosts.publisher.publish())
    monkeypatch.setenv("FORETWIN_TRUSTED_SIGNERS", trusted)
    monkeypatch.setattr("foretwin.champion.signature.check_signature.__defaults__", (os.environ,))
    (change,) = hosts.fetcher.fetch()
    assert "is not signed" in change["error"]
    monkeypatch.chdir(hosts.here)
    done = CliRunner().invoke(main, ["sign", "bundle", "pump", "--key", str(tmp_path / "key.pem")])
    assert done.exit_code == 0, done.output
    assert hosts.share() == ["3"]


def test_a_contract_follows_the_published_one_unless_somebody_changed_it(hosts):
    hosts.share()
    here, there = (Paths(root, "pump").contract for root in (hosts.here, hosts.there))
    here.write_text(here.read_text() + "\n# of another day\n")
    hosts.promote("4")
    assert hosts.share() == ["4"]
    assert there.read_bytes() == here.read_bytes()
    there.write_text(there.read_text() + "# our own\n")
    here.write_text(here.read_text() + "# of a third day\n")
    hosts.promote("5")
    assert hosts.share() == ["5"]
    assert there.read_text().endswith("# our own\n")


def test_a_contract_alone_is_news_too(hosts):
    hosts.share()
    here, there = (Paths(root, "pump").contract for root in (hosts.here, hosts.there))
    here.write_text(here.read_text() + "\n# of another day\n")
    assert hosts.share() == []  # no other champion
    assert there.read_bytes() == here.read_bytes()


def test_a_folder_that_is_gone_is_told_and_its_champions_go_on(hosts):
    assert hosts.share() == ["3"]
    hosts.files.rename(hosts.files.with_name("gone"))
    with pytest.raises(RegistryError, match="place: cannot be reached"):
        list(hosts.fetcher.fetch())
    assert load_champion(hosts.there, "pump").identity.version == "3"
    hosts.files.with_name("gone").rename(hosts.files)
    hosts.promote("4")
    assert hosts.share() == ["4"]


def test_a_place_that_holds_nothing_yet_and_one_that_cannot_be_read(tmp_path):
    assert list(SharedChampions(tmp_path, (tmp_path / "none").as_uri()).fetch()) == []
    with pytest.raises(RegistryError, match="FORETWIN_MODELS: nowhere://x: cannot be reached"):
        list(SharedChampions(tmp_path, "nowhere://x").fetch())


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A server of S3's interface with the bucket `plant`; yields its process and what reaches it."""
    port = free_port()
    process = started([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], tmp_path / "s3.log")
    wait_for(lambda: listens(port), f"S3 on port {port}: see {tmp_path}/s3.log", 60)
    url = f"http://127.0.0.1:{port}"
    settings = {"AWS_ENDPOINT_URL": url, "AWS_DEFAULT_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "foretwin"}
    settings |= {"AWS_SECRET_ACCESS_KEY": "of-this-test-alone", "FORETWIN_MODELS": "s3://plant/models"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3", endpoint_url=url).create_bucket(Bucket="plant")
    yield process, settings
    process.kill()
    process.wait(20)


def test_a_host_follows_s3_as_a_process_and_goes_on_while_it_is_away(hosts, bucket):
    server, settings = bucket
    port, log = free_port(), hosts.there / "follow.log"
    hosts.publisher.place = settings["FORETWIN_MODELS"]
    list(hosts.publisher.publish())
    command = [sys.executable, "-m", "foretwin.cli", "follow", "--every", "0.3"]
    told = environment(hosts.there, FORETWIN_HEALTH_PORT=str(port), **settings)
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=hosts.there, env=told, stdout=out, stderr=out)
    try:
        until(lambda: hosts.version == "3", log)
        hosts.promote("4")
        list(hosts.publisher.publish())
        until(lambda: hosts.version == "4", log)
        assert httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200
        server.kill()
        until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 503, log)
        assert "s3://plant/models: cannot be reached" in httpx.get(f"http://127.0.0.1:{port}/readyz").text
        assert 'foretwin_champions_failing{twin="*"} 1.0' in httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert load_champion(hosts.there, "pump").identity.version == "4"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
    assert "pump: s3://plant/models names version 4, kept was version 3" in log.read_text()


def until(condition, log):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
