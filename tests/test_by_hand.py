"""Where to restore, and what is missing, told by a person or measured."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import tiny
from pellucid.degradations import CLASSES
from pellucid.errors import ImageError, UsageError
from pellucid.imaging.masks import FEATHER
from pellucid.networks.contract import RestorationNetwork
from pellucid.restorer import Restorer


class White(RestorationNetwork):
    """Makes every picture white, and counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.calls = 0

    def forward(self, tile, condition):
        self.calls += 1
        return torch.ones_like(tile)


def restorer(network):
    return Restorer(network, device="cpu", dtype="float32")


def named(network, guard):
    parts = (network, tiny.controller(), tiny.text_features(), CLASSES)
    return Restorer(*parts, guard=guard, device="cpu", dtype="float32")


@pytest.fixture
def picture():
    """Texture of many colours, darker than half."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(20, 120, (24, 32, 3)).astype(np.uint8))
    smooth = np.asarray(small.resize((128, 96), Image.Resampling.BICUBIC)).astype(int)
    return (smooth + rng.integers(-3, 4, smooth.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def box():
    marked = np.zeros((96, 128), bool)
    marked[30:60, 40:80] = True
    return marked


def test_outside_the_mask_nothing_changes_and_inside_all(picture, box):
    result = restorer(White()).restore(picture, mask=box)
    assert (result[box] == 255).all()
    far = np.ones_like(box)
    far[30 - 2 * FEATHER : 60 + 2 * FEATHER, 40 - 2 * FEATHER : 80 + 2 * FEATHER] = False
    np.testing.assert_array_equal(result[far], picture[far])
    edge = result[45, 80 : 80 + 2 * FEATHER, 0].astype(float) - picture[45, 80:96, 0]
    assert (np.diff(edge / (255 - picture[45, 80:96, 0])) < 0).all()  # fades


def test_a_region_is_a_mask_that_is_a_rectangle(picture, box):
    given = restorer(White()).restore(picture, region=(40, 30, 40, 30))
    np.testing.assert_array_equal(given, restorer(White()).restore(picture, mask=box))


def test_orientation_of_mask_and_photograph_agree(picture, box, tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # stored turned left
    turned = np.ascontiguousarray(np.rot90(box)).astype(np.uint8) * 255
    Image.fromarray(turned).save(tmp_path / "mask.png", exif=exif.tobytes())
    result = restorer(White()).restore(picture, mask=tmp_path / "mask.png")
    np.testing.assert_array_equal(result, restorer(White()).restore(picture, mask=box))


def test_what_is_missing_is_filled_and_the_network_not_asked(picture, box):
    network = White()
    damaged = picture.copy()
    damaged[box] = 255
    found = named(network, guard=False)
    clean = found.diagnose(picture)
    result = found.run(damaged, missing=box, guidance=clean.__class__(clean.content))
    assert network.calls == 0 and result.model == "fill"
    assert result.guidance.words == ("uncompleted",)
    assert result.reason.startswith("10 % of the picture was missing and is filled from its")
    np.testing.assert_array_equal(result.picture[~box], picture[~box])
    assert result.picture[box].max() < 160


def test_the_network_restores_the_filled_picture_from_other_damage(picture, box):
    network = White()
    found = named(network, guard=False).run(picture, missing=box, words=["noisy"])
    assert network.calls == 1 and found.guidance.words == ("uncompleted", "noisy")
    assert (found.picture == 255).all() and found.model == "custom"


def test_measured_holes_are_filled_unless_a_person_says_otherwise(picture, box):
    damaged = picture.copy()
    damaged[box] = 255
    network = White()
    guarded = named(network, guard=True)
    result = guarded.run(damaged, words=["uncompleted"])
    assert network.calls == 0 and result.picture[box].max() < 160
    np.testing.assert_array_equal(result.picture[~box], picture[~box])
    assert "uncompleted" in guarded.run(damaged).guidance.words
    guarded.run(damaged, words=["hazy"])
    assert network.calls > 0


def test_half_of_a_filling(picture, box):
    damaged = picture.copy()
    damaged[box] = 255
    guarded = named(White(), guard=True)
    whole, none, half = (
        guarded.restore(damaged, words=["uncompleted"], strength=s).astype(int) for s in (1, 0, 0.5)
    )
    np.testing.assert_array_equal(none, damaged)
    assert np.abs(half - (whole + damaged) / 2).max() <= 1


def test_a_batch_takes_one_mask_for_all_or_one_for_each(picture, box):
    batch = torch.from_numpy(picture).permute(2, 0, 1).float()[None].repeat(2, 1, 1, 1) / 255
    other = np.roll(box, 20, axis=1)
    one = restorer(White()).restore(batch, mask=box)
    torch.testing.assert_close(one[0], one[1])
    each = restorer(White()).restore(batch, mask=np.stack([box, other]))
    assert (each[0][:, box] == 1).all() and (each[1][:, other] == 1).all()
    assert not torch.equal(each[0], each[1])


def test_what_does_not_fit_is_said(picture, box):
    white = restorer(White())
    with pytest.raises(ImageError, match="mask: it is 127 x 96, the picture 128 x 96"):
        white.run(picture, mask=box[:, 1:])
    with pytest.raises(UsageError, match="missing: nothing in it is white"):
        white.run(picture, missing=np.zeros_like(box))
    with pytest.raises(ImageError, match="region 100,0,40,10 is not inside the picture"):
        white.run(picture, region=(100, 0, 40, 10))
    with pytest.raises(UsageError, match="is empty"):
        white.run(picture, region=(0, 0, 0, 10))
    with pytest.raises(UsageError, match="not both"):
        white.run(picture, region=(0, 0, 9, 9), mask=box)
