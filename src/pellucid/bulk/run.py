"""A run: what is to be done, by Ray Data, and what came of it."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from pellucid.bulk import reports
from pellucid.bulk.ledger import Ledger
from pellucid.bulk.parts import Source, count_of, parts_of
from pellucid.bulk.worker import Machine, Settings, Worker
from pellucid.errors import PellucidError, UsageError
from pellucid.places import Place

RUN = f"{reports.FOLDER}/_run.json"
STORE = 200 << 20  # bytes of Ray's object store: it holds names and counts, never pixels
BLOCKS = 10_000  # the most tasks that Ray Data is given
EVERY = 10.0  # seconds between two calls of progress
CORES = 4  # a worker's, where there is no GPU


@dataclass
class Summary:
    """What was done, in pictures; `held` were done by an earlier run. `memory`: a worker's, MB.

    `restored`, `failed` and `held` are of finished parts; `pictures` also counts those of parts in
    work.
    """

    restored: int = 0
    failed: int = 0
    held: int = 0
    parts: int = 0
    pictures: int = 0
    seconds: float = 0.0
    memory: float = 0.0


@dataclass(frozen=True)
class Total:
    """What there is to do. `pictures` is None where they are in shards."""

    parts: int
    pictures: int | None


@dataclass(frozen=True)
class Cluster:
    """Where it runs. `address`: of a Ray cluster; None starts Ray on this machine for the run."""

    address: str | None = None
    workers: int | None = None
    cpus: int | None = None
    """Of this machine, to be used; None = all."""


def bulk(
    source: Source,
    target: Place,
    settings: Settings,
    machine: Machine,
    cluster: Cluster = Cluster(),
    retry: bool = False,
    progress: Callable[[Summary, Total], None] = lambda done, total: None,
) -> Summary:
    """Restore a source into a target; go on with what an earlier run has left.

    Args:
        source: see `parts.source_of`.
        target: a folder; results have the names that they have in the source, reports are in
            `_reports`.
        settings: what decides the results.
        machine: what computes; `threads` is chosen here.
        cluster: where it runs.
        retry: try pictures again that failed in an earlier run.
        progress: called every `EVERY` seconds, in a thread of its own.

    Raises:
        UsageError: the target holds something else, or a run of another source or other settings.
        PellucidError: results cannot be written, or Ray failed.
    """
    if target.web:
        raise UsageError(f"{target.uri}: results cannot be written over HTTP")
    if source.place.fs == target.fs and f"{target.root}/".startswith(f"{source.place.root}/"):
        raise UsageError(f"{target.uri}: lies in the source; choose another target (-o)")
    count = begin(source, target, settings)
    rows = [part.packed() for part in parts_of(source, count, settings.format)]
    total = Total(len(rows), len(source.names) if source.kind == "pictures" else None)
    began, done = time.monotonic(), Summary()
    with started(cluster):
        import ray

        ledger = ray.remote(num_cpus=0)(Ledger).remote()

        def tell() -> None:
            done.pictures = ray.get(ledger.counted.remote(), timeout=EVERY)
            done.seconds = time.monotonic() - began
            progress(done, total)

        with _every(EVERY, tell):
            for answer in _answers(rows, source, target, settings, machine, cluster, retry, ledger):
                if answer["fatal"]:
                    raise (UsageError if answer["usage"] else PellucidError)(answer["fatal"])
                for name in ("restored", "failed", "held"):
                    setattr(done, name, getattr(done, name) + answer[name])
                done.parts += 1
                done.memory = max(done.memory, answer["memory"])
    done.pictures = done.restored + done.failed
    done.seconds = time.monotonic() - began
    return done


@contextmanager
def _every(seconds: float, step: Callable[[], None]) -> Iterator[None]:
    """Run a step now and then beside the block, which its errors do not concern."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            with suppress(Exception):
                step()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def begin(source: Source, target: Place, settings: Settings) -> int:
    """Write down what a run is, or compare it with what is written; returns its number of parts.

    Raises:
        UsageError: the target holds something else, or a run of another source or other settings.
    """
    now = {"source": source.place.uri, "kind": source.kind, **asdict(settings)}
    now = json.loads(json.dumps(now))
    if not target.exists(RUN):
        if target.holds_anything():
            raise UsageError(
                f"{target.uri}: is not empty and holds no bulk run; choose another target (-o)"
            )
        count = count_of(source)
        target.write(RUN, json.dumps({**now, "parts": count}, indent=2).encode())
        return count
    before = json.loads(target.read(RUN))
    for name, value in now.items():
        if before.get(name) != value:
            raise UsageError(
                f"{target.uri}: holds a run whose {name} is {before.get(name)!r}, not {value!r}; "
                "give the same to go on with it, or choose another target (-o)"
            )
    return before["parts"]


@contextmanager
def started(cluster: Cluster) -> Iterator[None]:
    """Ray, quiet, without its dashboard and its report of usage; ended with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    options: dict[str, Any] = {"address": cluster.address}
    if cluster.address is None:
        options = {"address": "local", "num_cpus": cluster.cpus, "object_store_memory": STORE}
        options["include_dashboard"] = False
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray raises that itself where a machine is too busy
        if "AuthenticationError" in f"{error.__cause__}":  # it is there as a text alone
            raise PellucidError(
                f"the cluster at {cluster.address} wants its token: copy ~/.ray/auth_token from "
                "its head to this machine, and set RAY_AUTH_MODE=token"
            ) from error
        raise PellucidError(f"Ray did not start: {error}") from error
    for number, handler in handlers.items():
        with suppress(ValueError, TypeError):  # not the main thread, or none of Python's
            signal.signal(number, handler)
    try:
        yield
    finally:
        ray.shutdown()


def _answers(
    rows: list[dict],
    source: Source,
    target: Place,
    settings: Settings,
    machine: Machine,
    cluster: Cluster,
    retry: bool,
    ledger: Any,
) -> Iterator[dict[str, Any]]:
    """Give the parts to actors; yields what `Worker` answers."""
    import ray
    import ray.data
    from ray.exceptions import RayError

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    held = ray.cluster_resources()
    cpus, gpus = int(held.get("CPU", 1)), int(held.get("GPU", 0))
    gpus = 0 if machine.device == "cpu" else gpus
    workers = cluster.workers or gpus or max(1, cpus // CORES)
    workers = max(1, min(workers, cpus, len(rows)))
    threads = max(1, cpus // workers)
    worker: Any = Worker  # Ray's annotation of `map` does not know classes with arguments
    data = ray.data.from_items(rows, override_num_blocks=min(len(rows), BLOCKS)).map(
        worker,
        fn_constructor_kwargs={
            "source": source.place,
            "target": target,
            "kind": source.kind,
            "settings": settings,
            "machine": replace(machine, threads=threads),
            "retry": retry,
            "ledger": ledger,
        },
        compute=ray.data.ActorPoolStrategy(size=workers),
        num_cpus=threads,
        num_gpus=min(1, gpus / workers) if gpus else None,
    )
    try:
        yield from data.iter_rows()
    except RayError as error:
        raise PellucidError(f"Ray failed: {str(error).strip().splitlines()[-1]}") from error
