import math

import torch

from pellucid.vision_language.classify import classify


def test_probabilities_are_the_softmax_of_a_hundred_cosines():
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    angle = 0.77
    degradation = 5 * torch.tensor([[math.cos(angle), math.sin(angle)]])  # length does not matter
    a, b = math.exp(100 * math.cos(angle)), math.exp(100 * math.sin(angle))
    expected = torch.tensor([[a / (a + b), b / (a + b)]])
    torch.testing.assert_close(classify(degradation, 3 * text), expected, rtol=1e-4, atol=1e-7)


def test_each_row_is_a_distribution_over_any_number_of_words():
    probabilities = classify(torch.randn(4, 8).bfloat16(), torch.randn(13, 8).bfloat16())
    assert probabilities.shape == (4, 13)
    assert probabilities.dtype == torch.float32
    torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(4))
