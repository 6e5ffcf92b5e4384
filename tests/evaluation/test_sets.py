import json

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import ImageError, UsageError
from pellucid.evaluation.sets import kind_of, set_cases

from .making import clean, noisy, save


@pytest.fixture
def root(tmp_path):
    """Rain whose inputs are JPEG files, and real pictures without a truth."""
    for number in range(3):
        save(tmp_path / f"rain_streaks/gt/{number}.png", clean(number))
        save(tmp_path / f"rain_streaks/lq/{number}.jpg", noisy(number))
        save(tmp_path / f"real/lq/{number}.png", noisy(number))
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_sets_are_read_as_they_lie(root):
    cases = list(set_cases(root))
    assert [(c.column, c.name, c.index) for c in cases] == [
        *(("rain_streaks", str(n), n) for n in range(3)),
        *(("real", str(n), n) for n in range(3)),
    ]
    damaged, truth = cases[1].load()
    assert np.array_equal(truth, np.float32(clean(1).transpose(2, 0, 1)) / 255)
    stored = np.asarray(Image.open(root / "rain_streaks/lq/1.jpg"))
    assert np.array_equal(damaged, np.float32(stored.transpose(2, 0, 1)) / 255)
    assert cases[4].truth is None and cases[4].load()[1] is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("blur_gopro", "motion-blurry"),
        ("raindrop_real", "raindrop"),
        ("rain_rain100l", "rainy"),
        ("low light", "low-light"),
        ("low-light-lol", "low-light"),
        ("haze", "hazy"),
        ("clean_noharm", "clean"),
        ("Inpaint", "uncompleted"),
        ("mixed_foreign", None),
        ("old photograph", None),
    ],
)
def test_names_of_sets_and_kinds_say_the_word(name, word):
    assert kind_of(name) == word


def test_the_manifest_knows_better_than_the_name(root):
    entries = {
        "rain_streaks": [{"name": "0.jpg", "words": ["rainy", "hazy"]}, {"name": "2.jpg"}],
        "real": [{"name": "0.png", "kind": "snow"}, {"name": "1.png", "kind": "old photograph"}],
    }
    (root / "manifest.json").write_text(json.dumps(entries))
    words = [case.words for case in set_cases(root)]
    assert words == [("rainy", "hazy"), ("rainy",), ("rainy",), ("snowy",), (), ()]


def test_what_is_wrong_with_a_folder_is_said(root, tmp_path):
    (root / "rain_streaks/gt/1.png").unlink()
    with pytest.raises(UsageError, match=r"lq/1\.jpg: there is no other picture"):
        list(set_cases(root))
    with pytest.raises(UsageError, match="no folders SET/lq"):
        list(set_cases(root / "notes"))
    with pytest.raises(UsageError, match="no such folder"):
        list(set_cases(root / "nowhere"))
    save(root / "rain_streaks/gt/1.png", clean(1, 30))
    with pytest.raises(ImageError, match="48 x 40 and 48 x 30"):
        list(set_cases(root))[1].load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be"),
        ('{"rain_streaks": [{"words": []}]}', "must be"),
        ('{"rain_streaks": [{"name": "0.jpg", "words": ["rain"]}]}', "the word 'rain'; known:"),
    ],
)
def test_a_wrong_manifest_is_refused(root, text, message):
    (root / "manifest.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        list(set_cases(root))
