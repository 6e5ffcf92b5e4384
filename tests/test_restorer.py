import io
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import normalize

import peaks
from pellucid.degradations import CLASSES, WORDS
from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.hardware import has_fast_bfloat16, resolve_device, resolve_dtype
from pellucid.imaging.io import Photo, read
from pellucid.networks.guided import GuidedResUNet, GuidedResUNetConfig
from pellucid.networks.weather import WeatherUNet
from pellucid.restorer import Restorer
from pellucid.routing import Router
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.prompts import QualityPerceiver, QualityPrompts
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER
from processes import Process
from tiny import CLIP as TOWER
from tiny import WEATHER, Identity, controller, randomised, restorer, text_features


@pytest.fixture
def image():
    return torch.rand(1, 3, 37, 53, generator=torch.Generator().manual_seed(3))


# types in, types out ---------------------------------------------------------


def test_tensor_batch_and_single_picture(image):
    model = restorer()
    batch = torch.cat([image, image.flip(-1)])
    result = model.restore(batch)
    assert result.shape == batch.shape and result.dtype == batch.dtype
    assert (result - batch).abs().max() > 0.01
    assert result.min() >= 0 and result.max() <= 1
    calls = []
    model.network.register_forward_hook(lambda *_: calls.append(1))
    torch.testing.assert_close(model.restore(batch), result, atol=0, rtol=0)
    assert len(calls) == 1  # for both
    assert torch.equal(model.restore(image[0]), model.restore(image)[0])
    for alone, together in zip(batch, result, strict=True):
        torch.testing.assert_close(model.restore(alone), together, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 2), (20, 30, 3), (20, 30, 4)])
def test_numpy_arrays_of_every_kind_come_back_alike(shape, dtype):
    rng = np.random.default_rng(0)
    values = rng.random(shape)
    if np.issubdtype(dtype, np.integer):
        values = np.rint(values * np.iinfo(dtype).max)
    values = values.astype(dtype)
    unchanged = restorer(network=Identity(), guided=False).restore(values)
    assert unchanged.dtype == values.dtype and unchanged.shape == values.shape
    np.testing.assert_allclose(unchanged, values, atol=1e-6)
    restored = restorer().restore(values)
    assert restored.shape == values.shape and np.abs(restored - values.astype(float)).max() > 0
    if shape[-1] in (2, 4):
        np.testing.assert_array_equal(restored[..., -1], values.astype(np.float32)[..., -1])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_pillow_images(mode):
    picture = Image.effect_noise((30, 20), 80).convert("RGB").convert(mode)
    restored = restorer().restore(picture)
    expected = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    assert restored.mode == expected and restored.size == (30, 20)


def test_pillow_image_with_orientation_comes_back_upright_with_its_metadata():
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "Camera"
    Image.new("RGB", (30, 20)).save(out := io.BytesIO(), "JPEG", exif=exif, dpi=(72, 72))
    restored = restorer().restore(Image.open(out))
    assert restored.size == (20, 30)
    tags = restored.getexif()
    assert tags[0x0112] == 1 and tags[0x010F] == "Camera" and restored.info["dpi"] == (72, 72)


def test_paths_bytes_and_photos_give_photos(tmp_path):
    rng = np.random.default_rng(0)
    samples = rng.integers(0, 256, (20, 30, 4)).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(samples).save(path)
    model = restorer()
    results = [model.restore(given) for given in (path, str(path), path.read_bytes(), read(path))]
    for result in results:
        assert isinstance(result, Photo)
        np.testing.assert_array_equal(result.pixels, results[0].pixels)
        np.testing.assert_array_equal(result.samples(8)[..., 3], samples[..., 3])


@pytest.mark.parametrize(
    "given, words",
    [
        (torch.rand(1, 4, 8, 8), "tensor must be"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "tensor must be"),
        (torch.rand(3, 8), "tensor must be"),
        (torch.full((1, 3, 8, 8), 255.0), "values must lie in"),
        (torch.full((1, 3, 8, 8), float("nan")), "values must lie in"),
        (torch.rand(1, 3, 0, 8), "empty"),
        (np.zeros((8, 8, 5)), "array must be"),
        (np.zeros((8, 8), np.int64), "uint8, uint16 or float"),
        (np.full((8, 8, 3), 200.0), "values must lie in"),
        (np.zeros((0, 8, 3), np.uint8), "empty"),
        ([[1, 2], [3, 4]], "cannot restore a list"),
    ],
)
def test_what_is_no_picture_is_bad_usage(given, words):
    with pytest.raises(UsageError, match=words):
        restorer().restore(given)


def test_a_missing_file_is_named():
    with pytest.raises(ImageError, match=r"nowhere\.png: no such file"):
        restorer().restore("nowhere.png")


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 5), (33, 33)])
def test_any_size_works(size):
    for diffusion in (False, True):
        result = restorer(diffusion).restore(torch.rand(1, 3, *size))
        assert result.shape == (1, 3, *size)


# words, strength, seed, steps -------------------------------------------------------


def test_the_input_is_left_alone(image):
    class Same(Identity):
        def forward(self, image, condition):
            return image

    for size in ((1, 1), (9, 9)):
        pixels = np.full((*size, 3), 0.5, np.float32)
        pixels.flags.writeable = False
        result = restorer(network=Same(), guided=False).restore(Photo(pixels))
        assert not np.shares_memory(result.pixels, pixels)


def test_words_guide_in_place_of_what_the_controller_finds(image):
    model = restorer()
    found, told = model.diagnose(image[:1])[0], model.diagnose(image[:1], words=["snowy"])[0]
    assert told.words == ("snowy",) and told.probabilities == found.probabilities
    assert torch.equal(told.content, found.content)
    row = model.text_features[CLASSES.index("snowy")]
    assert torch.cosine_similarity(told.degradation[0], row, dim=0) > 0.9999
    torch.testing.assert_close(told.degradation.norm(), found.degradation.norm())
    restored = model.restore(image[:1], words=["snowy"])
    assert torch.equal(restored, model.restore(image[:1], guidance=told))
    assert not torch.equal(restored, model.restore(image[:1]))
    both = model.diagnose(image[:1], words=["snowy", "clean"])[0]
    assert both.words == ("snowy",) and not torch.equal(both.degradation, told.degradation)


def test_unknown_words_are_refused_with_the_known_ones(image):
    with pytest.raises(UsageError, match=r"does not know 'hail'; known: motion-blurry, hazy"):
        restorer().restore(image, words=["hail"])
    with pytest.raises(UsageError, match="known: none"):
        restorer(guided=False).diagnose(image, words=["hazy"])


def test_strength_blends_between_input_and_restoration(image):
    model = restorer()
    full = model.restore(image)
    assert torch.equal(model.restore(image, strength=0.0), image)
    torch.testing.assert_close(model.restore(image, strength=0.25), image + 0.25 * (full - image))


def test_one_seed_gives_one_picture_and_others_give_others(image):
    model = restorer(diffusion=True)
    first = model.restore(image, preset="fast", seed=5)
    torch.rand(7)  # the global stream does not matter
    assert torch.equal(model.restore(image, preset="fast", seed=5), first)
    assert not torch.equal(model.restore(image, preset="fast", seed=6), first)


def test_steps_and_presets_mean_network_calls(image):
    model = restorer(diffusion=True)
    calls = []
    model.network.register_forward_hook(lambda *_: calls.append(1))
    for options, expected in (
        ({"preset": "fast"}, 5),
        ({}, 20),
        ({"preset": "paper"}, 100),
        ({"steps": 3}, 3),
        ({"steps": 1, "preset": "paper"}, 1),
    ):
        calls.clear()
        model.restore(image[..., :16, :16], **options)
        assert len(calls) == expected


@pytest.mark.parametrize(
    "diffusion, options, words",
    [
        (False, {"steps": 5}, "one pass"),
        (False, {"preset": "fast"}, "one pass"),
        (True, {"preset": "quick"}, "paper, balanced, fast"),
        (True, {"steps": 0}, "steps"),
        (True, {"steps": 101}, "1..100"),
        (True, {"strength": 1.5}, "strength"),
        (True, {"strength": float("nan")}, "strength"),
        (True, {"tile": -1}, "tile"),
    ],
)
def test_arguments_without_sense_are_bad_usage(image, diffusion, options, words):
    with pytest.raises(UsageError, match=words):
        restorer(diffusion).restore(image, **options)


def test_progress_runs_from_0_to_1(image):
    for diffusion, options in ((False, {"tile": 32}), (True, {"preset": "fast"})):
        told = []
        restorer(diffusion).restore(torch.cat([image, image]), progress=told.append, **options)
        assert told == sorted(told) and 0 < told[0] < 1 and told[-1] == pytest.approx(1)


# guidance --------------------------------------------------------------------


def test_diagnosis_has_every_word_and_names_the_probable_ones(image):
    guidance = restorer().diagnose(image[0].permute(1, 2, 0).numpy())
    assert set(guidance.probabilities) == set(CLASSES)
    assert sum(guidance.probabilities.values()) == pytest.approx(1)
    shares = list(guidance.probabilities.values())
    assert shares == sorted(shares, reverse=True)
    for word, share in guidance.probabilities.items():
        assert (word in guidance.words) == (share >= 0.3 and word != "clean")


def test_probabilities_are_those_of_the_learned_temperature(image):
    model = restorer()
    cosines = normalize(model.diagnose(image)[0].degradation) @ normalize(model.text_features).T
    for scale in (1.0, 20.0):
        model.controller.logit_scale.fill_(math.log(scale))
        shares = model.diagnose(image)[0].probabilities
        expected = (scale * cosines[0]).softmax(0)
        found = torch.tensor([shares[word] for word in model.words])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


def test_a_clean_picture_has_no_words(image):
    model = restorer()
    seen = model.diagnose(image)[0].degradation
    model.text_features = torch.cat([-seen.repeat(len(WORDS), 1), seen])  # the last is "clean"
    answer = model.diagnose(image)[0]
    assert next(iter(answer.probabilities)) == "clean" and answer.words == ()


def test_every_picture_of_a_batch_has_its_own_guidance(image):
    model = restorer()
    answers = model.diagnose(torch.cat([image, 1 - image]))
    assert len(answers) == 2
    assert not torch.allclose(answers[0].degradation, answers[1].degradation)


def test_guidance_is_computed_once_on_the_whole_picture_and_can_be_given(image, monkeypatch):
    model = restorer()
    seen, contexts = [], []
    encode = model.controller.encode_image
    monkeypatch.setattr(
        model.controller, "encode_image", lambda p, control: seen.append(1) or encode(p, control)
    )
    condition = model.network.condition
    monkeypatch.setattr(
        model.network, "condition", lambda x, g: contexts.append((x, g)) or condition(x, g)
    )
    big = torch.rand(1, 3, 200, 200)
    model.restore(big, tile=64)
    assert len(seen) == 1 and len(contexts) == 1
    assert torch.equal(contexts[0][0], big)
    other = model.diagnose(image)[0]
    seen.clear()
    model.restore(big, tile=64, guidance=other)
    assert not seen and torch.equal(contexts[-1][1].degradation, other.degradation)
    with pytest.raises(UsageError, match="1 guidances for a batch of 2"):
        model.restore(torch.cat([image, image]), guidance=other)


def test_the_diagnosis_of_a_batch_can_be_handed_back(image):
    model, batch = restorer(), torch.cat([image, 1 - image])
    answers = model.diagnose(batch)
    torch.testing.assert_close(model.restore(batch, guidance=answers), model.restore(batch))
    swapped = model.restore(batch, guidance=answers[::-1])
    torch.testing.assert_close(swapped[:1], model.restore(image, guidance=answers[1]))
    assert not torch.allclose(swapped, model.restore(batch), atol=1e-4)


def test_a_model_without_controller_restores_and_has_nothing_to_say(image):
    model = restorer(guided=False)
    assert model.diagnose(image[0].numpy().transpose(1, 2, 0)).probabilities is None
    assert model.restore(image).shape == image.shape


# routes and maps -------------------------------------------------------------


def weather(**changes):
    return restorer(network=randomised(WeatherUNet(WEATHER)), name="weather", **changes)


def test_a_specialist_restores_what_it_covers_and_nothing_else(image):
    special = weather()
    parts = controller(), text_features(), CLASSES
    options = {"device": "cpu", "dtype": "float32"}
    network = restorer().network
    model = Router(network, *parts, specialists={("hazy", "rainy"): special}, **options)
    assert not model.maps_damage and special.maps_damage
    for words, chosen in (
        ((), model),
        (("hazy",), special),
        (("rainy", "hazy"), special),
        (("rainy", "noisy"), model),
    ):
        guidance = replace(model.diagnose(image)[0], words=words)
        assert model.route(guidance) is chosen
        expected = chosen.restore(image, guidance=guidance)
        assert torch.equal(model.restore(image, guidance=guidance), expected)
    # each picture of a batch goes its own way
    answers = [replace(model.diagnose(image)[0], words=words) for words in ((), ("hazy",), ())]
    found = model.run(torch.cat([image] * 3), guidance=answers, damage=True)
    assert [r.model for r in found] == [model.name, "weather", model.name]
    assert [r.damage for r in found] == [None] * 3
    expected = special.restore(image, guidance=answers[1])[0]
    torch.testing.assert_close(found[1].picture, expected, atol=1e-5, rtol=1e-4)
    assert model.fingerprint() != restorer().fingerprint()


def test_white_noise_alone_has_a_specialist(image):
    detail, white = restorer(), restorer()
    parts = controller(), text_features(), CLASSES
    specialists = {("noisy",): white, ("noisy", "jpeg-compressed"): detail}
    model = Router(restorer().network, *parts, specialists=specialists, guard=True)
    noise = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    even = torch.full((1, 3, 128, 128), 0.5)
    soft = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    for picture, words, chosen in (
        (even + 0.1 * noise, ["noisy"], white),
        (even + 0.1 * soft, ["noisy"], detail),
        (even + 0.1 * noise, ["noisy", "jpeg-compressed"], detail),
        (even + 0.1 * noise, ["hazy"], model),
    ):
        guidance = model.diagnose(picture.clamp(0, 1), words=words)[0]
        assert guidance.words == tuple(words) and model.route(guidance) is chosen


def test_a_weather_network_maps_the_damage_in_tiles_as_in_one_piece():
    model = weather()
    big = torch.rand(1, 3, 300, 190, generator=torch.Generator().manual_seed(4))
    whole, tiled = (model.damage(big, tile=tile) for tile in (0, 128))
    assert whole.shape == (300, 190) and whole.min() >= 0 and whole.max() <= 1
    assert np.abs(whole - tiled)[:-4, :-4].max() < 1e-5  # beyond, a tile is padded first
    with pytest.raises(UsageError, match="tiny has no map"):
        restorer().damage(big)


# tiles -----------------------------------------------------------------------


@pytest.mark.parametrize("diffusion", [False, True])
def test_tiles_give_what_the_whole_picture_gives(diffusion):
    """The tiny network is convolutional: with its context fixed, tiling must not be seen."""
    model = restorer(diffusion)
    image = torch.rand(1, 3, 300, 191, generator=torch.Generator().manual_seed(0))
    options = {"preset": "fast"} if diffusion else {}
    whole = model.restore(image, tile=0, **options)
    tiled = model.restore(image, tile=128, **options)
    assert (tiled - whole).abs().max() < 1e-4


def test_stochastic_sampling_in_tiles_has_one_noise_for_the_canvas():
    model = restorer(diffusion=True)
    image = torch.rand(1, 3, 150, 40, generator=torch.Generator().manual_seed(0))
    whole = model.restore(image, tile=0, preset="paper")
    assert (model.restore(image, tile=128, preset="paper") - whole).abs().max() < 1e-3


def test_large_pictures_are_tiled_by_themselves(monkeypatch):
    monkeypatch.setattr("pellucid.engine.SMALLEST_TILE", 64)
    monkeypatch.setattr("pellucid.engine.LARGEST_TILE", 64)
    network = Identity()
    model = restorer(network=network, guided=False)
    model.restore(torch.rand(1, 3, 64, 64))
    model.restore(torch.rand(1, 3, 65, 64))
    assert network.shapes[0] == (1, 3, 64, 64)
    assert len(network.shapes) > 2 and all(max(s[2:]) <= 64 for s in network.shapes)


def test_memory_shortage_is_survived_with_smaller_tiles(image):
    class Greedy(Identity):
        def forward(self, image, condition):
            if image.shape[-1] > 128:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(image, condition)

    big = torch.rand(1, 3, 200, 300)
    result = restorer(network=Greedy(), guided=False).restore(big)
    torch.testing.assert_close(result, big, atol=1e-6, rtol=0)


def test_a_12_megapixel_photograph_needs_less_than_a_gibibyte_of_buffers(tmp_path):
    work = Process(peaks.restoring, folder=tmp_path)
    assert work.wait() == 0, work.err
    assert int(work.out) < 2**30


# numbers ---------------------------------------------------------------------


def test_reduced_precision_stays_close(image):
    exact = restorer().restore(image)
    reduced = restorer(dtype="bfloat16").restore(image)
    assert reduced.dtype == torch.float32
    assert 0 < (reduced - exact).abs().max() < 0.05


def test_numbers_that_are_not_finite_are_computed_again_in_float32(image):
    class Overflows(Identity):
        def forward(self, image, condition):
            self.shapes.append(torch.is_autocast_enabled("cpu"))
            return image * float("inf") if self.shapes[-1] else image + 0

    network = Overflows()
    result = restorer(network=network, guided=False, dtype="bfloat16").restore(image)
    assert torch.equal(result, image) and network.shapes == [True, False]


def test_damaged_weights_are_an_error_and_not_a_black_picture(image):
    class Broken(Identity):
        def forward(self, image, condition):
            return image / 0

    for dtype in ("float32", "bfloat16"):
        with pytest.raises(PellucidError, match="no finite numbers"):
            restorer(network=Broken(), guided=False, dtype=dtype).restore(image)


@pytest.mark.parametrize(
    "instructions, maker, fast",
    [
        ("_is_amx_tile_supported", "GenuineIntel", True),
        ("_is_avx512_bf16_supported", "AuthenticAMD", True),
        ("_is_avx512_bf16_supported", "GenuineIntel", False),
    ],
)
def test_bfloat16_is_fast_where_the_cpu_multiplies_it_faster(
    monkeypatch, instructions, maker, fast
):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx2_supported", lambda: True)
    monkeypatch.setattr("pellucid.hardware._vendor", lambda: f"vendor_id : {maker}")
    assert not has_fast_bfloat16(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, instructions, lambda: True)
    assert has_fast_bfloat16(torch.device("cpu")) is fast


def test_devices_and_dtypes(monkeypatch):
    assert resolve_device("cpu").type == "cpu"
    with pytest.raises(UsageError, match="toaster"):
        resolve_device("toaster")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="cuda"):
            resolve_device("cuda")
    cpu = torch.device("cpu")
    assert resolve_dtype("bf16", cpu) == torch.bfloat16
    for in_hardware, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr("pellucid.hardware.has_fast_bfloat16", lambda _, fast=in_hardware: fast)
        assert resolve_dtype("auto", cpu) == expected
    with pytest.raises(UsageError, match="float16"):
        resolve_dtype("float16", cpu)
    with pytest.raises(UsageError, match="int4"):
        resolve_dtype("int4", cpu)


def test_text_features_must_fit_their_words():
    with pytest.raises(UsageError, match="11 text features for 1 words"):
        Restorer(Identity(), controller(), text_features(), ("noisy",))


def test_quality_is_judged_by_the_perceiver_one_picture_at_a_time():
    model = restorer()
    assert model.quality(torch.rand(3, 40, 40)) is None
    clip = CLIP(replace(TOWER, text=replace(TOWER.text, context_length=18)))
    prompts = QualityPrompts(clip, Tokenizer.from_file(LITE_TOKENIZER.path, 18))
    model = restorer(perceiver=QualityPerceiver(clip, prompts))
    image = torch.rand(1, 3, 40, 50)
    found = model.quality(image)
    assert list(found) == ["terrible", "mediocre", "excellent"]
    assert list(found.values()) == pytest.approx(
        model.perceiver.score(image).probabilities[0].tolist()
    )
    with pytest.raises(UsageError, match="one by one"):
        model.quality(torch.rand(2, 3, 40, 50))


# run -------------------------------------------------------------------------


def test_run_says_what_was_found_and_done(image):
    model, picture = weather(), image[0].permute(1, 2, 0).numpy()
    found = model.run(picture, damage=True)
    np.testing.assert_array_equal(found.picture, model.restore(picture))
    assert found.guidance.probabilities == model.diagnose(picture).probabilities
    np.testing.assert_allclose(found.damage, model.damage(picture), atol=1e-6)
    assert found.model == "weather" and found.seconds > 0 and found.quality is None
    assert model.run(picture).damage is None
    assert restorer().run(picture, damage=True).damage is None


def test_the_image_tower_is_asked_once_a_picture(image):
    class Counting(ImageTower):
        calls = 0

        def encode(self, image):
            self.calls += 1
            return torch.ones(len(image), 4, 6)

    sizes = {"widths": (8, 8), "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
    sizes |= {"context_dim": 16, "embed_dim": 8, "content_levels": 1, "semantic_dim": 6}
    network = randomised(GuidedResUNet(GuidedResUNetConfig(**sizes)))
    tower = Counting()
    model = restorer(network=network, semantics=tower)
    found = model.run(image[0], tile=32, damage=True)
    assert tower.calls == 1 and found.guidance.semantics.shape == (1, 4, 6)
    assert torch.equal(model.restore(image[0], tile=32, guidance=found.guidance), found.picture)
    assert tower.calls == 1


def test_pictures_of_a_batch_have_the_noise_that_they_have_alone(image):
    model, batch = restorer(diffusion=True), torch.cat([image, 1 - image])
    together = model.restore(batch, preset="fast", seed=3)
    for alone, found in zip(batch, together, strict=True):
        expected = model.restore(alone, preset="fast", seed=3)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_large_batches_are_restored_in_several_calls(monkeypatch):
    monkeypatch.setattr("pellucid.engine.SMALLEST_TILE", 64)
    monkeypatch.setattr("pellucid.engine.LARGEST_TILE", 64)
    network = Identity()
    batch = torch.rand(5, 3, 32, 64)
    assert torch.equal(restorer(network=network, guided=False).restore(batch), batch)
    assert [shape[0] for shape in network.shapes] == [2, 2, 1]


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_tensors_come_back_in_their_precision_and_may_be_trained_with(image, dtype):
    found = restorer().restore(image.to(dtype))
    assert found.dtype == dtype and not found.is_inference()
    assert (found.float() - restorer().restore(image)).abs().max() < 0.01


def test_reduced_precision_is_taken_only_where_the_network_allows_it(monkeypatch):
    monkeypatch.setattr("pellucid.engine.resolve_dtype", lambda dtype, device: torch.bfloat16)
    network = Identity()
    assert restorer(network=network, guided=False, dtype="auto").dtype == torch.bfloat16
    network.dtypes = ()
    assert restorer(network=network, guided=False, dtype="auto").dtype == torch.float32
    assert restorer(network=network, guided=False, dtype="bfloat16").dtype == torch.bfloat16


def test_words_as_a_text_are_refused_with_the_right_form(image):
    with pytest.raises(UsageError, match=r"list such as \['rainy'\], not a text"):
        restorer().restore(image, words="rainy")
