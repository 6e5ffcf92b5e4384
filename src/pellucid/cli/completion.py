"""`pellucid --install-completion [SHELL]`: words and options completed by bash, zsh or fish."""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any

import tyro

from pellucid.cli.parse import CONFIG
from pellucid.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
OPTIONS = {  # what a command's options are made of; the others are completed by name
    "restore": "Restore",
    "bulk": "Bulk",
    "diagnose": "Diagnose",
    "evaluate": "Evaluate",
    "gate": "Gate",
    "models": "Models",
    "fetch-metrics": "Options",
    "average": "run",
    "convert": "Convert",
    "export": "Export",
    "doctor": "Doctor",
    "serve": "Serve",
}


def script(shell: str, commands: dict[str, Any]) -> str:
    """The completion script of a shell.

    Args:
        shell: one of `SHELLS`.
        commands: the table of commands, see `pellucid.cli`.

    Raises:
        UsageError: another shell.
    """
    if shell not in SHELLS:
        raise UsageError(f"there is no completion for {shell!r}; name one of {', '.join(SHELLS)}")
    kinds = {name: _options(name, command) for name, command in commands.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "script")
        try:
            tyro.extras.subcommand_cli_from_dict(
                kinds,
                prog="pellucid",
                args=["--tyro-write-completion", shell, str(file)],
                config=CONFIG,
            )
        except SystemExit as end:
            if end.code:
                raise
        return file.read_text(encoding="utf-8")


def _options(name: str, command: Any) -> Any:
    if name in OPTIONS:
        module = importlib.import_module(command.home.split(":")[0])
        return getattr(module, OPTIONS[name])

    def by_name() -> None: ...

    by_name.__doc__ = command.summary
    return by_name


def install(shell: str | None, commands: dict[str, Any]) -> tuple[Path, str]:
    """Write the script where the shell looks for it; returns its path and what is left to do.

    Args:
        shell: one of `SHELLS`; None: that of the environment variable SHELL.
        commands: the table of commands.

    Raises:
        UsageError: the shell is unknown, or the file cannot be written.
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    text = script(shell, commands)
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local/share")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    path, left = {
        "bash": (
            data / "bash-completion/completions/pellucid",
            "Open a new shell. Without the package bash-completion, add to ~/.bashrc: source {}",
        ),
        "zsh": (
            home / ".zfunc/_pellucid",
            "Add to ~/.zshrc, before compinit: fpath=(~/.zfunc $fpath)  Then open a new shell.",
        ),
        "fish": (config / "fish/completions/pellucid.fish", "Open a new shell."),
    }[shell]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: could not be written ({error.strerror})") from error
    return path, left.format(path)
