"""The table of ways: which estimators discover, what each needs, and answers of every kind read alike."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from spaceform.clustering.ncd import NCDKMeans
from spaceform.errors import InputError
from spaceform.methods.class_discovery.latent_label_shift import LatentLabelShift
from spaceform.methods.class_discovery.tabular_ncd import PBNClassifierDiscovery
from spaceform.types import no_progress
from spaceform.workflows.discovering import methods
from spaceform.workflows.discovering.methods import Way


class Generalised:
    """Takes rows for known classes, too, and numbers new ones after them, as generalised discovery does."""

    def __init__(self, *, n_novel=2, random_state=None):
        self.n_novel, self.random_state = n_novel, random_state

    def fit(self, X, y):
        self.classes_ = np.unique(y[y >= 0])
        self.cluster_names_ = np.append(self.classes_, [7, 9])
        self.labels_ = np.where(y >= 0, y, np.resize([9, 7, self.classes_[0]], len(y)))
        return self


def test_what_the_table_holds_follows_from_the_papers_and_signatures():
    found = methods.ways()
    assert found["tabular-ncd"] == Way("tabular-ncd", PBNClassifierDiscovery)
    assert found["latent-label-shift"].cls is LatentLabelShift
    assert {"ncd-kmeans", "ncd-spectral"} <= found.keys()
    assert found["tabular-ncd"].learns
    assert found["latent-label-shift"].by_domains
    assert not found["latent-label-shift"].learns
    assert not found["ncd-kmeans"].learns
    assert found["tabular-ncd"].search
    assert not found["ncd-spectral"].search


def test_an_estimator_joins_by_its_signature():
    assert methods.fits(Generalised)
    assert not methods.fits(KMeans)


def test_aliases_auto_and_what_few_known_classes_allow():
    notes: list[str] = []

    def names(method, known):
        return [way.name for way in methods.choose(method, known=known, notes=notes)]

    assert names("pbn", 3) == ["tabular-ncd"]
    assert names("auto", 3) == ["tabular-ncd", "ncd-kmeans"]
    assert names("ncd-spectral", 0) == ["ncd-spectral"]
    assert notes == []
    assert names("auto", 1) == names("tabular-ncd", 1) == ["ncd-kmeans"]
    assert "can't shape" in notes[0]
    with pytest.raises(InputError, match=r"magic.*tabular-ncd"):
        methods.find("magic")


def test_an_estimator_gets_the_settings_it_has():
    settings = {"epochs": 3, "k_range": (2, 5), "random_state": 1, "unknown": 2}
    assert methods.ways()["ncd-kmeans"].make(4, settings).get_params()["n_novel"] == 4
    assert methods.ways()["tabular-ncd"].make(None, settings).epochs == 3
    assert methods.ways()["latent-label-shift"].make(3, settings).n_classes == 3


def answer(way, X, y, **options):
    given = {"domains": None, "n_novel": 2, "settings": {"random_state": 0}, "progress": no_progress}
    return methods.fit(way, X, y, **{**given, **options})


def test_answers_number_new_classes_from_0_and_keep_known_ones_apart():
    X = np.random.default_rng(0).normal(size=(12, 2))
    y = np.array([3, 4] * 3 + [-1] * 6)
    found = answer(Way("generalised", Generalised), X, y)
    np.testing.assert_array_equal(found.found, [1, 0, -1, 1, 0, -1])
    np.testing.assert_array_equal(found.again, [-1, -1, 3, -1, -1, 3])
    plain = answer(Way("ncd-kmeans", NCDKMeans), X, y)
    assert set(plain.found) == {0, 1}
    assert (plain.again == -1).all()
    assert plain.latent is X


def test_by_domains():
    rng = np.random.default_rng(0)
    kind, domain = np.repeat([0, 1, 0, 1], [90, 10, 10, 90]), np.repeat([0, 1], 100)
    X = 8 * kind[:, None] + rng.normal(size=(200, 2))
    way = methods.ways()["latent-label-shift"]
    found = answer(way, X, np.full(200, -1), domains=domain).found
    assert max((found == kind).mean(), (found != kind).mean()) > 0.9
