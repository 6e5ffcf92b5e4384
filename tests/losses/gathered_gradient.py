"""As one of two processes: write the averaged gradient of DA-CLIP's loss."""

import torch
import torch.distributed as dist

from pellucid.losses.contrastive import daclip_loss

WORDS = ["noisy", "rainy", "noisy", "hazy", "rainy", "noisy"]


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (6, 5), and the texts (2, 6, 4) of captions and words."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(6, 5, generator=random), torch.randn(2, 6, 4, generator=random)


def gradient(part: slice) -> list[torch.Tensor]:
    """Gradients of two linear maps and of the logit scale, from a part of the batch."""
    random = torch.Generator().manual_seed(1)
    maps = torch.randn(2, 5, 4, generator=random).requires_grad_()
    scale = torch.tensor(1.0, requires_grad=True)
    pictures, texts = inputs()
    content, degradation = (pictures[part] @ each for each in maps)
    captions = [str(i) for i in range(6)][part]
    caption, word = texts[:, part]
    terms = daclip_loss(content, caption, degradation, word, scale, captions, WORDS[part])
    return list(torch.autograd.grad(sum(terms.values()), [maps, scale]))


def main(rank: int, store: str, output: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    mine = gradient(slice(3 * rank, 3 * rank + 3))
    for value in mine:
        dist.all_reduce(value)
        value /= 2
    if rank == 0:
        torch.save(mine, output)
    dist.destroy_process_group()
