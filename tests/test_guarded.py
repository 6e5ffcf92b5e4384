"""A restorer with a guard: measurement corrects the diagnosis and judges the result."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn.functional import cosine_similarity

import peaks
from imaging.test_shadows import ground, psnr, shaded, shown
from pellucid.degradations import CLASSES, WORDS
from pellucid.degradations.noise import field
from pellucid.imaging.evidence import measure
from pellucid.imaging.shadows import cast_shadow, relit
from pellucid.loading import load
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.wiener import Blur, WienerUNet, WienerUNetConfig
from pellucid.restorer import Restorer
from pellucid.routing import Router
from pellucid.vision_language.preprocess import embed
from processes import Process
from tiny import controller, text_features


class Brighter(RestorationNetwork):
    """Adds a fifth of white to every picture."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, tile, condition):
        return tile + 0.2


@pytest.fixture
def scene():
    """A well-lit, noiseless picture from black to white."""
    y, x = np.mgrid[0:128, 0:128] / 128
    picture = np.stack([0.05 + 0.9 * x, 0.1 + 0.85 * y, 0.98 - 0.7 * x * y], axis=-1)
    picture[40:90, 30:70] *= 0.6
    return np.rint(picture * 255).astype(np.uint8)


class Same(Brighter):
    """Changes nothing."""

    def forward(self, tile, condition):
        return tile


class Darker(Brighter):
    """Takes a tenth of white away from every picture."""

    def forward(self, tile, condition):
        return tile - 0.1


def guarded(network, guard=True):
    parts = (network, controller(), text_features(), CLASSES)
    return Restorer(*parts, guard=guard, device="cpu", dtype="float32")


def test_a_bright_picture_is_not_brightened_unless_there_is_no_guard(scene):
    result = guarded(Brighter()).run(scene)
    assert result.decision == "refused" and "not dark" in result.reason
    assert np.array_equal(result.picture, scene)
    free = guarded(Brighter(), guard=False).run(scene)
    assert free.decision == "kept" and not free.reason
    assert free.picture.mean() > scene.mean() + 30


def test_a_person_may_ask_for_what_the_guard_would_refuse(scene):
    result = guarded(Brighter()).run(scene, words=["low-light"])
    assert result.guidance.told and result.decision == "kept"
    assert result.picture.mean() > scene.mean() + 30


def test_measured_noise_is_named_and_guides_in_place_of_the_towers_words(scene):
    noise = np.random.default_rng(0).normal(0, 40, scene.shape[:2])[..., None]
    noisy = np.clip(scene + noise, 0, 255).astype(np.uint8)
    seen = guarded(Brighter(), guard=False).diagnose(noisy)
    found = guarded(Brighter()).diagnose(noisy)
    assert "noisy" not in seen.words and "noisy" in found.words
    rows = text_features()[[CLASSES.index(word) for word in found.words]]
    mean = nn.functional.normalize(rows, dim=-1).mean(dim=0, keepdim=True)
    assert cosine_similarity(found.degradation, mean) > 0.999


@pytest.mark.parametrize("sigma, named", [(40, ("noisy",)), (0, ())])
def test_official_weights_which_know_no_clean_name_no_holes_without_any(
    scene, monkeypatch, sigma, named
):
    sure = torch.tensor([[float(word == "uncompleted") for word in WORDS]])
    monkeypatch.setattr("pellucid.diagnosis.classify", lambda *_: sure)
    parts = Brighter(), controller(), text_features()[: len(WORDS)], WORDS
    official = [Restorer(*parts, guard=guard, device="cpu", dtype="float32") for guard in (0, 1)]
    noise = np.random.default_rng(0).normal(0, sigma, scene.shape)
    picture = np.clip(scene + noise, 0, 255).astype(np.uint8)
    plain, found = (restorer.diagnose(picture) for restorer in official)
    assert plain.words == ("uncompleted",) and "uncompleted" not in found.words
    assert set(named) <= set(found.words)


@pytest.fixture
def half_sure(monkeypatch):
    """A tower that finds haze with a probability of 0.5, and rain with 0.4."""
    found = {"hazy": 0.5, "rainy": 0.4, "clean": 0.1}
    shares = torch.tensor([[found.get(word, 0.0) for word in CLASSES]])
    monkeypatch.setattr("pellucid.diagnosis.classify", lambda *_: shares)


def test_without_a_guard_the_towers_embedding_is_never_replaced(half_sure, scene):
    free = guarded(Brighter(), guard=False)
    batch = torch.from_numpy(scene).permute(2, 0, 1)[None] / 255
    found = free.diagnose(scene)
    assert found.words == ("hazy", "rainy")
    assert torch.equal(found.degradation, embed(free.controller, batch)[1])


def test_a_word_that_changes_the_light_must_be_sure(half_sure, scene, monkeypatch):
    monkeypatch.setattr("pellucid.diagnosis.reweigh", lambda shares, evidence: shares)
    assert guarded(Brighter()).diagnose(scene).words == ("rainy",)


def test_named_words_guide_by_the_embeddings_of_their_texts(half_sure, scene, monkeypatch):
    monkeypatch.setattr("pellucid.diagnosis.reweigh", lambda shares, evidence: shares)
    found = guarded(Brighter()).diagnose(scene)
    rain = text_features()[[CLASSES.index("rainy")]]
    assert cosine_similarity(found.degradation, rain).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("shares", "named"),
    [
        ({"rainy": 0.25, "snowy": 0.2, "raindrop": 0.15, "clean": 0.24}, ("rainy",)),
        ({"snowy": 0.28, "rainy": 0.27, "clean": 0.2}, ("snowy",)),
        ({"rainy": 0.25, "snowy": 0.25, "clean": 0.29}, ()),  # all together, half
        ({"rainy": 0.2, "snowy": 0.2, "raindrop": 0.2, "clean": 0.4}, ()),  # clean is likelier
        ({"raindrop": 0.28, "rainy": 0.28, "noisy": 0.3}, ("noisy",)),
    ],
)
def test_what_lies_over_a_picture_is_named_where_all_of_it_together_is_probable(
    scene, monkeypatch, shares, named
):
    row = torch.tensor([[shares.get(word, 0.0) for word in CLASSES]])
    monkeypatch.setattr("pellucid.diagnosis.classify", lambda *_: row)
    monkeypatch.setattr("pellucid.diagnosis.reweigh", lambda shares, evidence: shares)
    assert guarded(Brighter()).diagnose(scene).words == named
    assert set(guarded(Brighter(), guard=False).diagnose(scene).words) <= {"noisy"}


@pytest.mark.parametrize(("share", "named"), [(0.4, ()), (0.5, ("motion-blurry",))])
def test_blur_must_be_likely(scene, monkeypatch, share, named):
    found = {"motion-blurry": share, "clean": 1 - share}
    shares = torch.tensor([[found.get(word, 0.0) for word in CLASSES]])
    monkeypatch.setattr("pellucid.diagnosis.classify", lambda *_: shares)
    monkeypatch.setattr("pellucid.diagnosis.reweigh", lambda shares, evidence: shares)
    assert guarded(Brighter()).diagnose(scene).words == named
    grain = np.random.default_rng(0).normal(0, 1.5, scene.shape)
    grainy = np.rint(np.clip(scene + grain, 0, 255)).astype(np.uint8)
    assert guarded(Brighter()).diagnose(grainy).words == ()  # blur leaves no fine grain


@pytest.mark.parametrize(
    ("share", "noise", "named"),
    [
        (0.22, "fine", ("noisy",)),
        (0.001, "fine", ()),  # measurement alone does not name it
        (0.29, "soft", ()),
        (0.29, "uneven", ()),
        (0.29, "faint", ()),
    ],
)
def test_fine_grain_is_named_where_measurement_makes_it_probable(
    scene, monkeypatch, share, noise, named
):
    row = torch.tensor([[{"noisy": share, "clean": 1 - share}.get(w, 0.0) for w in CLASSES]])
    monkeypatch.setattr("pellucid.diagnosis.classify", lambda *_: row)
    rng = np.random.default_rng(1)
    grain = rng.normal(size=scene.shape[:2])
    grain = gaussian_filter(grain, 0.6) if noise == "soft" else grain
    grain = grain * np.exp(0.9 * rng.normal(size=grain.shape)) if noise == "uneven" else grain
    grain = grain / grain.std() * (2.3 if noise == "faint" else 3.5 if noise != "soft" else 9.0)
    grainy = np.rint(np.clip(scene + grain[..., None], 0, 255)).astype(np.uint8)
    found = guarded(Brighter()).diagnose(grainy)
    assert found.words == named, measure(grainy / np.float32(255)).noise
    assert share < 0.01 or found.probabilities["noisy"] > 0.3  # so the grain decides


@pytest.fixture
def sees(monkeypatch):
    """Make the tower find words with given probabilities, in one picture after the other."""

    def set_up(*rows):
        answers = [
            row if torch.is_tensor(row) else torch.tensor([[row.get(w, 0.0) for w in CLASSES]])
            for row in rows
        ]
        monkeypatch.setattr("pellucid.diagnosis.classify", lambda *_: answers.pop(0))

    return set_up


def test_a_cast_shadow_gets_its_light_back_and_no_network_is_asked(sees):
    damaged, clean = shaded(ground()), shown(ground())
    model = guarded(Brighter())
    # The ground in the sun has no black, and looks hazy.
    sees({"clean": 1.0}, {"hazy": 0.9, "clean": 0.1})
    found = model.run(damaged)
    assert found.guidance.words == ("shadowed",) and found.model == "relight"
    assert next(iter(found.guidance.probabilities)) == "shadowed"
    assert found.reason.endswith("and gets its light back; the rest is untouched.")
    assert psnr(found.picture, clean) > psnr(damaged, clean) + 8
    sees({"clean": 1.0}, {"clean": 1.0})
    half = model.run(damaged, strength=0.5).picture
    np.testing.assert_allclose(half, (found.picture + damaged) / 2, atol=1e-5)


@pytest.mark.parametrize("left", [{"clean": 1.0}, {"rainy": 0.9, "clean": 0.1}])
def test_the_map_of_the_damage_shows_what_was_mended(sees, monkeypatch, left):
    damaged = shaded(ground())
    hole = np.zeros(damaged.shape[:2], bool)
    hole[20:40, 30:60] = True
    model = guarded(Same())
    monkeypatch.setattr(Same, "maps_damage", True)
    monkeypatch.setattr(Same, "damage", lambda self, image, condition: 0.0 * image[:, :1])
    sees({"shadowed": 0.9, "clean": 0.1}, left)
    found = model.run(damaged, missing=hole, damage=True)
    changed = np.abs(found.picture - damaged).max(axis=-1) > 0.05
    assert found.damage.shape == changed.shape and (found.damage[hole] == 1).all()
    assert ((found.damage > 0.5) == changed)[~hole].mean() > 0.95


def test_noise_beside_what_was_filled_is_measured(sees):
    noisy = np.random.default_rng(0).normal(0.5, 0.08, (192, 256, 3)).clip(0, 1)
    hole = np.zeros(noisy.shape[:2], bool)
    hole[40:120, 60:140] = True
    noisy[hole] = 0.9
    model = guarded(Same())
    seen = []
    sees(*[{"noisy": 0.9, "clean": 0.1}] * 2)
    model._run, run = (lambda *args: seen.extend(args[1]) or run(*args)), model._run
    found = model.run(noisy.astype(np.float32), missing=hole, words=["noisy"])
    assert seen[0].white and found.guidance.white


def test_what_else_is_wrong_with_a_shadowed_picture_is_restored_after_it(sees):
    damaged = shaded(ground())
    sees({"clean": 1.0}, {"rainy": 0.8, "clean": 0.2})
    found = guarded(Darker()).run(damaged)
    assert found.guidance.words == ("shadowed", "rainy") and found.model != "relight"
    assert found.reason.startswith("A cast shadow was measured and gets its light back; the change")
    relit_alone = relit(damaged, cast_shadow(damaged))
    np.testing.assert_allclose(found.picture, (relit_alone - 0.1).clip(0, 1), atol=1e-3)


@pytest.mark.parametrize("how", ["guidance", "words", "ask"])
def test_of_a_relit_picture_the_network_is_told_what_is_left(sees, monkeypatch, how):
    damaged, model = shaded(ground()), guarded(Same())
    sees(*[{"rainy": 0.8, "clean": 0.2}] * 3)
    options = {
        "guidance": {"guidance": model.diagnose(damaged)},
        "words": {"words": ["shadowed", "rainy"]},
        "ask": {"ask": "remove the shadow and the rain"},
    }
    if how != "guidance":
        sees(*[{"rainy": 0.8, "clean": 0.2}] * 2)
    found = model.run(damaged, **options[how])
    assert set(found.guidance.words) == {"shadowed", "rainy"}
    rain = text_features()[[CLASSES.index("rainy")]]
    assert cosine_similarity(found.guidance.degradation, rain).item() == pytest.approx(1, abs=1e-5)


def test_of_a_batch_only_the_picture_with_a_cast_shadow_is_relit(sees):
    pair = np.stack([shown(ground()), shaded(ground())])
    sees(*[torch.tensor([[float(word == "clean") for word in CLASSES]] * 2)] * 2)
    batch = torch.from_numpy(pair).permute(0, 3, 1, 2)
    plain, relighted = guarded(Same()).run(batch)
    assert (plain.guidance.words, relighted.guidance.words) == ((), ("shadowed",))
    assert torch.equal(plain.picture, batch[0]) and not torch.equal(relighted.picture, batch[1])


def test_a_cast_shadow_in_a_noisy_picture_is_named_though_noise_is_certain(sees):
    noise = np.random.default_rng(0).normal(0, 0.05, (300, 400, 3))
    noisy = shown(np.square((shaded(ground()) + noise).clip(0, 1)))
    sees({"noisy": 0.95, "clean": 0.05})
    assert set(guarded(Same()).diagnose(noisy).words) == {"noisy", "shadowed"}


def test_a_hole_and_a_cast_shadow_are_both_told(sees):
    damaged = shaded(ground())
    sees({"clean": 1.0}, {"clean": 1.0})
    missing = np.zeros(damaged.shape[:2], bool)
    missing[250:280, 350:380] = True
    found = guarded(Same()).run(damaged, missing=missing)
    assert found.guidance.words == ("uncompleted", "shadowed")
    assert ". A cast shadow was measured" in found.reason


def test_a_cast_shadow_stays_where_it_is_not_asked_for(sees):
    damaged = shaded(ground())
    sees({"clean": 1.0}, {"clean": 1.0}, {"clean": 1.0})
    free = guarded(Same(), guard=False).run(damaged)
    np.testing.assert_allclose(free.picture, damaged, atol=1e-6)
    told = guarded(Same()).run(damaged, words=["rainy"])
    assert told.guidance.words == ("rainy",)
    np.testing.assert_allclose(told.picture, damaged, atol=1e-6)
    kept = guarded(Same()).run(damaged, ask="remove the rain but keep the shadow")
    assert "shadowed" not in kept.guidance.words
    np.testing.assert_allclose(kept.picture, damaged, atol=1e-6)


def test_memory_for_a_picture_of_many_pixels_is_bounded(tmp_path):
    """Beside the photo (12 bytes a pixel): the result, evidence and a tile."""
    work = Process(peaks.guarding, 12, 16, folder=tmp_path)
    assert work.wait() == 0, work.err
    assert int(work.out) / (12 * 16 * 256**2) < 40


def test_models_in_the_package_are_guarded_and_files_are_not(tmp_path):
    from tiny import save_bundles

    assert load("lite", "cpu").guard
    assert not load("lite", "cpu", guard=False).guard
    assert not load(save_bundles(tmp_path) / "net.safetensors", "cpu").guard


@pytest.mark.parametrize(
    ("first", "second", "share", "words", "darker"),
    [
        (("noisy",), ("hazy",), 0.8, ("noisy", "hazy"), 0.1),
        (("noisy",), ("hazy",), 0.68, ("noisy",), 0),  # no more than likely
        (("noisy",), ("rainy",), 0.25, ("noisy",), 0),
        (("noisy",), ("low-light",), 0.8, ("noisy",), 0),  # without its noise it may look dark
        (("noisy",), ("hazy", "low-light"), 0.8, ("noisy",), 0),
        (("noisy",), (), 0.8, ("noisy",), 0),
        (("rainy",), ("hazy",), 0.8, ("rainy",), 0),  # rain hides nothing
    ],
)
def test_what_noise_hid_is_restored_after_it(
    scene, monkeypatch, first, second, share, words, darker
):
    veiled = torch.from_numpy(0.35 + 0.4 * scene / np.float32(255)).permute(2, 0, 1)[None]
    special = Restorer(Darker(), controller(), text_features(), CLASSES, name="dehazer", guard=True)
    parts = Same(), controller(), text_features(), CLASSES
    model = Router(*parts, specialists={("hazy",): special}, guard=True, name="other")
    known = model.diagnose(veiled)[0]
    shares = dict.fromkeys(second, share)
    answers = [replace(known, words=first), replace(known, words=second, probabilities=shares)]
    monkeypatch.setattr(Restorer, "_diagnose", lambda *_: [answers.pop(0)])
    found = model.run(veiled)[0]
    assert found.guidance.words == words
    assert found.model == ("other, dehazer" if darker else "other")
    expected = veiled[0] - darker
    torch.testing.assert_close(found.picture, expected, atol=1e-4, rtol=0)
    assert found.decision == "kept" and ("After that" in found.reason) == bool(darker)


@pytest.mark.parametrize(
    ("first", "left", "darker"),
    [
        (("hazy",), {"hazy": 0.35, "clean": 0.65}, 0.2),
        (("hazy",), {"hazy": 0.25, "rainy": 0.75}, 0.1),
        (("hazy", "rainy"), {"hazy": 0.9}, 0),  # the specialist takes haze alone
    ],
)
def test_haze_that_is_left_is_taken_away_once_more(scene, monkeypatch, first, left, darker):
    veiled = torch.from_numpy(0.35 + 0.4 * scene / np.float32(255)).permute(2, 0, 1)[None]
    special = Restorer(Darker(), controller(), text_features(), CLASSES, name="dehazer", guard=True)
    parts = Same(), controller(), text_features(), CLASSES
    model = Router(*parts, specialists={("hazy",): special}, guard=True, name="other")
    known = replace(model.diagnose(veiled)[0], words=first)
    answers = [known, replace(known, words=("rainy",), probabilities=left)]
    monkeypatch.setattr(Restorer, "_diagnose", lambda *_: [answers.pop(0)])
    found = model.run(veiled)[0]
    assert found.guidance.words == first
    assert found.model == ("dehazer" if darker else "other")
    torch.testing.assert_close(found.picture, veiled[0] - darker, atol=1e-4, rtol=0)
    assert ("After that" in found.reason) == (darker > 0.1)


@pytest.mark.parametrize(
    ("first", "probable", "wide", "sigma", "soft", "named"),
    [
        (("noisy",), 0.4, 6.0, 2.5, 0.0, ("motion-blurry",)),
        (("noisy",), 0.4, 2.0, 2.5, 0.0, ("noisy",)),  # a kernel of hardly any width
        (("noisy",), 0.1, 6.0, 2.5, 0.0, ("noisy",)),  # the controller sees no blur
        (("noisy",), 0.4, 6.0, 8.0, 0.0, ("noisy",)),  # more noise than a deconvolution bears
        (("noisy",), 0.4, 6.0, 2.5, 0.8, ("noisy",)),  # the soft grain of a camera
        (("noisy",), 0.4, 6.0, 2.5, 2.5, ("motion-blurry",)),  # nothing fine is left
        (("noisy",), 0.4, 2.0, 2.5, 2.5, ("noisy",)),
        (("noisy", "hazy"), 0.4, 6.0, 2.5, 0.0, ("noisy", "hazy")),
    ],
)
def test_blur_under_faint_white_noise_is_named_by_its_kernel(
    scene, monkeypatch, first, probable, wide, sigma, soft, named
):
    noise = field(np.random.default_rng(0), 128, 128, 3, soft) * sigma
    grainy = np.clip(np.rint(scene + noise), 0, 255).astype(np.uint8)
    parts = controller(), text_features(), CLASSES
    config = WienerUNetConfig(reach=8, look=96, embed_dim=8, widths=(8, 8), blocks=(1, 1))
    special = Restorer(WienerUNet(config).eval(), *parts, name="deblurrer", guard=True)
    monkeypatch.setattr(Blur, "extent", torch.tensor([wide]))
    model = Router(Same(), *parts, specialists={("motion-blurry",): special}, guard=True)
    shares = {"noisy": 1 - probable, "motion-blurry": probable}
    answer = replace(model.diagnose(grainy), words=first, probabilities=shares)
    monkeypatch.setattr(Restorer, "_diagnose", lambda *_: [answer])
    found = model.diagnose(grainy)
    assert found.words == named
    assert next(iter(found.probabilities)) == named[0]
    assert model.diagnose(grainy, words=["rainy"]).words == first


class Wiped(Same):
    """Takes what is bright away."""

    def forward(self, x, condition):
        return torch.where(x > 0.9, 0.5, x)


@pytest.mark.parametrize(
    ("first", "probable", "large", "named"),
    [
        ((), 0.1, 1, ("raindrop",)),
        ((), 0.1, 4, ("raindrop",)),  # tried on the reduced picture
        ((), 0.02, 1, ()),  # the controller sees none
        ((), 0.1, 0, ()),  # the network finds none
        (("noisy",), 0.1, 1, ("noisy",)),
    ],
)
def test_drops_are_named_where_their_network_changes_much(
    scene, monkeypatch, first, probable, large, named
):
    spotted = np.clip(scene, 0, 200).repeat(max(large, 1), 0).repeat(max(large, 1), 1)
    if large:
        spotted[: 30 * large, : 30 * large] = 255
    parts = controller(), text_features(), CLASSES
    special = Restorer(Wiped(), *parts, name="wiper", guard=True)
    model = Router(Same(), *parts, specialists={("raindrop", "rainy"): special}, guard=True)
    shares = {"clean": 1 - probable, "raindrop": probable}
    known = model.diagnose(spotted)
    own = torch.ones_like(known.degradation)
    answer = replace(known, words=first, probabilities=shares, degradation=own)
    diagnosed = Restorer._diagnose
    monkeypatch.setattr(
        Restorer,
        "_diagnose",
        lambda self, batch, words, *rest: (
            diagnosed(self, batch, words, *rest) if words else [answer]
        ),
    )
    found = model.run(spotted)
    assert found.guidance.words == named
    if named == ("raindrop",):
        assert found.model == "wiper" and next(iter(found.guidance.probabilities)) == "raindrop"
        assert not torch.equal(found.guidance.degradation, own)
        assert (found.picture[: 30 * large, : 30 * large] < 140).all()


def test_a_person_who_names_noise_gets_no_second_look(scene, monkeypatch):
    parts = Same(), controller(), text_features(), CLASSES
    model = Router(*parts, specialists={}, guard=True)
    known = model.diagnose(scene)
    told = replace(known, words=("noisy",), told=True)
    monkeypatch.setattr(model, "_diagnose", lambda *_: pytest.fail("diagnosed again"))
    assert model.run(scene, guidance=told).guidance.words == ("noisy",)
