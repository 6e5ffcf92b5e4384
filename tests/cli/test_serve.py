"""``pellucid serve`` as a process of its own."""

import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import httpx
import pytest

from pellucid.cli import main
from tiny import save_bundles


@contextmanager
def serving(folder, *options):
    model = str(save_bundles(folder) / "net.safetensors")
    argv = ["-m", "pellucid", "serve", "--port", "0", "--model", model, *options]
    server = subprocess.Popen([sys.executable, *argv], stderr=subprocess.PIPE, text=True)
    watch = threading.Timer(120, server.kill)
    watch.start()
    try:
        line = server.stderr.readline()
        yield server, re.search(r"http://[^ ]+", line)[0]
    finally:
        server.kill()
        server.communicate()
        watch.cancel()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_a_signal_ends_it_well(tmp_path, stop):
    with serving(tmp_path) as (server, address):
        assert httpx.get(f"{address}/healthz").json()["status"] == "ok"
        server.send_signal(stop)
        _, said = server.communicate(timeout=60)
        assert server.returncode == 0
        assert said == ""


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--host", "0.0.0.0"], "--auth USER:PASSWORD, or say --no-auth"),
        (["--auth", "anna"], "needs a user and a password"),
        (["--auth", "a:b", "--no-auth"], "contradict"),
        (["--queue", "-1"], "--queue -1 is below 0"),
        (["--timeout", "nan"], "--timeout nan is not above 0"),
        (["--port", "99999"], "cannot listen on 127.0.0.1, port 99999"),
        (["--host", "no.such.host.invalid", "--no-auth"], "cannot listen on no.such.host.invalid"),
        (["--model", "lyte"], "did you mean lite"),
    ],
)
def test_wrong_options_are_said_before_anything_is_served(capsys, argv, said):
    assert main(["serve", *argv]) == 2
    assert said in capsys.readouterr().err
