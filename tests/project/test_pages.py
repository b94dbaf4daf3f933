"""Pages: templates are in the package, text is escaped, nothing is fetched, and a page is what its template says."""

import re
import subprocess
import sys
from pathlib import Path

from foretwin.project.pages import inline_pictures, render_page

ROOT = Path(__file__).parents[2]
FIGURES = {"twins": [({"title": "<b>Pump</b>", "assumptions": ["a < b"]}, ["saved"], [["2026-01", "<i>"]], [])]}


def key_figures() -> str:
    return render_page("foretwin.twin.kpis", "key_figures.html", **FIGURES)


def test_text_is_escaped_and_the_style_sheet_is_not():
    page = key_figures()
    assert "<h1>&lt;b&gt;Pump&lt;/b&gt;</h1>" in page
    assert "<td>&lt;i&gt;</td>" in page
    assert "<li>a &lt; b</li>" in page
    assert "font: 16px/1.55 system-ui, sans-serif" in page


def test_a_page_is_readable_by_day_at_night_and_on_a_phone_and_fetches_nothing():
    page = key_figures()
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert not re.search(r"https?:|//\w|@import|url\(|<script|<link", page)


def test_pictures_are_inside_the_page_in_the_order_of_their_names(tmp_path):
    for name in ("b.png", "a.png", "c.txt"):
        (tmp_path / name).write_bytes(b"abc")
    assert inline_pictures(tmp_path) == [(name, "data:image/png;base64,YWJj") for name in "ab"]


def test_no_style_is_kept_outside_the_one_style_sheet():
    templates = list((ROOT / "src" / "foretwin").glob("**/templates/*.html"))
    assert {path.name for path in templates} >= {"base.html", "report.html", "model_card.html", "monitor.html"}
    styled = [path.name for path in templates if re.search(r"<style|style=|#[0-9a-f]{6}", path.read_text())]
    assert styled == ["base.html"]


def test_jinja_is_loaded_by_the_first_page_alone():
    script = """
import sys
import foretwin.evaluation.report, foretwin.evaluation.model_card
import foretwin.twin.monitoring.page, foretwin.twin.kpis.page
assert "jinja2" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
