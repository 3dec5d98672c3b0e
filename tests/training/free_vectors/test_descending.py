"""Success is by accuracy at any check, stopping by loss, and the best answers count: three different things."""

import numpy as np

from spaceform.training.free_vectors.descending import descend
from spaceform.training.free_vectors.optimiser import FreeOptimiser
from spaceform.types import no_progress


class Played:
    """A descent whose answers and losses are written down beforehand, one column a table."""

    def __init__(self, shares, losses):
        self.shares, self.values, self.kept, self.looks, self.steps = shares, losses, [*range(len(shares[0]))], 0, 0

    def margins(self):
        self.looks += 1
        return [np.where(np.arange(10) < 10 * self.shares[self.looks - 1][one], 1.0, -1.0) for one in self.kept]

    def rows(self, place):
        return np.full((1, 1), self.looks), np.full((1, 1), self.kept[place])

    def losses(self):
        return np.array([self.values[self.steps][one] for one in self.kept], dtype=float)

    def keep(self, places):
        self.kept = [self.kept[place] for place in places]

    def update(self):
        self.steps += 1


def test_the_best_answers_count_not_the_last():
    played = Played([[0.2], [0.6], [0.4], [0.1]], [[3], [2], [1]])
    (run,) = descend(played, 1, FreeOptimiser(max_steps=3, check_every=1), no_progress)
    assert run.best[0] == 0.6
    assert run.rows[0] == 2
    assert (run.stopped, run.steps, run.loss) == ("steps", 3, 1.0)


def test_each_table_stops_for_itself():
    shares = [[0.0, 0.5, 0.1], [1.0, 0.5, 0.2], [0, 0.5, 0.3], [0, 0.5, 0.4], [0, 0.5, 0.5]]
    losses = [[5, 5, 5], [4, 5, 4], [3, 5, 3], [2, 5, 2]]
    optimiser = FreeOptimiser(max_steps=4, check_every=1, patience=2)
    one, two, three = descend(Played(shares, losses), 3, optimiser, no_progress)
    assert (one.stopped, one.steps, one.best[0]) == ("exact", 1, 1.0)
    assert (two.stopped, two.steps) == ("patience", 2)
    assert (three.stopped, three.steps, three.best[0]) == ("steps", 4, 0.5)
    assert [run.rows[1].item() for run in (one, two, three)] == [0, 1, 2]


def test_it_goes_on_after_exactness_when_asked_to():
    played = Played([[1.0], [1.0], [0.5]], [[2], [1]])
    (run,) = descend(played, 1, FreeOptimiser(max_steps=2, check_every=1, stop_when_exact=False), no_progress)
    assert (run.stopped, run.best[0]) == ("steps", 1.0)
