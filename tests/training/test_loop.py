"""The training loop: a resumed run equals an unbroken one, and nothing global changes."""

from pathlib import Path

import pytest
import torch
from torch import nn

from spaceform.errors import InputError, InterruptedRunError
from spaceform.rng import torch_generator
from spaceform.training.averaging import WeightAverage
from spaceform.training.checkpoint import Checkpoint
from spaceform.training.loop import train


def build(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))


class Counter:
    """A callback with state, which stops after ``limit`` calls."""

    def __init__(self, limit=None):
        self.calls, self.limit = 0, limit

    def __call__(self, step, figures):
        self.calls += 1
        return "limit" if self.calls == self.limit else None

    def state_dict(self):
        return {"calls": self.calls}

    def load_state_dict(self, state):
        self.calls = state["calls"]


def run(folder: Path | None, *, break_at=None, callback=None, steps=20, settings=None):
    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    average = WeightAverage(model, decay=0.9)

    def batches(step):
        if step == break_at:
            raise KeyboardInterrupt
        return torch.randn(16, 4, generator=torch_generator(step))

    history = train(
        model,
        lambda x: ((model(x) ** 2).mean(), {"size": float(len(x))}),
        batches,
        steps=steps,
        optimizer=optimizer,
        schedule=torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20),
        average=average,
        clip_norm=1.0,
        checkpoint=folder and Checkpoint(folder=folder, every=3, settings=settings or {"lr": 0.01}),
        callbacks=[callback] if callback else [],
    )
    return model, average, history


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


@pytest.mark.parametrize("break_at", [0, 2, 3, 10, 19])
def test_a_killed_run_ends_with_the_same_weights(tmp_path, break_at):
    whole, average, history = run(None)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "c", break_at=break_at, callback=Counter())
    counter = Counter()
    resumed, resumed_average, resumed_history = run(tmp_path / "c", callback=counter)
    assert same(whole.state_dict(), resumed.state_dict())
    assert same(average.state_dict()["weights"], resumed_average.state_dict()["weights"])
    assert resumed_history == history
    assert counter.calls == 20


def test_the_global_generator_is_left_alone():
    state = torch.random.get_rng_state()
    run(None)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_callback_stops_the_run_and_a_second_call_does_no_more(tmp_path):
    _, _, history = run(tmp_path / "c", callback=Counter(limit=5))
    assert history.stopped == "limit"
    assert len(history.steps) == 5
    _, _, again = run(tmp_path / "c", callback=Counter())
    assert again == history


def test_other_settings_are_refused(tmp_path):
    run(tmp_path / "c")
    with pytest.raises(InterruptedRunError, match="lr"):
        run(tmp_path / "c", settings={"lr": 0.1})


def test_half_written_and_damaged_saves(tmp_path):
    run(tmp_path / "c", steps=6)
    (tmp_path / "c" / ".step-000000009.partial").mkdir()
    assert Checkpoint(folder=tmp_path / "c", every=3, settings={"lr": 0.01}).load()[0] == 6
    (tmp_path / "c" / "step-000000006" / "tensors.safetensors").write_bytes(b"half")
    with pytest.raises(InterruptedRunError, match="delete it"):
        run(tmp_path / "c")


def test_only_the_newest_save_is_kept(tmp_path):
    run(tmp_path / "c")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["step-000000020"]


def test_a_full_disk_leaves_the_previous_save(tmp_path, monkeypatch):
    run(tmp_path / "c", steps=3)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spaceform.training.checkpoint.save_file", full)
    with pytest.raises(OSError, match="No space"):
        run(tmp_path / "c")
    assert [path.name for path in (tmp_path / "c").iterdir()] == ["step-000000003"]


def test_a_loss_that_is_not_finite_stops_the_run():
    model = nn.Linear(2, 1)
    with pytest.raises(InputError, match="loss"):
        train(
            model,
            lambda x: (model(x).mean() * float("nan"), {}),
            lambda step: torch.ones(2, 2),
            steps=3,
            optimizer=torch.optim.SGD(model.parameters(), 0.1),
        )


def test_progress_is_told_and_ends_whole():
    seen = []
    model = nn.Linear(2, 1)
    train(
        model,
        lambda x: (model(x).mean(), {}),
        lambda step: torch.ones(2, 2),
        steps=3,
        optimizer=torch.optim.SGD(model.parameters(), 0.1),
        progress=lambda task, done, total, figures=None: seen.append((done, total, sorted(figures))),
    )
    assert seen[-1] == (3, 3, ["loss", "steps/s"])


def test_weight_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(0.0)
    average = WeightAverage(model, decay=0.9, warmup=False)
    model.weight.data.fill_(1.0)
    average.update(model)
    average.update(model)
    average.copy_to(model)
    assert model.weight.item() == pytest.approx(1 - 0.9**2)
