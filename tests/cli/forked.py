"""Commands with a tiny model, for processes of their own."""

import os
import time
from pathlib import Path

import pellucid.loading
import tiny
from pellucid import cli


def run(argv, prepare):
    """Run a command; ``prepare(model)`` comes first. Returns its status."""
    model = tiny.restorer()
    pellucid.loading.load = lambda *_: model
    prepare(model)
    return cli.main(argv)


def meet(model):
    """Two processes wait for each other before they restore."""
    plain = model.run

    def both(photo, **options):
        Path(f"here-{os.getpid()}").touch()
        while len(list(Path(".").glob("here-*"))) < 2:
            time.sleep(0.01)
        return plain(photo, **options)

    model.run = both


def stop_at_the_third_picture(model):
    """Say "now" and wait before the third picture is restored."""
    plain = model.run

    def slowly(photo, **options):
        if photo.path.name == "2.png":
            _now()
        return plain(photo, **options)

    model.run = slowly


def stop_at_the_third_file(model):
    """Say "now" and wait before the third file is on the disk."""
    plain, seen = os.fsync, []

    def slowly(number):
        seen.append(number)
        if len(seen) == 3:
            _now()
        plain(number)

    os.fsync = slowly


def _now():
    print("now", flush=True)
    time.sleep(60)
