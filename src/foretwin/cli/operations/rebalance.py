"""Divide the fleet among workers: `foretwin rebalance`."""

import click


@click.command("rebalance")
@click.argument("partitions", type=click.IntRange(1))
def rebalance_command(partitions: int) -> None:
    """Divide the fleet into so many PARTITIONS, at most 256.

    Everything of a machine belongs to one of them, by its name. Processes that store readings of different partitions
    do not wait for each other, and each `foretwin watch` scores its share of them: one that is started takes part
    within a second, and what one that has died leaves is taken over by the others. PostgreSQL alone; as many as there
    may be workers are enough. Nothing stops for it, and no row is moved.

    \b
      foretwin rebalance 4
    """
    from foretwin.cli.project import load_project, opened_store
    from foretwin.twin.store.ownership.partitioning import rebalance

    load_project()
    with opened_store() as store, store.write() as connection:
        present = rebalance(connection, partitions)
    click.echo(f"{present.count} partitions; each `foretwin watch` takes its share of them")
