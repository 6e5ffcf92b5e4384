from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from pellucid.loading import load_tower
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.prompts import QualityPerceiver, QualityPrompts, quality_loss
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER, SHIPPED
from vision_language.small_towers import SMALL

START, END, X, NAMES = (
    48,
    49,
    7,
    {"X": (7,), "terrible": (3,), "mediocre": (4, 5), "excellent": (6,)},
)


def tokenize(texts):
    rows = torch.zeros(len(texts), 24, dtype=torch.long)
    for row, text in zip(rows, texts, strict=True):
        ids = (START, *NAMES[text], END)
        row[: len(ids)] = torch.tensor(ids)
    return rows


def perceiver(views="whole", seed=0, context_length=24):
    torch.manual_seed(seed)
    text = replace(SMALL.text, context_length=context_length)
    clip = CLIP(replace(SMALL, text=text, views=views))
    return QualityPerceiver(clip, QualityPrompts(clip, tokenize))


def pictures(batch=2, size=(40, 50), seed=1):
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def test_prompts_are_built_as_in_the_official_code():
    model = perceiver()
    embedding = model.clip.token_embedding.weight
    sentences = model.prompts()
    assert sentences.shape == (3, 24, 64)
    assert torch.equal(sentences[:, 0], embedding[START].expand(3, -1))
    assert torch.equal(sentences[:, 17], embedding[END].expand(3, -1))
    assert torch.equal(sentences[:, 18:], embedding[0].expand(3, 6, -1))
    words = torch.stack([embedding[3], embedding[[4, 5]].mean(0), embedding[6]])
    assert torch.allclose(sentences[:, 16], words)
    learned = sentences[:, 1:16]
    assert 0.018 < learned.std() < 0.022
    assert all((learned[i] - learned[j]).abs().min() > 0 for i, j in [(0, 1), (0, 2), (1, 2)])
    assert model.prompts.tokenized_prompts[0].tolist() == [START, *[X] * 16, END, *[0] * 6]


def test_a_checkpoint_holds_the_official_names():
    state = perceiver().prompts.state_dict()
    assert {key: tuple(value.shape) for key, value in state.items()} == {
        "context": (3, 16, 64),
        "token_prefix": (3, 1, 64),
        "token_suffix": (3, 7, 64),
        "tokenized_prompts": (3, 24),
    }


def test_a_prompt_of_plain_tokens_is_the_sentence_itself():
    model = perceiver()
    embedding = model.clip.token_embedding.weight
    ids = torch.randint(1, 48, (3, 16), generator=torch.Generator().manual_seed(0))
    model.prompts.context.data = embedding[ids].clone()
    sentence = torch.zeros(3, 24, dtype=torch.long)
    sentence[:, 0], sentence[:, 1:17], sentence[:, 17] = START, ids, END
    expected = F.normalize(model.clip.encode_text(sentence), dim=-1)
    assert torch.allclose(model.levels(), expected, atol=1e-6)


def test_only_the_prompts_learn_and_triplets_become_told_apart():
    model = perceiver()
    parameters = [p for p in model.parameters() if p.requires_grad]
    assert [p.shape for p in parameters] == [(3, 16, 64)]
    low, medium, high = pictures(6).chunk(3)
    triplet = low * 0.2, medium, 0.8 + 0.2 * high
    optimizer = torch.optim.AdamW(parameters, lr=0.02)
    before = model.triplet_loss(*triplet).item()
    for _ in range(40):
        optimizer.zero_grad()
        model.triplet_loss(*triplet).backward()
        optimizer.step()
    assert model.triplet_loss(*triplet).item() < 0.2 < before
    values = [model.score(picture).value for picture in triplet]
    assert values[0].max() < values[1].min() and values[1].max() < values[2].min()


def test_the_triplet_loss_is_cross_entropy_of_cosines_times_100():
    model, images = perceiver(), pictures(6)
    cosines = (model.embed(images) @ model.levels().T).double().tolist()
    total = 0.0
    for i, row in enumerate(cosines):
        weights = torch.tensor(row, dtype=torch.float64).mul(100).exp()
        total -= (weights[i // 2] / weights.sum()).log().item()
    assert model.triplet_loss(*images.chunk(3)).item() == pytest.approx(total / 6, rel=1e-4)


def test_the_value_is_the_expected_level():
    quality = perceiver().score(pictures())
    assert torch.allclose(quality.probabilities.sum(1), torch.ones(2))
    expected = quality.probabilities[:, 1] + 2 * quality.probabilities[:, 2]
    assert torch.allclose(quality.value, expected)


@pytest.mark.parametrize(("temperature", "expected"), [(1, 0.6600613518), (100, 0.5)])
def test_the_quality_loss_has_its_golden_values(temperature, expected):
    image = F.normalize(torch.tensor([[1.0, 2, 3, 4], [4, 3, 2, 1]]).double(), dim=1)
    levels = torch.eye(4, dtype=torch.float64)[[0, 1, 3]]
    assert quality_loss(temperature * image @ levels.T).item() == pytest.approx(expected, abs=1e-9)


def test_the_loss_clamps_and_improves_a_picture():
    model = perceiver()
    image = (pictures() * 2).requires_grad_()
    loss = model.loss(image)
    assert loss.item() == pytest.approx(model.loss(image.clamp(0, 1)).item())
    (slope,) = torch.autograd.grad(loss, image)
    better = model.loss(image - 0.5 * slope / slope.abs().max())
    assert better < loss


def test_a_whole_picture_is_squeezed_and_windows_keep_its_resolution():
    whole, windows = perceiver("whole"), perceiver("windows")
    image = (pictures(1, (64, 32)) * 255).round() / 255  # as the windows see it
    small = F.interpolate(image, (32, 32), mode="bicubic", align_corners=False)
    assert torch.equal(whole.embed(image), whole.embed(small))
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SMALL.mean, SMALL.std))
    halves = [windows.clip.encode_image((h - mean) / std) for h in image.chunk(2, dim=2)]
    expected = F.normalize(sum(halves), dim=-1)
    assert torch.allclose(windows.embed(image), expected, atol=1e-5)


def test_a_tower_that_reads_too_few_tokens_is_refused():
    with pytest.raises(ValueError, match="16 tokens do not fit into 12"):
        perceiver(context_length=14)


def test_the_lite_tower_gives_prompts_a_place():
    path = SHIPPED / "lite-clip.safetensors"
    clip = load_tower(path).controller.clip
    tokenizer = Tokenizer.from_file(LITE_TOKENIZER.path, clip.config.text.context_length)
    model = QualityPerceiver(clip, QualityPrompts(clip, tokenizer))
    image = pictures(1, (50, 70)).requires_grad_()
    assert model.levels().shape == (3, clip.config.embed_dim)
    assert not torch.equal(*model.prompts()[[0, 2], 16])  # the words are known to the tokenizer
    model.loss(image).backward()
    assert image.grad.any() and model.prompts.context.grad.any()
    assert not any(p.grad is not None for p in clip.parameters())
