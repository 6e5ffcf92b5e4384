"""Many photographs: a gallery, progress with the time left, and one zip with the reports."""

from __future__ import annotations

import asyncio
import html
import json
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, get_args

import gradio as gr

from pellucid.imaging.writer import write_all
from pellucid.server.jobs import Restored, RestoreRequest, Suffix
from pellucid.server.page.ask import SAID, chosen, error, restored
from pellucid.server.page.files import folder, preview
from pellucid.server.page.settings import KEEP, PRIVATE, TYPES, settings
from pellucid.server.problems import Problem

SHOWN, HIDDEN = gr.update(visible=True), gr.update(visible=False)
AGAIN = 1.0  # seconds until a full queue is asked again


@dataclass
class Album:
    """The pictures of one zip: how many there are, and what has become of them."""

    count: int
    folder: Path = field(default_factory=folder)
    began: float = field(default_factory=time.monotonic)
    shown: list[tuple[str, str]] = field(default_factory=list)  # previews with captions
    failed: list[tuple[str, str]] = field(default_factory=list)  # names with reasons
    stopped: bool = False

    async def add(self, service: Any, path: str, options: RestoreRequest) -> None:
        """Restore one more picture; why it failed is kept."""
        try:
            found = await self._restored(service, path, options)
            self.shown.append(await asyncio.to_thread(self._keep, found, options))
        except SAID as problem:
            self.failed.append((PurePath(path).name, str(problem).removeprefix("the image: ")))

    async def _restored(self, service: Any, path: str, options: RestoreRequest) -> Restored:
        while True:
            try:
                return await restored(service, path, options)
            except Problem as problem:
                if problem.status != 429:
                    raise
            await asyncio.sleep(AGAIN)

    def _keep(self, found: Restored, options: RestoreRequest) -> tuple[str, str]:
        """Write a picture with its report; its preview and caption."""
        made = found.made(options.format)
        target, number = self.folder / made.name, 2
        while target.exists():
            name = PurePath(made.name)
            target = self.folder / f"{name.stem} ({number}){name.suffix}"
            number += 1
        report = json.dumps(made.report, indent=2).encode() + b"\n"
        write_all({target: made.data, target.with_name(f"{target.name}.report.json"): report})
        words = ", ".join(made.report["words"]) or "nothing found"
        return preview(found.found.picture), f"{target.name}: {words}"

    def zipped(self) -> str:
        """One file of all results; its path."""
        return shutil.make_archive(str(folder() / "restored"), "zip", self.folder)

    def told(self) -> str:
        """How far it is, the time left and what failed, as HTML."""
        done = len(self.shown) + len(self.failed)
        text = f"{done} of {self.count} done"
        if self.stopped:
            text += ", stopped"
        elif 0 < done < self.count:
            text += f", {_about((time.monotonic() - self.began) / done * (self.count - done))} left"
        bar = (
            f'<progress max="{self.count}" value="{done}" aria-label="Photographs done"></progress>'
        )
        failed = "".join(
            f"<li><b>{html.escape(name)}</b>: {html.escape(reason)}</li>"
            for name, reason in self.failed
        )
        failed = f"<p>{len(self.failed)} failed:</p><ul>{failed}</ul>" if failed else ""
        return f'<p role="status">{text}</p>{bar}{failed}'


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"about {max(1, seconds):.0f} s"


def album(service: Any) -> None:
    """The widgets and their events."""
    state = gr.State(None, time_to_live=KEEP)
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            files = gr.File(
                label="Photographs",
                file_count="multiple",
                file_types=TYPES,
                height=200,
                elem_id="photographs",
            )
            options = settings(service.jobs.models.sources) | {
                "strength": gr.Slider(0, 1, 1, step=0.05, label="Strength"),
                "format": gr.Dropdown(
                    [("as the originals", ""), *get_args(Suffix)], label="Format"
                ),
            }
            button = gr.Button("Restore all", variant="primary")
            cancel = gr.Button("Cancel", variant="stop", visible=False)
        with gr.Column(scale=2, min_width=300):
            progress = gr.HTML("<p>No photographs yet.</p>")
            download = gr.DownloadButton("Download all", variant="primary", visible=False)
            gallery = gr.Gallery(label="Restored", columns=3, buttons=["fullscreen"], visible=False)

    async def restore(paths: list[str] | None, *values: Any):
        if not paths:
            raise gr.Error("Choose photographs first.", title="")
        try:
            wanted = chosen(options, values)
        except SAID as problem:
            raise error(problem) from problem
        made = Album(len(paths))
        yield made, made.told(), gr.Gallery([], visible=True), SHOWN, HIDDEN
        for path in paths:
            await made.add(service, path, wanted)
            yield made, made.told(), made.shown, SHOWN, HIDDEN

    async def finish(made: Album | None):
        if made is None:
            return gr.skip()
        made.stopped = len(made.shown) + len(made.failed) < made.count
        path = await asyncio.to_thread(made.zipped) if made.shown else None
        return made.told(), HIDDEN, gr.DownloadButton(value=path, visible=path is not None)

    done = button.click(
        restore,
        [files, *options.values()],
        [state, progress, gallery, cancel, download],
        show_progress="hidden",
        **PRIVATE,
    )
    ended = finish, state, [progress, cancel, download]
    done.success(*ended, **PRIVATE)
    cancel.click(*ended, cancels=[done], **PRIVATE)
