import json
import shutil
from dataclasses import asdict, replace

import pytest
import torch

import tiny
from golden.fill import GOLDEN
from pellucid.checkpoints.bundle import save_bundle
from pellucid.errors import CheckpointError
from pellucid.loading import load_tower, tokenizer_of
from pellucid.vision_language import hub
from pellucid.vision_language.clip import TextConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER

# What open_clip's SimpleTokenizer gives between the start and the end token.
OFFICIAL = {
    "motion-blurry": [7860, 268, 21977],
    "hazy": [32655],
    "jpeg-compressed": [73, 11207, 268, 42359],
    "low-light": [1042, 268, 1395],
    "noisy": [33495],
    "raindrop": [3128, 3387],
    "rainy": [10222],
    "shadowed": [15243, 538],
    "snowy": [14191],
    "uncompleted": [569, 5976],
}


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """CLIP's vocabulary: the pieces of the ten words with the official ids, others made up."""
    folder = tmp_path_factory.mktemp("clip")
    vocabulary = json.loads((GOLDEN / "clip_words/vocab.json").read_text(encoding="utf-8"))
    others = sorted(set(range(49408)) - set(vocabulary.values()))
    vocabulary |= {f"other {i}": i for i in others}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    shutil.copy(GOLDEN / "clip_words/merges.txt", folder)
    return folder


@pytest.fixture(scope="module")
def clip_words(clip_folder):
    return Tokenizer.from_clip(clip_folder)


@pytest.fixture(scope="module")
def lite():
    return Tokenizer.from_file(LITE_TOKENIZER.path)


def test_clip_ids_are_those_of_the_official_tokenizer(clip_words):
    tokens = clip_words(list(OFFICIAL))
    assert tokens.shape == (10, 77)
    assert tokens.dtype == torch.long
    for row, ids in zip(tokens.tolist(), OFFICIAL.values(), strict=True):
        expected = [49406, *ids, 49407]
        assert row == expected + [0] * (77 - len(expected))


def test_an_official_tower_reads_with_the_vocabulary_beside_it(clip_folder):
    text = TextConfig(context_length=77, vocab_size=49408, width=8, heads=1, layers=1)
    config = replace(tiny.CLIP, embed_dim=512, text=text)
    meta = {"kind": "daclip", "config": asdict(config)}
    save_bundle(clip_folder / "daclip.safetensors", DaCLIP(config).state_dict(), meta)
    tower = load_tower(clip_folder / "daclip.safetensors")
    with torch.no_grad():
        features = tower.controller.encode_text(tower.tokenizer()(list(OFFICIAL)))
    torch.testing.assert_close(features, tower.text_features)


def test_case_spaces_and_html_do_not_matter(clip_words):
    assert torch.equal(clip_words("  Low&amp;#45;LIGHT \n"), clip_words("low-light"))


@pytest.mark.parametrize("tokenizer", ["clip_words", "lite"])
def test_long_text_is_cut_and_keeps_its_end(tokenizer, request):
    tokenizer = request.getfixturevalue(tokenizer)
    row = tokenizer("rainy " * 200)[0]
    assert row[0] == tokenizer.start
    assert row[-1] == tokenizer.end
    assert len(row) == tokenizer.context_length


@pytest.mark.parametrize("tokenizer", ["clip_words", "lite"])
def test_the_end_token_has_the_highest_id(tokenizer, request):
    """The text tower reads its embedding there."""
    tokenizer = request.getfixturevalue(tokenizer)
    tokens = tokenizer(["", "noisy", "low-light rainy snowy"])
    assert (tokens.max(dim=1).values == tokenizer.end).all()
    assert tokens.argmax(dim=1)[0] == 1


def test_the_lite_tokenizer_ships_with_the_package(lite):
    tokens = lite(["a photo of a dog", "rainy"])
    assert tokens.shape == (2, 32)
    assert (tokens[:, 0] == 3998).all()
    assert tokens.max() == 3999


def test_a_file_that_is_no_tokenizer_is_refused(tmp_path):
    (tmp_path / "words.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"words\.json is not a tokenizer file"):
        Tokenizer.from_file(tmp_path / "words.json")


def test_a_vocabulary_without_start_and_end_is_refused(tmp_path):
    from tokenizers import Tokenizer as WordPieces
    from tokenizers.models import BPE

    path = tmp_path / "words.json"
    WordPieces(BPE(vocab={"a": 0, "b": 1, "c": 2}, merges=[])).save(str(path))
    with pytest.raises(CheckpointError, match="highest ids"):
        Tokenizer.from_file(path)


def test_a_vocabulary_of_another_size_is_not_clips():
    with pytest.raises(CheckpointError, match="it has 193 ids, not 49408"):
        Tokenizer.from_clip(GOLDEN / "clip_words")


def test_a_missing_clip_vocabulary_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match=r"fetch vocab\.json and merges\.txt"):
        Tokenizer.from_clip(tmp_path / "nowhere")


def test_a_training_takes_clips_vocabulary_from_a_folder_or_beside_its_tower(
    clip_folder, clip_words, monkeypatch
):
    def asked(repository, file):
        raise OSError(f"{repository} is not asked")

    monkeypatch.setattr(hub, "_fetched", asked)
    tower = clip_folder / "ViT-B-32.pt"
    tower.touch()
    for tokenize in (tokenizer_of(str(clip_folder), 77), tokenizer_of("", 77, str(tower))):
        assert torch.equal(tokenize(["rainy"]), clip_words(["rainy"]))
    with pytest.raises(CheckpointError, match="is not asked"):
        tokenizer_of("", 77, "random")


def test_of_the_hub_two_files_are_asked_for(clip_folder, clip_words, monkeypatch):
    asked = []

    def fetched(repository, file):
        asked.append(file)
        return clip_folder / file

    monkeypatch.setattr(hub, "_fetched", fetched)
    assert torch.equal(Tokenizer.from_clip()(["rainy"]), clip_words(["rainy"]))
    assert asked == ["vocab.json", "merges.txt"]
