"""Stop training when retrieval on rows kept back gets no better, and keep the best weights."""

from __future__ import annotations

from typing import ClassVar, final

from numpy.typing import ArrayLike

from spaceform.encoders.abstract import AbstractEncoder
from spaceform.encoders.watch import AbstractWatch
from spaceform.metrics.retrieval import retrieval


@final
class EarlyStopping(AbstractWatch):
    """Callback of an encoder's ``fit``: every so many steps retrieval among rows that training does not see.

    Parameters: ``encoder`` that is being fitted; ``X``, ``y`` rows like those of ``fit`` and their classes, of classes
    kept back as a rule, at least one of them with two rows; ``every`` steps between two looks, the last step is looked
    at too; ``patience`` looks without a better MAP@R end training.

    Attributes: ``steps``, and ``recall_at_1`` and ``map_at_r`` then; ``best_step``, 0 before the first look. All of it
    and the best weights are part of ``state_dict``, so that a run that goes on from a checkpoint decides as an unbroken
    one. :meth:`restore` puts the best weights back. With several processes the first looks, and all do what it says.

    Raises ``InputError`` for labels of another length. One pass over ``X`` and O(n^2 d) a look.
    """

    FIGURES: ClassVar[tuple[str, ...]] = ("recall_at_1", "map_at_r")
    WHAT: ClassVar[str] = "MAP@R on held-out rows"

    def __init__(
        self, encoder: AbstractEncoder, X: ArrayLike, y: ArrayLike, *, every: int = 20, patience: int = 10
    ) -> None:
        super().__init__(encoder, X, y, every=every, patience=patience)

    @property
    def recall_at_1(self) -> list[float]:
        """Recall@1 of each look."""
        return self.seen["recall_at_1"]

    @property
    def map_at_r(self) -> list[float]:
        """MAP@R of each look."""
        return self.seen["map_at_r"]

    def _look(self) -> list[float]:
        found = retrieval(self.encoder.encode(self.X), self.y, ks=(1,))
        return [found.recall_at[1], found.map_at_r]
