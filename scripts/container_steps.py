"""The steps of the Dockerfile without Docker: a fresh environment, another user, nothing writable.

    python scripts/container_steps.py [ENVIRONMENT]

The Dockerfile's own RUN, HEALTHCHECK, ENTRYPOINT and CMD are taken, with the environment's path and
the port in place of the container's, and pip's own index for PyTorch. As root the server runs as
the Dockerfile's user, without capabilities, on a read-only file system; what of this the machine
does not allow is said.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 300
PICTURE = ROOT / "examples" / "noisy.png"


def instructions(text: str) -> list[tuple[str, str]]:
    """``(name, arguments)`` of a Dockerfile, continued lines joined, comments left out."""
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def jailed(command: list[str], user: str, scratch: Path) -> list[str]:
    """The command with the rights that compose.yaml leaves it."""
    if os.geteuid() != 0:
        print("not root: the server runs as you, and the file system stays writable")
        return command
    rights = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    rights += ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
    if subprocess.run(["unshare", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        print("no mounts here: the file system stays writable")
        return rights + command
    mounts = f"mount --bind {scratch} {scratch} && mount -o remount,bind,ro / && exec "
    return ["unshare", "--mount", "sh", "-c", mounts + shlex.join(rights + command)]


def main() -> int:
    steps = instructions((ROOT / "Dockerfile").read_text())
    of = dict(steps)
    with tempfile.TemporaryDirectory(prefix="pellucid-container-") as work, socket.socket() as free:
        Path(work).chmod(0o755)
        environment = sys.argv[1] if len(sys.argv) > 1 else f"{work}/env"
        scratch = Path(work, "tmp")
        scratch.mkdir(mode=0o777)
        scratch.chmod(0o777)
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        free.close()

        def here(text: str) -> str:
            text = re.sub(r"--extra-index-url \S+", "", text)
            return text.replace("/opt/pellucid", environment).replace("7860", port)

        for name, rest in steps:
            if name == "RUN" and "/opt/pellucid" in rest:
                print(f"RUN {here(rest)}", flush=True)
                subprocess.run(["sh", "-ec", here(rest)], cwd=ROOT, check=True)
        command = [*json.loads(of["ENTRYPOINT"]), "--port", port, *json.loads(of["CMD"])]
        command[0] = f"{environment}/bin/{command[0]}"
        variables = {**os.environ, "HOME": str(scratch), "TMPDIR": str(scratch)}
        variables.pop("PYTHONPATH", None)
        run = jailed(command, of["USER"], scratch)
        print(shlex.join(run), flush=True)
        server = subprocess.Popen(run, cwd="/", env=variables)
        try:
            check = json.loads(of["HEALTHCHECK"].split("CMD", 1)[1])
            check = [f"{environment}/bin/{check[0]}", *map(here, check[1:])]
            deadline = time.monotonic() + SECONDS
            quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            while subprocess.run(check, env=variables, **quiet).returncode:
                if server.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit("the server is not healthy")
                time.sleep(1)
            print("healthy", flush=True)
            owner = Path(f"/proc/{server.pid}").stat().st_uid
            wanted = int(of["USER"]) if os.geteuid() == 0 else os.geteuid()
            assert owner == wanted, f"the server runs as {owner}"
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/api/restore?model=lite",
                PICTURE.read_bytes(),
                {"Content-Type": "image/png"},
            )
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:
                report = json.loads(answer.headers["Pellucid-Report"])
                assert answer.read().startswith(b"\x89PNG")
            print(f"restored {PICTURE.name}: {report['words']}", flush=True)
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=SECONDS) as page:
                assert b"Pellucid" in page.read()
        finally:
            server.send_signal(getattr(signal, of["STOPSIGNAL"]))
            status = server.wait(60)
        assert status == 0, f"the server ended with {status}"
        print(f"stopped by {of['STOPSIGNAL']} with status 0")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
