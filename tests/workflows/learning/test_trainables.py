"""Methods and their options as people type them."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest

from spaceform.errors import InputError
from spaceform.methods.class_discovery.tabular_ncd import NCDKMeans, PBNClassifierDiscovery
from spaceform.methods.transfer.loki import LokiClassifier
from spaceform.workflows.learning.trainables import find_trainable, is_trainable, parse_options


class Model:
    def __init__(
        self,
        *,
        width: int = 3,
        rate: float = 0.1,
        mode: str | None = None,
        deep: bool = False,
        kind: Literal["a", "b"] = "a",
        span: tuple[int, int] = (2, 30),
        start: float | str = 1.0,
        sizes: Sequence[int] = (),
        anything: Any = None,
        progress: Any = None,
    ) -> None:
        pass


def test_the_main_class_of_a_paper_is_found_and_others_by_name():
    assert find_trainable("loki") == ("loki", LokiClassifier)
    assert find_trainable("tabular-ncd") == ("tabular-ncd", PBNClassifierDiscovery)
    assert find_trainable("tabular-ncd:NCDKMeans") == ("tabular-ncd", NCDKMeans)


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("lokki", "slug"),
        ("loki:LokiSTE", "one of loki:LokiClassifier"),
        ("limit", "a method whose code exists|fitted to rows"),
    ],
)
def test_what_can_not_be_trained_is_refused(method, message):
    with pytest.raises(InputError, match=message):
        find_trainable(method)


def test_parts_are_not_trainable():
    assert is_trainable(LokiClassifier)
    assert not is_trainable(Model)
    assert not is_trainable(LokiClassifier())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("width=5", 5),
        ("rate=2", 2.0),
        ("rate=1e-3", 1e-3),
        ("mode=fast", "fast"),
        ("mode=none", None),
        ("mode=3", "3"),
        ("deep=TRUE", True),
        ("kind=b", "b"),
        ("span=[1, 2]", [1, 2]),
        ("start=fit", "fit"),
        ("start=0.5", 0.5),
        ("sizes=[4]", [4]),
        ('anything={"a": 1}', {"a": 1}),
    ],
)
def test_text_becomes_what_the_parameter_takes(text, value):
    name, _, raw = text.partition("=")
    (parsed,) = parse_options(Model, {name: raw}).values()
    assert parsed == value
    assert type(parsed) is type(value)


def test_values_pass_and_hyphens_become_underscores():
    assert parse_options(Model, {"span": (3, 4)}) == {"span": (3, 4)}
    assert parse_options(LokiClassifier, {"validation-fraction": "0.3"}) == {"validation_fraction": 0.3}


@pytest.mark.parametrize("text", ["width=wide", "width=2.5", "width=true", "deep=1", "kind=c", "span=1", "rate=none"])
def test_a_value_of_another_type_is_refused(text):
    name, _, raw = text.partition("=")
    with pytest.raises(InputError, match=f"{name}: got '{raw}', expected a value of type"):
        parse_options(Model, {name: raw})


def test_a_wrong_option_lists_the_right_ones_with_their_defaults():
    with pytest.raises(InputError, match=r"width=3, rate=0.1, mode=None.*did you mean width\?") as caught:
        parse_options(Model, {"widht": "5"})
    assert "progress" not in str(caught.value)
    with pytest.raises(InputError, match=r"temperature=1\.0"):
        parse_options(LokiClassifier, {"estimator": "knn"})
