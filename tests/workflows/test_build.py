"""Build: every kind of source, a killed run, and what is refused."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from spaceform.errors import InputError
from spaceform.space import Space
from spaceform.workflows.build import build, seen_rows
from spaceform.workflows.encoders import custom_encoder, open_encoder


@pytest.fixture
def pictures(tmp_path):
    """Twelve classes of six pictures: a coloured square each, with noise."""
    rng = np.random.default_rng(0)
    for number in range(12):
        folder = tmp_path / "pictures" / f"kind {number}"
        folder.mkdir(parents=True)
        colour = rng.integers(0, 256, 3)
        for i in range(6):
            noise = rng.integers(-20, 20, (24, 24, 3))
            Image.fromarray((colour + noise).clip(0, 255).astype(np.uint8)).save(folder / f"{i}.png")
    return tmp_path / "pictures"


def test_a_folder_of_pictures_trains_an_encoder(pictures, tmp_path):
    result = build(pictures, tmp_path / "s", size=24, dim=8, steps=6)
    space = Space.open(tmp_path / "s")
    assert (result.rows, result.dim, result.encoder) == (72, 8, "conv")
    assert (result.seen_classes, result.unseen_classes) == (7, 5)
    assert list(result.learned) == ["raw pixels", "untrained", "trained"]
    assert space.info["learned"] == {k: dict(v) for k, v in result.learned.items()}
    assert space.column("seen").sum() == 7 * 6
    assert space.picture(0).startswith(b"\x89PNG")
    assert not (tmp_path / "s" / "checkpoint").exists()
    encoder = open_encoder(tmp_path / "s")
    assert encoder.fingerprint == space.encoder["fingerprint"]
    json.dumps(result.to_dict())


def test_the_same_call_gives_the_same_space(pictures, tmp_path):
    build(pictures, tmp_path / "a", size=24, dim=8, steps=4)
    build(pictures, tmp_path / "b", size=24, dim=8, steps=4)
    np.testing.assert_array_equal(Space.open(tmp_path / "a").vectors, Space.open(tmp_path / "b").vectors)


def test_a_killed_build_goes_on_and_ends_the_same(pictures, tmp_path):
    """Kill the process when it has saved once; the second call must not start over, and must agree."""
    code = f"""
import os, signal
import torch; torch.set_num_threads(1)
from spaceform.training import checkpoint
from spaceform.workflows.build import build
save = checkpoint.Checkpoint.save
def deadly(self, step, states, history):
    save(self, step, states, history)
    os.kill(os.getpid(), signal.SIGKILL)
checkpoint.Checkpoint.save = deadly
build({str(pictures)!r}, {str(tmp_path / "killed")!r}, size=24, dim=8, steps=52)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr
    assert not (tmp_path / "killed" / "space.json").exists()
    (save,) = (tmp_path / "killed" / "checkpoint").iterdir()
    assert save.name == "step-000000050"
    seen: list[tuple[str, int]] = []
    build(
        pictures,
        tmp_path / "killed",
        size=24,
        dim=8,
        steps=52,
        progress=lambda task, done, *_: seen.append((task, done)),
    )
    build(pictures, tmp_path / "whole", size=24, dim=8, steps=52)
    assert next(done for task, done in seen if task == "training the encoder") > 50
    np.testing.assert_allclose(
        Space.open(tmp_path / "killed").vectors, Space.open(tmp_path / "whole").vectors, atol=1e-6
    )


def test_vectors_tables_and_pixels(pictures, tmp_path):
    X = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    np.save(tmp_path / "x.npy", X)
    assert build(tmp_path / "x.npy", tmp_path / "a").dim == 4
    np.testing.assert_array_equal(Space.open(tmp_path / "a").vectors, X)
    table = pa.table({"v": pa.array(list(X), pa.list_(pa.float32(), 4)), "kind": ["a", "b"] * 10})
    pq.write_table(table, tmp_path / "t.parquet")
    result = build(tmp_path / "t.parquet", tmp_path / "b", vector_column="v", label="kind")
    assert result.label == "kind"
    assert Space.open(tmp_path / "b").labels()[1] == ["a", "b"]
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in (pictures / "kind 0").iterdir():
        path.rename(flat / path.name)
    assert build(flat, tmp_path / "c", size=24).encoder == "pixels"


def test_texts_with_an_encoder_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "letters.py").write_text(
        "import numpy as np\n"
        "class Letters:\n"
        "    dim, fingerprint = 26, 'letters'\n"
        "    def encode(self, items, *, batch_size=64, progress=None):\n"
        "        rows = [[t.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for t in items]\n"
        "        return np.array(rows, np.float32)\n"
        "    def save(self, folder): pass\n"
        "def bad(): return 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "t.csv").write_text("text,kind\nabba,x\nzebra,y\n")
    result = build(tmp_path / "t.csv", tmp_path / "s", encoder="letters:Letters", text_column="text", label="kind")
    space = Space.open(tmp_path / "s")
    assert result.dim == 26
    assert space.geometry == "euclidean"
    assert space.encoder["fingerprint"] == "letters"
    assert space.column("text").tolist() == ["abba", "zebra"]
    for address in ("letters:gone", "gone:x", "letters", "letters:bad"):
        with pytest.raises(InputError, match="encoder"):
            custom_encoder(address)


@pytest.mark.network
def test_emoji_names_with_minilm(tmp_path, monkeypatch):
    from spaceform.nets.text import TextEncoder

    def quick(self, texts, *, batch_size=64, progress=None):
        return np.eye(384, dtype=np.float32)[np.arange(len(texts)) % 384]

    monkeypatch.setattr(TextEncoder, "encode", quick)  # the encoder has its own tests
    result = build("emoji", tmp_path / "s", encoder="minilm")
    space = Space.open(tmp_path / "s")
    assert result.rows == 1911
    assert space.label == "subcategory"
    assert space.encoder["kind"] == "TextEncoder"
    assert space.picture(0).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"encoder": "conv"}, "pictures with classes"),
        ({"encoder": "pixels"}, "vectors"),
        ({"label": "gone"}, "label"),
        ({"unseen": 2.0}, "unseen"),
        ({"size": 3}, "size"),
        ({"vector_column": "v"}, "vector_column"),
    ],
)
def test_options_that_do_not_fit(settings, words, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 2)))
    with pytest.raises(InputError, match=words):
        build(tmp_path / "x.npy", tmp_path / "s", **settings)
    assert not (tmp_path / "s").exists()


def test_a_folder_that_cannot_be_made_is_refused_before_training(pictures, tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    with pytest.raises(InputError, match="out"):
        build(pictures, tmp_path / "file" / "s", size=24, steps=3, progress=lambda task, *_: told.append(task))
    assert "training the encoder" not in told


def test_missing_and_empty_sources(tmp_path):
    (tmp_path / "empty").mkdir()
    for source in ("gone", "empty"):
        with pytest.raises(InputError):
            build(tmp_path / source, tmp_path / "s")


def test_whole_classes_are_seen_or_unseen():
    y = np.array([0, 0, 1, 1, 2, 2, 3, -1, 4, 4])
    seen = seen_rows(y, share=0.5, seed=0)
    for code in range(5):
        assert len(set(seen[y == code])) == 1
    assert not seen[y == -1].any()
    assert not seen[y == 3].any(), "a class of one row gives no pair"
    assert seen.sum() == 4
