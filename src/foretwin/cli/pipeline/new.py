"""Write a first contract for a machine: `foretwin new`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from foretwin.cli.project import PROJECT

if TYPE_CHECKING:
    from foretwin.contract.twin import Twin


@click.command("new")
@click.argument("name")
@click.argument("files", metavar="FILE")
@click.option(
    "--labels",
    metavar="SPANS",
    type=click.Path(path_type=Path),
    help="File with the spans of time in which a fault was present: JSON, or a table with a row per span.",
)
@click.option("--failures", metavar="FILE", help="Table of failures, with a row for each: each ends a life.")
@click.option("--maintenance", metavar="FILE", help="Table of maintenance, whose replacements end lives too.")
@click.option("--events", metavar="FILE", help="Table of events, such as alarms: the most frequent become channels.")
@click.option("--assets", metavar="FILE", help="Table with a row per machine, whose numbers become channels.")
@click.option(
    "--pattern",
    metavar="PATTERN",
    help="How the paths of many files end, such as {asset}/{run}.csv: its words are columns; {fault:d} are digits.",
)
@click.option(
    "--rate",
    metavar="HZ",
    type=click.FloatRange(min=0, min_open=True),
    help="The files hold waveforms, with so many samples per second.",
)
@click.option(
    "--column",
    "columns",
    metavar="COLUMN=MEANING",
    multiple=True,
    help="What a column means: asset, time, run, failure, rul, label, channel, left_out. May be repeated.",
)
def new_command(
    name: str,
    files: str,
    labels: Path | None,
    pattern: str | None,
    rate: float | None,
    columns: tuple[str, ...],
    **sides: str | None,
) -> None:
    """Write a first contract for a machine.

    Looks at FILE and writes data/NAME/twin.yaml. FILE is a file (CSV in any notation, Parquet, a workbook, .mat or
    HDF5, packed or not), a folder, a glob in quotes, a zip or tar archive, or a URL such as s3://. Long columns
    without a time, and WAV files, are waveforms, of whose snapshots features become channels. Of an OPC UA server,
    opc.tcp://, or the births of Sparkplug B at a broker, mqtt://, the tags of like machines become channels, and
    connections.yaml says which is which.

    Asset, time, labels and channels are guessed from names and content, with a comment at each guess. What was assumed
    and left out is told, the costliest mistake first: correct it by hand, then `foretwin add NAME` and `dvc repro`.

    \b
      foretwin new press press.csv
      foretwin new press 'exports/press-*.csv.gz'
      foretwin new press press.csv --labels faults.json
      foretwin new press press.csv --column Uhr=time --column Charge=run --column Bemerkung=left_out
      foretwin new press exports.zip --pattern '{asset}-{run:d}.csv'
      foretwin new fan recordings --rate 25600
      foretwin new press press.csv --failures failures.csv --maintenance orders.csv --events alarms.csv
    """
    from foretwin.errors import ContractError
    from foretwin.project.files import fresh_file
    from foretwin.project.paths import Paths
    from foretwin.validation.scaffold.draft import draft_contract

    path = Paths(PROJECT, name).contract
    if path.exists():
        raise ContractError(f"{path}: is there already; edit it, or remove it and run this again")
    if files.startswith(("opc.tcp://", "mqtt://", "mqtts://")):
        _new_connection(name, files, path)
        return
    tables = {table: file for table, file in sides.items() if file}
    draft = draft_contract(name, files, PROJECT, labels, pattern, rate, tables, dict(map(_told, columns)))
    with fresh_file(path) as out:
        out.write_text(draft.text, encoding="utf-8")
    click.echo(f"wrote {path}")
    click.echo("\n".join(draft.assumptions.lines()))
    click.echo(f"Then\n  foretwin add {name}\n  dvc repro")


def _told(text: str) -> tuple[str, str]:
    column, mark, meaning = text.rpartition("=")
    if not mark or not column:
        raise click.UsageError(f"--column: {text[:80]}: COLUMN=MEANING is needed")
    return column, meaning


def _new_connection(name: str, url: str, path: Path) -> None:
    """Write a contract, and an entry in connections.yaml, for the machines whose tags a server lists."""
    from foretwin.contract.twin import load_twin
    from foretwin.errors import ConnectionsError
    from foretwin.project.files import fresh_file
    from foretwin.twin.connectors.connections.connections_file import FILE, load_connections
    from foretwin.twin.connectors.connections.proposal import propose
    from foretwin.twin.connectors.listening import listed_tags
    from foretwin.twin.connectors.mqtt.address import check_no_password

    check_no_password("FILE", url)
    entries = PROJECT / FILE
    before = entries.read_text(encoding="utf-8") if entries.exists() else ""
    if any(line.startswith(f"{name}:") for line in before.splitlines()):
        raise ConnectionsError(f"{entries}: {name} is there already; edit it, or remove it and run this again")
    proposal = propose(name, url, listed_tags(url), "  format: sparkplug\n" if url.startswith("mqtt") else "")
    with fresh_file(path) as out:
        out.write_text(proposal.contract, encoding="utf-8")
    with fresh_file(entries) as out:
        out.write_text(f"{before}\n{proposal.connection}" if before else proposal.connection, encoding="utf-8")
    load_connections(entries, {name: load_twin(path)} | _other_contracts(name))
    click.echo(f"wrote {path} and {name} in {entries}")
    click.echo("\n".join(proposal.told))
    click.echo(f"Correct both, then\n  foretwin ingest {name}\nand, when there is enough history,")
    click.echo(f"  foretwin history {name}\n  foretwin add {name}\n  dvc repro")


def _other_contracts(name: str) -> "dict[str, Twin]":
    from foretwin.project.contracts import load_contracts

    return {other: twin for other, twin in load_contracts(PROJECT).items() if other != name}
