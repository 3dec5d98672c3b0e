"""A metric that finds its number of learners, and an encoder whose attention shows what it looks at."""

import numpy as np
from sklearn.datasets import load_digits

import spaceform as sf
from spaceform.metrics.retrieval import recall_at_k
from spaceform.metrics.segmentation import dice, weak_masks

X, y = load_digits(return_X_y=True)
metric = sf.DynamicSubspaceMetric(n_components=32, epochs=12, patience=1, random_state=0).fit(X[:600], y[:600])
sizes = [len(part) for part in metric.slices_]
print(f"{metric.n_learners_} learner(s) of {sizes} dimensions; each epoch had {metric.history_.n_learners}")
recall = recall_at_k(metric.transform(X[600:]), y[600:], ks=(1,))[1]
print(f"{recall:.1%} of unseen digits have a nearest neighbour of their own class")

pictures = (X.reshape(-1, 8, 8) * 15).astype(np.uint8).repeat(2, 1).repeat(2, 2)
encoder = sf.DynamicSubspaceEncoder(embedding_dim=16, epochs=3).fit(pictures[:400], y[:400])
masks = weak_masks(encoder.attention(pictures[600:]), 16)
print(f"Dice of attention and ink: {dice(masks, pictures[600:] > 60):.2f}")
