"""`pellucid --install-completion [SHELL]`: words and options completed by bash, zsh or fish."""

from __future__ import annotations

import argparse
import importlib
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import shtab
import tyro

from pellucid.cli.parse import CONFIG
from pellucid.errors import UsageError

SHELLS = ("bash", "zsh", "fish")
OPTIONS = {  # what a command's options are made of; `data` and `train` are below
    "restore": "Restore",
    "bulk": "Bulk",
    "diagnose": "Diagnose",
    "evaluate": "Evaluate",
    "report": "Report",
    "gate": "Gate",
    "models": "Models",
    "fetch-metrics": "Options",
    "reproduce": "Reproduce",
    "average": "run",
    "convert": "Convert",
    "export": "Export",
    "doctor": "Doctor",
    "serve": "Serve",
}
NUMBERS = ("INT", "FLOAT", "N", "PX", "1..100")  # what stands for them in a help text


def script(shell: str, commands: Mapping[str, Any]) -> str:
    """The completion script of a shell.

    Args:
        shell: one of `SHELLS`.
        commands: the table of commands, see `pellucid.cli`.

    Raises:
        UsageError: another shell.
    """
    if shell not in SHELLS:
        raise UsageError(f"there is no completion for {shell!r}; name one of {', '.join(SHELLS)}")
    parser = argparse.ArgumentParser("pellucid")
    parser.add_argument("-V", "--version", action="store_true", help="print the version")
    parser.add_argument("--install-completion", choices=SHELLS, help="write such a script")
    parsers = parser.add_subparsers()
    for name, command in commands.items():
        module = importlib.import_module(command.home.split(":")[0])
        if name in OPTIONS:
            _add(parsers, name, getattr(module, OPTIONS[name]), command.summary)
        else:
            within = parsers.add_parser(name, help=command.summary)
            if name == "data":
                kinds = within.add_subparsers()
                for kind, function in module.COMMANDS.items():
                    _add(kinds, kind, function, (function.__doc__ or "").splitlines()[0])
            elif name == "train":
                from pellucid.recipes import RECIPES

                within.add_argument("recipe", choices=tuple(RECIPES))
    return shtab.complete(parser, shell)


def _add(parsers: Any, name: str, kind: Callable[..., Any], summary: str) -> None:
    """Add a command whose options are the fields of a dataclass or a function's arguments."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # tyro has no other way to argparse
        options = tyro.extras.get_parser(kind, config=CONFIG)
    for action in options._actions:
        if action.choices:
            action.choices = sorted(map(str, set(action.choices) - {"None"}))
        elif action.nargs != 0 and action.metavar not in NUMBERS:
            action.complete = shtab.FILE  # pyright: ignore[reportAttributeAccessIssue]
        action.help = " ".join((action.help or "").split())
    parsers.add_parser(name, help=summary, parents=[options], add_help=False)


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
            "Add to ~/.zshrc: fpath=(~/.zfunc $fpath); autoload -U compinit; compinit\n"
            "Then open a new shell.",
        ),
        "fish": (config / "fish/completions/pellucid.fish", "Open a new shell."),
    }[shell]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: could not be written ({error.strerror})") from error
    return path, left.format(path)
