"""``pellucid serve`` as a process of its own."""

import os
import re
import signal

import httpx
import pytest

from pellucid.cli import main
from processes import Process
from tiny import save_bundles


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_a_signal_ends_it_well(tmp_path, stop):
    model = str(save_bundles(tmp_path) / "net.safetensors")
    server = Process(main, ["serve", "--port", "0", "--model", model], folder=tmp_path)
    server.until(lambda: "\n" in server.err)
    said = server.err
    address = re.search(r"http://[^ ]+", said)[0]
    assert httpx.get(f"{address}/healthz").json()["status"] == "ok"
    os.kill(server.pid, stop)
    assert server.wait() == 0
    assert server.err == said


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
