"""DA-CLIP: a controller that teaches a frozen CLIP to see through damage and to name it.

Paper: Luo et al., "Controlling Vision-Language Models for Multi-Task Image Restoration" (ICLR
2024). The controller is a copy of CLIP's image tower. Its own output is the *degradation*
embedding; through zero-initialised linear layers it corrects the hidden states of the frozen tower,
whose output is then the *content* embedding: that of the clean picture. Parameter names and order
are the official ones.

The order of the corrections is that of the official code, differs from the paper's figure: block 0
of the frozen tower receives the state of the controller's LAST block, the last block that of the
first. Every released weight was trained so.

Weights: the authors' (MIT) in the table of `pellucid.zoo`, and the project's own small tower.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pellucid.vision_language.clip import CLIP, VIT_B_32, CLIPConfig, Transformer, VisionTransformer


class ControlTransformer(nn.Module):
    """A transformer that also says, through one zero-initialised layer a block, what to correct."""

    def __init__(self, transformer: Transformer, width: int):
        super().__init__()
        self.transformer = transformer
        self.zero_modules = nn.ModuleList(nn.Linear(width, width) for _ in transformer.resblocks)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Transform x (B, N, W); also give one correction (B, N, W) a block, first block first."""
        corrections = []
        for block, zero in zip(self.transformer.resblocks, self.zero_modules, strict=True):
            x = block(x)
            corrections.append(zero(x))  # not fed back into the controller
        return x, corrections


class Controller(VisionTransformer):
    """The image tower with a `ControlTransformer` in it."""

    def __init__(self, config: CLIPConfig):
        super().__init__(config.vision, config.embed_dim, config.quick_gelu)
        self.transformer = ControlTransformer(self.transformer, config.vision.width)

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give the degradation embedding (B, D) and the corrections for the frozen tower."""
        x, corrections = self.transformer(self.stem(pixels))
        return self.head(x), corrections


class DaCLIP(nn.Module):
    """CLIP with a controller on its image tower. Embeddings are not normalised.

    `visual` is `clip.visual` under a second name: the official checkpoints list it twice.
    A new `DaCLIP` is already started (`start_controller`); nothing is frozen until `lock_clip`.
    """

    def __init__(self, config: CLIPConfig = VIT_B_32):
        super().__init__()
        self.config = config
        self.clip = CLIP(config)
        self.visual = self.clip.visual
        self.visual_control = Controller(config)
        self.logit_scale = nn.Parameter(self.clip.logit_scale.detach().clone())
        self.start_controller()

    def encode_image(self, pixels: Tensor, control: bool = False) -> Tensor | tuple[Tensor, Tensor]:
        """Embed normalised pixels (B, 3, S, S).

        Returns CLIP's own embedding (B, D); with `control`, `(content, degradation)`, each (B, D).
        """
        if not control:
            return self.clip.encode_image(pixels)
        degradation, corrections = self.visual_control(pixels)
        return self.visual(pixels, control=corrections[::-1]), degradation

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Embed token ids (B, context_length) as (B, D); see `CLIP.encode_text`."""
        return self.clip.encode_text(tokens)

    @torch.no_grad()
    def start_controller(self) -> None:
        """Copy CLIP's image tower into the controller and set the corrections to zero.

        Call it after loading CLIP's weights and before training: the controlled tower then equals
        CLIP. Parameters are paired by name. The official `initial_controller` pairs them by
        position, which the zero layers shift: it copies `ln_post` into the first zero layer and
        leaves the controller's `ln_post` alone. Weights trained from there load as they are; new
        training starts correctly.
        """
        source = dict(self.clip.visual.named_parameters())
        for name, parameter in self.visual_control.named_parameters():
            if "zero_modules" in name:
                parameter.zero_()
            else:
                parameter.copy_(source[name.replace("transformer.transformer", "transformer")])
        self.logit_scale.copy_(self.clip.logit_scale)

    def lock_clip(self) -> None:
        """Freeze CLIP, both towers; what is left to train is `trainable_parameters`."""
        self.clip.requires_grad_(False)

    def trainable_parameters(self) -> list[nn.Parameter]:
        """The controller and the temperature, as in the paper's training."""
        return [self.logit_scale, *self.visual_control.parameters()]
