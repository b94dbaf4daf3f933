"""Print the bill of materials of what is installed: `foretwin sbom`."""

import click


@click.command("sbom")
def sbom_command() -> None:
    """Print the software bill of materials of this installation, as CycloneDX 1.6.

    It lists Foretwin with every library that it may need, as an image of the living twin holds them; the same libraries
    give the same bytes. A Bento has its own, of what the scoring service needs and of its models.

    \b
      foretwin sbom > sbom.cdx.json
    """
    from foretwin.serving.packaging.bill_of_materials import installed_bill

    click.echo(installed_bill(), nl=False)
