"""Contrastive losses of DA-CLIP (ICLR 2024, section 3.2) and of Perceive-IR (IEEE TIP 2026)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F


def contrastive(image: Tensor, text: Tensor, scale: Tensor, same: Tensor | None = None) -> Tensor:
    """Return CLIP's symmetric cross-entropy over the pairs of a batch.

    Args:
        image, text: L2-normalised features (B, D); row i of one belongs to row i of the other.
        scale: factor on the cosines (the exponential of the logit scale).
        same: (B, B) boolean, True where rows i and j hold the same text; such pairs are left out
            of the sums (the diagonal is always the positive). None = every other row is a
            negative, as in the official code.
    """
    logits = scale * image @ text.T
    if same is not None:
        other = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
        logits = logits.masked_fill(other, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def daclip_loss(
    content: Tensor,
    caption: Tensor,
    degradation: Tensor,
    word: Tensor,
    logit_scale: Tensor,
    captions: Sequence[str] | None = None,
    words: Sequence[str] | None = None,
) -> dict[str, Tensor]:
    """The two terms of DA-CLIP's loss, `content` and `degradation`; the loss is their sum.

    Both share one logit scale. The official code (give neither `captions` nor `words`) treats rows
    with the same text as negatives. With only ten degradation words its second term then has a
    floor: for a batch of B with class shares p_c it cannot fall below sum p_c ln(B p_c), e.g. 6.5
    for B = 3136. Given the texts, rows with an equal text are no negatives and the floor is 0;
    where all texts differ the two versions are equal.

    With several processes the batch is gathered, and the gradient, averaged over processes, is that
    of one process with the whole batch (the official code's is smaller by the number of processes).

    Args:
        content: the controlled image embeddings (B, D); normalised here.
        degradation: the degradation embeddings of the images (B, D); normalised here.
        caption: text embeddings (B, D) of the captions; normalised here.
        word: text embeddings (B, D) of the degradations; normalised here.
        logit_scale: logarithm of the factor on the cosines.
        captions: the captions themselves, B strings.
        words: the words of the degradations, B strings.
    """
    scale = logit_scale.exp()
    return {
        "content": contrastive_term(content, caption, scale, captions),
        "degradation": contrastive_term(degradation, word, scale, words),
    }


def contrastive_term(
    image: Tensor, text: Tensor, scale: Tensor, texts: Sequence[str] | None = None
) -> Tensor:
    """Return one term of `daclip_loss`, over the batch of all processes.

    Args:
        image: embeddings (B, D); normalised here.
        text: the same of the texts.
        scale: factor on the cosines.
        texts: the texts themselves, B strings; equal ones are no negatives. None = all differ.
    """
    pair = gathered(torch.cat([F.normalize(image.float()), F.normalize(text.float())], 1))
    images, sentences = pair.chunk(2, 1)
    same = None
    if texts is not None:
        identity = gathered(labels(texts).to(image.device))
        same = identity[:, None] == identity[None, :]
    return contrastive(images, sentences, scale, same)


def degradation_contrastive(
    anchor: Tensor, positive: Tensor, task: Tensor, temperature: float = 0.1
) -> Tensor:
    """Perceive-IR's L_cl: pictures of one task share a degradation, others do not.

    InfoNCE with one positive; negatives are the anchors of other tasks in the batch of all
    processes, which get no gradient. Anchors without negatives do not count, and the loss is 0 if
    there are no others. Source: official code.

    Args:
        anchor: L2-normalised degradation vectors (B, D).
        positive: those of other crops of the same degraded pictures (B, D).
        task: integer labels (B,).
        temperature: divides the cosines.
    """
    others, tasks = gathered(anchor.detach()), gathered(task)
    negative = task[:, None] != tasks[None, :]
    pull = (anchor * positive).sum(dim=1, keepdim=True)
    push = (anchor @ others.T).masked_fill(~negative, -torch.inf)
    logits = torch.cat([pull, push], dim=1)[negative.any(dim=1)] / temperature
    first = torch.zeros(len(logits), dtype=torch.long, device=logits.device)
    return F.cross_entropy(logits, first, reduction="sum") / max(len(logits), 1)


def gathered(local: Tensor) -> Tensor:
    """Concatenate a tensor over all processes (equal shapes); gradients reach the local part only.

    They are multiplied by the number of processes, so that the average over processes of the
    gradients of a loss, which each process computes on the whole batch, is the gradient of that
    loss.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return local
    world = dist.get_world_size()
    parts = [torch.empty_like(local) for _ in range(world)]
    dist.all_gather(parts, local.detach().contiguous())
    if local.requires_grad:
        parts[dist.get_rank()] = local.detach() + world * (local - local.detach())
    return torch.cat(parts)


def labels(texts: Sequence[str]) -> Tensor:
    """Integers (B,), equal for equal texts; the same in every process, unlike `hash`."""
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return torch.tensor([int.from_bytes(digest, "big", signed=True) for digest in digests])
