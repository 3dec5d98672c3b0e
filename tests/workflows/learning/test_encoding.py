"""Encoders trained by any loss on pictures or vectors: what is kept back, measured, written, resumed and refused."""

import functools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from oracles.plain_net import plain_net
from spaceform.data.pictures import encode_png
from spaceform.encoders.learner import MetricLearner
from spaceform.errors import InputError
from spaceform.metrics.retrieval import recall_at_k
from spaceform.space import Space
from spaceform.workflows.encoders import open_encoder
from spaceform.workflows.learning.comparison import BASELINE
from spaceform.workflows.search import search
from spaceform.workflows.train import train

FAST = {"net": "mlp", "embedding_dim": 8, "classes_per_batch": 8, "samples_per_class": 3, "steps": 30, "looks": 5}


@pytest.fixture(scope="module")
def space():
    """Thirty classes of eight rows: class in few dimensions, noise in the others; some rows without a class."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(30), 8)
    X = np.hstack([1.5 * rng.normal(size=(30, 4))[y], rng.normal(size=(240, 12))])
    names = [None if i % 40 == 7 else f"c{code:02}" for i, code in enumerate(y)]
    return Space.create(X, attributes={"name": names}, label="name")


@pytest.fixture(scope="module")
def result(space, tmp_path_factory):
    return train("proxy-anchor", space, out=tmp_path_factory.mktemp("out") / "t", options=FAST)


def test_classes_are_kept_back_and_figures_are_theirs(space, result):
    made = Space.open(result.path)
    part, names = made.column("part"), np.array(made.column("name"), dtype=object)
    classes = {name: set(names[part == name]) for name in ("train", "validation", "test")}
    assert {name: len(held) for name, held in classes.items()} == {"train": 21, "validation": 3, "test": 6}
    assert not classes["train"] & classes["test"]
    assert all(value is None for value in part[names == None])  # noqa: E711  # element by element
    assert (made.column("seen") == np.isin(part, ["train", "validation"])).all()
    assert list(result.figures) == ["raw vectors", "untrained", BASELINE, "trained"]
    test = part == "test"
    recall = recall_at_k(made.vectors[test], names[test].astype(str), ks=(1, 8))
    assert result.figures["trained"]["recall@1"] == pytest.approx(recall[1])
    assert result.figures["trained"]["recall@8"] == pytest.approx(recall[8])
    gain = result.learned.gains["untrained"]
    assert gain.mean == pytest.approx(result.figures["trained"]["recall@1"] - result.figures["untrained"]["recall@1"])
    assert gain.mean > 0.1, "six unseen classes are found by what was learned"
    assert "6 classes that training never saw" in result.learned.sentence
    assert made.info["learned"]["trained"]["map_at_r"] == pytest.approx(result.figures["trained"]["MAP@R"])


def test_the_encoder_is_found_again_and_search_works(result, space):
    made = Space.open(result.path)
    folder = Path(result.path)
    encoder = open_encoder(folder)
    assert isinstance(encoder, MetricLearner)
    np.testing.assert_allclose(encoder.encode(space.vectors), made.vectors, atol=1e-6)
    assert encoder.fingerprint == made.encoder["fingerprint"]
    found = search(folder, str(made.ids[0]), k=3)
    assert len(found.rows) == 3
    assert not (folder / "checkpoint").exists()


def test_the_result_is_plain_json(result):
    told = json.loads(json.dumps(result.to_dict()))
    assert told["learned"]["parts"]["train"][0] == 21
    assert told["learned"]["trained"]["looks"] == [6, 12, 18, 24, 30]
    assert len(told["learned"]["trained"]["loss"]) == 30
    assert set(told["learned"]["gains"]) == {"untrained", BASELINE}
    assert "before" not in told["learned"]


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(space, result, tmp_path):
    def kill(task, done, total, figures=None):
        if task.startswith("baseline: training") and done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("proxy-anchor", space, out=tmp_path / "t", options=FAST, progress=kill)
    assert sorted(path.name for path in (tmp_path / "t" / "checkpoint").iterdir()) == ["baseline", "trained"]
    again = train("proxy-anchor", space, out=tmp_path / "t", options=FAST)
    assert again.space.encoder == result.space.encoder
    assert again.figures == result.figures
    assert again.learned.trained == result.learned.trained


def test_few_classes_hold_back_rows_and_say_so(space, tmp_path):
    few = space.select(np.arange(40))
    result = train("sup-con", few, out=tmp_path / "t", options=FAST | {"steps": 2, "baseline": False})
    assert "held-out rows of the" in result.learned.sentence
    assert "nothing about new classes" in result.notes[0]
    assert list(result.learned.gains) == ["untrained"]
    assert "learned" not in result.space.info
    nothing = train("sup-con", few, out=tmp_path / "u", options=FAST | {"steps": 2}, held_out=0.0)
    assert (nothing.figures, nothing.learned.sentence) == ({}, "")


def pictures(n, size=16):
    rng = np.random.default_rng(0)
    base = rng.integers(0, 200, (n // 4, size, size, 3))
    return (np.repeat(base, 4, axis=0) + rng.integers(0, 55, (n, size, size, 3))).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Twelve classes of four pictures in their folders."""
    for i, picture in enumerate(pictures(48)):
        place = tmp_path / "images" / f"class {i // 4}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(place / f"{i}.png")
    return tmp_path / "images"


SMALL = {"steps": 2, "embedding_dim": 4, "classes_per_batch": 4, "samples_per_class": 2, "baseline": False}


def test_a_folder_of_pictures_with_a_network_of_ones_own(folder, tmp_path):
    address = "oracles.plain_net:plain_net"
    result = train("triplet", folder, out=tmp_path / "t", size=16, options=SMALL | {"net": address, "mining": "hard"})
    made = Space.open(tmp_path / "t")
    assert (made.label, made.dim, made.has_pictures) == ("class", 4, True)
    assert list(result.figures) == ["raw pixels", "untrained", "trained"]
    with pytest.raises(InputError, match=r"oracles\.plain_net:plain_net"):
        open_encoder(tmp_path / "t")
    again = MetricLearner.load(tmp_path / "t" / "encoder", net=plain_net)
    assert again.fingerprint == made.encoder["fingerprint"]
    assert again.net == address


def test_domains_are_told_by_a_column(space, tmp_path, monkeypatch):
    from spaceform.methods.few_shot.dafosnet import DAFOSEncoder

    told = []
    fit = DAFOSEncoder.fit

    @functools.wraps(fit)
    def listening(self, X, y, **options):
        told.append(options["domains"])
        return fit(self, X, y, **options)

    monkeypatch.setattr(DAFOSEncoder, "fit", listening)
    drawn = space.with_columns({"vendor": ["one" if row % 2 else "two" for row in range(len(space))]})
    small = {"steps": 2, "embedding_dim": 4, "n_way": 3, "shots": 1, "queries": 2, "net": "mlp", "baseline": False}
    result = train("dafosnet", drawn, out=tmp_path / "t", options=small | {"target": "vendor=two"})
    kept = np.flatnonzero(result.space.column("part") == "train")
    np.testing.assert_array_equal(told[-1], kept % 2 == 0)
    with pytest.raises(InputError, match="one, two"):
        train("dafosnet", drawn, out=tmp_path / "u", options=small | {"target": "vendor=three"})
    with pytest.raises(InputError, match="knows no domains"):
        train("triplet", drawn, out=tmp_path / "u", options=FAST | {"target": "vendor=two"})


def test_a_pretrained_backbone_from_a_folder(folder, tmp_path):
    transformers = pytest.importorskip("transformers")
    model = transformers.ViTModel(
        transformers.ViTConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16, patch_size=8
        )
    )
    model.save_pretrained(tmp_path / "vit")
    (tmp_path / "vit" / "preprocessor_config.json").write_text('{"size": {"height": 16, "width": 16}}')
    train("sup-con", folder, out=tmp_path / "t", options=SMALL | {"net": f"transformers:{tmp_path / 'vit'}"})
    (tmp_path / "vit").rename(tmp_path / "gone")  # the encoder needs its folder no more
    encoder, made = open_encoder(tmp_path / "t"), Space.open(tmp_path / "t")
    assert encoder.input_shape_ == (16, 16, 3), "pictures come in the size that the model wants"
    assert encoder.fingerprint == made.encoder["fingerprint"]
    read = np.stack([np.asarray(Image.open(folder / name).convert("RGB")) for name in made.column("file")[:3]])
    np.testing.assert_allclose(encoder.encode(read), made.vectors[:3], atol=1e-5)


def test_refusals_come_at_the_door(folder, space, tmp_path):
    def refused(source, message, out="u", **options):
        with pytest.raises(InputError, match=message) as found:
            train("sup-con", source, out=None if out is None else tmp_path / out, size=16, options=SMALL | options)
        assert "\n" not in str(found.value)
        assert not (tmp_path / "u").exists(), "nothing is left behind"

    refused(folder, "out", out=None)
    refused(folder, "another folder", out="images")
    (tmp_path / "file").write_text("")
    refused(folder, "out: got .*file", out="file/t")
    refused(folder, "this machine has", devices=4096)
    refused(folder, "net", net="resnet")
    refused(folder, "no config.json", net=f"transformers:{tmp_path}")
    refused(Space.create(np.eye(4), attributes={"n": ["a"] * 4}, label="n"), r"one class \(a\)")
    refused(Space.create(np.eye(3), attributes={"n": ["a", "b", "c"]}, label="n"), "3 classes of one row each")
    refused(Space.create(np.eye(3), attributes={"n": [None] * 3}, label="n"), "no labelled row")
    (folder / "class 0" / "broken.png").write_bytes(b"no picture")
    refused(folder, "broken.png")
    (tmp_path / "flat").mkdir()
    Image.fromarray(pictures(4)[0]).save(tmp_path / "flat" / "a.png")
    refused(tmp_path / "flat", "without classes")


def test_a_space_of_pictures_is_read_as_vectors_for_a_network_of_vectors(tmp_path):
    labels = [f"c{i // 4}" for i in range(48)]
    both = Space.create(np.eye(48), attributes={"n": labels}, label="n", pictures=encode_png(pictures(48)))
    result = train("sup-con", both, out=tmp_path / "t", options=SMALL | {"net": "mlp"})
    assert "raw vectors" in result.figures
    assert open_encoder(tmp_path / "t").input_shape_ == (48,)
