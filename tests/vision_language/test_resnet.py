import pytest
import torch
import torch.nn.functional as F

from pellucid.vision_language.preprocess import sample_embedding
from pellucid.vision_language.resnet import CLIPResNet, CLIPResNetConfig, ResNetConfig

SMALL = CLIPResNetConfig(
    embed_dim=6, vision=ResNetConfig(image_size=64, layers=(2, 1, 1, 1), width=8, heads=2)
)


def tower(seed=0):
    """Random weights and statistics, as of a trained one."""
    torch.manual_seed(seed)
    model = CLIPResNet(SMALL).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model


def test_rn50_has_the_published_size_and_names():
    model = CLIPResNet()
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 38.32
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    assert shapes["visual.conv1.weight"] == (32, 3, 3, 3)
    assert shapes["visual.layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert shapes["visual.layer4.2.bn3.running_var"] == (2048,)
    assert shapes["visual.attnpool.positional_embedding"] == (50, 2048)
    assert shapes["visual.attnpool.c_proj.weight"] == (1024, 2048)
    assert all(name.startswith("visual.") for name in shapes)


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
def test_maps_halve_and_are_those_on_the_way_to_the_embedding(size):
    model = tower()
    pixels = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    maps = model.visual.maps(pixels)
    assert [m.shape[1] for m in maps] == [8, 32, 64, 128]
    for m, stride in zip(maps, (2, 4, 8, 16), strict=True):
        assert m.shape[-2:] == (size[0] // stride, size[1] // stride)
    if size == (64, 64):
        visual = model.visual
        assert torch.equal(visual.attnpool(visual.layer4(maps[-1])), model.encode_image(pixels))


@torch.no_grad()
def test_pooling_is_pytorchs_attention_of_the_mean_over_the_places():
    pool = tower().visual.attnpool
    x = torch.randn(2, 256, 2, 2, generator=torch.Generator().manual_seed(0))
    places = x.flatten(2).permute(2, 0, 1)
    places = torch.cat([places.mean(0, keepdim=True), places]) + pool.positional_embedding[:, None]
    expected, _ = F.multi_head_attention_forward(
        places[:1], places, places, 256, pool.heads, None,
        torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]), None, None, False, 0.0,
        pool.c_proj.weight, pool.c_proj.bias, training=False, need_weights=False,
        use_separate_proj_weight=True, q_proj_weight=pool.q_proj.weight,
        k_proj_weight=pool.k_proj.weight, v_proj_weight=pool.v_proj.weight,
    )  # fmt: skip
    assert torch.allclose(pool(x), expected[0], atol=1e-5)


def test_it_gives_the_sample_of_a_prior():
    picture = torch.rand(2, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    sample = sample_embedding(tower(), picture)
    assert sample.shape == (2, 6) and sample.isfinite().all()
