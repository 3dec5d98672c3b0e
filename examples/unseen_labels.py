"""Predict classes that were never trained: a classifier of four animals answers over a whole taxonomy."""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

import spaceform as sf
from spaceform.geometry import TreeMetric

#          0       1       2       3       4       5       6       7
names = ["animal", "cat", "dog", "bird", "lynx", "tiger", "wolf", "eagle"]
parents = [-1, 0, 0, 0, 1, 1, 2, 3]
taxonomy = TreeMetric(parents, labels=names)

rng = np.random.default_rng(0)
corners = {"lynx": (0, 0), "tiger": (0, 4), "wolf": (4, 0), "eagle": (9, 9)}
X = np.concatenate([rng.normal(corner, 0.5, size=(20, 2)) for corner in corners.values()])
y = np.repeat(list(corners), 20)

model = sf.LokiClassifier(estimator=KNeighborsClassifier(10), label_metric=taxonomy).fit(X, y)
between = [[0.0, 2.0], [2.0, 0.0], [0.0, 0.1]]
for row, plain, loki in zip(between, model.estimator_.predict(between), model.predict(between), strict=True):
    print(f"{row}: the classifier says {plain}, Loki says {loki}")
