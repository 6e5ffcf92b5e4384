import pytest
import torch
import torch.nn.functional as F

from pellucid.errors import CheckpointError
from pellucid.vision_language.dinov2 import DINOv2


def tiny_model():
    from transformers import Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=12, num_attention_heads=2, image_size=224, patch_size=56
    )
    return DINOv2(Dinov2Model(config))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


def test_vectors_are_class_tokens_of_the_residual_stream(model):
    """Not those after the final norm, which `last_hidden_state` holds."""
    seen = []
    layers = [module for name, module in model.named_modules() if name.count("layer.") == 1]
    layers = [module for module in layers if type(module).__name__ == "Dinov2Layer"]
    hooks = [
        layers[number - 1].register_forward_hook(
            lambda m, a, out: seen.append(out[0] if isinstance(out, tuple) else out)
        )
        for number in (1, 4, 8, 12)
    ]
    vectors = model.encode(torch.rand(2, 3, 40, 60))
    for hook in hooks:
        hook.remove()
    assert vectors.shape == (2, 4, 16) and model.dim == 16
    assert all(torch.equal(v, s[:, 0]) for v, s in zip(vectors.unbind(1), seen, strict=True))


def test_the_whole_picture_is_squeezed_and_normalised_as_imagenet(model):
    x = torch.rand(1, 3, 90, 31)
    given = []
    hook = model.model.register_forward_pre_hook(lambda m, args: given.append(args[0]))
    model.encode(x)
    hook.remove()
    small = F.interpolate(x, (224, 224), mode="bicubic", align_corners=False)
    for c, (mean, std) in enumerate([(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]):
        assert torch.allclose(given[0][:, c], (small[:, c] - mean) / std, atol=1e-5)


def test_it_is_frozen(model):
    x = torch.rand(1, 3, 8, 8, requires_grad=True)
    assert not model.encode(x).requires_grad
    assert not any(p.requires_grad for p in model.parameters()) and not model.training


def test_it_comes_back_from_a_folder_without_a_word(model, tmp_path, capfd):
    model.model.save_pretrained(tmp_path)
    x = torch.rand(1, 3, 50, 50)
    capfd.readouterr()
    back = DINOv2.from_pretrained(tmp_path)
    assert capfd.readouterr() == ("", "")
    assert torch.equal(back.encode(x), model.encode(x))


def test_missing_weights_say_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match=r"config\.json and model\.safetensors"):
        DINOv2.from_pretrained(tmp_path)
