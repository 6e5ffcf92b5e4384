import dataclasses
import math

import pytest
import torch
from torch import nn

from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_daclip, load_network
from pellucid.degradations import CLASSES
from pellucid.diffusion import MeanRevertingSDE
from pellucid.errors import UsageError
from pellucid.losses import pixel
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from pellucid.training.start import initialise
from pellucid.training.tasks.controller import ControllerOptions, ControllerTask
from pellucid.training.tasks.diffusion import DiffusionTask
from pellucid.training.tasks.guidance import (
    FrozenTower,
    WordEmbeddings,
    guide,
    teach_words,
    training_views,
)
from pellucid.training.tasks.prompts import PromptsOptions
from pellucid.training.tasks.restore import RestoreTask
from pellucid.vision_language.clip import CLIP, CLIPConfig, TextConfig, VisionConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.preprocess import embed
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER

SIZE = 16
TINY = CLIPConfig(
    embed_dim=8,
    vision=VisionConfig(image_size=SIZE, patch_size=8, width=16, layers=2, heads=2),
    text=TextConfig(context_length=8, vocab_size=40, width=16, heads=2, layers=1),
)
NET = ResUNetConfig((8, 8), (1,), 1, (1,), context_dim=8, embed_dim=4, content_levels=1)
WORDS = ("noisy", "rainy", "hazy")


def tokenize(texts):
    """Every text has ids of its own; 39 ends it, as the largest id."""
    tokens = torch.zeros(len(texts), 8, dtype=torch.long)
    for row, text in zip(tokens, texts, strict=True):
        ids = [sum(map(ord, part)) % 37 + 1 for part in text.split(", ")]
        row[: len(ids) + 1] = torch.tensor([*ids, 39])
    return tokens


@pytest.fixture
def model():
    torch.manual_seed(1)
    model = DaCLIP(TINY)
    for zero in model.visual_control.transformer.zero_modules:
        nn.init.normal_(zero.weight, std=0.3)
    return model


@pytest.fixture
def batch():
    random = torch.Generator().manual_seed(2)
    clean = torch.rand(6, 3, SIZE, SIZE, generator=random)
    words = [*WORDS, *WORDS]
    damaged = clean.clone()
    for i, word in enumerate(words):  # each damage is plain to see
        damaged[i, WORDS.index(word)] = 0
    return {
        "lq": damaged,
        "gt": clean,
        "word": words,
        "caption": [f"picture {i}" for i in range(6)],
        "index": torch.arange(6),
    }


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def fit(task, batch, steps: int, lr: float) -> tuple[float, float]:
    """First and last loss."""
    task.train()
    parameters = [p for p in task.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=lr)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss, _ = task(batch, generator())
        loss.backward()
        optimizer.step()
        task.after_step()
        losses.append(loss.item())
    return losses[0], losses[-1]


# Guidance


def test_the_tower_stays_frozen_and_in_evaluation_mode(model):
    task = RestoreTask(ResUNet(NET), FrozenTower(model)).train()
    assert not task.tower.model.training and task.network.training
    assert not any(p.requires_grad for p in task.tower.parameters())


def test_crops_of_the_towers_size_are_only_normalised(batch):
    pixels = training_views(batch["lq"], TINY)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (TINY.mean, TINY.std))
    torch.testing.assert_close(pixels[:, 0], (batch["lq"] - mean) / std)
    assert training_views(torch.rand(1, 3, 20, 30), TINY).shape == (1, 1, 3, SIZE, SIZE)


def test_a_tower_with_windows_is_trained_on_all_windows_of_a_crop(model):
    model.config = dataclasses.replace(TINY, views="windows")
    crops = torch.rand(2, 3, 2 * SIZE, SIZE)
    assert training_views(crops, model.config).shape == (2, 2, 3, SIZE, SIZE)
    task = ControllerTask(model, tokenize)
    for ours, theirs in zip(task.embedded(crops, control=True), embed(model, crops), strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(task.named(crops), embed(model, crops)[1])


def test_naming_alone_leaves_the_corrections_as_they_are(model, batch):
    task = ControllerTask(model, tokenize, captions=False, content=False)
    loss, terms = task(batch, torch.Generator())
    loss.backward()
    assert set(terms) == {"degradation"}
    control = model.visual_control
    assert all(p.grad is None for p in control.transformer.zero_modules.parameters())
    assert control.conv1.weight.grad.abs().sum() > 0


def test_validation_sees_what_inference_sees(model, batch):
    tower, picture = FrozenTower(model), torch.rand(1, 3, 40, 24)
    for ours, theirs in zip(tower.picture(picture), embed(model, picture), strict=True):
        torch.testing.assert_close(ours, theirs)
    # and a tower that looks at the picture's own resolution does so in training, too
    windowed = FrozenTower(model)
    model.config = dataclasses.replace(TINY, views="windows")
    torch.testing.assert_close(windowed(picture), embed(model, picture))


def test_the_crop_seen_in_training_is_nearly_what_inference_sees(model):
    tower = FrozenTower(model)
    smooth = nn.functional.interpolate(torch.rand(1, 3, 2, 2), (24, 24), mode="bilinear")
    for crop, whole in zip(tower(smooth), tower.picture(smooth), strict=True):
        torch.testing.assert_close(crop, whole, rtol=0.05, atol=0.05)


def test_dropped_contexts_are_zero_for_the_same_samples_in_both(model, batch):
    class Echo(RestorationNetwork):
        needs = frozenset({"degradation", "content"})

        def condition(self, image, guidance):
            return guidance.degradation, guidance.content

    degradation, content = guide(Echo(), FrozenTower(model), batch["lq"], 0.5, generator(5))
    dropped = (degradation == 0).all(1)
    assert 0 < dropped.sum() < 6
    assert torch.equal(dropped, (content == 0).all(1))
    kept, _ = guide(Echo(), FrozenTower(model), batch["lq"], 0.0, generator(5))
    assert torch.equal(degradation[~dropped], kept[~dropped])
    assert guide(Echo(), None, batch["lq"], 0.5, generator()) == (None, None)


# Restoration


def test_restoration_learns_with_guidance_and_without(model, batch):
    for tower in (None, FrozenTower(model)):
        task = RestoreTask(ResUNet(NET), tower, context_dropout=0.2)
        first, last = fit(task, batch, 40, 0.01)
        assert last < 0.8 * first


def test_true_words_are_told_missing_or_wrong_and_some_always_told(model):
    words = ["noisy", "rainy", "hazy", "noisy+hazy"] * 50
    embed_words = WordEmbeddings(model.clip, tokenize)
    true = embed_words(words)

    class Seen(ResUNet):
        def condition(self, image, guidance):
            self.seen = guidance.degradation
            return super().condition(image, guidance)

    rates = {"context_dropout": 0.3, "wrong_words": 0.2, "always_told": ("hazy",)}
    task = RestoreTask(Seen(NET), words=embed_words, **rates)
    batch = {"lq": torch.rand(len(words), 3, 8, 8), "word": words}
    task.condition(batch, generator())
    seen = task.network.seen
    right, missing = (seen == true).all(1), (seen == 0).all(1)
    light = torch.tensor(["hazy" in word for word in words])
    assert right[light].all()
    assert 0.2 < missing[~light].float().mean() < 0.4
    assert 0.1 < (~missing & ~right)[~light].float().mean() < 0.3


def test_the_loss_of_an_untrained_network_is_the_distance_of_the_pair(batch):
    loss, metrics = RestoreTask(ResUNet(NET))(batch, generator())
    assert loss.item() == pytest.approx(pixel.l1(batch["lq"], batch["gt"]).item())
    assert metrics["psnr"].item() == pytest.approx(
        pixel.psnr(batch["lq"], batch["gt"]).mean().item()
    )


def test_exported_networks_are_what_inference_builds(model, batch, tmp_path):
    tower = FrozenTower(model, "/towers/tiny.safetensors")
    for task in (
        RestoreTask(ResUNet(NET), tower),
        DiffusionTask(DiffusionResUNet(NET), MeanRevertingSDE(steps=7), tower, predicts="x0"),
    ):
        fit(task, batch, 2, 0.01)
        state, meta = task.export()
        save_bundle(tmp_path / "weights.safetensors", state, meta)
        loaded = load_network(tmp_path / "weights.safetensors")
        network, read = loaded.network, loaded.meta
        assert type(network) is type(task.network) and network.config == NET
        for name, value in network.state_dict().items():
            assert torch.equal(value, state[name])
        assert read["tower"] == "/towers/tiny.safetensors"
    assert loaded.predicts == "x0" and loaded.sde["steps"] == 7


# Diffusion


class Exact(RestorationNetwork):
    """A network that knows the answer."""

    def __init__(self, sde, clean, predicts):
        super().__init__()
        self.sde, self.clean, self.predicts = sde, clean, predicts

    def forward(self, x, mu, t, condition):
        if self.predicts == "x0":
            return self.clean
        return self.sde.epsilon_from_x0(x, mu, t, self.clean)


@pytest.mark.parametrize("loss", ["matching", "l1"])
@pytest.mark.parametrize("predicts", ["epsilon", "x0"])
def test_a_network_that_knows_the_answer_has_the_least_loss(batch, predicts, loss):
    sde = MeanRevertingSDE()
    exact, off = (Exact(sde, batch["gt"] + error, predicts) for error in (0, 0.1))
    right = DiffusionTask(exact, sde, predicts=predicts, loss=loss)
    wrong = DiffusionTask(off, sde, predicts=predicts, loss=loss)
    lowest, metrics = right(batch, generator())
    # The official step is Euler's, the target exact: the best step is near, not equal.
    assert lowest < 0.1 * wrong(batch, generator())[0]
    assert metrics["psnr"] > 60
    values, restored = right.validate(batch)
    assert values["psnr"].min() > 40 and restored.shape == batch["gt"].shape


class Recorder(Exact):
    """Takes the picture for all grey, and keeps the states and times that it is shown."""

    def __init__(self):
        super().__init__(None, None, "x0")
        self.shown, self.level = [], nn.Parameter(torch.tensor(0.5))

    def forward(self, x, mu, t, condition):
        self.shown.append((x, t))
        return self.level.expand_as(x)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_states_can_hold_what_the_network_itself_takes_for_clean(batch, share):
    sde, network = MeanRevertingSDE(max_sigma=1e-4), Recorder()
    task = DiffusionTask(network, sde, predicts="x0", loss="l1", own_estimates=share)
    loss, _ = task(batch, generator())
    loss.backward()
    *first, (x, t) = network.shown
    assert [times.tolist() for _, times in first] == ([[sde.steps] * 6] if share else [])
    held = torch.full_like(batch["gt"], 0.5) if share else batch["gt"]
    mu = batch["lq"]
    torch.testing.assert_close(x, mu + sde.alpha(t) * (held - mu), atol=1e-3, rtol=0)
    # The target is the truth whatever the state holds.
    assert loss.item() == pytest.approx((batch["gt"] - 0.5).abs().mean().item(), rel=1e-5)


def test_own_estimates_need_a_network_that_predicts_the_picture():
    with pytest.raises(UsageError, match="x0"):
        DiffusionTask(Recorder(), MeanRevertingSDE(), own_estimates=0.5)


def test_the_matching_loss_is_the_official_expression(batch):
    sde, network = MeanRevertingSDE(), Exact(MeanRevertingSDE(), batch["gt"] + 0.1, "epsilon")
    loss, _ = DiffusionTask(network, sde)(batch, generator(4))
    same = generator(4)
    mu, x0 = batch["lq"], batch["gt"]
    t = torch.randint(1, 101, (6,), generator=same)
    noise = torch.randn(mu.shape, generator=same)
    theta, cs, sigma = (v[t].view(-1, 1, 1, 1) for v in (sde.theta, sde.theta_sum, sde.sigmas))
    lam, dt = 50 / 255, sde.dt
    x = mu + (x0 - mu) * torch.exp(-cs * dt) + sigma * noise
    score = -network(x, mu, t, None) / sigma
    step = x - (theta * (mu - x) - lam**2 * 2 * theta * score) * dt
    a, b, c = torch.exp(-theta * dt), torch.exp(-cs * dt), torch.exp(-(cs - theta) * dt)
    best = a * (1 - c**2) / (1 - b**2) * (x - mu) + c * (1 - a**2) / (1 - b**2) * (x0 - mu) + mu
    assert loss.item() == pytest.approx((step - best).abs().mean().item(), rel=1e-4)


def test_diffusion_learns_and_samples_the_same_for_one_index(batch):
    task = DiffusionTask(
        DiffusionResUNet(NET), MeanRevertingSDE(), predicts="x0", loss="l1", preset="fast"
    )
    first, last = fit(task, batch, 40, 0.01)
    assert last < 0.8 * first
    task.eval()
    with torch.no_grad():
        assert torch.equal(task.validate(batch)[1], task.validate(batch)[1])


def test_a_diffusion_network_is_told_the_true_words(batch):
    def embed_words(words):
        return torch.stack([torch.full((8,), float(len(word))) for word in words])

    class Seen(DiffusionResUNet):
        def condition(self, image, guidance):
            self.seen = guidance.degradation
            return super().condition(image, guidance)

    task = DiffusionTask(Seen(NET), MeanRevertingSDE(), predicts="x0", words=embed_words)
    task(batch, generator())
    assert torch.equal(task.network.seen, embed_words(batch["word"]))


def test_a_deterministic_network_becomes_a_diffusion_network(batch, tmp_path):
    restore = RestoreTask(ResUNet(NET))
    fit(restore, batch, 5, 0.01)
    path = tmp_path / "restore.safetensors"
    save_bundle(path, *restore.export())
    network = DiffusionResUNet(NET)
    missing = initialise(network, str(path), strict=False)
    assert missing and all(name.startswith("time.") for name in missing)
    nn.init.zeros_(network.time[2].weight)  # without what the time adds ...
    nn.init.zeros_(network.time[2].bias)
    x, mu = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    condition = network.condition(mu, Guidance())
    with torch.no_grad():  # ... it ignores x and does what the first network does
        torch.testing.assert_close(
            network(x, mu, torch.ones(2), condition), restore.network(mu, condition)
        )


# Controller


def test_the_controller_learns_to_name_damage_and_to_see_past_it(model, batch):
    model.start_controller()
    task = ControllerTask(model, tokenize, captions=False, content_l1=1.0, words=WORDS)
    frozen = {k: v.clone() for k, v in model.clip.state_dict().items()}
    before, _ = task.validate(batch)
    assert torch.allclose(before["content"], before["content_clip"])  # zero layers: CLIP itself
    first, last = fit(task, batch, 60, 3e-3)
    after, _ = task.validate(batch)
    assert last < 0.5 * first
    assert after["accuracy"].mean() == 1
    assert after["content"].mean() > before["content"].mean()
    assert all(torch.equal(frozen[k], v) for k, v in model.clip.state_dict().items())


def test_captions_and_chains_of_words_are_texts_of_their_own(model, batch):
    task = ControllerTask(model, tokenize, words=WORDS)
    loss, terms = task(batch, generator())
    assert set(terms) == {"content", "degradation"}
    assert loss.item() == pytest.approx(sum(v.item() for v in terms.values()))
    chain = task.embed(["rainy+noisy"])[0]
    torch.testing.assert_close(chain, model.encode_text(tokenize(["rainy, noisy"]))[0])
    batch["word"] = ["noisy+hazy"] * 6  # either of the two is right
    assert task.validate(batch)[0]["accuracy"].shape == (6,)


def test_the_official_loss_counts_equal_words_as_negatives(model, batch):
    ours = ControllerTask(model, tokenize)(batch, generator())[1]
    official = ControllerTask(model, tokenize, official_negatives=True)(batch, generator())[1]
    assert official["degradation"] > ours["degradation"]
    torch.testing.assert_close(official["content"], ours["content"])  # no caption occurs twice


def test_the_logit_scale_stays_in_clips_range(model):
    task = ControllerTask(model, tokenize)
    for start, end in ((9.0, math.log(100)), (-1.0, 0.0)):
        model.logit_scale.data.fill_(start)
        task.after_step()
        assert model.logit_scale.item() == pytest.approx(end)


def test_an_exported_controller_is_what_inference_loads(model, batch, tmp_path):
    task = ControllerTask(model, tokenize, words=WORDS)
    save_bundle(tmp_path / "tower.safetensors", *task.export())
    loaded = load_daclip(tmp_path / "tower.safetensors")
    assert loaded.config == TINY
    for a, b in zip(embed(loaded, batch["lq"]), embed(model, batch["lq"]), strict=True):
        torch.testing.assert_close(a, b)


def test_a_network_is_taught_the_words_of_the_text_tower():
    text = dataclasses.replace(TINY.text, vocab_size=4096, context_length=12)
    clip = DaCLIP(dataclasses.replace(TINY, text=text)).clip
    vocabulary = str(LITE_TOKENIZER.path)
    network = ResUNet(dataclasses.replace(NET, words=len(CLASSES)))
    teach_words(network, clip, vocabulary)
    tokens = Tokenizer.from_file(vocabulary, 12)(list(CLASSES))
    with torch.no_grad():
        expected = nn.functional.normalize(clip.encode_text(tokens), dim=-1)
    learned = nn.functional.normalize(network.prompt.words, dim=-1)
    torch.testing.assert_close(learned, expected)
    assert "prompt.words" in network.state_dict()
    with pytest.raises(UsageError, match=f"5 words; there are {len(CLASSES)}"):
        teach_words(ResUNet(dataclasses.replace(NET, words=5)), clip, vocabulary)


def test_texts_that_embed_alike_are_refused(model):
    """As with an empty vocabulary: every text is the start and the end."""

    def empty(texts):
        return torch.tensor([[38, 39] + [0] * 6] * len(texts))

    with pytest.raises(UsageError, match="embeds 'rainy' and 'noisy' alike"):
        WordEmbeddings(model.clip, empty)(WORDS)


def test_random_towers_are_trained_only_if_they_are_asked_for():
    for options in (ControllerOptions(), PromptsOptions()):
        with pytest.raises(UsageError, match=r"--task\.clip"):
            options.build()
    vocabulary = str(LITE_TOKENIZER.path)
    config = dataclasses.replace(
        TINY, text=dataclasses.replace(TINY.text, vocab_size=4096, context_length=12)
    )
    options = ControllerOptions(model=config, clip="random", tokenizer=vocabulary)
    assert options.build().model.config == config


@pytest.mark.parametrize("quick", [True, False])
def test_a_clip_with_another_activation_is_not_trained_on(tmp_path, quick):
    config = dataclasses.replace(TINY, quick_gelu=quick)
    file, meta = (
        tmp_path / "clip.safetensors",
        {"kind": "clip", "config": dataclasses.asdict(config)},
    )
    save_bundle(file, CLIP(config).state_dict(), meta)
    other = dataclasses.replace(TINY, quick_gelu=not quick)
    flag = rf"--task\.model\.{'' if quick else 'no-'}quick-gelu"
    with pytest.raises(UsageError, match=flag):
        ControllerOptions(model=other, clip=str(file), tokenizer=str(LITE_TOKENIZER.path)).build()
