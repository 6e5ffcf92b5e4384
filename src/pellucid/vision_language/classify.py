"""Classify degradations: compare the degradation embedding with any list of words."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def classify(degradation: Tensor, text_features: Tensor, scale: float = 100.0) -> Tensor:
    """Return the probability of each word: `softmax(scale * cosine)`.

    The constant 100 instead of the learned temperature is that of the official README.

    Args:
        degradation: embeddings (B, D), normalised or not.
        text_features: embeddings of n words (n, D) from `encode_text`, normalised or not.

    Returns:
        Float32 (B, n); rows sum to 1.
    """
    degradation, text_features = (
        F.normalize(features.float(), dim=-1) for features in (degradation, text_features)
    )
    return (scale * degradation @ text_features.T).softmax(dim=-1)
