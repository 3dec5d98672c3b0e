"""Which classes belong together? Train on arbitrary pairs of classes and read it out of their gates.

Ten classes in five families hide under louder noise; nobody says which two are siblings.
"""

import numpy as np

import spaceform as sf
from spaceform.metrics.separability import knn_accuracy


def rows_and_labels(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows ``(n, 20)`` of ten classes; 2k and 2k + 1 are siblings."""
    fixed, rng = np.random.default_rng(7), np.random.default_rng(seed)
    centres = 2 * fixed.normal(size=(5, 8))[np.arange(10) // 2] + fixed.normal(size=(10, 8))
    y = np.arange(n) % 10
    X = np.hstack([centres[y] + 0.7 * rng.normal(size=(n, 8)), 4 * rng.normal(size=(n, 12))])
    return X @ fixed.normal(size=(20, 20)), y


X, y = rows_and_labels(600, seed=0)
projector = sf.ArbitraryPairProjector(embedding_dim=32, hidden=128, gate="sigmoid:32", batch_size=200, epochs=40)
projector.fit(X, y)

affinity = projector.class_affinity_ - 2 * np.eye(10)
nearest = affinity.argmax(1)
for code in range(0, 10, 2):
    print(f"class {code} goes with class {nearest[code]} (affinity {affinity[code, nearest[code]]:.2f})")

unseen, truth = rows_and_labels(600, seed=1)
before, after = knn_accuracy(unseen, truth), knn_accuracy(projector.transform(unseen), truth)
print(f"neighbours of new rows are right for {before:.0%}, after training for {after:.0%}")
