from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file

import tiny
from data.making import dataset
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_network, load_prompts
from pellucid.data.triplets import render
from pellucid.errors import UsageError
from pellucid.losses import pixel
from pellucid.losses.contrastive import degradation_contrastive
from pellucid.losses.perceptual import VGG16, difficulty_adaptive, difficulty_weight
from pellucid.networks.guided import GuidedResUNet, GuidedResUNetConfig
from pellucid.networks.perceive_ir import PerceiveIR, PerceiveIRConfig
from pellucid.networks.resunet import ResUNet
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.start import run
from pellucid.training.tasks import guidance, perceive
from pellucid.training.tasks.guidance import Semantics
from pellucid.training.tasks.perceive import (
    LossWeights,
    NetworkProxy,
    PerceiveOptions,
    PerceiveTask,
    stored,
)
from pellucid.training.tasks.prompts import PromptsOptions
from pellucid.vision_language.prompts import QualityPerceiver, QualityPrompts
from pellucid.vision_language.semantics import TowerSemantics
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER

TOKENIZER = str(LITE_TOKENIZER.path)
TEXT = replace(tiny.CLIP.text, context_length=18)
GUIDED = GuidedResUNetConfig(**asdict(tiny.NETWORK), semantic_dim=32, degradation_dim=8)
NONE = LossWeights(0.0, 0.0, 0.0)


def tower():
    return tiny.randomised(tiny.DaCLIP(replace(tiny.CLIP, text=TEXT)), seed=1)


def perceiver():
    torch.manual_seed(0)
    clip = tower().clip
    return QualityPerceiver(clip, QualityPrompts(clip, Tokenizer.from_file(TOKENIZER, 18)))


def vgg():
    return tiny.randomised(VGG16(), seed=3)


def guided():
    torch.manual_seed(0)
    return {"network": GuidedResUNet(GUIDED), "semantics": Semantics(TowerSemantics(tower()))}


@pytest.fixture
def batch():
    random = torch.Generator().manual_seed(2)
    clean = torch.rand(4, 3, 32, 32, generator=random)
    return {
        "lq": clean * 0.5,
        "gt": clean,
        "medium": clean * 0.75,
        "positive": clean.flip(3) * 0.5,
        "word": ["noisy", "noisy", "rainy", "rainy"],
        "index": torch.arange(4),
    }


def generator():
    return torch.Generator().manual_seed(0)


def test_without_weights_the_loss_is_that_of_the_pixels(batch):
    loss, metrics = PerceiveTask(**guided(), weights=NONE)(batch, generator())
    assert loss.item() == pytest.approx(pixel.l1(batch["lq"], batch["gt"]).item())  # zero start
    assert set(metrics) == {"psnr"}


def test_a_network_with_semantics_is_validated_without_its_words_too(batch):
    def told(words):
        return torch.ones(len(words), 16)

    task = PerceiveTask(**guided(), weights=NONE, words=told, context_dropout=0.3)
    metrics, restored = task.validate(batch)
    assert set(metrics) == {"psnr", "psnr_input", "psnr_unguided"}
    assert restored.shape == batch["gt"].shape


def test_each_loss_is_added_with_its_weight(batch):
    parts, judge, features = guided(), perceiver(), vgg()
    task = PerceiveTask(
        **parts,
        weights=LossWeights(0.1, 0.05, 0.2),
        perceiver=judge,
        vgg=features,
        temperature=7.0,
    )
    task.reference = torch.tensor([20.0])
    loss, metrics = task(batch, generator())
    network = parts["network"]
    vectors = parts["semantics"].model.encode(batch["lq"])
    condition = network.condition(batch["lq"], tiny.told(semantics=vectors))
    restored = network(batch["lq"], condition)
    label = torch.tensor([0, 0, 1, 1])
    positive = network.cfe(batch["positive"])
    contrast = 0.1 * degradation_contrastive(condition.degradation, positive, label)
    quality = 0.05 * judge.loss(restored, 7.0)
    weights = [difficulty_weight(batch["medium"], batch["gt"], 20.0)]
    pictures = batch["gt"], batch["lq"], [batch["medium"]]
    perceptual = 0.2 * difficulty_adaptive(features, restored, *pictures, weights)
    for name, value in (
        ("contrastive", contrast),
        ("quality", quality),
        ("perceptual", perceptual),
    ):
        assert value > 0
        torch.testing.assert_close(metrics[name], value)
    total = pixel.l1(restored, batch["gt"]) + contrast + quality + perceptual
    torch.testing.assert_close(loss, total)
    loss.backward()
    assert network.cfe.projection.weight.grad.abs().sum() > 0
    assert judge.prompts.context.grad is None and not judge.prompts.context.requires_grad


def test_perceive_ir_itself_is_trained_by_all_losses(batch):
    torch.manual_seed(0)
    config = PerceiveIRConfig(8, (1, 1, 1, 1), (1, 1, 2, 2), 1, semantic_dim=32)
    parts = guided() | {"network": PerceiveIR(config)}
    parts |= {"weights": LossWeights(0.1, 0.05, 0.1), "perceiver": perceiver(), "vgg": vgg()}
    loss, _ = PerceiveTask(**parts)(batch, generator())
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in parts["network"].pgm.parameters())


def test_losses_alone_serve_a_network_that_encodes_no_degradation(batch):
    plain = tiny.randomised(ResUNet(tiny.NETWORK))
    with pytest.raises(UsageError, match=r"ResUNet encodes no degradation.*contrastive 0"):
        PerceiveTask(plain, weights=LossWeights(0.1, 0.0, 0.0))
    weights = LossWeights(0.0, 0.05, 0.1)
    task = PerceiveTask(plain, weights=weights, perceiver=perceiver(), vgg=vgg())
    del batch["medium"], batch["positive"]  # no proxies
    task.begin([{**batch, "word": "noisy"}])
    assert task.reference.tolist() == [0]  # nothing to compare
    loss, metrics = task(batch, generator())
    assert set(metrics) == {"psnr", "quality", "perceptual"}
    loss.backward()
    with pytest.raises(UsageError, match="no quality prompts"):
        PerceiveTask(plain, weights=LossWeights(0.0, 0.05, 0.0)).begin([])


def test_the_difficulty_is_measured_at_the_start_and_after_every_epoch(batch):
    parts = guided()
    parts |= {"weights": LossWeights(0, 0, 0.1), "vgg": vgg()}
    task = PerceiveTask(**parts, epoch=2, probe=4)
    names = ("lq", "gt", "medium")
    samples = [{n: batch[n][i] for n in names} | {"word": batch["word"][i]} for i in range(4)]
    task.train().begin(samples)
    values = pixel.psnr(batch["lq"], batch["gt"])  # the network starts as the identity
    expected = values.mean()[None]
    torch.testing.assert_close(task.reference, expected)
    assert task.training
    torch.nn.init.constant_(parts["network"].head.bias, 0.05)
    task.after_step()
    torch.testing.assert_close(task.reference, expected)
    task.after_step()
    assert (task.reference - expected).abs().min() > 0.1
    # a proxy that beats the network's mean weighs less
    task.reference = torch.tensor([0.0])
    easy = task(batch, generator())[0]
    task.reference = torch.tensor([99.0])
    assert task(batch, generator())[0] < easy  # heavier in the denominator


def test_proxies_are_networks_for_their_tasks_and_stored_pictures(batch, tmp_path):
    tiny.save_bundles(tmp_path)
    meta = {"kind": "resunet", "config": asdict(tiny.NETWORK), "tower": ""}
    state = tiny.randomised(ResUNet(tiny.NETWORK)).state_dict()
    save_bundle(tmp_path / "plain.safetensors", state, meta)
    proxy = NetworkProxy.load(f"{tmp_path}/plain.safetensors:rainy,hazy")
    picture, valid = proxy(batch)
    network = load_network(tmp_path / "plain.safetensors").network
    condition = network.condition(batch["lq"], tiny.told())
    expected = network(batch["lq"], condition).clamp(0, 1)
    torch.testing.assert_close(picture, expected)
    assert valid.tolist() == [0, 0, 1, 1]
    assert not picture.requires_grad
    assert stored(batch)[0] is batch["medium"] and stored(batch)[1].tolist() == [1] * 4
    with pytest.raises(UsageError, match="one pass"):
        NetworkProxy.load(f"{tmp_path}/sde.safetensors")


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A tower, triplets, weights of VGG: all that both stages need."""
    model = tower()
    meta = {"kind": "daclip", "config": asdict(model.config)}
    save_bundle(tmp_path / "tower.safetensors", model.state_dict(), meta)
    root = dataset(tmp_path / "pairs", {"hazy": 5, "rainy": 5}, 48, 48)
    render(root, tmp_path / "triplets", [("dim", lambda p: p.with_pixels(p.pixels / 2))])
    monkeypatch.setattr(perceive, "load_vgg", vgg)
    return tmp_path


def settings(files, stage, task, **changes):
    data = DataConfig(kind="triplets", root=str(files / "triplets"), crop=32, held_out=0.3)
    values = {"data": data, "ema": EMAConfig(0), "batch_size": 4, "workers": 0, "log_every": 10}
    values |= {"optimizer": OptimizerConfig(lr=3e-3), "save_every": 100, "validate_every": 100}
    return TrainConfig(task=task, output=str(files / stage), **{**values, **changes})


def test_both_stages_train_from_a_folder_of_triplets(files):
    clip = str(files / "tower.safetensors")
    first = settings(files, "one", PromptsOptions(clip=clip, tokenizer=TOKENIZER), steps=4)
    result = run(first)
    assert {"accuracy", "strict/hazy", "monotone"} <= set(result.validation)
    weights = files / "one/weights.safetensors"
    prompts = load_prompts(weights, tower().clip)
    assert not torch.equal(prompts.context, perceiver().prompts.context)

    options = PerceiveOptions(
        network=GUIDED, semantics=clip, prompts=str(weights), clip=clip, epoch=2, probe=2
    )
    second = settings(files, "two", options, steps=5)
    second = replace(second, data=replace(second.data, positives=True))
    whole = run(second)
    assert whole.step == 5 and "psnr/rainy" in whole.validation
    state = load_network(files / "two/weights.safetensors").network.state_dict()
    # stopped and resumed, also between two measurements of the difficulty
    for steps in (3, 5):
        parted = replace(second, output=str(files / "parted"), save_every=1, steps=5)
        if steps == 3:
            parted = replace(parted, max_minutes=1e-9)
        run(parted)
    parted = load_network(files / "parted/weights.safetensors").network.state_dict()
    for name, value in parted.items():
        assert torch.equal(value, state[name]), name


def test_a_controller_is_learned_along_with_prompts_and_reads_the_pictures(files):
    clip = str(files / "tower.safetensors")
    options = PromptsOptions(clip=clip, tokenizer=TOKENIZER, controller=True)
    run(settings(files, "one", options, steps=3))
    model = tower()
    prompts = load_prompts(files / "one/weights.safetensors", model.clip)
    before, after = (m.state_dict() for m in (model.visual_control, prompts.controller))
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert same == {name for name in before if "zero_modules" in name}
    side = model.config.vision.image_size
    picture = torch.randint(256, (1, 3, side, side)) / 255  # as the windows see it
    read = QualityPerceiver(model.clip, prompts).embed(picture)
    plain = QualityPerceiver(model.clip, perceiver().prompts).embed(picture)
    assert not torch.allclose(read, plain, atol=0.01)
    model.visual_control.load_state_dict(after)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (model.config.mean, model.config.std))
    degradation = model.encode_image((picture - mean) / std, control=True)[1]
    assert torch.allclose(read, torch.nn.functional.normalize(degradation, dim=-1), atol=1e-5)


def test_the_weights_of_vgg_are_those_of_evaluation(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"fetch-metrics.*perceptual 0"):
        perceive.load_vgg()
    path = tmp_path / "metrics/lpips-vgg.safetensors"
    path.parent.mkdir()
    trunk = vgg()
    save_file({**trunk.state_dict(), "lin0.weight": torch.zeros(1)}, path)
    monkeypatch.setattr(perceive, "verify", lambda name: path)
    loaded = perceive.load_vgg().state_dict()
    assert all(torch.equal(v, loaded[k]) for k, v in trunk.state_dict().items())


def test_a_folder_of_semantics_is_named_so_that_other_folders_find_it(tmp_path, monkeypatch):
    (tmp_path / "dinov2-base").mkdir()
    monkeypatch.chdir(tmp_path)
    assert guidance._lasting("dinov2-base") == str(tmp_path / "dinov2-base")
    assert guidance._lasting("facebook/dinov2-base") == "facebook/dinov2-base"


def test_what_l_clip_needs_is_named_before_anything_is_read(tmp_path):
    options = PerceiveOptions(network=GUIDED, prompts=str(tmp_path / "a.safetensors"))
    with pytest.raises(UsageError, match=r"with --task\.clip, or .*--task\.quality 0"):
        options.build()
    with pytest.raises(UsageError, match=r"at .*a\.safetensors: train perceive_prompts first"):
        replace(options, clip="lite").build()
