"""The `foretwin` command. Each sub-command imports what it needs when it runs, so that `--help` answers at once."""

import click

from foretwin.cli.cases.acknowledge import acknowledge
from foretwin.cli.cases.case import case
from foretwin.cli.cases.cases import cases
from foretwin.cli.cases.verdict import verdict
from foretwin.cli.cases.what_if import what_if
from foretwin.cli.demo.demo import demo
from foretwin.cli.models.bento import bento
from foretwin.cli.models.explain import explain
from foretwin.cli.models.follow import follow
from foretwin.cli.models.keys import keys
from foretwin.cli.models.ledger import ledger
from foretwin.cli.models.lineage import lineage
from foretwin.cli.models.promote import promote
from foretwin.cli.models.retrain import retrain
from foretwin.cli.models.rollback import rollback
from foretwin.cli.models.score import score
from foretwin.cli.models.serve import serve
from foretwin.cli.models.trial import trial
from foretwin.cli.pipeline.add import add
from foretwin.cli.pipeline.benchmark import benchmark
from foretwin.cli.pipeline.init import init
from foretwin.cli.pipeline.new import new
from foretwin.cli.pipeline.publish import publish
from foretwin.cli.pipeline.summary import summary
from foretwin.cli.twins.deliveries import deliveries
from foretwin.cli.twins.erase import erase
from foretwin.cli.twins.export import export
from foretwin.cli.twins.history import history
from foretwin.cli.twins.ingest import ingest
from foretwin.cli.twins.kpis import kpis
from foretwin.cli.twins.live import live
from foretwin.cli.twins.monitor import monitor
from foretwin.cli.twins.quarantine import quarantine
from foretwin.cli.twins.replay import replay
from foretwin.cli.twins.thread import thread
from foretwin.cli.twins.twins import twins
from foretwin.cli.twins.watch import watch
from foretwin.project.entrypoint import exit_on_error, switch_telemetry_off

COMMANDS = (
    init,
    new,
    add,
    score,
    explain,
    benchmark,
    summary,
    publish,
    serve,
    ingest,
    watch,
    live,
    replay,
    demo,
    twins,
    thread,
    cases,
    case,
    acknowledge,
    verdict,
    what_if,
    history,
    export,
    erase,
    quarantine,
    deliveries,
    monitor,
    kpis,
    retrain,
    promote,
    rollback,
    follow,
    ledger,
    trial,
    lineage,
    bento,
    keys,
)


class Command(click.Group):
    """A group whose deliberate errors are one line, unless --debug asks for the traceback."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the sub-command at the edge."""
        switch_telemetry_off()
        with exit_on_error(debug=bool(ctx.params.get("debug"))):
            return super().invoke(ctx)


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
    """


for _command in COMMANDS:
    main.add_command(_command)


if __name__ == "__main__":
    main()
