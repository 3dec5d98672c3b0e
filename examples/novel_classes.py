"""Find classes that nobody labelled: digits 5 to 9 are unlabelled (y = -1), 0 to 4 are known."""

import numpy as np
from sklearn.datasets import load_digits

import spaceform as sf
from spaceform.metrics.clustering import hungarian_accuracy

X, digits = load_digits(return_X_y=True)
y = np.where(digits < 5, digits, -1)
unlabelled = y == -1

for model in (sf.NCDKMeans(n_novel=5, random_state=0), sf.NCDSpectralClustering(n_novel=5, random_state=0)):
    accuracy = hungarian_accuracy(digits[unlabelled], model.fit(X, y).labels_[unlabelled])
    print(f"{type(model).__name__}: {accuracy:.0%} of the unlabelled digits are in the right new class")

sweep = sf.NCDKMeans(k_range=(2, 10), random_state=0).fit(X, y).sweep_
print(f"the silhouette suggests {sweep.best} new classes")
