"""Hiding known classes chooses between methods, and among the settings of one."""

import numpy as np

from spaceform.types import no_progress
from spaceform.workflows.discovering import methods
from spaceform.workflows.discovering.tuning import tune


def rows_with_a_nuisance(*, loud, seed=0):
    """Return rows whose classes lie in six columns, beside columns of noise; known classes tell which are which."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(22), 30)
    signal = 4 * rng.normal(size=(22, 6))[truth] + rng.normal(size=(660, 6))
    noise = loud * np.sign(rng.normal(size=(660, 3)))
    return np.hstack([signal, noise]), np.where(truth < 20, truth, -1)


def tuned(X, y, *names):
    ways = [methods.ways()[name] for name in names]
    return tune(ways, X, y, epochs=60, seed=0, progress=no_progress)


def test_the_better_way_is_chosen():
    names = ("tabular-ncd", "ncd-kmeans")
    loud = tuned(*rows_with_a_nuisance(loud=20), *names)
    assert loud.way.name == "tabular-ncd"
    assert loud.accuracies["tabular-ncd"] > loud.accuracies["ncd-kmeans"] + 0.2
    assert set(loud.settings) == {"loss_weight", "learning_rate", "latent_dim"}
    quiet = tuned(*rows_with_a_nuisance(loud=0.0), *names)
    assert quiet.way.name == "ncd-kmeans"
    assert quiet.accuracies["ncd-kmeans"] > 0.95


def test_one_way_without_settings_is_not_tried():
    X, y = rows_with_a_nuisance(loud=1)
    one = tuned(X, y, "ncd-spectral")
    assert (one.way.name, dict(one.settings), dict(one.accuracies)) == ("ncd-spectral", {}, {})
