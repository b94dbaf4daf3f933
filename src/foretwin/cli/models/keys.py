"""Make, list and revoke API keys: `foretwin keys`."""

import click

from foretwin.cli.project import PROJECT

SCOPES = ("score", "read", "ingest", "assist", "work", "plan", "operate", "admin")
ROLES = ("viewer", "technician", "planner", "engineer", "administrator")


@click.group("keys", invoke_without_command=True)
@click.pass_context
def keys_command(context: click.Context) -> None:
    """Make, list and revoke API keys.

    Both services, `foretwin serve` and `foretwin live`, want one with every call. Scopes say what it may do: score asks
    for scores, read looks at what there is, ingest sends readings, work takes on cases and gives verdicts, plan moves
    and assigns them, operate describes machines, admin does all three and erases. A role is a set of scopes for a
    person.

    \b
      export FORETWIN_KEY=$(foretwin keys new dashboard --scope score --scope read)
      curl -H "Authorization: Bearer $FORETWIN_KEY" http://127.0.0.1:3000/v1/models
      foretwin keys
      foretwin keys new ann --role planner
      foretwin keys revoke dashboard

    They are in keys.json unless FORETWIN_KEYS names another file; services that run follow within a second.
    """
    if context.invoked_subcommand is None:
        _list()


@keys_command.command("new")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="May be repeated.")
@click.option("--role", type=click.Choice(ROLES), help="The scopes of a person's role.")
@click.option("--twin", "twins", metavar="PATTERN", multiple=True, help="Only of these twins; may be repeated.")
@click.option("--asset", "assets", metavar="PATTERN", multiple=True, help="Only of these assets; may be repeated.")
@click.option("--owner", "owners", metavar="[TAG=]PATTERN", multiple=True, help="Only of assets with such a tag.")
@click.option("--days", type=click.FloatRange(0, 36500, min_open=True), help="Until it expires; without, never.")
@click.option(
    "--rate",
    default=100.0,
    show_default=True,
    type=click.FloatRange(0, 1e6, min_open=True),
    help="Calls per second that it may make of each service.",
)
def keys_new(  # noqa: PLR0913, PLR0917 - one parameter per option
    name: str,
    scopes: tuple[str, ...],
    role: str | None,
    twins: tuple[str, ...],
    assets: tuple[str, ...],
    owners: tuple[str, ...],
    days: float | None,
    rate: float,
) -> None:
    """Make a key and print it.

    It is shown this once: the file keeps only a digest of it. NAME says whose it is, and is what the audit shows.
    A PATTERN binds it to what matches: `*` stands for any characters, `?` for one; --owner alone means the tag owner.

    \b
      foretwin keys new pump-1 --scope ingest --twin pump --asset P-1 --days 90
      foretwin keys new ann --role planner
      foretwin keys new acme --role viewer --owner acme
      curl -H "Authorization: Bearer ftw_..." -H "Content-Type: application/json" \\
        -d '{"time": 1, "channels": {...}}' "http://127.0.0.1:3100/v1/twins/P-1/readings?twin=pump"
    """
    import os
    from datetime import UTC, datetime, timedelta

    from foretwin.cli.project import log_to_terminal, person
    from foretwin.serving.access.keys import ROLES as SCOPES_OF
    from foretwin.serving.access.keys import KeyRequest, keys_path, make_key

    if not scopes and role is None:
        raise click.UsageError("a key needs --role or --scope")
    scopes = (*(SCOPES_OF[role] if role else ()), *scopes)
    log_to_terminal()
    now = datetime.now(UTC)
    wanted = KeyRequest(name, scopes, rate, now + timedelta(days=days) if days else None, twins, assets, owners)
    click.echo(make_key(keys_path(PROJECT, os.environ), wanted, person(), now))
    click.echo("keep it: it is not shown again, and is sent as `Authorization: Bearer ftw_...`", err=True)


@keys_command.command("list")
def list_keys() -> None:
    """List every key, without its secret.

    \b
      foretwin keys list
    """
    _list()


@keys_command.command("revoke")
@click.argument("name")
def keys_revoke(name: str) -> None:
    """Revoke a key; running services refuse it within a second.

    \b
      foretwin keys revoke gateway-hall-3
    """
    import os
    from datetime import UTC, datetime

    from foretwin.cli.project import log_to_terminal, person
    from foretwin.serving.access.keys import keys_path, revoke_key

    log_to_terminal()
    key = revoke_key(keys_path(PROJECT, os.environ), name, person(), datetime.now(UTC))
    click.echo(f"{key.name} counts no more")


def _list() -> None:
    import os
    from datetime import UTC, datetime

    from foretwin.cli.tables import cell, show_table
    from foretwin.serving.access.keys import keys_path, read_keys, role_of

    path, now = keys_path(PROJECT, os.environ), datetime.now(UTC)
    rows = [
        (
            key.name,
            role_of(key.scopes) or ", ".join(key.scopes),
            str(key.bounds).replace(", ", "\n"),
            f"{key.rate:g}/s",
            cell(key.created_at) + f" by {key.created_by}",
            cell(key.expires_at) or "never",
            key.state(now) + (f" {cell(key.revoked_at)} by {key.revoked_by}" if key.revoked_at else ""),
        )
        for key in read_keys(path)
    ]
    advice = "" if rows else f"{path} holds none; `foretwin keys new NAME --scope read` makes one"
    show_table(("name", "role or scopes", "bound to", "rate", "made", "expires", "state"), rows, advice)
