"""`pellucid serve`: a page for the browser and an HTTP API on this machine."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from pellucid.cli.parse import Flag, QuietFlag, parse
from pellucid.errors import UsageError

EXAMPLES = """
examples:
  pellucid serve --open                              on this machine, shown in the browser
  pellucid serve --port 8000 --model lite            another port and model
  pellucid serve --host 0.0.0.0 --auth anna:secret   for other machines, with a password
  curl -F image=@photo.jpg localhost:7860/api/restore -o clean.jpg
  curl -F image=@photo.jpg localhost:7860/api/diagnose
The API is described at /docs. Nothing is fetched from the internet, and nothing is sent there.
"""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass
class Serve:
    """Serve a page for the browser and an HTTP API: drop or post photographs, get them restored."""

    host: str = "127.0.0.1"
    """Address to listen on. Any but this machine's own needs --auth or --no-auth."""
    port: int = 7860
    """Port to listen on; 0 takes a free one."""
    model: Annotated[str, arg(aliases=["-m"], metavar="NAME|FILE")] = "auto"
    """A name from `pellucid models`, or a file of weights."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps ..."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Precision of the computation; auto is bfloat16 where that is faster."""
    engine: Literal["torch", "compile", "onnxruntime", "openvino", "auto"] = "torch"
    """What computes the network."""
    max_pixels: int = 100_000_000
    """Refuse larger pictures, and uploads longer than such a picture can be."""
    queue: int = 16
    """How many pictures may wait; further ones are answered with 429."""
    timeout: float = 600.0
    """Seconds that an answer may take, waiting included."""
    auth: Annotated[
        str | None, arg(metavar="USER:PASSWORD", help_behavior_hint="(default: open to all)")
    ] = None
    """What clients must give (HTTP basic authentication)."""
    no_auth: Flag = False
    """Let everybody who reaches another --host use the server."""
    open: Flag = False
    """Show the page in the browser."""
    quiet: QuietFlag = False
    """Print errors only."""


def main(argv: Sequence[str]) -> int:
    """Run the command until it is interrupted; returns 0."""
    args = parse(Serve, argv, "serve", EXAMPLES)
    _check(args)

    from pellucid.server.app import Settings, create
    from pellucid.server.run import listen, run

    is_local = args.host in LOOPBACK
    settings = Settings(
        model=args.model,
        max_pixels=args.max_pixels,
        queue=args.queue,
        seconds=args.timeout,
        user=args.auth or "",
        hosts=LOOPBACK if is_local else (),
        loading={"device": args.device, "dtype": args.dtype, "engine": args.engine},
    )
    taken = listen(args.host, args.port)
    host = f"[{args.host}]" if ":" in args.host else args.host
    address = f"http://{host}:{taken.getsockname()[1]}"

    def started() -> None:
        if not args.quiet:
            print(f"Pellucid is at {address} (Ctrl-C stops it)", file=sys.stderr)
        if args.open:
            webbrowser.open(address)

    run(create(settings), taken, started)
    return 0


def _check(args: Serve) -> None:
    for name, least in (("max_pixels", 1), ("queue", 0), ("port", 0)):
        if getattr(args, name) < least:
            raise UsageError(f"--{name.replace('_', '-')} {getattr(args, name)} is below {least}")
    if not args.timeout > 0:
        raise UsageError(f"--timeout {args.timeout:g} is not above 0")
    if args.auth is not None and not all(args.auth.partition(":")[::2]):
        raise UsageError("--auth needs a user and a password: --auth USER:PASSWORD")
    if args.auth and args.no_auth:
        raise UsageError("--auth and --no-auth contradict each other")
    if args.host not in LOOPBACK and not (args.auth or args.no_auth):
        raise UsageError(
            f"--host {args.host} lets other machines in: set a password with "
            "--auth USER:PASSWORD, or say --no-auth"
        )
