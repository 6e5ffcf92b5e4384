"""What the server does with a picture; runs in the worker's thread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pellucid import zoo
from pellucid.errors import UsageError, look_up
from pellucid.imaging.heat import heat
from pellucid.imaging.io import BY_NAME, Format, Photo, encode, fit, output_format, read
from pellucid.imaging.libtiff import library_notes
from pellucid.instruction import understand
from pellucid.loading import load
from pellucid.report import asked_of, report_of
from pellucid.restoration import Restoration
from pellucid.restorer import Restorer
from pellucid.server.problems import Problem
from pellucid.server.uploads import IMAGE, MASKS, Upload
from pellucid.server.work import Told
from pellucid.zoo import AUTO

Suffix = Literal["jpg", "png", "webp", "tif", "bmp", "avif", "heic", "jxl"]
Kind = TypeVar("Kind", bound="Options")


class Options(BaseModel):
    """Options of a request, by the names of the command line."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = Field(None, description="A name of /api/models; the server's if left out.")
    words: str = Field("", description="What is wrong, if you know it: hazy, or rainy,noisy.")

    ask: str | None = Field(
        None,
        description="What to remove and what to keep, in English: take the rain away but keep it "
        "dark. The report says under `asked` what was understood.",
    )

    @property
    def named(self) -> list[str]:
        """The words, one by one."""
        return [word.strip() for word in self.words.split(",")] if self.words.strip() else []


class RestoreRequest(Options):
    """Options of a request for a restoration."""

    strength: float = Field(1.0, description="1 is the restoration, 0 the input.")
    region: str = Field("", description="X,Y,W,H: restore only this rectangle, in pixels.")
    preset: Literal["paper", "balanced", "fast"] | None = Field(
        None, description="Diffusion models: 100, 20 (the default) or 5 network calls."
    )
    steps: int | None = Field(None, description="Diffusion models: number of network calls.")
    seed: int = Field(0, ge=0, lt=2**63, description="Diffusion models: seed of the noise.")
    no_guard: bool = Field(
        False,
        description="Give what the network makes, even where nothing measured explains it; "
        "auto chooses by the words alone.",
    )
    tile: int | None = Field(None, description="Longest side of a tile in pixels; 0 never tiles.")
    format: Suffix | None = Field(None, description="Of the answer; that of the input if left out.")
    quality: int | None = Field(None, ge=1, le=100, description="Of JPEG and other lossy formats.")

    @property
    def rectangle(self) -> tuple[int, ...] | None:
        """The region as numbers; `UsageError` if it is none."""
        try:
            return tuple(int(value) for value in self.region.split(",")) if self.region else None
        except ValueError:
            raise UsageError(f"region {self.region} is not four whole numbers: X,Y,W,H") from None


class Made(NamedTuple):
    """A picture as a file, its media type and name, and the report."""

    data: bytes
    media: str
    name: str
    report: dict[str, Any]


class Restored(NamedTuple):
    """A picture as it was given, its restoration, and the name of the upload."""

    given: Photo
    found: Restoration
    name: str

    def at(self, strength: float) -> Photo:
        """`given + strength * (restored - given)`."""
        restored = self.found.picture
        if strength == 1:
            return restored
        given = self.given.pixels
        return restored.with_pixels(given + np.float32(strength) * (restored.pixels - given))

    def made(
        self, suffix: str | None = None, quality: int | None = None, strength: float = 1
    ) -> Made:
        """The file of a format, by its suffix; that of the input if None."""
        format = format_for(self.given, suffix)
        photo = fit(self.at(strength), format.name)
        data = encode(photo, format.name, quality)
        name = file_name(self.name, format.suffixes)
        return Made(data, media(format.name), name, report_of(photo, self.found))


def options_of(kind: type[Kind], given: dict[str, str]) -> Kind:
    """Checked options; `Problem` 400 names the first that is wrong."""
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            known = ", ".join(kind.model_fields)
            raise Problem(400, f"there is no option {name!r}; options are {known}") from error
        raise Problem(400, f"option {name}: {first['msg']}") from error


class Models:
    """The models of a server, loaded when first asked for; for the worker's thread.

    A request chooses among the names of the models in the package and the server's own. A path is
    never taken from a request, and nothing is fetched because of one.
    """

    def __init__(self, model: str = AUTO, device: str = "auto", dtype: str = "auto", **others: Any):
        self._options = {"device": device, "dtype": dtype, **others}
        self.default = model if model in (AUTO, *zoo.MODELS) else Path(model).stem
        shipped = (AUTO, *(name for name, entry in zoo.MODELS.items() if entry.shipped))
        self.sources = {self.default: model} | {name: name for name in shipped}
        """What is loaded for each name that is offered; the server's own is the first."""
        self._loaded: dict[tuple[str, bool | None], Restorer] = {}

    def get(self, name: str | None = None, guard: bool | None = None) -> Restorer:
        """The restorer of a name; `UsageError` for a name that is not offered."""
        name = self.default if name is None else name
        source = look_up(self.sources, name, "model")
        if (name, guard) not in self._loaded:
            self._loaded[name, guard] = load(source, guard=guard, **self._options)
        return self._loaded[name, guard]


class Jobs:
    """Restore, diagnose, map: from an upload to an answer."""

    def __init__(self, models: Models, max_pixels: int):
        self.models, self.max_pixels = models, max_pixels

    def restore(
        self, upload: Upload, options: RestoreRequest, told: Told, damage: bool = False
    ) -> Restored:
        """A picture without its degradations, with the metadata and bit depth of the input."""
        restorer = self.models.get(options.model, False if options.no_guard else None)
        chosen = options.model_dump(include={"steps", "preset", "strength", "tile"})
        restorer.check(**chosen, words=options.named)
        photo = self._read(upload)
        photo = fit(photo, format_for(photo, options.format).name)
        found = restorer.run(
            photo,
            words=options.named,
            ask=options.ask or None,
            region=options.rectangle,
            quality=True,
            damage=damage,
            seed=options.seed,
            max_pixels=self.max_pixels,
            progress=told,
            **{name: upload.files[name].read() for name in MASKS if name in upload.files},
            **chosen,
        )
        return Restored(photo, found, upload.name)

    def diagnose(self, upload: Upload, options: Options) -> dict[str, Any]:
        """The probability of each degradation, and how good the picture is."""
        restorer = self.models.get(options.model)
        if restorer.text_features is None:
            raise UsageError(f"the model {restorer.name} does not tell degradations apart")
        photo = self._read(upload)
        asked = understand(options.ask) if options.ask else None
        found = restorer.diagnose(photo, words=options.named, ask=asked)
        answer = {"words": list(found.words), "probabilities": found.probabilities}
        answer |= {"asked": asked_of(asked)} if asked else {}
        quality = restorer.quality(photo)
        answer |= {"quality": quality} if quality else {}
        return answer | {"width": photo.width, "height": photo.height, "notes": list(photo.notes)}

    def damage(self, upload: Upload, options: Options) -> Made:
        """Where the picture is damaged, laid over it, as a PNG."""
        restorer = self.models.get(options.model)
        photo = self._read(upload)
        guidance = restorer.diagnose(photo, words=options.named, ask=options.ask or None)
        where = restorer.damage(photo, guidance=guidance)
        report = {"words": list(guidance.words), "mean": round(float(where.mean()), 4)}
        name = f"{PurePath(file_name(upload.name, ('.png',))).stem}.map.png"
        return Made(encode(heat(photo, where), "PNG"), "image/png", name, report)

    def _read(self, upload: Upload) -> Photo:
        with library_notes() as said:
            photo = read(upload.files[IMAGE].read(), self.max_pixels)
        return photo.with_notes(*said)


def format_for(photo: Photo, suffix: str | None) -> Format:
    """The format of an answer: what is asked for, that of the input, or PNG."""
    if suffix:
        return output_format(f"x.{suffix}")
    format = BY_NAME[photo.format or "PNG"]
    return format if format.writable else BY_NAME["PNG"]


def file_name(given: str, suffixes: Sequence[str]) -> str:
    """Name of an answer: that of the upload without folders, with a suffix of the format."""
    path = PurePath(given.replace("\\", "/").rsplit("/", 1)[-1])
    if path.suffix.lower() in suffixes:
        return path.name
    stem = path.stem if path.stem.strip(". ") else "restored"
    return stem + suffixes[0]


def media(format: str) -> str:
    """Media type of a format that is written, by Pillow's name."""
    return f"image/{format.lower()}"
