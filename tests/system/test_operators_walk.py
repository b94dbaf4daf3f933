"""The pages of an operator, typed as a stranger would: from an empty folder to a fleet that is scored, backed up,
restored elsewhere and upgraded from the release before.

Every block of commands is either typed here, or marked on its page with what it needs and the test that shows it.
"""

import re
import shutil
import uuid
from dataclasses import dataclass, field

import pytest

from foretwin.twin.simulator.processes import wait_for
from support.clone import run
from support.live_project import PUMP
from support.old_project import old_project
from support.tiny_bundle import REPOSITORY, random_rows
from support.typed_machine import TypedMachine, link_environment

pytestmark = pytest.mark.timeout(900)
PAGES = ("operations", "security", "settings")
BLOCK = re.compile(r"(?:^<!-- not typed: (.*?) -->\n)?^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = [
    (page, mark, text) for page in PAGES for mark, text in BLOCK.findall((REPOSITORY / f"docs/{page}.md").read_text())
]
SETTINGS = """
install -D -m 600 /dev/stdin /etc/foretwin/foretwin.env <<'END'
FORETWIN_MQTT_URL=mqtt://foretwin@broker.example.com
END
"""
MACHINES = ("P-1", "P-2", "P-3")


def test_a_block_that_is_not_typed_says_what_it_needs_and_which_test_shows_it():
    marked = [mark for _, mark, _ in BLOCKS if mark]
    assert marked
    for mark in marked:
        assert re.match(
            r"needs (the rights of root|a package index|a cluster|an engine of containers); shown|shown", mark
        )
        (test,) = re.findall(r"tests/[\w/]+\.py", mark)
        assert (REPOSITORY / test).is_file(), mark


@dataclass
class Reader:
    """Who reads the pages from the top and types each block where it belongs."""

    typed: set[str] = field(default_factory=set)

    def block(self, words: str) -> str:
        """The block with these words, which is noted as typed."""
        (found,) = [text for _, _, text in BLOCKS if words in text]
        self.typed.add(found)
        return found


@pytest.fixture
def machines(tmp_path):
    """Makes machines by name; all of them end with the test. They share /backups, as one that a network brings."""
    made = []
    (tmp_path / "backups").mkdir()

    def make(name: str, **replaced: str) -> TypedMachine:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "backups").symlink_to(tmp_path / "backups")
        made.append(TypedMachine(tmp_path / name, replaced))
        return made[-1]

    yield make
    for machine in made:
        machine.end()


def test_the_pages_are_typed_from_an_empty_folder_to_an_upgraded_fleet(machines, tmp_path, postgres, broker):
    reader = Reader()
    trainer = trained(machines, tmp_path)
    signer = signed(trainer, reader)
    servers = {
        "https://git.example.com/plant.git": str(trainer.folder / "plant"),
        "https://mlflow.example.com": f"sqlite:///{trainer.folder}/plant/mlflow.db",
        "mqtt://foretwin@broker.example.com": broker.url.replace("//", "//foretwin@"),
        "PUBLIC-KEY": signer,
    }
    url = "postgresql://foretwin:secret@db.example.com/foretwin"
    plant = machines("plant", **{**servers, url: postgres.new_database(f"t{uuid.uuid4().hex}")})
    before = scored_fleet(plant, reader)
    looked_at(plant, reader)
    plant.type(reader.block("foretwin backup /backups/plant"))
    elsewhere = machines("elsewhere", **{url: postgres.new_database(f"t{uuid.uuid4().hex}")})
    elsewhere.type(". ../plant/srv/foretwin/.venv/bin/activate\n" + reader.block("foretwin restore"))
    assert figures(elsewhere.type("foretwin twins\n")) == before
    elsewhere.type(reader.block("foretwin migrate-store"))
    assert figures(elsewhere.type("foretwin twins\n")) == before
    upgraded(machines("old", **servers), reader)
    left = [text for _, mark, text in BLOCKS if not mark and text not in reader.typed]
    assert left == [], "nobody types these, nor says why not"


def trained(machines, tmp_path) -> TypedMachine:
    """The machine that trains, with a project in git, a registry and a champion in it."""
    trainer = machines("trainer")
    root = old_project(trainer.folder / "plant", moved=False)
    shutil.copytree(REPOSITORY / "serving", root / "serving")
    (root / ".gitignore").write_text("/mlflow*\n/twins*\n/mlartifacts\n/key*\n/models/*/*\n!/models/*/signatures\n")
    run("git init -q -b main && git add -A && git -c user.name=a -c user.email=a@b commit -qm plant", root)
    return trainer


def signed(trainer: TypedMachine, reader: Reader) -> str:
    """Sign the champion there; the public key."""
    trainer.type("cd plant\n" + reader.block("FORETWIN_TRUSTED_SIGNERS=$("))
    return trainer.type("echo $FORETWIN_TRUSTED_SIGNERS\n").strip()


def scored_fleet(plant: TypedMachine, reader: Reader) -> list[list[str]]:
    """From an empty folder to processes that have scored what the machines showed; what `foretwin twins` says."""
    (plant.folder / "srv/foretwin").mkdir()
    plant.type(reader.block("git clone"))
    link_environment(plant.folder / "srv/foretwin")
    settings, start = re.split(r"(?=^systemctl)", reader.block("systemctl enable"), flags=re.MULTILINE)
    plant.type(settings)
    plant.type(reader.block("PUBLIC-KEY"))
    plant.type(start)
    plant.type(reader.block("sudo -su foretwin"))
    wait_until_ready(plant)
    write_history(plant)
    assert "ftw_" in plant.type(reader.block("foretwin ingest history.csv"))
    return wait_for_scores(plant)


def wait_until_ready(machine: TypedMachine) -> None:
    """Until the process answers to what the page asks it; a page cannot know how long that takes here."""
    machine.type("timeout 120 sh -c 'until curl --silent --fail http://127.0.0.1:3202/readyz; do sleep 0.5; done'\n")


def write_history(machine: TypedMachine) -> None:
    rows = random_rows(PUMP, dict.fromkeys(MACHINES, 6))
    rows.to_csv(machine.folder / "srv/foretwin/history.csv", index=False)


def wait_for_scores(machine: TypedMachine) -> list[list[str]]:
    """Until each machine has its score; the figures of all."""
    found: list[list[str]] = []

    def is_scored() -> bool:
        found[:] = figures(machine.type("sleep 1; foretwin twins\n"))
        return set(MACHINES) <= {row[0] for row in found}

    wait_for(is_scored, "a score of each machine", 120)
    return found


def figures(table: str) -> list[list[str]]:
    """The rows of `foretwin twins` with a remaining life, without how long ago the machine was heard."""
    rows = [[cell.strip() for cell in line.split("│")[1:-2]] for line in table.splitlines() if line.startswith("│")]
    return sorted(row for row in rows if re.match(r"\d+ \(\d+ to", row[4]))


def looked_at(plant: TypedMachine, reader: Reader) -> None:
    """What the pages say about looking: all is in place, settings with their origin, an audit that holds."""
    assert "fail" not in plant.type(reader.block("foretwin doctor --env-file"))
    table = re.sub(r"[│\s]", "", plant.type(reader.block("foretwin config --set")))  # a long path is folded in its cell
    assert f"{plant.folder}/etc/foretwin/foretwin.env" in table
    check, noted = reader.block("foretwin audit verify").splitlines(keepends=True)
    head = re.search(r"head (\S+)", plant.type(check))[1]
    assert head in plant.type(noted.replace("HEAD", head))


def upgraded(old: TypedMachine, reader: Reader) -> None:
    """A machine of the release before: its store is backed up, migrated, and its machines are scored."""
    root = old_project(old.folder / "srv/foretwin")
    link_environment(root)
    for unit in (REPOSITORY / "serving/systemd").glob("*.service"):
        shutil.copy(unit, old.folder / "etc/systemd/system")
    old.type(SETTINGS)
    old.type(reader.block("sudo -su foretwin"))
    old.type(reader.block("foretwin backup /backups/before-upgrade"))
    assert "the next start of a process migrates it" in old.type(reader.block("foretwin doctor      #"))
    old.type(reader.block("systemctl start"))
    write_history(old)
    wait_until_ready(old)
    old.type("foretwin ingest history.csv --twin pump\n")
    wait_for_scores(old)
    old.type(reader.block("systemctl stop"))
