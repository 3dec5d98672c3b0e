import numpy as np
import pytest
import torch
from torch import nn

from spaceform.encoders.episodes import fit_episodes, with_rates
from spaceform.errors import InputError
from spaceform.samplers.episodes import EpisodeSampler


class Prototypes(nn.Module):
    """A linear map and squared distances; it keeps what it was asked."""

    def __init__(self, width=4):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.map = nn.Linear(width, 3, bias=False)
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.asked = []

    def forward(self, support, support_y, query):
        self.asked.append((support, support_y, query))
        z = self.map(support)
        means = torch.stack([z[support_y == c].mean(0) for c in support_y.unique()])
        return -self.scale * torch.cdist(self.map(query), means)


def table(seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(8), 9)
    return np.hstack([rng.normal(size=(8, 1))[y], 3 * rng.normal(size=(72, 3))]).astype(np.float32), y


def fitted(steps=3, seed=0, **options):
    X, y = table()
    net = Prototypes()
    sampler = EpisodeSampler(y, n_way=4, n_shot=2, n_query=3, seed=1)
    history = fit_episodes(
        net, X, sampler, steps=steps, optimizer=torch.optim.Adam(net.parameters(), lr=0.02), seed=seed, **options
    )
    return net, history, sampler


def test_every_step_is_the_episode_of_that_number_with_classes_by_position():
    net, _, sampler = fitted()
    X, _ = table()
    for step, (support, support_y, query) in enumerate(net.asked):
        episode = sampler(step)
        assert np.array_equal(support.numpy(), X[episode.support.ravel()])
        assert np.array_equal(query.numpy(), X[episode.query.ravel()])
        assert support_y.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_the_loss_is_the_cross_entropy_of_the_queries_and_accuracy_is_recorded():
    _, history, sampler = fitted(steps=1)
    X, _ = table()
    episode = sampler(0)
    net = Prototypes()
    logits = net(
        torch.from_numpy(X[episode.support.ravel()]),
        torch.arange(4).repeat_interleave(2),
        torch.from_numpy(X[episode.query.ravel()]),
    )
    logits, targets = logits.detach(), torch.from_numpy(episode.query_targets)
    assert history.last("loss") == pytest.approx(float(nn.functional.cross_entropy(logits, targets)), rel=1e-5)
    assert history.last("accuracy") == pytest.approx(float((logits.argmax(1) == targets).float().mean()))


def test_training_learns_and_follows_its_seed():
    net, history, _ = fitted(steps=80)
    assert np.mean(history.figures["loss"][-10:]) < np.mean(history.figures["loss"][:10]) - 0.1
    again, _, _ = fitted(steps=80)
    assert torch.equal(net.map.weight, again.map.weight)


def test_a_network_that_says_nan_stops_the_run():
    X, y = table()
    net = Prototypes()
    with torch.no_grad():
        net.scale.fill_(float("nan"))
    sampler = EpisodeSampler(y, n_way=4, n_shot=2, n_query=3)
    with pytest.raises(InputError, match="loss"):
        fit_episodes(net, X, sampler, steps=1, optimizer=torch.optim.Adam(net.parameters()))


def test_parameters_have_the_rate_of_their_name():
    net = nn.ModuleDict({"head": Prototypes(), "body": nn.Linear(2, 2)})
    net["body"].bias.requires_grad_(False)
    groups = with_rates(net, {"scale": 0.5, "gamma": 0.1}, rate=0.01)
    assert [(len(group["params"]), group["lr"]) for group in groups] == [(2, 0.01), (1, 0.5)]
    assert groups[1]["params"][0] is net["head"].scale
