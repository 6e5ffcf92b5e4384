import functools
import http.server
import threading
import urllib.request
from types import SimpleNamespace

import pytest

import tiny


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return tiny.save_bundles(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server (moto) on this machine."""
    module = pytest.importorskip("moto.server", reason="needs pip install 'pellucid[dev]'")
    server = module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    yield "http://{}:{}".format(*server.get_host_and_port())
    server.stop()


@pytest.fixture
def s3(s3_server, monkeypatch, request):
    """An empty bucket; a `Place`."""
    settings = {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    from pellucid.bulk.places import Place

    bucket = request.node.name.replace("_", "-")[:60].strip("-")
    made = urllib.request.Request(f"{s3_server}/{bucket}", method="PUT")
    urllib.request.urlopen(made).close()
    return Place(f"s3://{bucket}")


@pytest.fixture
def web(tmp_path):
    """A web server: its folder and address."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(folder=folder, uri=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
