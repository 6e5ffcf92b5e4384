"""Phrases of one's own: what they mean, and how probable they are."""

from dataclasses import replace

import pytest

import tiny
from benchmarks.phrases import UNSEEN
from laboratory.phrases import corpus, damage_phrases
from pellucid.degradations import CLASSES, WORDS
from pellucid.degradations.descriptions import DESCRIPTIONS
from pellucid.errors import UsageError
from pellucid.loading import load_parts
from pellucid.phrases import Phrase, read
from pellucid.restorer import Restorer


@pytest.fixture(scope="module")
def lite():
    return Restorer(**vars(load_parts("lite")), device="cpu", dtype="float32")


def test_a_description_means_its_degradation_and_others_are_not_understood(lite):
    texts = [text for word in WORDS for text in DESCRIPTIONS[word].nouns]
    expected = [word for word in WORDS for _ in DESCRIPTIONS[word].nouns]
    phrases = read(texts, lite)
    assert [phrase.nearest for phrase in phrases] == texts
    assert [phrase.word for phrase in phrases] == expected
    assert all(sum(phrase.means.values()) == pytest.approx(1) for phrase in phrases)
    assert not any(phrase.understood for phrase in read(["moire", "cat", "sepia"], lite))


def test_case_and_spaces_do_not_matter(lite):
    (one, two) = read(["film grain", "  Film \n GRAIN"], lite)
    assert (two.text, two.word) == ("Film GRAIN", "noisy")
    assert one.means == pytest.approx(two.means)


def test_the_probability_is_the_mixture_of_those_of_the_words():
    phrase = Phrase("drizzle", {"rainy": 0.75, "hazy": 0.25}, "rain")
    assert phrase.probability({"hazy": 0.4, "rainy": 0.6, "noisy": 0.0}) == pytest.approx(0.55)
    assert phrase.understood and phrase.word == "rainy"
    assert not replace(phrase, means={"rainy": 0.59, "hazy": 0.41}).understood


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (" ", "empty"),
        ("雾", "reads English, and does not know '雾'"),
        ("fog\x07", r"does not know '\\x07'"),
        ("fog " * 31, "reads 30 tokens, it has 31"),
    ],
)
def test_what_cannot_be_read_is_refused(lite, text, why):
    with pytest.raises(UsageError, match=why):
        read(["rain", text], lite)


def test_a_model_without_words_is_refused():
    with pytest.raises(UsageError, match="tiny does not tell degradations apart"):
        read(["rain"], tiny.restorer(guided=False))


def test_the_unseen_phrases_of_the_benchmark_are_unseen():
    trained = {*corpus(30_000), *(p for word in CLASSES for p in damage_phrases(word))}
    assert set(UNSEEN) == set(WORDS) and sum(map(len, UNSEEN.values())) == 30
    assert not trained & {text for texts in UNSEEN.values() for text in texts}
