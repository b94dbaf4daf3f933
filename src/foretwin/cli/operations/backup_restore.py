"""Back a project up and restore it: `foretwin backup`, `foretwin restore`, `foretwin migrate-store`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from foretwin.operations.backup_file import BackupManifest

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("backup")
@click.argument("file", type=FILE)
def backup_command(file: Path) -> None:
    """Write store, archives, contracts, champions and keys to FILE while everything runs.

    The store is copied as one state of it, SQLite and PostgreSQL alike, and FILE is read back before it counts. Only
    its owner may read it: it holds readings, and digests of keys. Training data and tracking are not in it: they lie
    in DVC's remote and MLflow's store.

    \b
      foretwin backup /backups/plant-2027-01-31.zip
    """
    import os
    from datetime import UTC, datetime

    from foretwin.cli.project import PROJECT
    from foretwin.operations.backup import make_backup

    held = make_backup(PROJECT, os.environ, file, datetime.now(UTC))
    size = file.stat().st_size / 1e6
    click.echo(f"wrote {file}: {_told(held)}; {size:.1f} MB, read back")


@click.command("restore")
@click.argument("file", type=FILE)
@click.option("--store-only", is_flag=True, help="Leave out contracts, champions and keys.")
def restore_command(file: Path, store_only: bool) -> None:
    """Restore the backup FILE into this folder and its store, and read it back.

    The store is twins.db here unless FORETWIN_STORE names another, SQLite or PostgreSQL, whichever the backup is of.
    One that holds a row is refused, and so is a file that differs from the backup's: nothing is written over.

    \b
      mkdir plant && cd plant
      foretwin restore /backups/plant-2027-01-31.zip
    """
    import os

    from foretwin.cli.project import PROJECT
    from foretwin.operations.restore import erased_since, restore_backup

    held = restore_backup(PROJECT, os.environ, file, store_only)
    click.echo(f"restored {file} of {held.made_at:%Y-%m-%d %H:%M} UTC: {_told(held)}; read back and equal")
    for name in erased_since(PROJECT, os.environ):
        click.echo(f"{name} was erased since that backup: `foretwin erase {name}` erases it again", err=True)


@click.command("migrate-store")
@click.argument("url")
def migrate_store_command(url: str) -> None:
    """Copy the SQLite store into the empty PostgreSQL at URL, and read it back.

    Stop what writes to the store first. The old file stays as it is; set FORETWIN_STORE to URL afterwards.

    \b
      foretwin migrate-store postgresql://foretwin:secret@db.example.com/foretwin
    """
    import os

    from foretwin.cli.project import PROJECT
    from foretwin.operations.migrate import migrate_store

    counts = migrate_store(PROJECT, os.environ, url)
    click.echo(f"copied {sum(counts.values())} rows of {len(counts)} tables; read back and equal")
    click.echo("now set FORETWIN_STORE to that URL for every process, and start them", err=True)


def _told(held: "BackupManifest") -> str:
    champions, keys = held.twins_of("champion"), "keys" if "keys.json" in held.files else "no keys"
    models = f"champions of {', '.join(champions)}" if champions else "no champion"
    return f"{held.rows} rows of {len(held.tables)} tables, {models}, {keys}"
