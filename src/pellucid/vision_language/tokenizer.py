"""Text to token ids: CLIP's vocabulary and our own small one, behind one class."""

from __future__ import annotations

import html
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pellucid.errors import CheckpointError
from pellucid.vision_language.hub import folder_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer as WordPieces

CLIP_VOCABULARY = "openai/clip-vit-base-patch32"
CLIP_VOCABULARY_SIZE = 49_408


class Tokenizer:
    """Turn sentences into rows `start, pieces, end, 0, 0, ...` of `context_length` ids.

    The two highest ids of the vocabulary are the start and the end token, in this order: the text
    tower reads its embedding at the largest id of a row, so the end token must be the very last. A
    longer sentence is cut and keeps its end token. As in open_clip, HTML entities are resolved
    (twice); its repair of mangled Unicode (`ftfy`) is left out.

    Args:
        pieces: a vocabulary of the `tokenizers` library.
        context_length: length of a row.

    Raises:
        CheckpointError: the vocabulary does not end with two special tokens.
    """

    def __init__(self, pieces: WordPieces, context_length: int):
        self.pieces = pieces
        self.context_length = context_length
        self.start, self.end = sorted(pieces.get_vocab().values())[-2:]
        added = pieces.get_added_tokens_decoder()
        if not all(i in added and added[i].special for i in (self.start, self.end)):
            raise CheckpointError(
                "not a vocabulary of CLIP's kind: start and end token must have its highest ids"
            )

    @classmethod
    def from_file(cls, path: str | PathLike, context_length: int = 32) -> Tokenizer:
        """Read a JSON file of the `tokenizers` library, such as that of the `lite` tower.

        Raises:
            CheckpointError: the file cannot be read, or does not end with the two special tokens.
        """
        from tokenizers import Tokenizer as WordPieces

        try:
            pieces = WordPieces.from_file(str(path))
        except Exception as error:  # the library raises bare Exception
            raise CheckpointError(f"{path} is not a tokenizer file: {error}") from error
        pieces.no_padding()
        pieces.no_truncation()
        return cls(pieces, context_length)

    @classmethod
    def from_clip(cls, source: str | PathLike = CLIP_VOCABULARY) -> Tokenizer:
        """CLIP's own vocabulary, 49,408 ids, 77 a row.

        Args:
            source: a folder with `vocab.json` and `merges.txt`, or a repository on the Hugging Face
                Hub (1.4 MB, fetched once).

        Raises:
            CheckpointError: neither found nor fetched, or of another size.
        """
        from transformers import CLIPTokenizerFast  # pyright: ignore - exported lazily

        try:
            folder = folder_of(source, "vocab.json", "merges.txt")
            pieces = CLIPTokenizerFast.from_pretrained(folder).backend_tokenizer
            # transformers 5 returns an empty vocabulary where there is no file
            if (count := pieces.get_vocab_size()) != CLIP_VOCABULARY_SIZE:
                raise ValueError(f"it has {count} ids, not {CLIP_VOCABULARY_SIZE}")
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"CLIP's vocabulary could not be read from {source}: {error}\nWithout a network, "
                f"fetch vocab.json and merges.txt of https://huggingface.co/{CLIP_VOCABULARY} "
                "by hand, and give their folder or put them beside the tower's file."
            ) from error
        return cls(pieces, context_length=77)

    def __call__(self, texts: str | Sequence[str]) -> Tensor:
        """Token ids, int64 (B, context_length), of one sentence (B = 1) or B sentences."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        tokens = torch.zeros(len(texts), self.context_length, dtype=torch.long)
        texts = [html.unescape(html.unescape(text)).strip() for text in texts]
        encodings = self.pieces.encode_batch(texts, add_special_tokens=False)
        for row, encoding in zip(tokens, encodings, strict=True):
            ids = [self.start, *encoding.ids[: self.context_length - 2], self.end]
            row[: len(ids)] = torch.tensor(ids)
        return tokens
