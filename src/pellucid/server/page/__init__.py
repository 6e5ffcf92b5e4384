"""The page for the browser: gradio's widgets over the server's own jobs."""

from __future__ import annotations

import os
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # is read when gradio is imported

import gradio as gr
from fastapi import FastAPI
from gradio import themes

from pellucid.server.page.album import album
from pellucid.server.page.files import keep_files
from pellucid.server.page.photograph import photograph
from pellucid.server.page.settings import KEEP

SESSIONS = 16  # whose last picture is kept in memory, to blend it
# System fonts; ratios of contrast above 4.5 in light and dark, as WCAG 2 AA asks.
THEME = themes.Default(
    primary_hue="teal",
    neutral_hue="slate",
    font=("system-ui", "sans-serif"),
    font_mono=("ui-monospace", "monospace"),
).set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
    button_primary_text_color="white",
    body_text_color_subdued="*neutral_600",
    block_info_text_color="*neutral_600",
    block_label_text_color="*neutral_700",
    slider_color="*primary_700",
    color_accent="*primary_700",
)
CSS = """
.dark { --color-accent: var(--primary-400); } /* a theme has one accent for both */
progress { width: 100%; height: 0.75rem; appearance: none; }
progress::-webkit-progress-bar { background: var(--neutral-300); border-radius: 0.375rem; }
progress::-webkit-progress-value { background: var(--primary-700); border-radius: 0.375rem; }
progress::-moz-progress-bar { background: var(--primary-700); }
#status .pending { opacity: 0; } /* the last result, under the progress of the next */
.grid-wrap.fixed-height { max-height: none; } /* the page scrolls, not the gallery in it */
"""


def build(service: Any) -> gr.Blocks:
    """The widgets over a `server.app.Service`."""
    with gr.Blocks(title="Pellucid", analytics_enabled=False, delete_cache=(KEEP, KEEP)) as blocks:
        gr.Markdown(
            "# Pellucid\nDrop a photograph to take out noise, blur, haze, rain, snow, drops, "
            "shadow, darkness, JPEG blocks and holes. It goes to this server only."
        )
        with gr.Tab("One photograph"):
            photograph(service)
        with gr.Tab("Many"):
            album(service)
    blocks.state_session_capacity = SESSIONS
    return blocks.queue(default_concurrency_limit=None, api_open=False)


def mount(app: FastAPI, service: Any) -> None:
    """Put the page at `/`, behind the application's own routes."""
    keep_files()
    gr.mount_gradio_app(
        app,
        build(service),
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=service.settings.most,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=THEME,
        css=CSS,
    )
