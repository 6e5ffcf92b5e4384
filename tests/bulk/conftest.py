import contextlib
import functools
import http.server
import logging
import os
import threading
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

import pellucid
import tiny

from . import pictures


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return tiny.save_bundles(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="session")
def s3_server():
    """The address of an S3 server (moto) on this machine; the environment has what S3 needs."""
    module = pytest.importorskip("moto.server", reason="needs pip install 'pellucid[dev]'")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = module.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    settings = {
        "AWS_ENDPOINT_URL": address,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        yield address
    server.stop()


@pytest.fixture
def s3(s3_server, request):
    """An empty bucket; a `Place`."""
    from pellucid.places import Place

    bucket = request.node.name.replace("_", "-")[:60].strip("-")
    made = urllib.request.Request(f"{s3_server}/{bucket}", method="PUT")
    urllib.request.urlopen(made).close()
    return Place(f"s3://{bucket}")


@pytest.fixture(scope="session")
def ray_cluster(s3_server, tmp_path_factory):
    """Ray with one core, whose workers run `pictures.HOOK`: its address.

    Only what bulk work needs is started.
    """
    pytest.importorskip("ray", reason="needs pip install 'pellucid[bulk]'")
    folder = tmp_path_factory.mktemp("hook")
    (folder / "sitecustomize.py").write_text(pictures.HOOK)
    settings = {
        "PYTHONPATH": f"{Path(pellucid.__file__).parents[1]}{os.pathsep}{folder}",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "fatal",
        "RAY_prestart_worker_first_driver": "0",
        "RAY_worker_niceness": "0",  # 15 by itself: workers starve on a machine that does much else
        "RAY_worker_register_timeout_seconds": "600",
        "RAY_health_check_failure_threshold": "1000",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        cluster = _patiently(_one_node)
        yield cluster.address
        cluster.shutdown()


def _one_node():
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False}
    head = {**node, "include_log_monitor": False, "no_monitor": True}
    return Cluster(initialize_head=True, head_node_args=head)


def _patiently(start, times=10):
    """Start Ray again where it gave up: it waits 30 s for a node, too little on a busy machine."""
    own = psutil.Process()
    before = own.children(recursive=True)
    for left in reversed(range(times)):
        try:
            return start()
        except Exception as error:
            if not left or "timed out" not in str(error):
                raise
            for process in own.children(recursive=True):
                if process not in before:
                    with contextlib.suppress(psutil.NoSuchProcess):
                        process.kill()


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
