"""Distillation of the small dual encoder: caches, phrases, losses and the joined towers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from laboratory import phrases, teachers
from laboratory.distill import (
    CachedCrops,
    CachedPhrases,
    DistillOptions,
    DistillTask,
    agreement,
    distillation,
    join_towers,
    separation,
    shuffled,
    tower_of,
    whitening_patches,
)
from laboratory.recipes import RECIPES
from laboratory.train import main
from laboratory.word_pieces import train_word_pieces
from pellucid import recipes
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.weights import config_from
from pellucid.degradations import CLASSES
from pellucid.errors import CheckpointError, UsageError
from pellucid.recipes.lite import LITE
from pellucid.training.config import read_yaml, save_yaml, updated
from pellucid.vision_language.clip import CLIP, CLIPConfig, TextConfig, VisionConfig
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER

TINY = CLIPConfig(
    embed_dim=16,
    vision=VisionConfig(image_size=32, patch_size=16, width=32, layers=1, heads=2),
    text=TextConfig(context_length=32, vocab_size=4000, width=32, heads=2, layers=1),
)


@pytest.fixture(scope="module")
def corpus():
    return phrases.corpus(4000)


@pytest.fixture
def crops(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 24), ("held_out", 6)):
        pixels = rng.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
        np.save(tmp_path / f"{split}-pixels.npy", pixels)
        targets = rng.standard_normal((count, 16))
        targets /= np.linalg.norm(targets, axis=1, keepdims=True)
        np.save(tmp_path / f"{split}-targets.npy", targets.astype(np.float16))
    np.save(tmp_path / "train-maps.npy", rng.standard_normal((24, 7, 7, 16)).astype(np.float16))
    return tmp_path


def unit(count, size, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(count, size, generator=generator), dim=-1)


def test_corpus_is_distinct_repeatable_and_names_every_class(corpus):
    assert corpus == phrases.corpus(4000)
    assert len(corpus) >= 4000 and len(set(corpus)) == len(corpus)
    assert set(CLASSES) <= set(corpus)
    assert all(phrase == " ".join(phrase.lower().split()) for phrase in corpus)
    assert not set(phrases.UNSEEN) & set(phrases.corpus(20_000))


def test_classes_share_few_phrases_and_each_starts_with_its_word():
    for word in CLASSES:
        own = phrases.damage_phrases(word)
        assert own[0] == word and len(own) > 100
        for other in CLASSES:
            assert other == word or not set(own) & set(phrases.damage_phrases(other))


def test_one_phrase_in_twenty_is_held_out_but_no_class_word(corpus):
    share = sum(map(phrases.held_out, corpus)) / len(corpus)
    assert 0.035 < share < 0.065
    assert not any(map(phrases.held_out, CLASSES))


def test_word_pieces_have_the_end_token_last_and_know_every_text(corpus):
    pieces = train_word_pieces(corpus, size=700)
    assert pieces.token_to_id("<end>") == 699 and pieces.token_to_id("<pad>") == 0
    ids = pieces.encode("Rainy 雨 🌧").ids
    assert pieces.decode(ids).strip() == "rainy 雨 🌧"
    with pytest.raises(ValueError, match="word pieces"):
        train_word_pieces(corpus[:5], size=4000)


def test_shipped_word_pieces_fit_the_lite_text_tower():
    tokenize = Tokenizer.from_file(LITE_TOKENIZER.path, LITE.text.context_length)
    tokens = tokenize(["rainy", "a dog " * 40])
    assert tokens.shape == (2, LITE.text.context_length)
    assert (tokens.max(dim=1).values == LITE.text.vocab_size - 1).all()
    assert tokens[0].tolist()[3:] == [0] * 29, "a class word without a hyphen is one piece"


def test_projection_keeps_what_tells_samples_apart_and_drops_what_they_share():
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((20, 20)))[0]
    samples = rng.standard_normal((200, 6)) @ basis[:6] + 50 * basis[10]
    projection = teachers.Projection.fit(samples, 6)
    targets = projection(samples)
    np.testing.assert_allclose(projection.matrix.T @ projection.matrix, np.eye(6), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(targets, axis=1), 1, atol=1e-5)
    centred = samples - samples.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(targets @ targets.T, centred @ centred.T, atol=1e-4)


def test_projection_survives_saving(tmp_path):
    projection = teachers.Projection.fit(np.random.default_rng(0).random((30, 8)), 4)
    projection.save(tmp_path / "projection.npz")
    again = teachers.Projection.load(tmp_path / "projection.npz")
    np.testing.assert_array_equal(again.matrix, projection.matrix)


def test_views_are_one_region_at_two_sizes_and_keep_brightness():
    gradient = np.linspace(0, 255, 300, dtype=np.float32)
    pixels = np.broadcast_to(gradient[None, :, None], (200, 300, 3)).astype(np.uint8)
    rng = np.random.default_rng(0)
    large = teachers.cut_views(Image.fromarray(pixels), 6, rng)
    small = teachers.shrink(large)
    assert large.shape == (6, 224, 224, 3) and small.shape == (6, 64, 64, 3)
    np.testing.assert_allclose(large.mean((1, 2, 3)), small.mean((1, 2, 3)), atol=1)
    grey = np.full((8, 8, 3), 120, np.uint8)
    means = [teachers.jitter(grey, rng).mean() for _ in range(50)]
    assert min(means) > 90 and max(means) < 150


def test_loss_is_zero_for_a_perfect_student_and_counts_only_direction_and_scale():
    target = unit(8, 16)
    loss, cosine = distillation(target * 4, target, relation=5.0)
    assert loss.item() == pytest.approx(0, abs=1e-6) and cosine.item() == pytest.approx(1)
    loss, _ = distillation(target * 8, target, relation=5.0)
    assert loss.item() == pytest.approx(0.1, abs=1e-5), "twice the norm costs 0.1 * (2 - 1)^2"
    loss, _ = distillation(-target * 4, target, relation=5.0)
    assert loss.item() == pytest.approx(2, abs=1e-5), "a mirror image keeps all relations"


@pytest.mark.parametrize("tower", ["image", "text"])
def test_only_the_tower_asked_for_is_trained_and_exported(tower):
    task = DistillOptions(tower=tower, clip=TINY).build()
    trained = {n for n, p in task.clip.named_parameters() if p.requires_grad}
    assert hasattr(task, "patch_head") == (tower == "image")
    state, meta = task.export()
    assert set(state) == {n for n in task.clip.state_dict() if tower_of(n) == tower}
    assert set(state) - trained == ({"visual.conv1.weight"} if tower == "image" else set())
    assert meta["kind"] == f"{tower}-tower"
    assert config_from(CLIPConfig, meta["config"]) == TINY


def test_patches_are_an_orthogonal_basis_that_lifts_what_is_fine():
    kernels = whitening_patches(4).flatten(1)
    assert kernels.shape == (48, 48)
    gram = kernels @ kernels.T
    lengths = gram.diagonal().sqrt()
    torch.testing.assert_close(gram, torch.diag(gram.diagonal()), atol=1e-4, rtol=0)
    assert lengths.argmin() == 0 and lengths[-1] > 20 * lengths[0]
    flat = torch.ones(3, 4, 4).flatten()
    assert ((kernels @ flat).abs() > 1e-4).nonzero().flatten().tolist() == [0]


def test_joined_towers_answer_as_each_did_alone():
    image, text = (DistillTask(CLIP(TINY), tower) for tower in ("image", "text"))
    clip = join_towers(image.export()[0], text.export()[0], TINY)
    pixels, tokens = torch.randn(2, 3, 32, 32), torch.tensor([[3998, 5, 3999] + [0] * 29])
    torch.testing.assert_close(clip.encode_image(pixels), image.embed({"pixels": pixels}))
    torch.testing.assert_close(clip.encode_text(tokens), text.embed({"tokens": tokens}))
    with pytest.raises(CheckpointError, match="missing"):
        join_towers(image.export()[0], {}, TINY)


def test_training_teaches_the_image_tower(crops):
    torch.manual_seed(0)
    config = replace(TINY, vision=replace(TINY.vision, patch_size=8, width=64))
    task = DistillOptions(tower="image", clip=config).build()
    data = CachedCrops(crops, "train", config)
    optimizer = torch.optim.AdamW([p for p in task.parameters() if p.requires_grad], lr=3e-3)
    generator, cosines = torch.Generator(), []
    for step in range(100):
        samples = [data[step * 24 + i] for i in range(24)]
        batch = {k: torch.stack([s[k] for s in samples]) for k in ("pixels", "target", "patches")}
        loss, metrics = task(batch, generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        cosines.append(metrics["cosine"].item())
    assert cosines[0] < 0.3 < 0.75 < cosines[-1]
    values, picture = task.validate(batch)
    assert values["cosine"].shape == (24,) and picture is None


def test_a_step_shows_part_of_the_patches_and_all_of_them_give_the_embedding():
    pixels, generator = torch.randn(2, 3, 32, 32), torch.Generator().manual_seed(0)
    task = DistillTask(CLIP(TINY), "image", shown=1.0)
    embedding, local, shown = task.embed_part(pixels, generator)
    assert sorted(shown.tolist()) == [0, 1, 2, 3] and local.shape == (2, 4, 16)
    torch.testing.assert_close(embedding, task.clip.encode_image(pixels))
    task.shown = 0.25
    counts = {len(task.embed_part(pixels, generator)[2]) for _ in range(30)}
    assert counts == {1, 2, 3, 4}


def test_map_is_mirrored_with_the_picture(crops):
    ramp = np.arange(7, dtype=np.float16)[None, None, :, None] - 3
    maps = np.concatenate([np.broadcast_to(ramp, (24, 7, 7, 1)), np.ones((24, 7, 7, 15))], axis=-1)
    np.save(crops / "train-maps.npy", maps.astype(np.float16))
    pixels = np.zeros((24, 3, 32, 32), np.uint8)
    pixels[..., 16:] = 255
    np.save(crops / "train-pixels.npy", pixels)
    data = CachedCrops(crops, "train", TINY)
    mirrored = 0
    for index in range(24):
        sample = data[index]
        bright_right = sample["pixels"][0, 0, -1] > sample["pixels"][0, 0, 0]
        grid = sample["patches"].view(2, 2, 16)
        assert (grid[0, 1, 0] > grid[0, 0, 0]) == bright_right
        mirrored += int(not bright_right)
    assert 4 < mirrored < 20


def test_blends_mix_about_half_of_the_views_with_others():
    views = np.zeros((400, 2, 2, 3), np.uint8)
    blended = teachers.blend(views, np.full((3, 2, 2, 3), 200, np.uint8), np.random.default_rng(0))
    share = blended[:, 0, 0, 0] / 200
    assert 0.4 < (share > 0).mean() < 0.6
    assert share.max() <= 0.6 and share[share > 0].min() >= 0.1


def test_each_pass_shows_every_sample_once_in_a_new_order():
    first = [shuffled(i, 50, seed=3) for i in range(50)]
    second = [shuffled(50 + i, 50, seed=3) for i in range(50)]
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    assert first == [shuffled(i, 50, seed=3) for i in range(50)]


def test_crops_repeat_by_index_and_held_out_ones_are_as_stored(crops):
    data, held_out = (CachedCrops(crops, split, TINY) for split in ("train", "held_out"))
    torch.testing.assert_close(data[31]["pixels"], data[31]["pixels"])
    stored = torch.from_numpy(np.load(crops / "held_out-pixels.npy")[2]).float() / 255
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (TINY.mean, TINY.std))
    torch.testing.assert_close(held_out[2]["pixels"] * std + mean, stored)
    with pytest.raises(UsageError, match="cache_teachers"):
        CachedCrops(crops / "nowhere", "train", TINY)


def test_phrases_show_class_words_often(corpus, tmp_path):
    kept = [p for p in corpus if not phrases.held_out(p)]
    (tmp_path / "train.txt").write_text("\n".join(kept) + "\n")
    np.save(tmp_path / "train-targets.npy", unit(len(kept), 16).numpy())
    data = CachedPhrases(tmp_path, "train", TINY)
    words = {tuple(data.tokens[kept.index(word)].tolist()) for word in CLASSES}
    seen = [tuple(data[i]["tokens"].tolist()) for i in range(11 * 64)]
    assert words <= set(seen)
    assert data[1]["tokens"].dtype == torch.int64 and data[1]["target"].dtype == torch.float32


def test_agreement_is_one_for_equal_neighbours_and_ignores_the_same_photograph():
    points, groups = unit(40, 8), torch.arange(40)
    assert agreement(points, points * 3, groups) == 1
    assert agreement(unit(40, 8, seed=1), points, groups) < 0.4
    twins = points.repeat_interleave(2, 0)
    assert agreement(twins, twins, groups.repeat_interleave(2)) == 1
    assert separation(points).diagonal().allclose(torch.ones(40))


def test_recipes_train_the_tower_they_name_of_lite(tmp_path):
    towers = {name: recipe for name, recipe in RECIPES.items() if name.endswith("_tower")}
    assert len(towers) == 2
    for name, recipe in towers.items():
        config = recipe()
        assert name == config.recipe == f"lite_{config.task.tower}_tower"
        assert config.task.clip == LITE
        save_yaml(config, tmp_path / "config.yaml")
        assert updated(recipe(), read_yaml(tmp_path / "config.yaml")) == config


def test_the_command_trains_a_tower_from_the_cache(crops, tmp_path, monkeypatch):
    tiny = """
        --task.clip.embed-dim 16 --task.clip.vision.image-size 32 --task.clip.vision.patch-size 16
        --task.clip.vision.width 32 --task.clip.vision.layers 1 --task.clip.vision.heads 2
        --steps 2 --batch-size 4 --precision no --log-every 1
    """
    places = ["--data.root", str(crops), "--output", str(tmp_path / "run")]
    for name, recipe in RECIPES.items():
        monkeypatch.setitem(recipes.RECIPES, name, recipe)  # taken out again after the test
    assert main(["lite_image_tower", *tiny.split(), *places]) == 0
    state, meta = load_bundle(tmp_path / "run" / "weights.safetensors")
    assert meta["kind"] == "image-tower" and all(name.startswith("visual.") for name in state)


def test_missing_teachers_say_how_to_get_them(tmp_path):
    with pytest.raises(UsageError, match="fetch_teachers"):
        teachers.ImageTeacher(tmp_path / "none.onnx")
    with pytest.raises(UsageError, match="fetch_teachers"):
        teachers.TextTeacher(tmp_path)
