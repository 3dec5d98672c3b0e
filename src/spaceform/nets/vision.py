"""Pretrained picture models of transformers, from a folder: their own size and colours, one linear layer on top."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from torch import nn

from spaceform.checks import check_integer, require
from spaceform.errors import InputError, SpaceFormatError
from spaceform.types import PathLike

MODEL, PICTURES = "config.json", "preprocessor_config.json"
MODES = {0: "nearest-exact", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers of resampling, as preprocessor files have them; the others are near to bicubic."""

SMALL_CROP, CROP_FROM = 384, 224 / 256
"""ConvNeXt's rule: below 384 pixels pictures are made larger by 1 / crop_pct and cut in the middle."""


class Preparation(NamedTuple):
    """What a model wants of pictures: scaled to ``scaled`` pixels a side, the middle ``side`` of that, and colours
    ``(x - mean) / std`` for x in [0, 1]; ``mode`` is how torch calls the way of scaling.
    """

    scaled: int
    side: int
    mode: str
    mean: tuple[float, ...]
    std: tuple[float, ...]


class VisionNet(nn.Module):
    """A picture model of transformers as the backbone of an encoder: pictures to vectors.

    Takes float pictures ``(B, 3, size, size)`` in [0, 1], brings them to the size and colours that the model was
    trained with, and returns ``head(features) (B, dim)``, not normalised. Features: the map of a convolutional model,
    pooled (ResNet, ConvNeXt), or the class token of a transformer (ViT, DINOv2), or the mean of its tokens where it has
    none (Swin). Made by :meth:`open` from a folder with weights, or by :meth:`design` from the configuration alone.

    Grey pictures are repeated on three channels. Dropout of the model is on while it trains.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, preparation: Preparation, *, dim: int) -> None:
        super().__init__()
        self.trunk, self.preparation = model, preparation
        self.dim = check_integer(dim, "dim", low=1)
        self._settings: Any = model.config
        self.head = nn.Linear(_width(self._settings), dim)
        self.register_buffer("mean", torch.tensor(preparation.mean).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(preparation.std).view(1, -1, 1, 1), persistent=False)
        self._prepared: dict[str, Any] = {}

    @classmethod
    def open(cls, folder: PathLike, *, dim: int) -> Self:
        """Return the model in ``folder`` with its weights, and a new head drawn from torch's generator.

        The folder is what ``save_pretrained`` of a model and of its image processor write. Nothing is ever fetched.
        Raises ``InputError`` for a folder without a model, one that takes no pictures, whose weights are missing, or
        without ``preprocessor_config.json``; ``MissingExtraError`` without transformers.
        """
        place = Path(folder)
        transformers = require("transformers", "text")
        described = read_description(place)
        kind = _model_class(transformers, described["model"], place)
        with _quiet(transformers):
            try:
                model, loaded = kind.from_pretrained(
                    place, local_files_only=True, output_loading_info=True, **_without_pooler(kind)
                )
            except (OSError, ValueError, RuntimeError, KeyError) as error:
                raise InputError(
                    "net", got=f"{place} ({_first_line(error)})", expected="a model with weights"
                ) from error
        missing = sorted(name for name in loaded["missing_keys"] if not name.startswith("pooler."))
        if missing:
            raise InputError(
                "net", got=f"{place}, whose weights lack {missing[0]}", expected="all weights of the model"
            )
        return cls._described(model.float(), described, dim=dim)

    @classmethod
    def design(cls, folder: PathLike, *, dim: int) -> Self:
        """Return the model that ``folder`` describes with weights drawn at random, for weights that follow."""
        place = Path(folder)
        transformers = require("transformers", "text")
        described = read_description(place)
        kind = _model_class(transformers, described["model"], place)
        settings = transformers.AutoConfig.from_pretrained(place, local_files_only=True)
        return cls._described(kind(settings, **_without_pooler(kind)), described, dim=dim)

    @classmethod
    def _described(cls, model: nn.Module, described: dict[str, Any], *, dim: int) -> Self:
        made = cls(model, preparation(described["pictures"]), dim=dim)
        made._prepared = described["pictures"]
        return made

    def save_design(self, folder: PathLike) -> None:
        """Write what :meth:`design` needs, two JSON files, into ``folder``."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        self._settings.save_pretrained(place)
        (place / PICTURES).write_text(json.dumps(self._prepared))

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(B, dim)`` of pictures ``(B, 1 or 3, size, size)`` in [0, 1]."""
        vectors: torch.Tensor = self.head(self.features(pictures))
        return vectors

    def features(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return the features ``(B, width)`` below the head."""
        states = self.trunk(pixel_values=self.prepare(pictures))
        last: torch.Tensor = states.last_hidden_state
        if last.ndim == 4:
            pooled: torch.Tensor | None = getattr(states, "pooler_output", None)
            return (last.mean(dim=(2, 3)) if pooled is None else pooled).flatten(1)
        has_token = any(name.endswith("cls_token") for name, _ in self.trunk.named_parameters())
        return last[:, 0] if has_token else last.mean(dim=1)

    def prepare(self, pictures: torch.Tensor) -> torch.Tensor:
        """Return pictures in the size and colours of the model, ``(B, 3, side, side)``."""
        wanted = self.preparation
        if pictures.shape[1] == 1:
            pictures = pictures.expand(-1, 3, -1, -1)
        if pictures.shape[-1] != wanted.scaled:
            smooth = wanted.mode != "nearest-exact"
            pictures = nn.functional.interpolate(
                pictures.contiguous(), size=(wanted.scaled, wanted.scaled), mode=wanted.mode, antialias=smooth
            ).clamp(0, 1)
        first = (wanted.scaled - wanted.side) // 2
        cut = pictures[:, :, first : first + wanted.side, first : first + wanted.side]
        return (cut - self.mean) / self.std


def picture_size(folder: PathLike) -> int:
    """Return the side in pixels at which the model in ``folder`` wants pictures; see :class:`VisionNet`."""
    return preparation(read_description(Path(folder))["pictures"]).scaled


def read_description(folder: Path) -> dict[str, Any]:
    """Return the configurations of model and pictures. Raises ``InputError`` where one is missing or broken."""
    found = {}
    for name, file in (("model", MODEL), ("pictures", PICTURES)):
        try:
            found[name] = json.loads((folder / file).read_text(encoding="utf-8"))
        except OSError as error:
            expected = f"a folder of a transformers picture model, with {MODEL} and {PICTURES}"
            raise InputError("net", got=f"{folder}, which has no {file}", expected=expected) from error
        except ValueError as error:
            raise InputError("net", got=f"{folder / file} ({error})", expected="JSON") from error
    return found


def preparation(settings: dict[str, Any]) -> Preparation:
    """Return what a ``preprocessor_config.json`` asks for, of pictures that are square already.

    Where it scales the shortest edge and cuts the middle, so do we; ConvNeXt's ``crop_pct`` is followed.
    Raises ``InputError`` for one that says no size.
    """
    side = _side(settings.get("size"))
    if side is None or not settings.get("do_resize", True):
        raise InputError("net", got=f"a {PICTURES} without a size", expected="'size' with a height or an edge")
    scaled = side
    if "crop_pct" in settings and side < SMALL_CROP:
        scaled = round(side / (settings["crop_pct"] or CROP_FROM))
    elif settings.get("do_center_crop"):
        side = min(_side(settings.get("crop_size")) or side, scaled)
    normal = settings.get("do_normalize", True)
    return Preparation(
        scaled=scaled,
        side=side,
        mode=MODES.get(settings.get("resample", 2), "bicubic"),
        mean=tuple(settings.get("image_mean") or (0.5, 0.5, 0.5)) if normal else (0.0, 0.0, 0.0),
        std=tuple(settings.get("image_std") or (0.5, 0.5, 0.5)) if normal else (1.0, 1.0, 1.0),
    )


def _side(size: Any) -> int | None:
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    return int(size) if isinstance(size, int | float) and size > 0 else None


def _model_class(transformers: Any, settings: dict[str, Any], folder: Path) -> Any:
    """Return the plain model class of a configuration, without a task's head."""
    try:
        known = transformers.AutoConfig.for_model(settings["model_type"])
        kind = transformers.MODEL_MAPPING[type(known)]
    except (KeyError, ValueError) as error:
        raise InputError(
            "net", got=f"{folder} (model type {settings.get('model_type')!r})", expected="a model"
        ) from error
    kind = kind[0] if isinstance(kind, tuple) else kind
    if getattr(kind, "main_input_name", "") != "pixel_values":
        raise InputError(
            "net", got=f"{kind.__name__} in {folder}", expected="a model of pictures, such as ViT or ResNet"
        )
    return kind


def _without_pooler(kind: Any) -> dict[str, Any]:
    """Leave out the pooling layer of transformers: few files have its weights, and the class token needs none."""
    return {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind.__init__).parameters else {}


def _width(settings: Any) -> int:
    sizes = getattr(settings, "hidden_sizes", None)
    width = sizes[-1] if sizes else getattr(settings, "hidden_size", None)
    if not isinstance(width, int):
        raise SpaceFormatError(f"{type(settings).__name__} does not say how wide its features are")
    return width


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Silence tables of unused heads and bars of loading: what matters is checked and raised."""
    logging = transformers.logging
    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
