"""The trainer: who learns from what, when a learner is added and what that leaves alone, and killed runs."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaceform.errors import InputError, InterruptedRunError, NoPairsError
from spaceform.heads.subspaces import SubspaceEmbedding
from spaceform.nets.attention.spatial_gate import GatedBackbone, SpatialGate
from spaceform.training.subspaces import DynamicSubspaceTrainer, clustering_nmi, match_clusters


def rows(n=96, width=6, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centers = 2 * rng.normal(size=(2 * classes, width))
    look = rng.integers(0, 2, n)
    return torch.from_numpy(centers[2 * y + look] + rng.normal(size=(n, width))).float(), y


def trainer(dim=16, slices=1, backbone=None, width=6, **options):
    head = SubspaceEmbedding(width, dim, n_slices=slices, seed=0)
    quick = {"patience": 1, "min_slice": 4, "min_keep": 2}
    return DynamicSubspaceTrainer(nn.Identity() if backbone is None else backbone, head, **{**quick, **options})


def fit(made, epochs=5, finetune_from=None, **options):
    X, y = rows()
    settled = epochs if finetune_from is None else finetune_from
    quick = {"epochs": epochs, "finetune_from": settled, "batch": (2, 4), "rates": (1e-2, 1e-4), **options}
    return made.fit(X[:64], y[:64], validation=(X[64:], y[64:]), **quick)


class Watching(nn.Module):
    """Records what a loss is given; the embedding it comes from is found through the hook."""

    def __init__(self):
        super().__init__()
        from spaceform.losses.margin import MarginLoss

        self.inner, self.widths, self.labels = MarginLoss(), [], []

    def forward(self, embeddings, labels, *, reference=None, reference_labels=None):
        self.widths.append(embeddings.shape[1])
        self.labels.append(labels)
        return self.inner(embeddings, labels)


def test_growing_splits_the_last_slice_and_the_history_says_so():
    made = trainer()
    history = fit(made, epochs=14)
    assert history.splits, history.score
    sizes = [16]
    for epoch, after in history.splits:
        assert after[:-2] == sizes[:-1]
        assert after[-2] + after[-1] == sizes[-1] > 4
        assert after[-2] >= 2
        assert history.n_learners[epoch] == len(after)
        sizes = after
    assert [len(part) for part in made.embedding.slices] == sizes
    assert {len(column) for column in (history.score, history.loss, history.n_learners, history.skipped)} == {14}
    assert set(np.unique(made.clusters_)) == set(range(len(sizes)))


def test_a_fixed_number_stays_and_sees_its_own_clusters():
    watching = Watching()
    made = trainer(slices=2, dynamic=False, loss=watching)
    history = fit(made, epochs=3)
    assert history.n_learners == [2, 2, 2]
    assert history.splits == []
    assert set(watching.widths) == {8}
    assert watching.widths[:4] == [8, 8, 8, 8]


def test_fine_tuning_sees_the_whole_embedding():
    watching = Watching()
    made = trainer(slices=2, dynamic=False, loss=watching)
    fit(made, epochs=4, finetune_from=2)
    half = watching.widths.index(16)
    assert set(watching.widths[:half]) == {8}
    assert set(watching.widths[half:]) == {16}


def test_no_split_comes_once_fine_tuning_has_begun():
    assert fit(trainer(), epochs=8, finetune_from=0).splits == []


def test_signed_scores_of_a_slice_sum_to_zero():
    sums = []

    def look(epoch, statistics, keep):
        sums.append((float(statistics.signed().sum()), float(statistics.signed().abs().sum())))

    made = trainer()
    fit(made, epochs=14, on_split=look)
    assert sums
    assert all(abs(total) < 1e-6 < size for total, size in sums)


def test_a_split_changes_nothing_that_is_kept():
    made, seen = trainer(), []

    def look(epoch, statistics, keep):
        X, _ = rows()
        before = made.embedding.weight.detach().clone()
        raw = X @ before.T + made.embedding.bias.detach()
        seen.append((made.embedding.slices[-1], keep, before, nn.functional.normalize(raw[:, keep], dim=1)))

    history = fit(made, epochs=14, on_split=look)
    assert len(seen) == len(history.splits) > 0
    fresh = trainer()
    last, keep, before, kept = seen[0]
    with torch.no_grad():
        fresh.embedding.weight.copy_(before)
    fresh.embedding.split_last(keep, torch.Generator().manual_seed(0))
    assert torch.equal(fresh.embedding.weight[: len(keep)], before[keep])
    assert last == range(16)
    assert kept.shape == (96, len(keep))


def test_the_optimizer_begins_anew_for_the_embedding_only(monkeypatch):
    states = []
    popped = SubspaceEmbedding.split_last

    def split(self, keep, generator):
        states.append(self)
        return popped(self, keep, generator)

    monkeypatch.setattr(SubspaceEmbedding, "split_last", split)
    kept = {}
    original = torch.optim.Adam.__init__

    def remember(self, *arguments, **options):
        original(self, *arguments, **options)
        kept["optimizer"] = self

    monkeypatch.setattr(torch.optim.Adam, "__init__", remember)
    trunk = nn.Linear(6, 6)
    made = trainer(backbone=trunk)
    counts = {}

    def look(epoch, statistics, keep):
        counts[epoch] = float(kept["optimizer"].state[made.embedding.weight]["step"])

    history = fit(made, epochs=14, on_split=look)
    assert states
    epoch = history.splits[-1][0]
    optimizer = kept["optimizer"]
    steps_after = float(optimizer.state.get(made.embedding.weight, {"step": torch.zeros(())})["step"])
    assert steps_after < float(optimizer.state[trunk.weight]["step"])
    assert counts[epoch] > 0


def test_a_split_is_followed_by_a_clustering_at_once(monkeypatch):
    made, calls = trainer(recluster_every=1000), []
    original = made._clustered

    def clustered(data, k, seed):
        calls.append(k)
        return original(data, k, seed)

    monkeypatch.setattr(made, "_clustered", clustered)
    history = fit(made, epochs=14)
    ended = history.splits[-1][0] == 13
    assert calls == [1 + number + 1 for number in range(len(history.splits) - ended)]


def test_too_small_slices_and_too_few_neurons_are_not_split():
    assert fit(trainer(min_slice=16), epochs=10).splits == []
    assert fit(trainer(dim=40, min_keep=20, threshold=0.9), epochs=10).splits == []


def test_clusters_keep_their_names():
    old = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    for names in ([2, 0, 1], [1, 2, 0], [0, 2, 1]):
        np.testing.assert_array_equal(match_clusters(np.array(names)[old], old), old)
    new = np.array([3, 3, 1, 0, 0, 2, 2, 2])  # row 2 has become a cluster of its own
    assert match_clusters(new, old).tolist() == [0, 0, 3, 1, 1, 2, 2, 2]
    assert match_clusters(np.array([1, 1, 0]), np.zeros(3, dtype=int)).tolist() == [0, 0, 1]


@given(st.integers(0, 10_000), st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_renaming_is_a_relabelling_with_the_least_cost(seed, k):
    from itertools import permutations

    rng = np.random.default_rng(seed)
    old, new = rng.integers(0, k, 30), rng.integers(0, k, 30)
    old[:k], new[:k] = range(k), range(k)
    named = match_clusters(new, old)
    assert len(set(zip(new.tolist(), named.tolist(), strict=True))) == k
    assert set(named) == set(range(k))

    def cost(names):
        return sum(int(((old == c) != (names == c)).sum()) for c in range(k))

    assert cost(named) == min(cost(np.array(order)[new]) for order in permutations(range(k)))


def test_pure_clusters_are_skipped_not_filled_up():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 30)
    X = torch.from_numpy(np.where(y[:, None] == 0, 5.0, -5.0) * np.ones(6) + rng.normal(size=(60, 6))).float()
    made = trainer(slices=2, dynamic=False)
    history = made.fit(X, y, validation=(X, y), epochs=2, finetune_from=1, batch=(2, 4), rates=(1e-2, 0.0))
    assert history.skipped == [2, 0]
    assert history.loss[0] == 0  # nothing to learn from


def pictures():
    rng = np.random.default_rng(0)
    y = np.arange(48) % 3
    X = rng.integers(0, 60, (48, 1, 8, 8))
    for picture, kind in zip(X, y, strict=True):
        picture[0, 2 * kind : 2 * kind + 2] += 180
    return torch.from_numpy(X.astype(np.uint8)), y


def gated():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk = nn.Sequential(nn.Conv2d(1, 16, 3, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU())
        return trainer(dim=12, width=16, backbone=GatedBackbone(trunk, SpatialGate(16, reduction=(4, 8))))


def test_pictures_train_backbone_and_attention_and_encode_without_dropout():
    X, y = pictures()
    made = gated()
    before = made.backbone.gate.layers[0].weight.detach().clone()
    made.fit(X[:36], y[:36], validation=(X[36:], y[36:]), epochs=2, finetune_from=2, batch=(3, 4), rates=(1e-2, 0.0))
    assert not torch.equal(made.backbone.gate.layers[0].weight, before)
    a = made.encode(X, batch_size=7)
    np.testing.assert_allclose(a, made.encode(X), atol=1e-6)
    np.testing.assert_allclose((a**2).sum(1), len(made.embedding.slices), atol=1e-4)
    assert made.features(X).shape == (48, 16)
    with pytest.raises(InputError, match="pictures"):
        made.encode(torch.zeros(2, 3, 8, 8))


def test_equal_seeds_give_equal_weights_and_the_world_is_left_alone():
    made = []
    for _ in range(2):
        torch.rand(3)
        made.append(gated())
        state = torch.get_rng_state()
        X, y = pictures()
        made[-1].fit(X, y, validation=(X, y), epochs=3, finetune_from=2, batch=(3, 4), rates=(1e-2, 0.0))
        assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(made[0].encode(X), made[1].encode(X))


def test_a_killed_run_goes_on_and_ends_the_same(tmp_path):
    whole = trainer()
    history = fit(whole, epochs=10)

    def kill(task, done, total, figures=None):
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(trainer(), epochs=10, checkpoint=tmp_path / "c", progress=kill)
    resumed = trainer()
    assert fit(resumed, epochs=10, checkpoint=tmp_path / "c") == history
    assert torch.equal(resumed.embedding.weight, whole.embedding.weight)
    assert resumed.embedding.slices == whole.embedding.slices
    with pytest.raises(InterruptedRunError, match="patience"):
        fit(trainer(patience=2), epochs=10, checkpoint=tmp_path / "c")


def test_random_clusters_are_of_equal_size():
    made = trainer(slices=2, dynamic=False, clusters="random")
    fit(made, epochs=1)
    assert np.bincount(made.clusters_).tolist() == [32, 32]


def test_nmi_of_classes_apart_is_one():
    y = np.arange(40) % 4
    assert clustering_nmi(10 * np.eye(4)[y], y, n_init=5, random_state=0) == pytest.approx(1)
    assert clustering_nmi(np.random.default_rng(0).normal(size=(400, 3)), y.repeat(10), random_state=0) < 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": np.zeros(64, dtype=int)}, "two classes"),
        ({"y": np.arange(64)}, "two rows"),
        ({"y": np.linspace(0, 1, 64)}, "labels"),
        ({"y": np.zeros(63, dtype=int)}, "labels"),
        ({"validation": (rows()[0][64:], np.zeros(32, dtype=int))}, "validation"),
        ({"batch": (2, 1)}, "samples_per_class"),
        ({"epochs": -1}, "epochs"),
        ({"finetune_from": 9}, "finetune_from"),
        ({"rates": (0.0, 0.0)}, "rates"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    X, y = rows()
    options = {"validation": (X[64:], y[64:]), "epochs": 1, "finetune_from": 1, "batch": (2, 4)}
    labels = change.pop("y", y[:64])
    kind = NoPairsError if message.startswith("two") else InputError
    with pytest.raises(kind, match=message):
        trainer().fit(X[:64], labels, **{**options, **change})


@pytest.mark.parametrize(
    "options",
    [{"importance": "best"}, {"clusters": "none"}, {"patience": 0}, {"threshold": 1.0}, {"recluster_every": 0}],
)
def test_settings_are_checked(options):
    with pytest.raises(InputError, match=next(iter(options))):
        trainer(**options)


def test_too_few_dimensions_to_split_and_more_learners_than_rows_are_refused():
    with pytest.raises(InputError, match="twice min_keep"):
        trainer(dim=3)
    assert trainer(dim=3, dynamic=False).embedding.dim == 3
    X, y = rows(n=6, classes=2)
    with pytest.raises(InputError, match="n_learners"):
        trainer(slices=7, dynamic=False).fit(X, y, validation=(X, y), epochs=1, finetune_from=1)
