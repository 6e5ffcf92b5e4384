"""The widgets of the options that one photograph and many have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr
from gradio.components import Component

from pellucid.degradations import WORDS
from pellucid.diffusion.presets import PRESETS
from pellucid.imaging.formats import BY_NAME

KEEP = 3600  # seconds that files and results of a session are kept
PRIVATE: dict[str, Any] = {"api_visibility": "private"}  # scripts have the HTTP API
TYPES = ["image", *(suffix for kind in BY_NAME.values() for suffix in kind.suffixes)]


def settings(models: Iterable[str]) -> dict[str, Component]:
    """Widgets by the names of `RestoreRequest`; the first model is the server's own."""
    models = list(models)
    with gr.Accordion("Settings", open=False):
        return {
            "ask": gr.Textbox(
                label="What to do, in English",
                placeholder="take the rain away but keep it dark",
            ),
            "model": gr.Dropdown(
                models,
                value=models[0],
                label="Model",
                info="auto: for each picture the one that covers what is wrong with it.",
            ),
            "words": gr.CheckboxGroup(
                list(WORDS),
                label="What is wrong, if you know it better",
                info="Nothing chosen: what the model finds.",
            ),
            "preset": gr.Dropdown(
                [("balanced", ""), *(name for name in PRESETS if name != "balanced")],
                label="Preset of diffusion models",
            ),
            "seed": gr.Number(0, precision=0, minimum=0, label="Seed of diffusion models"),
            "no_guard": gr.Checkbox(
                label="Without guard",
                info="Keep what the network makes even where nothing measured explains it.",
            ),
        }
