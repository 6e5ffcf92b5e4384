"""Screenshots of the page, as README.md and docs/web.md show them.

    python scripts/screenshots.py [FOLDER]

Starts `pellucid serve` on a free port and drives Debian's Chromium (apt-get install chromium).
"""

from __future__ import annotations

import shutil
import sys
import threading
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from pellucid.server.app import Settings, create
from pellucid.server.run import Server, listen

ROOT = Path(__file__).parents[1]
MANY = ("hazy.png", "noisy.png", "rainy.png", "low-light.png", "snowy.png")
DESKTOP, PHONE = {"width": 1200, "height": 800}, {"width": 390, "height": 844}
MOST = 100_000  # ms


def opened(browser: Browser, address: str, size: dict, scheme: str = "light") -> Page:
    page = browser.new_page(viewport=size, color_scheme=scheme)
    page.set_default_timeout(MOST)
    page.goto(address)
    return page


def restored(page: Page, name: str) -> None:
    page.locator("#photograph input[type=file]").set_input_files(ROOT / "examples" / name)
    button = page.get_by_role("button", name="Download", exact=True)
    button.wait_for()
    while not button.is_enabled():
        time.sleep(0.5)
    while page.get_by_test_id("imageslider-image").count() < 2:
        time.sleep(0.5)
    page.wait_for_timeout(1000)


def shoot(page: Page, folder: Path, name: str) -> None:
    page.mouse.move(0, 0)
    page.screenshot(path=folder / f"{name}.jpg", full_page=True, quality=85, type="jpeg")
    print(folder / f"{name}.jpg", flush=True)
    page.close()


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "page"
    folder.mkdir(parents=True, exist_ok=True)
    taken = listen("127.0.0.1", 0)
    address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    server = Server(create(Settings()))
    thread = threading.Thread(target=server.run, args=([taken],))
    thread.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            page = opened(browser, address, DESKTOP)
            restored(page, "hazy.png")
            shoot(page, folder, "desktop")
            page = opened(browser, address, PHONE, "dark")
            restored(page, "low-light.png")
            shoot(page, folder, "phone_dark")
            page = opened(browser, address, DESKTOP)
            page.get_by_role("tab", name="Many").click()
            files = [ROOT / "examples" / name for name in MANY]
            page.locator("#photographs input[type=file]").set_input_files(files)
            page.get_by_role("button", name="Remove this file").nth(len(MANY) - 1).wait_for()
            page.get_by_role("button", name="Restore all").click()
            page.get_by_text(f"{len(MANY)} of {len(MANY)} done").wait_for()
            page.get_by_role("button", name="Download all").wait_for()
            page.wait_for_timeout(2000)
            shoot(page, folder, "many")
            page = opened(browser, address, DESKTOP)
            page.get_by_role("button", name="Settings").click()
            page.get_by_label("Model", exact=True).fill("lite-weather")
            page.get_by_label("Model", exact=True).press("Enter")
            restored(page, "snowy.png")
            page.get_by_role("button", name="Settings").click()
            page.get_by_role("button", name="By hand").click()
            page.wait_for_timeout(4000)
            shoot(page, folder, "by_hand")
            browser.close()
    finally:
        server.should_exit = True
        thread.join()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
