"""Package the scoring service: `foretwin bento`."""

from pathlib import Path

import click

PROJECT = Path()


@click.command("bento")
def bento_command() -> None:
    """Package the scoring service with the champions of all twins.

    The Bento holds code, models, pinned libraries and a software bill of materials, and neither data nor training
    code. Its tag is derived from its content: packaging the same things again gives the same Bento. docs/operations.md
    goes on from here to a container and to Kubernetes.

    \b
      foretwin bento
    """
    from shlex import quote
    from tempfile import gettempdir

    from foretwin.serving.packaging.bento import build

    built = build(PROJECT)
    models = ", ".join(f"{one.twin} version {one.identity.version}" for one in built.champions)
    bentoml = f"BENTOML_HOME={quote(str(built.store))} bentoml"
    number = built.tag.partition(":")[2]
    click.echo(f"{built.tag}: {models}; {built.size / 1e6:.1f} MB")
    click.echo(f"  folder             {built.folder}")
    click.echo(f"  bill of materials  {built.bill_of_materials}")
    click.echo("next:")
    click.echo(f"  {bentoml} export {built.tag} foretwin-{number}.bento")
    # BentoML builds in a folder of its own and refuses a template that lies outside of the working one.
    containerize = f"{bentoml} containerize {built.tag} --image-tag registry.example.com/{built.tag}"
    click.echo(f"  cd {quote(gettempdir())} && {containerize}")
