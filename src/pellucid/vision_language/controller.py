"""DA-CLIP: a controller that makes a frozen CLIP robust to degradations and names them.

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

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pellucid.errors import CheckpointError
from pellucid.vision_language.clip import (
    CLIP,
    VIT_B_32,
    CLIPConfig,
    TextConfig,
    Transformer,
    VisionConfig,
    VisionTransformer,
)

HEAD_WIDTH = 64  # of every attention head in CLIP; it leaves no trace in the shapes


class ControlTransformer(nn.Module):
    """A transformer with a zero-initialised linear output a block: corrections for another one."""

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
        plain = self.get_submodule("transformer")
        assert isinstance(plain, Transformer)
        self.transformer = ControlTransformer(plain, config.vision.width)

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

    @classmethod
    def official(
        cls, state: Mapping[str, Tensor]
    ) -> tuple[CLIPConfig, Mapping[str, Tensor]] | None:
        """Recognise the official towers of DA-CLIP.

        They list the image tower as `clip.visual` and as `visual`; the second may be absent. In the
        result both are one tensor.

        Raises:
            CheckpointError: the two image towers differ.
        """
        marks = {"visual_control.transformer.zero_modules.0.weight", "clip.visual.proj"}
        if not marks <= set(state):
            return None
        named = dict(state)
        for key in [key for key in state if key.startswith("clip.visual.")]:
            alias = key.removeprefix("clip.")
            if alias in state and not torch.equal(state[alias], state[key]):
                raise CheckpointError(
                    f"{alias} and {key} must be equal, they are two names of one tower"
                )
            named[alias] = state[key]
        vision_width, _, patch, _ = state["clip.visual.conv1.weight"].shape
        patches = state["clip.visual.positional_embedding"].shape[0] - 1
        context, text_width = state["clip.positional_embedding"].shape
        config = CLIPConfig(
            embed_dim=state["clip.text_projection"].shape[1],
            vision=VisionConfig(
                image_size=patch * round(patches**0.5),
                patch_size=patch,
                width=vision_width,
                layers=_blocks(state, "clip.visual.transformer.resblocks."),
                heads=vision_width // HEAD_WIDTH,
            ),
            text=TextConfig(
                context_length=context,
                vocab_size=state["clip.token_embedding.weight"].shape[0],
                width=text_width,
                heads=text_width // HEAD_WIDTH,
                layers=_blocks(state, "clip.transformer.resblocks."),
            ),
        )
        return config, named

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


def _blocks(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
