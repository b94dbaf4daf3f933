"""Make a signing key and sign models: `foretwin sign`."""

from pathlib import Path

import click

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group("sign")
def sign_command() -> None:
    """Make a key that signs models, and sign a twin's models with it.

    Services that have FORETWIN_TRUSTED_SIGNERS serve only what one of its keys has signed.

    \b
      export FORETWIN_TRUSTED_SIGNERS=$(foretwin sign key ~/foretwin-signing.pem)
      foretwin sign bundle pump --key ~/foretwin-signing.pem
    """


@sign_command.command("key")
@click.argument("file", type=FILE)
def key_command(file: Path) -> None:
    """Write a new private key to FILE, outside of the project, and print its public key.

    \b
      foretwin sign key ~/foretwin-signing.pem
    """
    from foretwin.champion.signature import make_signing_key
    from foretwin.cli.project import PROJECT

    click.echo(make_signing_key(file, PROJECT))
    click.echo(f"{file} signs models: keep it to yourself; the line above goes to FORETWIN_TRUSTED_SIGNERS", err=True)


@sign_command.command("bundle")
@click.argument("twin")
@click.option("--key", "key_file", required=True, type=FILE, help="The private key's file.")
def bundle_command(twin: str, key_file: Path) -> None:
    """Sign what models/TWIN/ holds: the trained bundle, the champion and the challenger.

    A running service takes a champion that it refused as soon as it is signed.

    \b
      foretwin sign bundle pump --key ~/foretwin-signing.pem
    """
    from foretwin.champion.champion import sign_kept
    from foretwin.cli.project import PROJECT, contract_named, load_project, record_champion
    from foretwin.project.paths import Paths

    contract_named(load_project(), twin)
    signed = sign_kept(Paths(PROJECT, twin), key_file)
    for place, digest in signed.items():
        click.echo(f"signed {place}: {digest}")
    if "champion" in signed and (PROJECT / ".dvc").exists():
        record_champion(twin, "package")
