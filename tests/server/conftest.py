import threading
import time
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from pellucid.imaging.io import Photo, encode
from pellucid.server.app import Settings, create
from pellucid.server.run import Server, listen
from tiny import save_bundles

CPU = {"device": "cpu", "dtype": "float32"}  # the fixture that hides bfloat16 comes later


def photo(height=40, width=48, **properties):
    generator = np.random.default_rng(0)
    return Photo(generator.random((height, width, 3), dtype=np.float32), **properties)


@pytest.fixture(scope="session")
def bundles(tmp_path_factory):
    return save_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def picture():
    return encode(photo(), "PNG")


class Running:
    """A server on a free port of this machine, in a thread."""

    def __init__(self, settings):
        self.app = create(settings)
        self.service = self.app.state.service
        taken = listen("127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        self.port = taken.getsockname()[1]
        self.server = Server(self.app)
        self.thread = threading.Thread(target=self.server.run, args=([taken],))

    def __enter__(self):
        self.thread.start()
        deadline = time.monotonic() + 60
        while not self.server.started:
            assert time.monotonic() < deadline and self.thread.is_alive(), "did not start"
            time.sleep(0.02)
        return self

    def __exit__(self, *error):
        self.server.should_exit = True
        self.thread.join(60)
        assert not self.thread.is_alive()

    def post(self, what, image, data=None, query=None, **options):
        return httpx.post(
            f"{self.address}/api/{what}",
            files={"image": image},
            data=data,
            params=query,
            timeout=60,
            **options,
        )


@pytest.fixture(scope="session")
def start(bundles):
    @contextmanager
    def start(**settings):
        defaults = {"model": str(bundles / "net.safetensors"), "loading": CPU}
        with Running(Settings(**{**defaults, **settings})) as running:
            yield running

    return start


@pytest.fixture(scope="module")
def server(start):
    with start() as running:
        yield running


@pytest.fixture
def gate(monkeypatch):
    """Jobs wait at their first progress until ``gate.open`` is set."""
    from pellucid.restorer import Restorer

    class Gate:
        def __init__(self):
            self.open, self.reached, self.ended = (threading.Event() for _ in range(3))

    gate, run = Gate(), Restorer.run

    def waiting(self, *args, progress, **options):
        gate.reached.set()
        try:
            while not gate.open.wait(0.02):
                progress(0.0)
            return run(self, *args, progress=progress, **options)
        finally:
            gate.ended.set()

    monkeypatch.setattr(Restorer, "run", waiting)
    yield gate
    gate.open.set()
