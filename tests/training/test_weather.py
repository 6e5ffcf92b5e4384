import dataclasses

import pytest
import torch

from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_network
from pellucid.errors import UsageError
from pellucid.losses.distillation import SoftResidualDistillation
from pellucid.networks.prior import PriorConfig
from pellucid.networks.resunet import ResUNet, ResUNetConfig
from pellucid.networks.weather import WeatherConfig, WeatherUNet
from pellucid.training.loop import train
from pellucid.training.start import initialise
from pellucid.training.tasks.guidance import Semantics
from pellucid.training.tasks.weather import WeatherOptions, WeatherTask
from pellucid.vision_language.resnet import CLIPResNet, CLIPResNetConfig, ResNetConfig
from pellucid.vision_language.spatial import Pixels, SpatialTeacher
from tiny import randomised, told
from training.tiny_run import Noisy, Stop, config

SIZES = {
    "host": "residual",
    "widths": (8, 8, 8),
    "encoder_blocks": (1, 1),
    "middle_blocks": 1,
    "decoder_blocks": (1, 1),
}
NETWORK = WeatherConfig(**SIZES, prior=PriorConfig(sample_dim=12, tokens=2, width=8))


def clip():
    torch.manual_seed(2)
    vision = ResNetConfig(image_size=32, layers=(1, 1, 1, 1), width=8, heads=2)
    return SpatialTeacher(CLIPResNet(CLIPResNetConfig(embed_dim=12, vision=vision)), "tiny")


def task(teacher=None, the_clip=None):
    torch.manual_seed(0)
    network = WeatherUNet(NETWORK)
    widths = NETWORK.widths[:2]
    srd = SoftResidualDistillation(teacher or SpatialTeacher(Pixels(), "pixels"), widths, (2, 4))
    semantics = None if the_clip is None else Semantics(the_clip.tower, "RN50.pt")
    return WeatherTask(network, srd=srd, semantics=semantics)


def batch():
    samples = [Noisy()[i] for i in range(4)]
    return {name: torch.stack([s[name] for s in samples]) for name in ("lq", "gt")}


def test_teacher_and_heads_stay_behind_and_the_clip_is_named(tmp_path):
    tower = clip()
    for the_task in (task(clip(), tower), task(None, tower)):
        loss, terms = the_task.train()(batch(), torch.Generator())
        loss.backward()
        assert set(terms) == {"psnr", "map", "direction"}
        assert all(p.grad is None for p in tower.parameters()) and not tower.tower.training
        assert the_task.network.prior.learned.grad is not None
        save_bundle(tmp_path / "net.safetensors", *the_task.export())
        loaded = load_network(tmp_path / "net.safetensors")
        network, meta = loaded.network, loaded.meta
        assert network.config == NETWORK and meta["semantics"] == "RN50.pt"
        assert set(network.state_dict()) == set(WeatherUNet(NETWORK).state_dict())
        assert meta["teacher"] == the_task.srd.teacher.name


def test_the_prior_sees_the_whole_picture_where_the_data_has_it():
    the_task, seen = task(None, clip()), []
    the_task.semantics.model.encode = lambda view: (
        seen.append(view) or torch.zeros(len(view), 1, 12)
    )
    crop, view = batch(), torch.rand(4, 3, 32, 32)
    the_task(crop | {"view": view}, torch.Generator())
    the_task(crop, torch.Generator())
    assert torch.equal(seen[0], view) and torch.equal(seen[1], crop["lq"])


def test_a_run_goes_on_with_its_running_scale_to_the_same_weights(tmp_path):
    def run(output, data):
        the_task = task(clip(), clip())
        train(config(tmp_path / output, steps=4, save_every=2), the_task, data)
        return the_task

    with pytest.raises(Stop):
        run("cut", Noisy(fail=3 * config(tmp_path).batch_size))
    whole, again = run("whole", Noisy()), run("cut", Noisy())
    assert whole.srd.scale.min() > 0
    for a, b in zip(whole.srd.state_dict().values(), again.srd.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(whole.network.parameters(), again.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_the_distillation_draws_the_gates_to_the_damage():
    the_task = task()
    optimizer = torch.optim.Adam(the_task.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss, terms = the_task.train()(batch(), torch.Generator())
        loss.backward()
        optimizer.step()
        losses.append(terms["map"].item())
    assert losses[-1] < 0.8 * losses[0]


def test_options_that_cannot_work_are_refused():
    for changes, said in (
        ({}, "needs semantics"),
        ({"network": dataclasses.replace(NETWORK, prior=None)}, "teacher is CLIP RN50"),
        ({"network": dataclasses.replace(NETWORK, prior=None), "teacher": "tower"}, "DA-CLIP's"),
        (
            {"network": dataclasses.replace(NETWORK, prior=None, sar="none")},
            "nothing to distil",
        ),
    ):
        with pytest.raises(UsageError, match=said):
            WeatherOptions(**{"network": NETWORK, **changes}).build()


@pytest.mark.parametrize("statistics", [False, True])
@torch.no_grad()
def test_a_resunet_is_the_start_of_a_weather_network(tmp_path, statistics):
    small = {name: SIZES[name] for name in ("widths", "encoder_blocks", "middle_blocks")}
    small |= {
        "decoder_blocks": (1, 1),
        "context_dim": 12,
        "embed_dim": 6,
        "words": 3,
        "statistics": statistics,
    }
    resunet = randomised(ResUNet(ResUNetConfig(**small)))
    resunet.prompt.words.copy_(torch.eye(3, 12))
    path = str(tmp_path / "resunet.safetensors")
    meta = {"kind": "resunet", "config": dataclasses.asdict(resunet.config)}
    save_bundle(path, resunet.state_dict(), meta)
    words = dataclasses.replace(NETWORK, context_dim=12, words=3)
    network, image = WeatherUNet(words), torch.rand(1, 3, 16, 24)
    if statistics:  # they are those of an even spread of brightness
        image = torch.linspace(0, 1, 256).repeat_interleave(4).view(1, 1, -1, 1).expand(1, 3, -1, 8)
    missing = initialise(network, path, strict=False)
    assert {name.split(".")[0] for name in missing} == {"sar", "prior", "attend"}
    for level in network.sar:
        level.alpha.zero_()
    for word in resunet.prompt.words:
        expected = resunet(image, resunet.condition(image, told(word[None])))
        found = network(image, network.condition(image, told(word[None])))
        assert torch.allclose(found, expected, atol=1e-4)
    unguided = WeatherUNet(dataclasses.replace(words, words=0))
    initialise(unguided, path, strict=False)
    for level in unguided.sar:
        level.alpha.zero_()
    if statistics:
        return
    embedding = resunet.prompt(resunet.prompt.words).mean(0, keepdim=True)
    middle = resunet.condition(image, told())._replace(embedding=embedding)
    found = unguided(image, unguided.condition(image, told()))
    assert torch.allclose(found, resunet(image, middle), atol=1e-4)
