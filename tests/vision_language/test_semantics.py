import torch
import torch.nn.functional as F

from pellucid.vision_language.semantics import TowerSemantics
from vision_language.small_towers import SMALL, small_tower


def test_the_vectors_are_class_tokens_of_the_plain_tower_from_shallow_to_deep():
    tower = small_tower()
    image = torch.rand(2, 3, 48, 80, generator=torch.Generator().manual_seed(0))
    vectors = TowerSemantics(tower).encode(image)
    assert vectors.shape == (2, 4, 64)
    seen = []
    for block in tower.clip.visual.transformer.resblocks:
        block.register_forward_hook(lambda m, args, out: seen.append(out[:, 0]))
    small = F.interpolate(image, (32, 32), mode="bicubic", antialias=True).clamp(0, 1)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SMALL.mean, SMALL.std))
    embedding = tower.encode_image((small - mean) / std)
    for vector, layer in zip(vectors.unbind(1), (0, 0, 1, 2), strict=True):  # three layers
        torch.testing.assert_close(vector, seen[layer])
    torch.testing.assert_close(
        tower.clip.visual.ln_post(vectors[:, -1]) @ tower.clip.visual.proj, embedding
    )


def test_the_small_tower_of_six_layers_is_read_at_1_2_4_6():
    tower = small_tower(vision=SMALL.vision.__class__(32, 8, 64, 6, 1))
    semantics = TowerSemantics(tower)
    assert semantics.layers == (1, 2, 4, 6)
    assert not semantics.train().training
    assert not any(p.requires_grad for p in semantics.parameters())
