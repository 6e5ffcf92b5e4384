"""How often words that no tower was trained with name the right damage, on sets of pictures.

    python benchmarks/phrases.py SETS

SETS is a folder of sets, as for `pellucid evaluate --protocol sets`. Each picture that has at least
one of the ten degradations is given to the model with three phrases for each; it is right if the
most probable phrase is one of a true degradation. Writes docs/measurements/phrases.md.
"""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.progress import track

import pellucid
from pellucid.degradations import WORDS
from pellucid.degradations.descriptions import DESCRIPTIONS
from pellucid.evaluation.folder_scores import chosen
from pellucid.evaluation.report import markdown
from pellucid.evaluation.statistics import estimate
from pellucid.imaging.evidence import measure
from pellucid.imaging.io import read
from pellucid.phrases import Phrase
from pellucid.phrases import read as read_phrases
from pellucid.restorer import Restorer
from pellucid.support import reweigh

OUT = Path("docs/measurements/phrases.md")
UNSEEN = {  # written by hand; in no description and in no text that the text tower was trained with
    "motion-blurry": ("defocused", "fuzzy", "camera movement"),
    "hazy": ("smoky", "low visibility", "thick fog"),
    "jpeg-compressed": ("blocking", "macroblocking", "lossy compression"),
    "low-light": ("night shot", "gloomy", "insufficient light"),
    "noisy": ("salt and pepper noise", "graininess", "color speckle"),
    "raindrop": ("water on the lens", "wet windshield", "beads of water"),
    "rainy": ("raining", "rainstorm", "wet weather"),
    "shadowed": ("shading", "half in the shade", "silhouette"),
    "snowy": ("snowing", "flurries", "winter storm"),
    "uncompleted": ("blank areas", "scratched out", "erased region"),
}
LISTED = {word: DESCRIPTIONS[word].nouns[:3] for word in WORDS}
PAGE = """# Phrases of one's own

`pellucid diagnose --words "film grain,fog"` gives the probability of phrases that the controller
was never trained with: the text tower says which of the ten degradations a phrase means, and
their probabilities are mixed accordingly (`pellucid.phrases`).

Printed by `{command}` on {pictures} pictures by other people
([the sets](strangers.md)) that have at least one of the ten degradations. A picture is right if
the most probable phrase is one of a true degradation: the share with its 95 % interval (bootstrap
over pictures), and the mean over the true words, which are not equally frequent.

{table}

- One understood phrase of the three is enough. "One unseen phrase a degradation" gives the model
  ten phrases at a time, the mean of three such lists.
- Chance is a guess among the ten. Compared directly: cosine of the picture's degradation
  embedding and the phrase's text embedding, as in DA-CLIP's README; the model's own words are all
  that its controller learned.
- The way was chosen on windows of the training photographs, each description in turn as the phrase;
  the 30 phrases had been tried on held-out windows. Nothing was changed once the sets were read.
- Of the 30 phrases, {understood} count as understood (one degradation at 0.6 or more), {meant} of
  them rightly ("clean" is none). `diagnose` marks the others, and those say little.
- The official towers of DA-CLIP take the same way, with CLIP's own text tower; it has not been
  measured with them, as their weights could not be had.

What the {count} phrases are taken for:

{phrases}

By true word: the share of its pictures that are right.

{words}
"""
Picture = tuple[tuple[str, ...], dict[str, float], dict[str, float], torch.Tensor]
"""True words; probabilities corrected by measurement; those of the tower alone; embedding."""


def diagnosed(sets: Path, restorer: Restorer) -> list[Picture]:
    """Every picture with a known degradation."""
    found = []
    for case in track(chosen(sets, (), None), "diagnosing", transient=True):
        true = tuple(word for word in case.words if word in WORDS)
        if true:
            photo = read(case.input)
            tower = restorer.diagnose(photo)
            corrected = reweigh(tower.probabilities, measure(photo.pixels, photo.quantisation))
            embedding = F.normalize(tower.degradation[0], dim=0)
            found.append((true, corrected, tower.probabilities, embedding))
    return found


def groups(phrases: dict[str, Sequence[str]]) -> list[tuple[str, str]]:
    return [(word, text) for word, texts in phrases.items() for text in texts]


def one_each(restorer: Restorer) -> list[tuple[tuple[str, ...], list[Phrase]]]:
    """Words and phrases of three lists with one unseen phrase for each degradation."""
    lists = zip(*UNSEEN.values(), strict=True)
    return [(tuple(UNSEEN), read_phrases(texts, restorer)) for texts in lists]


def best_meant(picture: Picture, names: Sequence[str], meanings: Sequence, column: int) -> str:
    """Word of the most probable phrase."""
    shares = [phrase.probability(picture[column]) for phrase in meanings]
    return names[shares.index(max(shares))]


def best_directly(picture: Picture, names: Sequence[str], features: torch.Tensor) -> str:
    return names[int((features @ picture[3]).argmax())]


def best_word(picture: Picture, column: int) -> str:
    return max(WORDS, key=picture[column].__getitem__)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", type=Path, help="folder of SET/lq")
    parser.add_argument("--model", default="lite")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    alone = pellucid.load(args.model, guard=False)
    pictures = diagnosed(args.sets, alone)
    controller = alone.controller
    assert controller is not None and alone.tokenizer is not None
    tokenizer = alone.tokenizer()

    ways = {
        "the ten words themselves": partial(best_word, column=1),
        "the ten words, tower alone": partial(best_word, column=2),
    }
    for title, listed in (("30 unseen phrases", UNSEEN), ("30 listed descriptions", LISTED)):
        names, texts = zip(*groups(listed), strict=True)
        meanings = read_phrases(texts, alone)
        with torch.no_grad():
            features = F.normalize(controller.encode_text(tokenizer(texts)).float(), dim=-1)
        ways[title] = partial(best_meant, names=names, meanings=meanings, column=1)
        ways[f"{title}, tower alone"] = partial(
            best_meant, names=names, meanings=meanings, column=2
        )
        ways[f"{title}, compared directly"] = partial(best_directly, names=names, features=features)
    right = {
        title: [float(best(picture) in picture[0]) for picture in pictures]
        for title, best in ways.items()
    }
    thirds = [
        [float(best_meant(picture, names, meanings, 1) in picture[0]) for picture in pictures]
        for names, meanings in one_each(alone)
    ]
    right["one unseen phrase a degradation"] = [sum(n) / 3 for n in zip(*thirds, strict=True)]
    right["chance"] = [len(picture[0]) / len(WORDS) for picture in pictures]
    members = {w: [i for i, p in enumerate(pictures) if w in p[0]] for w in WORDS}
    members = {word: places for word, places in members.items() if places}
    by_word = {
        title: {w: sum(values[i] for i in places) / len(places) for w, places in members.items()}
        for title, values in right.items()
    }
    table = [["named by", "right", "mean over words"]]
    for title, values in right.items():
        share = estimate([values])
        interval = "" if title == "chance" else f" [{share.low:.0%}, {share.high:.0%}]"
        mean = sum(by_word[title].values()) / len(members)
        table.append([title, f"{share.mean:.0%}{interval}", f"{mean:.0%}"])
    shown = (
        "the ten words themselves",
        "30 unseen phrases",
        "30 unseen phrases, compared directly",
    )
    words = [["word", "pictures", *shown]]
    for word, places in members.items():
        words.append([word, str(len(places)), *(f"{by_word[title][word]:.0%}" for title in shown)])
    unseen = read_phrases([text for _, text in groups(UNSEEN)], alone)
    sure = [(p, w) for p, (w, _) in zip(unseen, groups(UNSEEN), strict=True) if p.understood]
    phrases = [["degradation", "phrases, and what each is taken for"]]
    for word in UNSEEN:
        own = [p for p, (w, _) in zip(unseen, groups(UNSEEN), strict=True) if w == word]
        taken = (
            f"{p.text}: {p.word}{'' if p.understood else '?'} {p.means[p.word]:.2f}" for p in own
        )
        phrases.append([word, "; ".join(taken)])
    page = PAGE.format(
        command="python benchmarks/phrases.py SETS",
        pictures=len(pictures),
        table=markdown(table).strip(),
        understood=len(sure),
        meant=sum(p.word == w for p, w in sure),
        count=len(unseen),
        phrases=markdown(phrases).strip(),
        words=markdown(words).strip(),
    )
    args.out.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
