"""Audit vectors: do they separate into classes, with labels and without, and is that more than chance?"""

from sklearn.datasets import load_digits

import spaceform as sf
from spaceform.metrics.persistence import column_shuffled
from spaceform.metrics.separability import fisher_ratio, thornton_index

X, y = load_digits(return_X_y=True)

print(f"with labels: Fisher's ratio {fisher_ratio(X, y):.2f}, nearest neighbour agrees for {thornton_index(X, y):.1%}")
model = sf.ClassSeparability(random_state=0).fit(X)
shuffled = sf.ClassSeparability(random_state=0).fit(column_shuffled(X, 0))
gain, spread = model.result_.difference(shuffled.result_)
print(f"without labels: separability {1 - model.score_:.2f}, {gain:.2f} +- {spread:.2f} above shuffled columns")
