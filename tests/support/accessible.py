"""Whether a page of the console can be read by everybody: axe-core, and the width of the screen."""

from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).parent / "axe" / "axe.min.js").read_text()
SERIOUS = ("serious", "critical")


def check_access(page: Page) -> None:
    """No serious violation on the page, and nothing wider than the screen."""
    page.evaluate(AXE + "; undefined")
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    worst = [f"{one['id']}: {one['nodes'][0]['html'][:160]}" for one in found if one["impact"] in SERIOUS]
    assert worst == [], page.url
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert width <= 0, f"{page.url} is {width} px wider than the screen"
