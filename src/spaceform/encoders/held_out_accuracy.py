"""Stop training when rows kept back are classified no better, and keep the best weights."""

from __future__ import annotations

from typing import ClassVar, cast, final

from numpy.typing import ArrayLike

from spaceform.encoders.student import StudentClassifier
from spaceform.encoders.watch import AbstractWatch


@final
class HeldOutAccuracy(AbstractWatch):
    """Callback of a student's ``fit``: every so many steps accuracy on rows that training does not see.

    Parameters: ``student`` that is being fitted; ``X``, ``y`` rows like those of ``fit`` and their labels; ``every``
    steps between two looks, the last step is looked at too; ``patience`` looks without a better one end training.

    Attributes: ``steps`` and ``accuracy`` of the looks; ``best_step``, 0 before the first. All of it and the best
    weights, of equal ones the latest, are part of ``state_dict``. :meth:`restore` puts them back. One pass over ``X`` a
    look.
    """

    FIGURES: ClassVar[tuple[str, ...]] = ("accuracy",)
    WHAT: ClassVar[str] = "on held-out rows"
    LATEST: ClassVar[bool] = True

    def __init__(
        self, student: StudentClassifier, X: ArrayLike, y: ArrayLike, *, every: int = 50, patience: int = 20
    ) -> None:
        super().__init__(student, X, y, every=every, patience=patience)

    @property
    def accuracy(self) -> list[float]:
        """Accuracy of each look."""
        return self.seen["accuracy"]

    def _look(self) -> list[float]:
        student = cast("StudentClassifier", self.encoder)
        return [float((student.predict(self.X) == self.y).mean())]
