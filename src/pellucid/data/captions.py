"""BLIP captions of clean pictures, for training the controller.

The paper used BLIP-large through clip-interrogator; here BLIP comes from transformers, by name or
from a local folder. A run that was stopped continues.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pellucid.data.files import LQ, read_pixels
from pellucid.data.layouts import find_sets
from pellucid.data.table import CaptionWriter
from pellucid.errors import PellucidError, UsageError

MODEL = "Salesforce/blip-image-captioning-large"
Captioner = Callable[[Sequence[np.ndarray]], list[str]]


class BlipCaptioner:
    """Caption uint8 pictures `(H, W, 3)` by greedy decoding.

    Args:
        model: a name on the Hugging Face hub or a local folder (config, weights, tokenizer).
        device: a torch device.
        most_tokens: length limit of a caption.

    Raises:
        PellucidError: the model cannot be loaded.
    """

    def __init__(self, model: str = MODEL, device: str = "cpu", most_tokens: int = 32):
        from transformers import AutoTokenizer, BlipForConditionalGeneration

        try:
            self.processor = processor_class().from_pretrained(model)
            self.tokenizer = AutoTokenizer.from_pretrained(model)
            self.model = BlipForConditionalGeneration.from_pretrained(model).eval()
            self.model.to(device)  # pyright: ignore - a decorator hides its signature
        except (OSError, ValueError) as error:
            raise PellucidError(
                f"the caption model '{model}' cannot be loaded ({error}); give the folder of a "
                "downloaded BLIP captioning model with --model"
            ) from error
        self.device, self.most_tokens = device, most_tokens

    def __call__(self, pictures: Sequence[np.ndarray]) -> list[str]:
        """Return one caption a picture."""
        import torch

        images = [Image.fromarray(picture) for picture in pictures]
        pixels = self.processor(images=images, return_tensors="pt")["pixel_values"].to(self.device)
        with torch.no_grad():
            tokens = self.model.generate(pixel_values=pixels, max_new_tokens=self.most_tokens)
        texts = self.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [text.strip() for text in texts]


def processor_class() -> type:
    """BLIP's image processor that needs no torchvision; transformers 5 renamed it."""
    import transformers

    name = "BlipImageProcessorPil"
    return getattr(transformers, name if hasattr(transformers, name) else "BlipImageProcessor")


def write_captions(
    root: str | Path,
    captioner: Captioner,
    table: str | Path | None = None,
    batch: int = 8,
    progress: Callable[[float], None] = lambda share: None,
) -> Path:
    """Caption the clean pictures of `root/<type>/{LQ,GT}` and list the damaged ones with them.

    Args:
        root: folder in the official layout.
        captioner: pictures -> captions; see `BlipCaptioner`.
        table: the CSV, default `root/captions.csv`; existing rows are kept.
        batch: pictures captioned, and rows written, at once.
        progress: called with the share that is done, in [0, 1], after each batch.

    Returns:
        The path of the CSV; its paths are relative to its folder where they are below it.

    Raises:
        UsageError: no pairs in `root`.
        ImageError: a picture cannot be read; the rows before it are kept.
    """
    root = Path(root).resolve()
    table = Path(table).resolve() if table is not None else root / "captions.csv"
    jobs = [
        (_name(pair.lq, table.parent), pair.gt, one.word)
        for one in find_sets(root)
        if one.inputs and one.inputs.name == LQ  # by which `CaptionedPairs` finds the clean ones
        for pair in one.match().pairs
    ]
    if not jobs:
        raise UsageError(f"{root}: no pairs <type>/LQ and <type>/GT in it")
    writer = CaptionWriter(table)
    left = [job for job in jobs if job[0] not in writer.done]
    done = len(jobs) - len(left)
    progress(done / len(jobs))
    for start in range(0, len(left), batch):
        part = left[start : start + batch]
        captions = captioner([read_pixels(gt) for _, gt, _ in part])
        writer.append(
            [(name, text, word) for (name, _, word), text in zip(part, captions, strict=True)]
        )
        done += len(part)
        progress(done / len(jobs))
    return table


def _name(path: Path, folder: Path) -> str:
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()
