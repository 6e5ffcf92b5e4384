"""The page in a real browser: Debian's Chromium, driven by Playwright."""

import io
import json
import os
import shutil
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from pellucid.imaging.io import encode, read
from pellucid.restorer import Restorer

from .conftest import photo
from .test_api import EXIF

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium here: apt-get install chromium", allow_module_level=True)
sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
MOST = 300  # seconds, for machines under load


@pytest.fixture(scope="module")
def browser():
    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's own rule
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=root)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def asked():
    """Addresses that the browser asked for."""
    return []


@pytest.fixture(scope="module")
def page(browser, server, asked):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(MOST * 1000)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address)
    yield page
    page.close()


@pytest.fixture
def runs(monkeypatch):
    """Calls of ``Restorer.run``."""
    calls, run = [], Restorer.run

    def counted(self, *args, **options):
        calls.append(options)
        return run(self, *args, **options)

    monkeypatch.setattr(Restorer, "run", counted)
    return calls


def download(page, name="Download"):
    with page.expect_download() as coming:
        page.get_by_role("button", name=name, exact=True).click()
    return coming.value.suggested_filename, Path(coming.value.path()).read_bytes()


def changed(page, last):
    """A download that differs from the last one, or None."""
    got = download(page)
    return got if got[1] != last else None


def until(good):
    """Wait until something holds; what made it hold."""
    deadline = time.monotonic() + MOST
    while not (made := good()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return made


def test_a_photograph_is_restored_and_its_strength_costs_no_network_call(
    page, server, bundles, runs, tmp_path
):
    given = tmp_path / "Großmutter (1911).png"
    given.write_bytes(encode(photo(bit_depth=16, exif=EXIF), "PNG"))
    choose(page, given)
    page.get_by_text("Before and after").wait_for()
    assert len(runs) == 1
    _, full = download(page)
    plain = server.post("restore", (given.name, given.read_bytes())).content
    assert full == plain
    page.get_by_role("slider", name="Strength").press("Home")
    name, written = until(lambda: changed(page, full))
    none = read(written)
    assert name == given.name
    assert none.bit_depth == 16 and none.exif == EXIF
    assert np.array_equal(none.samples(16), read(given).samples(16))
    assert len(runs) == 2  # the page's, and that of the request above


def handle(page):
    box = page.get_by_test_id("slider").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_the_line_between_before_and_after_moves_by_mouse_and_keyboard(page):
    x, y = handle(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 100, y, steps=3)
    page.mouse.up()
    assert abs(handle(page)[0] - (x - 100)) < 20
    page.get_by_role("slider", name="Dividing line").press("Home")
    until(lambda: handle(page)[0] < x - 150)


def test_what_is_painted_is_filled_or_restored_alone(page, runs):
    page.get_by_role("button", name="By hand").click()
    canvas = page.locator(".image-container canvas").first
    canvas.wait_for()
    undo, redo = (page.get_by_label(name, exact=True).first for name in ("Undo", "Redo"))
    for label, name in (("fill what I paint", "missing"), ("restore only what I paint", "mask")):
        page.get_by_label(label).check()
        until(lambda: canvas.bounding_box()["height"] > 100)
        box = canvas.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 10, y + 10, steps=4)
        page.mouse.up()
        page.get_by_role("button", name="Restore", exact=True).click()
        until(lambda: runs)
        marked = read(runs.pop()[name])
        assert marked.pixels.shape == (40, 48, 3) and 0 < marked.pixels.mean() < 1
        undo.click()
        until(redo.is_enabled)
    page.get_by_role("button", name="Restore", exact=True).click()
    until(lambda: runs)
    assert not {"missing", "mask"} & set(runs.pop())


def test_an_instruction_is_followed_and_what_was_understood_is_said(page, runs):
    page.get_by_role("button", name="Settings").click()
    field = page.get_by_label("What to do, in English")
    field.fill("take the rain away but keep it dark")
    said = page.get_by_text("remove rainy; keep low-light")

    def understood():  # gradio ignores a click while the last restoration still goes on
        page.get_by_role("button", name="Restore", exact=True).click()
        time.sleep(2)
        return said.count()

    until(understood)
    assert runs[-1]["ask"] == "take the rain away but keep it dark"
    field.fill("")
    page.get_by_role("button", name="Settings").click()


def test_a_broken_photograph_is_said_in_the_words_of_the_command_line(page, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.get_by_label("Clear").first.click()
    choose(page, broken)
    page.get_by_text("not a picture").wait_for()


def choose(page, *files):
    """Give a file to the upload of the first page, several to that of the second."""
    place = "#photograph" if len(files) == 1 else "#photographs"
    page.locator(f"{place} input[type=file]").set_input_files(list(files))


def many(page, server, folder, picture):
    """The page of many photographs, with three of them and a broken one."""
    files = [folder / name for name in ("a.png", "broken.png", "b & c.png", "d.png")]
    for file in files:
        file.write_bytes(picture if file.name != "broken.png" else b"no picture")
    page.goto(server.address)
    page.get_by_role("tab", name="Many").click()
    choose(page, *files)
    # All are uploaded; before that, gradio shows each name for a moment only.
    page.get_by_role("button", name="Remove this file").nth(3).wait_for()
    page.get_by_role("button", name="Restore all").click()


def names(data):
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: file.read(name) for name in file.namelist()}


def test_many_come_back_in_one_zip_with_reports_and_broken_ones_are_listed(
    page, server, picture, tmp_path
):
    many(page, server, tmp_path, picture)
    page.get_by_text("4 of 4 done").wait_for()
    page.get_by_text("1 failed").wait_for()
    assert "not a picture" in page.get_by_role("listitem").first.inner_text()
    name, data = download(page, "Download all")
    assert name == "restored.zip"
    files = names(data)
    made = ("a.png", "b & c.png", "d.png")
    assert set(files) == {*made, *(f"{name}.report.json" for name in made)}
    plain = server.post("restore", ("a.png", picture))
    assert files["a.png"] == plain.content
    wanted = json.loads(plain.headers["pellucid-report"])
    assert json.loads(files["d.png.report.json"]) | {"seconds": 0} == wanted | {"seconds": 0}


def test_cancel_stops_the_work_and_keeps_what_is_done(page, server, picture, tmp_path, gate):
    many(page, server, tmp_path, picture)
    until(gate.reached.is_set)
    page.get_by_role("button", name="Cancel").click()
    until(gate.ended.is_set)
    page.get_by_text("0 of 4 done, stopped").wait_for()
    until(lambda: server.service.worker.taken == 0)


def test_axe_finds_no_fault(browser, server, picture, tmp_path):
    """On a phone, with a result and all settings open, in light and in dark colours."""
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_default_timeout(MOST * 1000)
    page.goto(server.address)
    given = tmp_path / "a.png"
    given.write_bytes(picture)
    choose(page, given)
    page.get_by_role("button", name="Download", exact=True).wait_for()
    page.get_by_role("button", name="Settings").click()
    page.get_by_role("button", name="By hand").click()
    page.get_by_label("Or restore only a rectangle").wait_for()
    until(lambda: page.get_by_role("button", name="Download", exact=True).is_enabled())
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.add_style_tag(content="* { transition: none !important }")  # colours half way are no fault
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        dark = "document.body.classList.contains('dark')"
        until(lambda dark=dark, scheme=scheme: page.evaluate(dark) == (scheme == "dark"))
        found = axe.Axe().run(page)
        assert not found.response["violations"], found.generate_report()
    page.close()


def test_the_browser_reaches_this_machine_only(server, page, asked):
    own = (f"{server.address}/", f"{server.address.replace('http', 'ws')}/", "data:", "blob:")
    assert asked and not [url for url in asked if not url.startswith(own)]
