import numpy as np
import pytest
import torch

from pellucid.imaging.evidence import measure
from pellucid.imaging.veil import without_veil
from pellucid.networks.contract import Guidance
from pellucid.restoration import VEIL, Restoration

SIDE = 96


def scene(black=0.05):
    """Smooth ground of all greys above `black`."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE
    ground = 0.5 + 0.5 * np.sin(5 * rows + 3) * np.cos(4 * columns)
    return (black + (1 - black) * ground[..., None] * np.ones(3)).astype(np.float32)


def veiled(picture, veil):
    return np.float32(veil) + np.float32(1 - veil) * picture


def test_the_veil_that_is_left_is_taken_away():
    clean = scene()
    lq, restored = veiled(clean, 0.4), veiled(clean, 0.1)
    better = without_veil(lq, restored)
    assert np.abs(better - clean).mean() < 0.2 * np.abs(restored - clean).mean()
    assert better.dtype == np.float32 and better.min() >= 0 and better.max() <= 1


def test_a_scene_without_black_loses_no_more_than_the_network_took():
    clean = scene(0.5)
    lq = veiled(clean, 0.1)
    darker = without_veil(lq, clean)
    assert (clean - darker).max() < 1.02 * np.percentile(lq - clean, 25)


@pytest.mark.parametrize("case", ["flakes alone", "black is left", "nothing was done"])
def test_without_a_veil_nothing_is_done(case):
    clean = scene(0.2)
    flakes = np.zeros_like(clean)
    flakes[::8, ::4] = 0.3
    lq, restored = {
        "flakes alone": (clean + flakes, clean),
        "black is left": (veiled(scene(0.05), 0.2), scene(0.05)),
        "nothing was done": (veiled(clean, 0.4), veiled(clean, 0.4)),
    }[case]
    assert without_veil(lq, restored) is None


def test_it_is_taken_away_where_snow_was_found_above_all():
    clean = scene()
    lq, restored = (
        torch.from_numpy(veiled(clean, v)).permute(2, 0, 1).contiguous() for v in (0.4, 0.1)
    )
    cases = {  # words, told by a person: whether the veil is taken away
        (("snowy",), False): True,
        (("snowy", "rainy"), False): True,
        (("rainy", "snowy"), False): False,  # rain above all
        (("rainy", "snowy"), True): True,  # a person's words have no order
        (("snowy", "hazy"), True): False,
    }
    for (words, told), expected in cases.items():
        answer = Guidance(words=words, told=told, probabilities={})
        before = Restoration(restored, answer, "model", 0.0)
        done = before.judged(lq, answer, measure(veiled(clean, 0.4)), unguided=False)
        assert (VEIL in done.reason) == expected
        if told:  # else the guard has its say
            error = float((done.picture.permute(1, 2, 0) - torch.from_numpy(clean)).abs().mean())
            left = float((restored.permute(1, 2, 0) - torch.from_numpy(clean)).abs().mean())
            assert (error < 0.2 * left) == expected
