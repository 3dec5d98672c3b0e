"""The claim's parts at smoke scale, and its paper scale on a tiny language model made on the spot."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from spaceform.claims.context import Context
from spaceform.claims.diagnostics import class_separability as claim
from spaceform.claims.diagnostics.class_separability_training import train_on_digits, train_on_texts
from spaceform.errors import InputError

SMOKE = claim.SETTINGS["smoke"]
WORDS = {"sport": ["ball", "goal", "team", "match"], "food": ["bread", "soup", "salt", "spoon"]}


def test_arms_share_one_training_and_are_repeatable():
    context = Context(scale="smoke")
    settings = {**SMOKE, "epochs": 4, "draws": 1, "gaps": [0, 8]}
    first = claim.run("h0", 3, settings, context)
    assert first["best_accuracy"] == claim.run("calinski_harabasz", 3, settings, context)["best_accuracy"]
    assert claim.run("h0", 3, settings, Context(scale="smoke")) == first
    assert set(context.curves["h0"]) == {"accuracy", "score"}
    assert first["drop_d128"] > 0.3


def test_watched_rows_are_the_same_every_epoch_and_apart_from_test_rows():
    epochs = train_on_digits(0, {**SMOKE, "epochs": 2}, Context(scale="smoke"), layer_norm=True)
    assert [Z.shape for Z in epochs.embeddings] == [(200, 32)] * 2
    np.testing.assert_allclose(epochs.embeddings[0].std(1), 1, atol=0.02)  # the normalising layer
    bare = train_on_digits(0, {**SMOKE, "epochs": 1}, Context(scale="smoke"), layer_norm=False)
    assert abs(bare.embeddings[0].std(1) - 1).max() > 0.1


def test_a_monitor_that_never_rests_keeps_the_last_epoch():
    epochs = train_on_digits(0, {**SMOKE, "epochs": 3}, Context(scale="smoke"), layer_norm=True)
    assert claim._stop("kmeans_silhouette", [1.0, 2.0, 3.0], epochs) == 3


SOUND = {"correlation_d128": 0.9, "drop_d128": 0.7, "fall": 0.1}
SHUFFLED = {"correlation_d128": 0.0, "drop_d128": 0.0, "fall": 0.0}


@pytest.mark.parametrize("broken", [{}, {"correlation_d128": 0.5}, {"drop_d128": 0.2}, {"fall": 0.0}])
def test_mechanism_names_the_figures_that_fail(broken):
    record = SimpleNamespace(figures=lambda: {"h0": {0: {**SOUND, **broken}}, "column_shuffled": {0: SHUFFLED}})
    if broken:
        with pytest.raises(AssertionError, match=r"seed 0: .*drop_d128.*, shuffled"):
            claim.mechanism(record)
    else:
        assert claim.mechanism(record) is None


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    """A folder as the paper scale wants it, around a random transformer of one layer."""
    transformers = pytest.importorskip("transformers")
    root = tmp_path_factory.mktemp("texts")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(word for words in WORDS.values() for word in words)]
    (root / "vocab.txt").write_text("\n".join(vocabulary))
    tokenizer = transformers.BertTokenizerFast(str(root / "vocab.txt"))
    tokenizer.save_pretrained(root / "encoder")
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(root / "encoder")
    rng = np.random.default_rng(0)
    for name, count in (("train.tsv", 40), ("unlabelled.tsv", 30), ("test.tsv", 30)):
        labels = rng.choice(list(WORDS), count)
        lines = [f"{label}\t{' '.join(rng.choice(WORDS[label], 5))}" for label in labels]
        (root / name).write_text("\n".join(lines) + "\n\n")
    return root


def paper_settings(**changes):
    settings = {**claim.SETTINGS["paper"], "epochs": 6, "learning_rate": 3e-3, "max_tokens": 12, "batch_size": 8}
    return {**settings, "validation_rows": 10, "dims": [16], "n_classes": [2], "rows": 60, "draws": 1, **changes}


def test_paper_scale_fine_tunes_a_text_encoder_from_a_folder(benchmark):
    context = Context(scale="paper", root=benchmark)
    figures = {arm: claim.run(arm, 0, paper_settings(), context) for arm in ("h0", "no_layer_norm", "labelled_oracle")}
    assert figures["h0"]["best_accuracy"] > 0.9
    assert all(np.isfinite(list(values.values())).all() for values in figures.values())
    assert len(context.curves["h0"]["score"]["y"]) == 6


def test_paper_scale_watches_so_many_rows(benchmark):
    settings = paper_settings(epochs=1, watched_rows=20)
    epochs = train_on_texts(0, settings, Context(scale="paper", root=benchmark), layer_norm=True)
    assert epochs.embeddings[0].shape == (20, 16)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("train.tsv", "sport ball\n" * 5, "train.tsv line 1: 'sport ball'.*label<TAB>text"),
        ("train.tsv", "sport\tball\n", "1 lines in train.tsv, expected at least 3"),
        ("test.tsv", "music\tsong\n" * 3, "labels .'music'. outside train.tsv"),
        ("unlabelled.tsv", None, "a folder with encoder/"),
    ],
)
def test_broken_text_folders_are_refused(benchmark, tmp_path, name, text, part):
    shutil.copytree(benchmark, tmp_path, dirs_exist_ok=True)
    (tmp_path / name).unlink()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=part):
        train_on_texts(0, paper_settings(), Context(scale="paper", root=tmp_path), layer_norm=True)


def test_paper_scale_without_a_folder_says_what_has_to_lie_there():
    with pytest.raises(InputError, match=r"train\.tsv"):
        claim.run("h0", 0, paper_settings(), Context(scale="paper"))
