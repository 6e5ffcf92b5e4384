import shutil
import subprocess
from pathlib import Path

import pytest

from pellucid.cli import COMMANDS
from pellucid.cli.completion import OPTIONS, SHELLS, script


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_its_options_are_in_the_script(shell):
    text = script(shell, COMMANDS)
    for word in (*COMMANDS, "--strength", "--steady", "--skip-existing"):
        assert word in text
    assert set(OPTIONS) <= set(COMMANDS)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("pellucid", "res"), "restore"),
        (("pellucid", "restore", "--stea"), "--steady"),
        (("pellucid", "restore", "--preset", "ba"), "balanced"),
    ],
)
def test_bash_completes_with_it(tmp_path, words, wanted):
    file = tmp_path / "script"
    file.write_text(script("bash", COMMANDS))
    array = " ".join(words)
    asked = (
        f"source {file}; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; "
        f"COMP_LINE='{array}'; COMP_POINT=${{#COMP_LINE}}; "
        "_tyro_pellucid pellucid; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert wanted in [line.strip() for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", ".local/share/bash-completion/completions/pellucid"),
        ("zsh", ".zfunc/_pellucid"),
        ("fish", ".config/fish/completions/pellucid.fish"),
    ],
)
def test_it_is_installed_where_the_shell_looks(tmp_path, monkeypatch, run, shell, place):
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    status, out, _ = run("--install-completion")
    assert status == 0 and str(tmp_path / place) in out
    assert (tmp_path / place).read_text() == script(shell, COMMANDS)


def test_an_unknown_shell_is_refused(run):
    status, _, err = run("--install-completion", "tcsh")
    assert status == 2 and "bash, zsh, fish" in err


def test_the_three_commands_are_printed(capsys):
    from pellucid import cli

    assert cli.main(["restore"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("pellucid ") for line in lines[:3]) == 3
    assert not Path("restored").exists()
