import pytest

from pellucid.data.captions import BlipCaptioner, processor_class, write_captions
from pellucid.data.table import read_captions
from pellucid.errors import PellucidError, UsageError

from .making import dataset, picture, seed_of


class Fake:
    """Names pictures by their first value; can die."""

    def __init__(self, after=99):
        self.calls, self.after = 0, after

    def __call__(self, pictures):
        self.calls += 1
        if self.calls > self.after:
            raise KeyboardInterrupt
        return [f"value: {p[0, 0, 0]}" for p in pictures]


def test_clean_pictures_are_captioned_and_damaged_ones_listed(tmp_path):
    root = dataset(tmp_path, {"noisy": 1, "hazy": 2})
    rows = read_captions(write_captions(root, Fake()))
    assert [(path, word) for path, _, word in rows] == [
        ("hazy/LQ/000.png", "hazy"),
        ("hazy/LQ/001.png", "hazy"),
        ("noisy/LQ/000.png", "noisy"),
    ]
    clean = picture(seed_of("hazy", 1))
    assert rows[1][1] == f"value: {clean[0, 0, 0]}"


def test_a_stopped_run_goes_on_where_it_was(tmp_path):
    root = dataset(tmp_path, {"hazy": 5})
    with pytest.raises(KeyboardInterrupt):
        write_captions(root, Fake(after=1), batch=2)
    second, seen = Fake(), []
    table = write_captions(root, second, batch=2, progress=seen.append)
    assert second.calls == 2 and seen == [0.4, 0.8, 1.0]
    assert len(read_captions(table)) == 5


def test_a_table_elsewhere_names_pictures_by_their_whole_path(tmp_path):
    root = dataset(tmp_path / "data", {"hazy": 1})
    table = write_captions(root, Fake(), tmp_path / "other" / "c.csv")
    assert read_captions(table)[0][0] == (root / "hazy/LQ/000.png").as_posix()


def test_a_folder_without_pairs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no pairs"):
        write_captions(tmp_path, Fake())


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    """A tiny BLIP with random weights, saved as a local model folder."""
    transformers = pytest.importorskip("transformers")
    import torch

    folder = tmp_path_factory.mktemp("blip")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]
    (folder / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    processor_class()(size={"height": 32, "width": 32}).save_pretrained(folder)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1}
    small["num_attention_heads"] = 2
    tokens = {"bos_token_id": 2, "eos_token_id": 3, "sep_token_id": 3, "pad_token_id": 0}
    text = {**small, "vocab_size": len(words), "encoder_hidden_size": 16, **tokens}
    vision = {**small, "image_size": 32, "patch_size": 16}
    torch.manual_seed(0)
    config = transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    return folder


def test_blip_captions_pictures_of_any_size_from_a_local_folder(blip):
    captioner = BlipCaptioner(str(blip), most_tokens=6)
    captions = captioner([picture(0, 20, 50), picture(1, 64, 64)])
    assert len(captions) == 2 and all(isinstance(text, str) for text in captions)
    assert not any("[" in text for text in captions)
    assert captioner([picture(0, 20, 50)]) == captions[:1]


def test_a_model_that_is_not_there_is_explained(tmp_path):
    with pytest.raises(PellucidError, match="--model"):
        BlipCaptioner(str(tmp_path / "absent"))
