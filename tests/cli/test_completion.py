import shlex
import shutil
import subprocess
from functools import cache

import pytest

from pellucid.cli import COMMANDS
from pellucid.cli.completion import OPTIONS, SHELLS, script


@cache
def made(shell):
    return script(shell, COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_its_options_are_in_the_script(shell):
    text = made(shell)
    for word in (*COMMANDS, "strength", "steady", "skip-existing"):
        assert word in text
    assert set(OPTIONS) | {"data", "train"} == set(COMMANDS)


CASES = [
    ("pellucid res", ["restore"]),
    ("pellucid data che", ["check"]),
    ("pellucid train lite_ow", ["lite_own"]),
    ("pellucid restore --stea", ["--steady"]),
    ("pellucid restore --preset ", ["balanced", "fast", "paper"]),
    ("pellucid restore pho", ["photo.jpg"]),
    ("pellucid restore photo.jpg -o alb", ["album"]),
]


def completions(command, folder):
    """What a shell prints that is asked to complete, in a folder with a picture and a folder."""
    (folder / "photo.jpg").touch()
    (folder / "album").mkdir()
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=folder)
    lines = (line.split("\t")[0].strip().rstrip("/") for line in done.stdout.splitlines())
    return sorted(set(filter(None, lines)))


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(("typed", "wanted"), CASES)
def test_bash_completes_with_it(tmp_path, typed, wanted):
    file = tmp_path / "script"
    file.write_text(made("bash"))
    words = [*typed.split(), *([""] if typed.endswith(" ") else [])]
    asked = (
        f"source {file}; COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; "
        "_shtab_pellucid; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    assert completions(["bash", "-c", asked], tmp_path) == wanted


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
@pytest.mark.parametrize(("typed", "wanted"), CASES)
def test_fish_completes_with_it(tmp_path, typed, wanted):
    file = tmp_path / "script"
    file.write_text(made("fish"))
    asked = f"source {file}; complete -C '{typed}'"
    assert completions(["fish", "--no-config", "-c", asked], tmp_path) == wanted


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_understands_it(tmp_path):
    assert made("zsh").startswith("#compdef pellucid\n")
    (tmp_path / "_pellucid").write_text(made("zsh"))
    subprocess.run(["zsh", "-n", tmp_path / "_pellucid"], check=True)


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
    assert (tmp_path / place).read_text() == made(shell)


def test_an_unknown_shell_is_refused(run):
    status, _, err = run("--install-completion", "tcsh")
    assert status == 2 and "bash, zsh, fish" in err


def test_the_three_commands_are_printed(capsys, monkeypatch, tmp_path):
    from pellucid import cli

    monkeypatch.chdir(tmp_path)
    assert cli.main(["restore"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert sum(line.startswith("pellucid ") for line in lines[:3]) == 3
    assert not any(tmp_path.iterdir())
