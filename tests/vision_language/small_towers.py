"""Towers small enough for a test."""

from dataclasses import replace

import torch

from pellucid.vision_language.clip import CLIPConfig, TextConfig, VisionConfig
from pellucid.vision_language.controller import DaCLIP

GOLDEN = CLIPConfig(
    embed_dim=64,
    vision=VisionConfig(image_size=224, patch_size=32, width=128, layers=3, heads=2),
    text=TextConfig(context_length=77, vocab_size=600, width=64, heads=2, layers=2),
)
"""The configuration of the golden file."""

SMALL = CLIPConfig(
    embed_dim=16,
    vision=VisionConfig(image_size=32, patch_size=8, width=64, layers=3, heads=1),
    text=TextConfig(context_length=12, vocab_size=50, width=64, heads=1, layers=1),
)


def small_tower(seed: int = 0, **changes) -> DaCLIP:
    """A `DaCLIP` of random weights whose corrections are not zero."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = DaCLIP(replace(SMALL, **changes))
        for parameter in model.visual_control.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
    return model.eval()
