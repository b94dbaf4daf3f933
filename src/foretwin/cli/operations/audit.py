"""Verify the audit: `foretwin audit verify`."""

import click


@click.group("audit")
def audit_command() -> None:
    """Verify the record of who did what: `foretwin audit verify`.

    `foretwin thread ASSET` shows the entries about an asset.

    \b
      foretwin audit verify
    """


@audit_command.command("verify")
@click.option("--noted", metavar="HEAD", help="A head that an earlier run printed: the chain must go through it.")
def verify_command(noted: str | None) -> None:
    """Follow the audit's chain of digests; fails at the first entry that was changed, added or taken out.

    Note the head that it prints where who writes to the store does not write, and give it back later: then it tells
    even a chain that somebody computed anew.

    \b
      foretwin audit verify
      foretwin audit verify --noted 1204:6f1c...
    """
    from foretwin.cli.project import opened_store
    from foretwin.twin.store.casework.audit_chain import verify_chain

    with opened_store() as store, store.read() as connection:
        state = verify_chain(connection, noted)
    gone = f"{state.archived} archived, {state.erased} erased"
    click.echo(f"{state.entries} entries, each follows the one before it ({gone}); head {state.head}")
