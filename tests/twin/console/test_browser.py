"""The console in the system's Chromium: a planner at his desk and a technician with a phone, cut off from the world."""

import re
from contextlib import closing
from datetime import UTC, datetime

import httpx
import pytest
import segno
from playwright.sync_api import Page, expect

from benchmarks.browser import chromium, cut_off
from foretwin.serving.access.authentication import Guard
from foretwin.serving.access.keys import SCOPES, KeyRequest, make_key
from foretwin.twin.store import assets, open_store
from foretwin.twin.store.casework import cases
from foretwin.twin.store.casework.cases import NewCase, Numbers
from foretwin.twin.store.scoring import scores
from foretwin.twin.store.scoring.scores import Score
from support.accessible import check_access
from support.live_project import live
from support.pump_lives import NOON, keep, learnt, lives, project, pump_twin
from support.stored_case import MODEL

MOST_ANSWER = 100_000  # bytes
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
OTHERS = (
    "/cases?state=closed",
    "/calendar",
    "/models",
    "/models/pump",
    "/data",
    "/key-figures",
    "/monitor",
    "/quarantine",
    "/usage",
    "/administration",
    "/retention",
    "/machines/P-1/end-of-life",
)
NAMES = ("P-1", "P-2", "P-3")  # a case of each: two are worked, one is looked at
expect.set_options(timeout=60_000)  # ms: nothing here is a matter of speed


@pytest.fixture(scope="module")
def browser():
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def plant(tmp_path_factory):
    """URL and key of a server of two worn pumps, each with a case of its thrust bearing."""
    folder = tmp_path_factory.mktemp("plant")
    root = project(folder / "project", learnt(folder / "learning", 8))
    key = make_key(root / "keys.json", KeyRequest("ann", list(SCOPES), 1e6), "ann", datetime.now(UTC))
    store = open_store(f"sqlite:///{root}/twins.db")
    fleet = lives(range(1000, 1000 + len(NAMES)), 0.7)
    for number, name in enumerate(NAMES):
        keep(store, name, *fleet.rows(number))
        open_case(store, name)
    with live(store, root, Guard(root / "keys.json")) as client:
        yield str(client.base_url), key
    store.close()


def open_case(store, name: str) -> None:
    """A score of the last reading and the case that it opens, as `watch` leaves them."""
    with store.write() as connection:
        asset = assets.find_asset(connection, name)
        model = scores.model_id(connection, "pump", MODEL, pump_twin().digest, NOON, 0.9)
        rul = {"rul": 60.0, "rul_low": 40.0, "rul_high": 85.0}
        said = {"faults": {"mode": {"none": 0.1, "thrust_bearing": 0.9}}, "diagnosis": {"mode": "thrust_bearing"}}
        scores.add_scores(
            connection, [Score(asset.id, 1, asset.time, model, NOON, 1.0, 60, **rul, **said, warnings=[])]
        )
        numbers = Numbers(time=asset.time, scored_at=NOON, model=model, probability=0.9, **rul)
        new = NewCase("pump", asset.id, 1, "mode.thrust_bearing", "planned", numbers, {"warnings": []})
        assert cases.insert(connection, new, "watch", NOON)


def ink(page: Page) -> int:
    """How many pixels of the chart of the remaining life are drawn on."""
    script = """canvas => { const all = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let drawn = 0; for (let i = 3; i < all.length; i += 4) drawn += all[i] > 0; return drawn }"""
    return page.locator("[data-rul] canvas").evaluate(script)


def plan_it(page: Page, name: str) -> None:
    """Give the case of the page to somebody, say something, and find it on the board."""
    page.get_by_label("Person").fill("Ines")
    page.get_by_label("Person").press("Enter")
    expect(page.locator(".title")).to_contain_text("Ines")
    page.get_by_label("What is there to say?").fill("crane is booked")
    page.get_by_role("button", name="Comment").click()
    expect(page.locator(".comment").first).to_contain_text("ann: crane is booked")
    page.get_by_role("link", name="Cases", exact=True).first.click()
    ticket = page.get_by_role("region", name="Acknowledged").locator(".ticket").filter(has_text=name)
    expect(ticket).to_contain_text("Ines")
    check_access(page)
    ticket.get_by_role("link", name="Thrust bearing").click()


@pytest.mark.parametrize(
    ("name", "size", "scheme", "touch"),
    [("P-1", DESK, "light", False), ("P-2", PHONE, "dark", True)],
    ids=["desk", "phone"],
)
def test_a_case_is_worked_from_the_fleet_to_the_verdict(plant, browser, name, size, scheme, touch):
    url, key = plant
    outside, errors = [], []
    context = cut_off(browser, outside, viewport=size, color_scheme=scheme, has_touch=touch, locale="en-GB")
    page = context.new_page()
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))

    page.goto(url)
    expect(page).to_have_url(f"{url}/sign-in")
    check_access(page)
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    check_access(page)
    page.get_by_role("link", name=name, exact=True).click()

    expect(page.locator("[data-rul] canvas")).to_be_visible()
    assert len(context.request.get(f"{url}/machines/{name}/series").body()) < MOST_ANSWER
    expect(page.locator("[data-channels] canvas")).to_have_count(len(pump_twin().channels))
    assert ink(page) > 500
    check_access(page)
    ask_what_if(page)

    page.locator(".figure").get_by_role("link", name="Thrust bearing").click()
    expect(page.get_by_text("thrust bearing set")).to_be_visible()
    check_access(page)
    page.get_by_label("Change the oil").check()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("Next: the visit")).to_be_visible()
    plan_it(page, name)
    photograph(page)
    check_access(page)

    page.get_by_label("The part was replaced").check()
    page.get_by_label("Serial number").fill("SN-4711")
    page.get_by_label("Note").fill("axial play 0.3 mm")
    page.get_by_role("button", name="Give the verdict").click()
    expect(page.get_by_text("kept as a label")).to_be_visible()
    check_access(page)

    page.locator(".crumbs").get_by_role("link", name=name).click()
    thread = page.locator(".thread")
    expect(thread).to_contain_text("The part was replaced, Thrust bearing, axial play 0.3 mm · ann")
    expect(thread).to_contain_text("Fitted: thrust bearing set, SN-4711")
    check_access(page)
    for path in OTHERS:
        page.goto(url + path)
        check_access(page)
    context.close()
    assert outside == []
    assert errors == []


def ask_what_if(page: Page) -> None:
    """Ask with a number, then with the slider; each time the answer has its curves."""
    answer = page.locator(".answer")
    said = re.compile(r"It would last [\d,.]+ h .* than as it is run now \(", re.DOTALL)
    field = page.get_by_role("textbox", name="Commanded speed")
    field.fill("3240")
    field.press("Enter")
    expect(answer).to_contain_text(said)
    before = answer.text_content()
    slider = page.get_by_role("slider", name="Commanded speed")
    assert slider.input_value() == "3240"
    slider.press("ArrowLeft")
    slider.press("ArrowLeft")
    expect(answer).not_to_have_text(before)
    expect(answer).to_contain_text(said)
    assert 3000 < float(field.input_value()) < 3240
    expect(page.locator(".survival polyline")).to_have_count(2)
    check_access(page)


def photograph(page: Page) -> None:
    """Add a picture to the case and see it."""
    page.get_by_label("Picture").set_input_files(
        {"name": "seen.png", "mimeType": "image/png", "buffer": page.screenshot()}
    )
    page.get_by_role("button", name="Add the photo").click()
    seen = page.get_by_role("img", name=re.compile("Photo of ann"))
    expect(seen).to_be_visible()
    seen.scroll_into_view_if_needed()  # it is loaded when it comes near the screen
    assert seen.evaluate("image => image.decode().then(() => image.naturalWidth)") > 300


def test_an_open_page_shows_what_others_do(plant, browser):
    url, key = plant
    with closing(browser.new_context(locale="en-GB", viewport=DESK)) as context:
        page = context.new_page()
        page.goto(f"{url}/sign-in")
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
        page.goto(f"{url}/cases/3")
        page.get_by_label("What is there to say?").fill("half a sent")
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        told = httpx.post(
            f"{url}/v1/cases/3/assign", json={"person": "Otto"}, headers={"authorization": f"Bearer {key}"}
        )
        told.raise_for_status()
        expect(page.locator("#state")).to_contain_text("Otto")
        expect(page.get_by_label("What is there to say?")).to_have_value("half a sent")
        told = httpx.put(f"{url}/v1/twins/P-0", json={"twin": "pump"}, headers={"authorization": f"Bearer {key}"})
        told.raise_for_status()
        page.goto(f"{url}/machines/P-0")
        expect(page.get_by_text("no readings in this life yet")).to_be_visible()
        with page.expect_response("**/machines/P-0/series"):
            page.evaluate("document.dispatchEvent(new Event('looked'))")
        page.wait_for_timeout(200)
        expect(page.get_by_text("no readings in this life yet")).to_be_visible(timeout=1000)


def test_a_case_is_printed_on_one_page(plant, browser):
    url, key = plant
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(f"{url}/sign-in")
    page.get_by_label("Key").fill(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    page.goto(f"{url}/cases/1")
    code = page.locator("svg.code")
    expect(code).to_be_hidden()
    printed = page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    page.emulate_media(media="print")
    expect(code).to_be_visible()
    address = f"{url}/machines/{NAMES[0]}"
    assert code.locator("title").text_content() == f"The machine's page: {address}"
    assert code.locator("path").last.get_attribute("d") in segno.make_qr(address, error="m").svg_inline(border=4)


def test_every_control_of_the_fleet_is_reached_by_the_keyboard(plant, browser):
    url, key = plant
    page = browser.new_context(locale="en-GB", viewport=DESK).new_page()
    page.goto(f"{url}/sign-in")
    expect(page.get_by_label("Key")).to_be_focused()
    page.keyboard.type(key)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    wanted = page.evaluate("document.querySelectorAll('a[href], button, input:not([type=hidden]), select').length")
    reached = set()
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("[...document.querySelectorAll('*')].indexOf(document.activeElement)"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", "focus is visible"
    assert len(reached) == wanted
