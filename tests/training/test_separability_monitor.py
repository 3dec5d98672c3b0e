"""The stopping rule by hand, the confidence band, and stopping and resuming inside the training loop."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from spaceform.errors import InputError
from spaceform.training import separability_monitor
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import train
from spaceform.training.separability_monitor import PlateauRule, SeparabilityMonitor

ROWS = np.random.default_rng(0).normal(size=(120, 16))
Y = np.arange(120) % 4


def embeddings(gap):
    return ROWS + gap * np.eye(16)[Y]


def watch(scores, monkeypatch, **options):
    """Let a monitor see these scores instead of computing them."""
    queue = iter(scores)
    monkeypatch.setattr(separability_monitor, "subsampled_lifetimes", lambda rows, **_: [rows])
    monkeypatch.setattr(separability_monitor, "persistence_score", lambda p, statistic: next(queue))
    monitor = SeparabilityMonitor(**options)
    for _ in scores:
        monitor.update(ROWS)
    return monitor


def test_rule_by_hand(monkeypatch):
    """Smoothed: 1, .9, .8, .6, .5, .5, .5, .5; changes stay below 2% from epoch 6 on, for the third time at 8."""
    monitor = watch([1, 0.8, 0.6, 0.4, 0.5, 0.6, 0.4, 0.5], monkeypatch)
    assert [round(state.smoothed, 6) for state in monitor.history_] == [1, 0.9, 0.8, 0.6, 0.5, 0.5, 0.5, 0.5]
    assert [state.stop for state in monitor.history_] == [False] * 7 + [True]
    assert monitor.best_epoch_ == 8


def test_a_jump_starts_the_count_again(monkeypatch):
    monitor = watch([1, 1, 1, 2, 2, 2, 2], monkeypatch, window=1)
    assert [state.epoch for state in monitor.history_ if state.stop] == [7]


def test_once_stopped_always_stopped(monkeypatch):
    monitor = watch([1, 1, 1, 1, 5, 5], monkeypatch, window=1)
    assert [state.stop for state in monitor.history_] == [False, False, False, True, True, True]
    assert monitor.best_epoch_ == 4


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([1.0, 1.01, 1.1, 2.0]), min_size=1, max_size=12), st.integers(1, 3), st.integers(1, 3))
def test_the_rule_alone_stops_where_the_monitor_does(scores, window, patience):
    with pytest.MonkeyPatch.context() as patch:
        monitor = watch(scores, patch, window=window, patience=patience)
    stops = [state.epoch for state in monitor.history_ if state.stop]
    assert PlateauRule(window=window, patience=patience).first(scores) == next(iter(stops), None)


def test_min_epochs_and_patience(monkeypatch):
    assert watch([1] * 6, monkeypatch, patience=1, min_epochs=5).best_epoch_ == 5
    assert watch([1] * 6, monkeypatch, patience=1, min_epochs=1).best_epoch_ == 2
    assert watch([1] * 6, monkeypatch, patience=5).best_epoch_ == 6


def test_before_the_plateau_the_best_smoothed_score_is_kept(monkeypatch):
    assert watch([1, 0.5, 0.9, 1.5], monkeypatch, window=1).best_epoch_ == 2
    assert watch([1, 0.5, 0.9, 1.5], monkeypatch, window=1, statistic="gap").best_epoch_ == 4


def test_scores_fall_as_classes_part_and_the_monitor_stops():
    monitor = SeparabilityMonitor()
    states = [monitor.update(embeddings(gap)) for gap in (0, 2, 4, 6, 8, 8, 8, 8, 8, 8)]
    assert states[0].score > states[2].score > states[4].score
    assert not states[4].stop
    assert states[-1].stop


def test_tensors_with_gradients_are_read():
    monitor = SeparabilityMonitor()
    Z = torch.tensor(embeddings(2.0), requires_grad=True)
    assert monitor.update(Z * 1).score == SeparabilityMonitor().update(embeddings(2.0)).score


def test_subsamples_give_an_error_bar_and_the_same_rows_every_epoch():
    monitor = SeparabilityMonitor(n_subsample=60, n_repeats=4, random_state=1)
    first, second = monitor.update(embeddings(2.0)), monitor.update(embeddings(2.0))
    assert first.std > 0
    assert (first.score, first.std) == (second.score, second.std)


def test_band_keeps_going_while_the_change_is_outside(monkeypatch):
    """Subsamples that agree to 1e-6 show that even a change of 1% is real."""
    sharp, blunt = [[1.0, 1.000001]], [[1.0, 1.04]]
    for pairs, stops in ((sharp, False), (blunt, True)):
        scores = [factor * s for factor in (1, 0.99, 0.98, 0.97, 0.96) for s in pairs[0]]
        queue = iter(scores)
        monkeypatch.setattr(separability_monitor, "persistence_score", lambda p, statistic, queue=queue: next(queue))
        monitor = SeparabilityMonitor(window=1, n_subsample=60, n_repeats=2, band=True)
        assert [monitor.update(ROWS).stop for _ in range(5)][-1] is stops


@settings(max_examples=10, deadline=None)
@given(st.lists(st.floats(0, 9), min_size=2, max_size=8), st.integers(1, 7))
def test_a_restored_monitor_goes_on_as_an_unbroken_one(gaps, cut):
    whole, first = SeparabilityMonitor(n_subsample=60, n_repeats=2), SeparabilityMonitor(n_subsample=60, n_repeats=2)
    for gap in gaps:
        whole.update(embeddings(gap))
    for gap in gaps[:cut]:
        first.update(embeddings(gap))
    second = SeparabilityMonitor(n_subsample=60, n_repeats=2)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for gap in gaps[cut:]:
        second.update(embeddings(gap))
    assert second.history_ == whole.history_


def make_run(folder=None, kill_at=None, **options):
    """A linear map that pulls the classes apart, watched every 5 steps; ``kill_at`` raises in the middle."""
    model = nn.Linear(16, 16, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.eye(16))
    X, targets = torch.tensor(embeddings(1.0), dtype=torch.float32), torch.tensor(Y)
    monitor = SeparabilityMonitor(**options)

    def loss_step(batch):
        if kill_at is not None and batch == kill_at:
            raise KeyboardInterrupt
        Z = nn.functional.normalize(model(X), dim=1)
        return nn.functional.cross_entropy(10 * Z[:, :4], targets), {}

    def embed():
        with torch.no_grad():
            return model(X)

    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    history = train(
        model,
        loss_step,
        lambda step: step,
        steps=400,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.98),  # what does not move has a plateau anywhere
        callbacks=[monitor.callback(embed, every=5)],
        checkpoint=Checkpoint(folder=folder, every=7, settings={}) if folder else None,
    )
    return history, monitor


def test_stops_the_training_loop():
    history, monitor = make_run()
    assert "stopped changing at epoch" in history.stopped
    assert len(history.steps) == 5 * monitor.best_epoch_ < 400
    assert monitor.history_[-1].score < monitor.history_[0].score


def test_a_killed_run_stops_where_an_unbroken_one_does(tmp_path):
    whole, expected = make_run()
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, kill_at=18)
    resumed, monitor = make_run(tmp_path)
    assert monitor.history_ == expected.history_
    assert resumed.stopped == whole.stopped
    assert resumed.figures["loss"] == whole.figures["loss"]


@pytest.mark.parametrize(
    ("call", "part"),
    [
        (lambda: SeparabilityMonitor(window=0), "window"),
        (lambda: SeparabilityMonitor(tol=-1), "tol"),
        (lambda: SeparabilityMonitor(patience=0), "patience"),
        (lambda: SeparabilityMonitor(min_epochs=0), "min_epochs"),
        (lambda: SeparabilityMonitor(statistic="n_long"), "one of 'mean'"),
        (lambda: SeparabilityMonitor(normalize="max"), "one of 'l2'"),
        (lambda: SeparabilityMonitor(band=True), "n_subsample and n_repeats"),
        (lambda: SeparabilityMonitor(band=True, n_subsample=120).update(ROWS), "more than n_subsample"),
        (lambda: SeparabilityMonitor(n_subsample=121).update(ROWS), "at most the 120 rows"),
        (lambda: SeparabilityMonitor().update(ROWS[:2]), "at least 3 row"),
        (lambda: SeparabilityMonitor().update(np.ones((9, 4))), "identical"),
        (lambda: SeparabilityMonitor().update(np.full((9, 4), np.inf)), "infinity"),
        (lambda: SeparabilityMonitor().best_epoch_, "at least one update"),
        (lambda: SeparabilityMonitor().callback(lambda: ROWS, every=0), "every"),
    ],
)
def test_bad_input_is_refused(call, part):
    with pytest.raises(InputError, match=part):
        call()


def test_another_number_of_rows_is_refused_and_leaves_the_monitor_as_it_was():
    monitor = SeparabilityMonitor()
    monitor.update(ROWS)
    with pytest.raises(InputError, match="119 rows, expected the 120 rows"):
        monitor.update(ROWS[:-1])
    assert len(monitor.history_) == 1
