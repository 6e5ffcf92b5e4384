"""Official Perceive-IR checkpoints to our modules; nothing is renamed.

Training wraps the weights as `{"model", "iteration", ...}` and the prompts as `{"prompt_learner",
...}`; `daclip.unwrap` takes that off. All restoration networks of the authors have one size, and
so have all medium networks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor

from pellucid.networks.perceive_ir import RELEASE
from pellucid.networks.restormer import RestormerMediumConfig

PROMPTS = {"context", "token_prefix", "token_suffix", "tokenized_prompts"}


def describe(state: Mapping[str, Tensor]) -> dict[str, Any] | None:
    """What a bundle would say of these weights (`kind`, `config`); None if they are none of ours.

    Only the published sizes are known: weights of others do not fit the network, which says so.
    """
    if set(state) == PROMPTS:
        return {"kind": "quality-prompts", "config": {}}
    if "latent.blocks.0.guidance_norm.body.weight" in state:
        return {"kind": "perceive-ir", "config": asdict(RELEASE)}
    if "latent.0.attention.qkv_dw.weight" in state:
        return {"kind": "restormer-medium", "config": asdict(RestormerMediumConfig())}
    return None
