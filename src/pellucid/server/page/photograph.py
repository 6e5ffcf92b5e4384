"""One photograph: restored, compared, blended, painted on, downloaded."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import gradio as gr

from pellucid.imaging.heat import heat
from pellucid.server.jobs import Restored, Suffix
from pellucid.server.page.ask import SAID, chosen, error, restored
from pellucid.server.page.brush import background, editor, painted
from pellucid.server.page.files import preview, saved
from pellucid.server.page.settings import KEEP, PRIVATE, TYPES, settings
from pellucid.server.page.words import found_in

WAITING: Any = gr.update(interactive=False)  # of the download, until its file is written
MOVE = "position => ({__type__: 'update', slider_position: position})"  # in the browser


def photograph(service: Any) -> None:
    """The widgets and their events."""
    state = gr.State(None, time_to_live=KEEP)
    with gr.Row():
        with gr.Column(scale=1, min_width=300):
            file = gr.File(label="Photograph", file_types=TYPES, height=140, elem_id="photograph")
            options = settings(service.jobs.models.sources)
            with gr.Accordion("By hand", open=False) as hand:
                use = gr.Radio(
                    [("fill what I paint", "missing"), ("restore only what I paint", "mask")],
                    value="missing",
                    label="Brush",
                )
                canvas = editor()
                options["region"] = gr.Textbox(
                    label="Or restore only a rectangle",
                    info="X,Y,W,H in pixels of the photograph.",
                    placeholder="40,60,300,200",
                )
            button = gr.Button("Restore", variant="primary")
            bars = gr.Label(
                label="What is wrong with it", num_top_classes=4, show_heading=False, visible=False
            )
        with gr.Column(scale=2, min_width=300):
            status = gr.Markdown("No photograph yet.", elem_id="status")
            with gr.Column(visible=False) as result:
                slider = gr.ImageSlider(label="Before and after", buttons=["fullscreen"])
                strength = gr.Slider(
                    0, 1, 1, step=0.05, label="Strength", info="1: as restored; 0: as given."
                )
                divider = gr.Slider(
                    0, 100, 50, step=5, label="Dividing line", info="The same without a mouse."
                )
                format = gr.Dropdown([("as the original", ""), *get_args(Suffix)], label="Format")
                download = gr.DownloadButton("Download", variant="primary", interactive=False)
                damage = gr.Image(
                    label="Where it was damaged", buttons=["fullscreen"], visible=False
                )

    async def restore(
        path: str | None,
        last: Restored | None,
        use: str,
        marks: dict[str, Any] | None,
        *values: Any,
        progress=gr.Progress(),  # noqa: B008
    ):
        if path is None:
            raise gr.Error("Choose a photograph first.", title="")
        mask = last and painted(marks, (last.given.width, last.given.height))
        masks = {use: mask} if mask else {}
        try:
            found = await restored(service, path, chosen(options, values), masks, progress)
        except SAID as problem:
            raise error(problem) from problem
        shares, where = found.found.guidance.probabilities, found.found.damage
        shown = None if where is None else preview(heat(found.given, where))
        return {
            state: found,
            status: found_in(found),
            bars: gr.Label(shares or None, visible=bool(shares)),
            strength: 1,
            download: WAITING,
            damage: gr.Image(shown, visible=shown is not None),
            result: gr.Column(visible=True),
        }

    async def blend(found: Restored | None, strength: float):
        def both() -> Any:
            return found and (preview(found.given), preview(found.at(strength)))

        return await asyncio.to_thread(both)

    async def save(found: Restored | None, strength: float, suffix: str):
        yield WAITING
        try:
            path = found and await asyncio.to_thread(saved, found, suffix or None, strength)
        except SAID as problem:
            raise error(problem) from problem
        yield gr.DownloadButton(value=path, interactive=path is not None)

    def open_canvas(found: Restored | None, marks: dict[str, Any] | None):
        if found is None or (marks and marks["background"] is not None):
            return gr.skip()
        return background(preview(found.given))

    def begin():
        return None, None, gr.Accordion(open=False), gr.Column(visible=False)

    shown = blend, [state, strength], slider
    written = save, [state, strength, format], download
    new = file.upload(begin, None, [state, canvas, hand, result], **PRIVATE)
    for event in (new.success, button.click):
        done = event(
            restore,
            [file, state, use, canvas, *options.values()],
            [state, status, bars, strength, download, damage, result],
            show_progress_on=status,
            **PRIVATE,
        )
        done.success(*shown, **PRIVATE).success(*written, **PRIVATE)
    for handler in (shown, written):
        strength.input(*handler, trigger_mode="always_last", **PRIVATE)
    format.change(*written, **PRIVATE)
    divider.input(None, divider, slider, js=MOVE, **PRIVATE)
    hand.expand(open_canvas, [state, canvas], canvas, **PRIVATE)
