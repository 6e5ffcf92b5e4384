import pytest

import tiny
from pellucid import cli


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return tiny.save_bundles(tmp_path_factory.mktemp("weights"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(weights, capsys):
    """Run a command in this process; (status, standard output, standard error)."""

    def call(*argv, model="net"):
        argv = [str(a) for a in argv]
        if argv[0] in ("restore", "diagnose"):
            argv += ["--device", "cpu"]
            argv += ["--dtype", "float32"] if argv[0] == "restore" else []
            argv += [] if "--model" in argv else ["--model", str(weights / f"{model}.safetensors")]
        try:
            status = cli.main(argv)
        except SystemExit as end:
            status = end.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
