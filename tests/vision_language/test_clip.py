import json
from dataclasses import asdict, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pellucid.checkpoints.weights import config_from
from pellucid.vision_language.clip import CLIP, VIT_B_32, VIT_L_14, Attention, CLIPConfig
from vision_language.small_towers import SMALL


def test_attention_equals_that_of_pytorch():
    torch.manual_seed(0)
    ours, theirs = Attention(24, 3), nn.MultiheadAttention(24, 3, batch_first=True)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 7, 24)
    torch.testing.assert_close(ours(x), theirs(x, x, x)[0])
    mask = nn.Transformer.generate_square_subsequent_mask(7)
    torch.testing.assert_close(ours(x, causal=True), theirs(x, x, x, attn_mask=mask)[0])


@pytest.mark.parametrize(
    ("config", "count"), [(VIT_B_32, 151_277_313), (VIT_L_14, 427_616_513)], ids=["b32", "l14"]
)
def test_parameter_counts_are_those_of_open_clip(config, count):
    with torch.device("meta"):
        clip = CLIP(config)
    assert sum(p.numel() for p in clip.parameters()) == count


def test_what_follows_the_end_token_does_not_matter():
    clip = CLIP(SMALL).eval()
    tokens = torch.tensor([[48, 3, 7, 49, 0, 0, 0, 0, 0, 0, 0, 0]])
    other = torch.tensor([[48, 3, 7, 49, 5, 5, 9, 0, 0, 0, 0, 0]])
    beside_a_longer_one = torch.cat([tokens, torch.tensor([[48] + [4] * 10 + [49]])])
    expected = clip.encode_text(tokens)
    torch.testing.assert_close(clip.encode_text(other), expected)
    torch.testing.assert_close(clip.encode_text(beside_a_longer_one)[:1], expected)


def test_a_new_tower_keeps_its_signal_alive():
    torch.manual_seed(0)
    clip = CLIP(SMALL)
    images = clip.encode_image(torch.randn(8, 3, 32, 32))
    assert images.isfinite().all()
    assert 0.1 < images.std() < 10
    assert F.cosine_similarity(images[:1], images[1:]).max() < 0.999


def test_pixels_of_another_size_are_refused():
    with pytest.raises(ValueError, match="takes 32 x 32 px, not 32 x 40"):
        CLIP(SMALL).encode_image(torch.zeros(1, 3, 32, 40))


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="must divide"):
        CLIP(replace(SMALL, vision=replace(SMALL.vision, patch_size=7)))


@pytest.mark.parametrize("config", [VIT_B_32, VIT_L_14, replace(SMALL, views="windows")])
def test_a_config_survives_json(config):
    assert config_from(CLIPConfig, json.loads(json.dumps(asdict(config)))) == config


def test_openais_activation_is_in_both_towers():
    torch.manual_seed(0)
    clip = CLIP(replace(SMALL, quick_gelu=True)).double()
    x = torch.randn(2, 5, 64).double()
    for tower in (clip, clip.visual):
        mlp = tower.transformer.resblocks[0].mlp
        h = mlp.c_fc(x)
        expected = mlp.c_proj(h / (1 + torch.exp(-1.702 * h)))
        torch.testing.assert_close(mlp(x), expected)
    assert (expected - mlp.c_proj(F.gelu(h))).abs().max() > 1e-4
    assert config_from(CLIPConfig, json.loads(json.dumps(asdict(clip.config)))) == clip.config
