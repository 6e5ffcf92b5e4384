"""The brush: what is missing, or the only part to restore, painted on the photograph."""

from __future__ import annotations

import io
from typing import Any

import gradio as gr
from PIL import Image, ImageChops

INK = "#ff2d87"  # seldom in a photograph


def editor() -> gr.ImageEditor:
    """The photograph to paint on; it has a pen, an eraser and undo only."""
    return gr.ImageEditor(
        label="Paint",
        type="pil",
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(colors=[INK], default_color=INK, color_mode="fixed"),
        buttons=["fullscreen"],
    )


def background(path: str) -> dict[str, Any]:
    """A value of the editor: a picture on which nothing is painted."""
    return {"background": path, "layers": [], "composite": None}


def painted(value: dict[str, Any] | None, size: tuple[int, int]) -> bytes | None:
    """A mask of `size` (width, height), white where something is painted, as PNG; or None."""
    layers = (value or {}).get("layers") or []
    marks = [layer.getchannel("A").point(lambda alpha: 255 * (alpha > 0)) for layer in layers]
    mask: Image.Image | None = None
    for mark in marks:
        mask = mark if mask is None else ImageChops.lighter(mask, mark)
    if mask is None or mask.getbbox() is None:
        return None
    file = io.BytesIO()
    mask.resize(size, Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()
