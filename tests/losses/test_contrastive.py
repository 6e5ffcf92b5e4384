import math

import pytest
import torch
from torch.nn import functional as F

from losses import gathered_gradient
from pellucid.losses.contrastive import contrastive, daclip_loss, degradation_contrastive
from processes import Process


def features(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def direct(image, text, scale, texts=None):
    """The symmetric cross-entropy written out with sums, without softmax routines."""
    total = 0.0
    image, text = F.normalize(image.double()), F.normalize(text.double())
    for i in range(len(image)):
        for a, b in ((image, text), (text, image)):
            rows = [j for j in range(len(image)) if j == i or not texts or texts[i] != texts[j]]
            weights = {j: math.exp(scale * float(a[i] @ b[j])) for j in rows}
            total -= math.log(weights[i] / sum(weights.values()))
    return total / (2 * len(image))


WORDS = ["noisy", "rainy", "noisy", "hazy", "noisy"]


@pytest.mark.parametrize("words", [None, WORDS])
def test_both_terms_equal_the_formula_written_out(words):
    c, t, d, w = (features(5, seed) for seed in range(4))
    logit_scale = torch.tensor(1.2)
    terms = daclip_loss(c, t, d, w, logit_scale, words, words)
    for name, (image, text) in {"content": (c, t), "degradation": (d, w)}.items():
        assert float(terms[name]) == pytest.approx(direct(image, text, math.exp(1.2), words))


def test_where_all_texts_differ_the_two_versions_are_equal():
    arguments = [features(4, seed) for seed in range(4)] + [torch.tensor(2.0)]
    official = daclip_loss(*arguments)
    ours = daclip_loss(*arguments, captions=list("abcd"), words=list("efgh"))
    assert {k: float(v) for k, v in ours.items()} == pytest.approx(
        {k: float(v) for k, v in official.items()}
    )


def test_the_official_degradation_term_has_a_floor_and_ours_has_none():
    shares = {"noisy": 6, "rainy": 3, "hazy": 3}
    words = [word for word, count in shares.items() for _ in range(count)]
    anchors = dict(zip(shares, torch.eye(3), strict=True))
    perfect = torch.stack([anchors[word] for word in words])
    scale = torch.tensor(100.0).log()
    official = daclip_loss(perfect, perfect, perfect, perfect, scale)["degradation"]
    ours = daclip_loss(perfect, perfect, perfect, perfect, scale, words=words)["degradation"]
    floor = sum(n / 12 * math.log(12 * n / 12) for n in shares.values())
    assert float(official) == pytest.approx(floor, abs=1e-5)
    assert float(ours) == pytest.approx(0, abs=1e-5)


def test_at_the_official_floor_nothing_is_left_to_learn():
    words = torch.eye(3)[[0, 1, 0, 1, 0, 1]]
    image = words.clone().requires_grad_()
    loss = contrastive(F.normalize(image), words, torch.tensor(100.0))
    (slope,) = torch.autograd.grad(loss, image)
    assert loss.item() == pytest.approx(math.log(3), abs=1e-5)
    assert slope.abs().max() < 1e-5


def test_a_batch_of_one_word_gives_no_gradient_instead_of_chance_level():
    image, text = features(4, 0).requires_grad_(), features(4, 1)
    same = torch.ones(4, 4, dtype=torch.bool)
    loss = contrastive(F.normalize(image), F.normalize(text), torch.tensor(10.0), same)
    loss.backward()
    assert loss == 0 and image.grad.abs().max() == 0


def test_two_processes_have_the_gradient_of_one_with_the_whole_batch(tmp_path):
    places = (str(tmp_path / "store"), str(tmp_path / "out"))
    processes = []
    for rank in range(2):
        folder = tmp_path / str(rank)
        folder.mkdir()
        processes.append(Process(gathered_gradient.main, rank, *places, folder=folder))
    assert [process.wait() for process in processes] == [0, 0], [p.err for p in processes]
    whole = gathered_gradient.gradient(slice(None))
    for ours, expected in zip(torch.load(tmp_path / "out"), whole, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-6)


GOLDEN_ANCHORS = [[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]]
GOLDEN_POSITIVES = [[1, 0.1, 0], [0, 1, 0.2], [1, 0.8, 0], [0.3, 0, 1]]


def degradations(rows):
    return F.normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def test_the_loss_of_degradations_has_its_golden_values():
    """Those of the official Perceive-IR."""
    z, positive = degradations(GOLDEN_ANCHORS), degradations(GOLDEN_POSITIVES)
    task = torch.tensor([0, 1, 0, 2])
    assert float(degradation_contrastive(z, positive, task)) == pytest.approx(
        0.0296532655, abs=1e-10
    )


def test_anchors_move_and_their_copies_as_negatives_do_not():
    z = degradations(GOLDEN_ANCHORS).requires_grad_()
    positive = degradations(GOLDEN_POSITIVES)
    degradation_contrastive(z, positive, torch.tensor([0, 1, 0, 2])).backward()
    logits = torch.stack([z[1] @ positive[1], *(z[1] @ z[[0, 2, 3]].T)]).detach() / 0.1
    share = logits.softmax(0)
    vectors = torch.stack([positive[1], *z.detach()[[0, 2, 3]]])
    expected = (share[:, None] * vectors).sum(0) - positive[1]
    assert torch.allclose(z.grad[1], expected / 0.1 / 4)


def test_a_batch_of_one_task_has_a_loss_of_zero_that_can_be_differentiated():
    z = degradations(GOLDEN_ANCHORS).requires_grad_()
    loss = degradation_contrastive(z, degradations(GOLDEN_POSITIVES), torch.ones(4))
    loss.backward()
    assert loss == 0 and not z.grad.any()
