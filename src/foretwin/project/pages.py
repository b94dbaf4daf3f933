"""Render HTML pages from Jinja2 templates: each package has its own, all extend base.html of this one."""

import base64
from pathlib import Path


def render_page(package: str, template: str, **values: object) -> str:
    """Render `templates/<template>` of a package, such as `foretwin.evaluation`; the text of `values` is escaped.

    The page is complete in itself, style sheet included, so that it can be mailed.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader  # light commands render no page

    loader = ChoiceLoader([PackageLoader(package), PackageLoader("foretwin.project")])
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(values) + "\n"


def inline_pictures(folder: Path) -> list[tuple[str, str]]:
    """Return name and image URL with the content of each PNG file in a folder, by name."""
    found = sorted(folder.glob("*.png"))
    return [(png.stem, f"data:image/png;base64,{base64.b64encode(png.read_bytes()).decode()}") for png in found]
