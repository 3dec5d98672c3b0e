"""Picture models of transformers from a folder: found, prepared as their file says, designed again without weights."""

import importlib.util
import json

import numpy as np
import pytest
import torch
from PIL import Image

from spaceform.errors import InputError
from spaceform.nets.named import named_net
from spaceform.nets.vision import VisionNet, picture_size, preparation

transformers = pytest.importorskip("transformers")

SETTINGS = {
    "do_resize": True, "size": {"height": 16, "width": 16}, "resample": 3, "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4],
}  # fmt: skip
SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
MODELS = {
    "vit": lambda: transformers.ViTModel(transformers.ViTConfig(**SMALL, image_size=16, patch_size=8)),
    "dinov2": lambda: transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=16, patch_size=8)),
    "resnet": lambda: transformers.ResNetModel(
        transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    ),
    "convnext": lambda: transformers.ConvNextModel(
        transformers.ConvNextConfig(hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4)
    ),
    "swin": lambda: transformers.SwinModel(
        transformers.SwinConfig(image_size=16, patch_size=4, embed_dim=8, depths=[1], num_heads=[2], window_size=2)
    ),
}


def folder_of(model, place, settings=SETTINGS):
    model.save_pretrained(place)
    (place / "preprocessor_config.json").write_text(json.dumps(settings))
    return place


@pytest.fixture(params=sorted(MODELS))
def folder(request, tmp_path):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return folder_of(MODELS[request.param](), tmp_path / request.param)


def pictures(n=2, side=24):
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def test_every_kind_gives_vectors_and_is_designed_again(folder, tmp_path):
    assert importlib.util.find_spec("torchvision") is None, "these models have to work without it"
    net = named_net(f"transformers:{folder}", (24, 24, 3), 4, seed=0).eval()
    vectors = net(pictures())
    assert vectors.shape == (2, 4)
    assert not torch.equal(vectors[0], vectors[1])
    net.save_design(tmp_path / "design")
    again = VisionNet.design(tmp_path / "design", dim=4).eval()
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again(pictures()), vectors)
    assert again.preparation == net.preparation


def test_the_weights_are_those_of_the_folder(tmp_path):
    model = MODELS["vit"]().eval()
    net = VisionNet.open(folder_of(model, tmp_path), dim=4).eval()
    prepared = net.prepare(pictures())
    token = model(pixel_values=prepared).last_hidden_state[:, 0]
    torch.testing.assert_close(net.features(pictures()), token)


def test_a_checkpoint_with_a_classifier_is_read_below_it(tmp_path):
    settings = transformers.ViTConfig(**SMALL, image_size=16, patch_size=8)
    whole = transformers.ViTForImageClassification(settings).eval()
    net = VisionNet.open(folder_of(whole, tmp_path), dim=4).eval()
    states = whole(pixel_values=net.prepare(pictures()), output_hidden_states=True).hidden_states[-1]
    torch.testing.assert_close(net.features(pictures()), whole.vit.layernorm(states)[:, 0])


@pytest.mark.parametrize(("resample", "mode"), [(2, Image.Resampling.BILINEAR), (3, Image.Resampling.BICUBIC)])
@pytest.mark.parametrize("side", [40, 12])
def test_scaling_and_colours_are_those_of_pillow(tmp_path, resample, mode, side):
    net = VisionNet.open(folder_of(MODELS["vit"](), tmp_path, SETTINGS | {"resample": resample}), dim=4)
    picture = np.random.default_rng(0).integers(
        64, 192, (side, side, 3), dtype=np.uint8
    )  # no overshoot that Pillow would clip
    ours = net.prepare(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[0]
    scaled = np.asarray(Image.fromarray(picture).resize((16, 16), mode), dtype=np.float64) / 255
    theirs = (scaled - SETTINGS["image_mean"]) / SETTINGS["image_std"]
    assert np.abs(ours.permute(1, 2, 0).numpy() - theirs).max() < 1.01 / 255 / min(SETTINGS["image_std"])


def test_preparation_follows_the_file():
    crop = {"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
    assert preparation(crop)[:3] == (256, 224, "bilinear")
    assert preparation({"size": 64, "do_normalize": False, "resample": 3})[:4] == (64, 64, "bicubic", (0.0, 0.0, 0.0))
    assert preparation({"size": {"shortest_edge": 224}, "crop_pct": 0.875})[:2] == (256, 224)
    assert preparation({"size": {"shortest_edge": 384}, "crop_pct": 0.875})[:2] == (384, 384)


def test_grey_pictures_are_taken(tmp_path):
    net = VisionNet.open(folder_of(MODELS["vit"](), tmp_path), dim=4).eval()
    grey = pictures()[:, :1]
    torch.testing.assert_close(net(grey), net(grey.expand(-1, 3, -1, -1)))
    assert picture_size(tmp_path) == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: (place / "config.json").unlink(), "no config.json"),
        (lambda place: (place / "preprocessor_config.json").unlink(), "no preprocessor_config.json"),
        (lambda place: (place / "preprocessor_config.json").write_text("{"), "JSON"),
        (lambda place: (place / "preprocessor_config.json").write_text("{}"), "without a size"),
        (lambda place: (place / "model.safetensors").unlink(), "a model with weights"),
        (lambda place: (place / "config.json").write_text('{"model_type": "nothing"}'), "nothing"),
        (lambda place: (place / "config.json").write_text('{"model_type": "bert"}'), "a model of pictures"),
    ],
)
def test_folders_that_do_not_do_are_refused_in_a_line(tmp_path, change, message):
    folder_of(MODELS["vit"](), tmp_path)
    change(tmp_path)
    with pytest.raises(InputError, match=message) as refused:
        VisionNet.open(tmp_path, dim=4)
    assert "\n" not in str(refused.value)


def test_missing_weights_are_no_quiet_start_at_random(tmp_path):
    from safetensors.torch import load_file, save_file

    folder_of(MODELS["vit"](), tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: w for name, w in weights.items() if "layernorm_after" not in name}, tmp_path / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(InputError, match=r"lack .*layernorm_after"):
        VisionNet.open(tmp_path, dim=4)
