"""Hyperspherical novelty."""

from spaceform.heads.normalized_linear import NormalizedLinear
from spaceform.heads.novel_classes import NovelClassClassifier
