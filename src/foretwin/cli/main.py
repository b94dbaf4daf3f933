"""The `foretwin` command. Sub-commands import what they need when they run, so that `--help` is fast."""

import click

from foretwin.cli.cases.acknowledge import acknowledge_command
from foretwin.cli.cases.case import case_command
from foretwin.cli.cases.cases import cases_command
from foretwin.cli.cases.verdict import verdict_command
from foretwin.cli.cases.what_if import what_if_command
from foretwin.cli.demo.demo import demo_command
from foretwin.cli.models.bento import bento_command
from foretwin.cli.models.explain import explain_command
from foretwin.cli.models.follow import follow_command
from foretwin.cli.models.keys import keys_command
from foretwin.cli.models.ledger import ledger_command
from foretwin.cli.models.lineage import lineage_command
from foretwin.cli.models.promote import promote_command
from foretwin.cli.models.retrain import retrain_command
from foretwin.cli.models.rollback import rollback_command
from foretwin.cli.models.score import score_command
from foretwin.cli.models.serve import serve_command
from foretwin.cli.models.trial import trial_command
from foretwin.cli.operations.audit import audit_command
from foretwin.cli.operations.backup_restore import backup_command, migrate_store_command, restore_command
from foretwin.cli.operations.config import config_command
from foretwin.cli.operations.doctor import doctor_command
from foretwin.cli.operations.mcp import mcp_command
from foretwin.cli.operations.rebalance import rebalance_command
from foretwin.cli.operations.sbom import sbom_command
from foretwin.cli.operations.sign import sign_command
from foretwin.cli.pipeline.add import add_command
from foretwin.cli.pipeline.benchmark import benchmark_command
from foretwin.cli.pipeline.init import init_command
from foretwin.cli.pipeline.new import new_command
from foretwin.cli.pipeline.publish import publish_command
from foretwin.cli.pipeline.summary import summary_command
from foretwin.cli.retention.hold import hold_command
from foretwin.cli.retention.retain import retain_command
from foretwin.cli.twins.deliveries import deliveries_command
from foretwin.cli.twins.erase import erase_command
from foretwin.cli.twins.export import export_command
from foretwin.cli.twins.history import history_command
from foretwin.cli.twins.ingest import ingest_command
from foretwin.cli.twins.kpis import kpis_command
from foretwin.cli.twins.live import live_command
from foretwin.cli.twins.monitor import monitor_command
from foretwin.cli.twins.quarantine import quarantine_command
from foretwin.cli.twins.replay import replay_command
from foretwin.cli.twins.thread import thread_command
from foretwin.cli.twins.twins import twins_command
from foretwin.cli.twins.watch import watch_command
from foretwin.project.entrypoint import exit_on_error, switch_telemetry_off
from foretwin.project.settings import check_names

COMMANDS = (
    init_command,
    new_command,
    add_command,
    score_command,
    explain_command,
    benchmark_command,
    summary_command,
    publish_command,
    serve_command,
    ingest_command,
    watch_command,
    live_command,
    replay_command,
    demo_command,
    twins_command,
    thread_command,
    cases_command,
    case_command,
    acknowledge_command,
    verdict_command,
    what_if_command,
    history_command,
    export_command,
    erase_command,
    hold_command,
    retain_command,
    quarantine_command,
    rebalance_command,
    deliveries_command,
    monitor_command,
    kpis_command,
    retrain_command,
    promote_command,
    rollback_command,
    follow_command,
    ledger_command,
    trial_command,
    lineage_command,
    bento_command,
    keys_command,
    mcp_command,
    sign_command,
    config_command,
    doctor_command,
    backup_command,
    restore_command,
    migrate_store_command,
    audit_command,
    sbom_command,
)

TELL_OF_SETTINGS = ("config", "doctor")


class Command(click.Group):
    """A group that reports deliberate errors in one line, and with a traceback under --debug."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command."""
        switch_telemetry_off()
        with exit_on_error(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the sub-command; unless it is one that tells of settings itself, an unknown one ends it."""
        name, command, rest = super().resolve_command(ctx, args)
        if name not in TELL_OF_SETTINGS and not {"-h", "--help"}.intersection(rest):
            check_names()
        return name, command, rest


@click.group(cls=Command, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="foretwin")
def main(debug: bool) -> None:
    """A digital twin of every machine: how long it has left, what is failing, how sure that is, what to do.

    `foretwin init FOLDER` makes a project; run everything else in its folder. A first tour:

    \b
      dvc repro                          build the twins that params.yaml lists
      foretwin summary                   their figures, and where the reports lie
      foretwin score FILE --twin pump    score the machines of a CSV or Parquet file
      foretwin explain FILE --twin pump --asset NAME
                                         why one of them is scored as it is
      foretwin serve --open              the scoring service on port 3000, for this machine alone
      foretwin keys new NAME --scope score
                                         a key for others
      foretwin new press press.csv       a twin of your own machine

    The living twin, each line in a terminal of its own:

    \b
      foretwin live --open               readings in, twins and cases out, on port 3100
      foretwin watch                     score what comes in, open and close cases
      foretwin replay pump --assets 20 --speed 10 --http http://127.0.0.1:3100
                                         a fleet to watch
      foretwin demo                      all of this at once, with a broker: twenty pumps that wear out
      foretwin twins                     the fleet, the shortest remaining life first
      foretwin cases                     what to do something about

    The life of its model:

    \b
      foretwin monitor pump              have readings or errors left what the model was trained on?
      foretwin retrain pump              learn from what technicians found; the gate decides
      foretwin rollback pump --reason "false alarms"
                                         the former champion, in every running service
      foretwin follow --every 10         champions that others name in the registry
      foretwin lineage pump              what it was made of; of an asset or a file, what was made of them
      foretwin kpis                      what was foreseen, missed and saved

    In a plant:

    \b
      foretwin config                    every setting, and where it comes from
      foretwin doctor                    what would keep this installation from working
    """


for _command in COMMANDS:
    main.add_command(_command)


if __name__ == "__main__":
    main()
