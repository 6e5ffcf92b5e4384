"""The command line: a table of commands, each in its own file and loaded only when called."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from pellucid import __version__
from pellucid.allocator import keep_freed_memory
from pellucid.cli.start import collect_rarely
from pellucid.cli.terminal import (
    Terminated,
    obey_signals,
    plain,
    prepare_streams,
    raise_interrupt,
)
from pellucid.errors import PellucidError, UsageError

OK, FAILED, BAD_USAGE, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Command(NamedTuple):
    """`home` is "module:function"; the function takes the arguments and returns the status."""

    home: str
    summary: str


COMMANDS = {
    "restore": Command("pellucid.cli.restore:main", "restore pictures"),
    "bulk": Command("pellucid.cli.bulk:main", "restore very many pictures, on many machines"),
    "diagnose": Command("pellucid.cli.diagnose:main", "find the degradations of pictures"),
    "serve": Command("pellucid.cli.serve:main", "a page for the browser, an HTTP API"),
    "evaluate": Command("pellucid.cli.evaluate:main", "score models by a published protocol"),
    "report": Command("pellucid.cli.report:main", "compare trained runs"),
    "gate": Command("pellucid.cli.gate:main", "test quality prompts"),
    "models": Command("pellucid.cli.models:main", "list the models, their origin and licence"),
    "fetch-metrics": Command("pellucid.cli.fetch_metrics:main", "download LPIPS, FID and NIQE"),
    "train": Command("pellucid.cli.train:main", "train by a recipe"),
    "reproduce": Command("pellucid.cli.reproduce:main", "make a table of a paper"),
    "data": Command("pellucid.cli.data:main", "check, caption or damage pictures"),
    "average": Command("pellucid.cli.average:main", "average the weights of several runs"),
    "convert": Command("pellucid.cli.convert:main", "turn an official checkpoint into safetensors"),
    "export": Command("pellucid.cli.export:main", "write a model as ONNX graphs"),
    "doctor": Command("pellucid.cli.doctor:main", "check this installation"),
}
EXTRAS: dict[str, str] = dict.fromkeys(("accelerate", "pytorch_optimizer", "tensorboard"), "train")
EXTRAS |= {"matplotlib": "eval", "cv2": "eval"}
EXTRAS |= {"ray": "bulk", "pyarrow": "bulk", "aiohttp": "bulk"}
EXTRAS |= {"onnx": "onnx", "onnxscript": "onnx", "openvino": "openvino", "av": "video"}
EXTRAS |= dict.fromkeys(
    ("fastapi", "fastapi_offline", "gradio", "prometheus_client", "pydantic", "uvicorn"), "web"
)
HELP = """\
usage: pellucid COMMAND [ARGUMENTS]

Restore photographs: noise, blur, haze, rain, snow, drops, shadow, darkness, JPEG blocks, holes.

commands:
{commands}

examples:
  pellucid restore photo.jpg -o clean.jpg           one picture
  pellucid restore holiday/ -o restored/            a folder, its tree mirrored
  pellucid restore 'scans/*.tif' --compare          with before/after pictures beside the results
  pellucid diagnose photo.jpg                       find its degradations
  pellucid serve --open                             a page in the browser, an HTTP API
  pellucid evaluate lite --data photographs/        measure its quality
  pellucid restore --help                           everything that can be set
  pellucid --install-completion                     commands and options completed by the shell

exit status: 0 all done, 1 some pictures failed (the others are done), 2 bad usage,
130 interrupted (Ctrl-C), 143 terminated (SIGTERM)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; errors are printed for people."""
    argv = list(sys.argv[1:] if argv is None else argv)
    prepare_streams()
    obey_signals()
    keep_freed_memory()
    collect_rarely()
    try:
        try:
            status = _run(argv)
        except Exception:
            raise_interrupt()
            raise
        if sys.stdout is not None:
            sys.stdout.flush()  # a full disk is to be noticed here
        return status
    except UsageError as error:
        return _fail(error, BAD_USAGE)
    except PellucidError as error:
        return _fail(error, FAILED)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = f"pip install 'pellucid[{EXTRAS[error.name]}]'"
        return _fail(UsageError(f"pellucid {argv[0]} needs {error.name}: {extra}"), BAD_USAGE)
    except KeyboardInterrupt as error:
        print("pellucid: interrupted", file=sys.stderr)
        return TERMINATED if isinstance(error, Terminated) else INTERRUPTED
    except BrokenPipeError:  # e.g. `pellucid models | head`
        _drop_output()
        return FAILED
    except OSError as error:
        if error.filename is not None:  # a name that is too long, a folder without access
            name = error.filename
            name = os.fsdecode(name) if isinstance(name, bytes) else str(name)
            said = f"{name[:200]}: {error.strerror or type(error).__name__}"
            return _fail(PellucidError(said), FAILED)
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF):
            raise
        _drop_output()  # it is what was printed
        return _fail(PellucidError(f"standard output: {error.strerror}"), FAILED)


def _run(argv: Sequence[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(help_text(), end="", file=sys.stdout if argv else sys.stderr)
        return OK if argv else BAD_USAGE
    if argv[0] in ("-V", "--version"):
        print(f"pellucid {__version__}")
        return OK
    if argv[0] == "--install-completion":
        return _install_completion(argv[1:])
    return _load(argv[0])(argv[1:]) or OK


def _install_completion(shells: Sequence[str]) -> int:
    from pellucid.cli.completion import install

    if len(shells) > 1:
        raise UsageError("--install-completion takes one shell: bash, zsh or fish")
    path, left = install(shells[0] if shells else None, COMMANDS)
    print(f"{path}\n{left}")
    return OK


def _drop_output() -> None:
    """Discard unprinted output, so that Python does not fail when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def help_text() -> str:
    """What `pellucid --help` prints."""
    rows = (f"  {name:<14} {command.summary}" for name, command in COMMANDS.items())
    return HELP.format(commands="\n".join(rows))


def _load(name: str):
    if name not in COMMANDS:
        near = [command for command in COMMANDS if name and command.startswith(name)]
        near = near or difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else "see pellucid --help"
        raise UsageError(f"there is no command {name!r}; {hint}")
    module, function = COMMANDS[name].home.split(":")
    return getattr(importlib.import_module(module), function)


def _fail(error: PellucidError, status: int) -> int:
    print(f"pellucid: {plain(str(error))}", file=sys.stderr)
    return status
