"""Parts of the claim: its data at each scale, its figures by hand, and what its mechanism asserts."""

from types import SimpleNamespace

import numpy as np
import pytest

from spaceform.claims.context import Context
from spaceform.claims.diagnostics import tp4 as claim
from spaceform.claims.diagnostics.tp4_few_shot import load_letters, run_few_shot
from spaceform.claims.diagnostics.tp4_words import agreement, run_words
from spaceform.errors import InputError

SMOKE = {**claim.SETTINGS["smoke"], "steps": 3, "tasks": 16}


def test_arms_of_one_seed_share_their_rows_and_are_repeatable():
    context = Context(scale="smoke")
    first = run_few_shot("limit", 3, SMOKE, context)
    assert run_few_shot("limit", 3, SMOKE, Context(scale="smoke")) == first
    assert run_few_shot("pixels", 3, SMOKE, context).keys() == {"accuracy"}
    assert run_few_shot("relu_kernel", 3, SMOKE, context)["movement"] < 1e-6
    letters = load_letters(SMOKE, 3, context)
    assert not set(letters.seen_y) & set(letters.new_y)
    assert set(context.curves["limit"]) == {"loss of training tasks"}


def test_agreement_by_hand():
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    words = [f"w{number}" for number in range(42)]
    vectors = np.vstack([np.eye(2)[y] + 0.01 * rng.normal(size=(40, 2)), rng.normal(size=(2, 2))])
    classes = dict(zip(words[:40], y.tolist(), strict=True)) | {words[41]: 2}  # a class of one word is left out
    model = SimpleNamespace(words_=words, vectors_=vectors)
    assert agreement(model, classes) == 1
    model.vectors_ = rng.normal(size=(42, 2))
    assert 0.2 < agreement(model, classes) < 0.8


@pytest.fixture
def benchmark(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for part, alphabets in {"images_background": 2, "images_evaluation": 2}.items():
        for alphabet in range(alphabets):
            for character in range(3):
                folder = tmp_path / "omniglot" / part / f"{part[7]}{alphabet}" / f"character{character}"
                folder.mkdir(parents=True)
                ink = rng.random((7, 7)) < 0.4
                for drawing in range(3):
                    noisy = ink ^ (rng.random((7, 7)) < 0.05)
                    image.fromarray((~noisy).astype(np.uint8) * 255).resize((105, 105)).save(folder / f"{drawing}.png")
    (tmp_path / "text8").write_text("king man queen woman man king woman queen " * 300)
    (tmp_path / "questions-words.txt").write_text(": family\nMan King Woman Queen\nman king boy prince\n")
    return tmp_path


def test_paper_scale_reads_omniglot_and_turns_characters(benchmark):
    context = Context(scale="paper", root=benchmark)
    settings = {**claim.SETTINGS["paper"], "steps": 2, "tasks": 8}
    letters = load_letters(settings, 0, context)
    assert letters.seen_rows.shape == (4 * 18, 784)
    assert len(set(letters.seen_y)) == 24
    assert len(set(letters.new_y)) == 6
    np.testing.assert_array_equal(letters.seen_rows[18].reshape(28, 28), np.rot90(letters.seen_rows[0].reshape(28, 28)))
    assert 0 <= run_few_shot("width_8", 0, settings, context)["accuracy"] <= 1


def test_paper_scale_answers_analogies(benchmark):
    context = Context(scale="paper", root=benchmark)
    settings = claim.SETTINGS["paper"]
    settings = {**settings, "words": {**settings["words"], "epochs": 1, "subsample": None}}
    assert run_words("words_limit", 0, settings, context)["agreement"] in {0.0, 1.0}
    (benchmark / "questions-words.txt").write_text(": none\na b c d\n")
    with pytest.raises(InputError, match="no question"):
        run_words("words_64", 0, settings, Context(scale="paper", root=benchmark))
    with pytest.raises(InputError, match="text8"):
        run_words("words_64", 0, settings, Context(scale="paper", root=benchmark / "omniglot"))


FIGURES = {
    "limit": {"accuracy": 0.7, "movement": 0.5},
    "width_512": {"accuracy": 0.7, "movement": 0.5, "slope": 0.0},
    "ntk": {"accuracy": 0.5, "movement": 0.02, "slope": -0.5},
    "standard": {"accuracy": 0.5, "movement": 0.001, "slope": 0.5},
    "frozen": {"accuracy": 0.5, "movement": 0.0},
    "words_limit": {"agreement": 0.3},
    "words_kernel": {"agreement": 0.1},
}


@pytest.mark.parametrize(
    ("arm", "figure", "value"),
    [
        (None, None, None),
        ("width_512", "slope", -0.4),
        ("ntk", "slope", 0.0),
        ("standard", "slope", 0.0),
        ("ntk", "movement", 0.4),
        ("frozen", "accuracy", 0.69),
        ("words_kernel", "agreement", 0.3),
    ],
)
def test_mechanism_names_the_figures_that_fail(arm, figure, value):
    figures = {name: {0: dict(row)} for name, row in FIGURES.items()}
    record = SimpleNamespace(figures=lambda: figures)
    if arm is None:
        assert claim.mechanism(record) is None
        return
    figures[arm][0][figure] = value
    with pytest.raises(AssertionError, match=r"slopes|movement|accuracy|words"):
        claim.mechanism(record)
