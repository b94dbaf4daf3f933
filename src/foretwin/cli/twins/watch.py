"""Score what comes in: `foretwin watch`."""

import click


@click.command("watch")
@click.option("--memory", type=click.IntRange(8), help="Of the newest readings, in MB; else an eighth, 64 to 1024 MB.")
def watch_command(memory: int | None) -> None:
    """Score new readings, and keep the cases.

    Every asset with new readings is scored by its twin's champion; a line tells of each case that opens, escalates or
    closes. Others are told too where FORETWIN_WEBHOOKS, FORETWIN_EVENTS_MQTT or routes.yaml name them. Ctrl-C ends it;
    what was not scored is scored by the next start. What is older than the contract's `retention:` says is archived and
    dropped meanwhile.

    \b
      foretwin watch --memory 512
    """
    import os
    from contextlib import ExitStack

    from foretwin.cli import project
    from foretwin.cli.twins.progress import CaseNews
    from foretwin.operations.health.each_process import watch_state
    from foretwin.operations.health.endpoints import health_served
    from foretwin.serving.http.tracing import traced_process
    from foretwin.twin.outbox.dispatcher import deliver, targets_from
    from foretwin.twin.outbox.routes.route_targets import route_targets
    from foretwin.twin.retention.retain import retain
    from foretwin.twin.scoring.loop import watch as run_loop
    from foretwin.twin.scoring.memory import MEGABYTE
    from foretwin.twin.scoring.passes import PassCounts
    from foretwin.twin.scoring.watched import WatchSettings

    contracts = project.load_project()
    plain = targets_from(os.environ)
    settings = WatchSettings(memory_bytes=memory * MEGABYTE) if memory else WatchSettings()
    project.log_to_terminal()
    with ExitStack() as ending, project.stop_on_signals() as stop, project.opened_store(stop) as store:
        ending.enter_context(traced_process("foretwin-watch"))
        news, failures = CaseNews(), list[BaseException]()
        news.tell(store)
        passes, root = PassCounts(), project.PROJECT
        targets = (*plain, *route_targets(store, root, os.environ))
        ending.enter_context(health_served(watch_state(store, root, passes)))
        threads = [project.start_thread(lambda: run_loop(store, root, settings, stop, passes), stop, failures)]
        threads.append(project.start_thread(lambda: retain(store, root, stop), stop, failures))
        if targets:
            threads.append(project.start_thread(lambda: deliver(store, targets, stop), stop, failures))
        for contract in contracts.values():
            click.echo(f"{contract.name}: {contract.retention}; `retention:` in its twin.yaml says so", err=True)
        click.echo(
            f"watching; Ctrl-C ends it ({settings.memory_bytes // MEGABYTE} MB hold the newest readings)", err=True
        )
        while not stop.wait(0.5):
            news.tell(store)
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        news.tell(store)
    click.echo(str(news))
