"""Word pieces of the small text tower: byte-level BPE, 4000 pieces, trained on our own corpus."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

PIECES = 4000


def train_word_pieces(phrases: Iterable[str], size: int = PIECES) -> Tokenizer:
    """Train a vocabulary of `size` ids, as `pellucid.vision_language.tokenizer` reads it.

    Id 0 is the padding; the start and end tokens have the two highest ids, because CLIP's text
    tower pools at the largest id of a row. Text is lower-cased; bytes are the smallest pieces, so
    nothing is unknown.

    Raises:
        ValueError: the phrases are too few to make `size` pieces.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size - 2,
        special_tokens=["<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(phrases, trainer)
    tokenizer.add_special_tokens(["<start>", "<end>"])
    if tokenizer.get_vocab_size() != size:
        raise ValueError(f"the corpus gives {tokenizer.get_vocab_size()} word pieces, not {size}")
    return tokenizer
