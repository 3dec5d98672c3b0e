"""A paper or a loss by name, and its options: each goes where it belongs, and a wrong one lists the right ones."""

import inspect

import pytest

from spaceform.encoders.learner import MetricLearner
from spaceform.encoders.named_loss import SUPPLIED, loss_classes, make_loss
from spaceform.errors import InputError
from spaceform.methods.metric_learning.facenet import FaceNet
from spaceform.workflows.learning.choice import choose, training_options


def test_options_of_a_loss_go_to_the_loss_the_learner_and_training():
    options = {"margin": "0.2", "mining": "semi_hard:vgg", "embedding-dim": "8", "steps": 5, "patience": "3"}
    chosen = choose("triplet", options, seed=4)
    assert (chosen.slug, chosen.cls) == ("triplet", MetricLearner)
    assert chosen.arguments == {
        "loss": "triplet", "loss_options": {"margin": 0.2, "mining": "semi_hard:vgg"},
        "embedding_dim": 8, "steps": 5, "random_state": 4, "loss_rate_factor": 5.0,
    }  # fmt: skip
    assert chosen.training == training_options(patience=3)
    assert choose("Proxy_Anchor", {}, seed=0).slug == "proxy-anchor"


def test_text_reaches_options_that_are_objects():
    loss = make_loss("triplet", {"mining": "semi_hard:vgg:hardest"}, n_classes=2, width=2, seed=0)
    assert (loss.mining.strategy, loss.mining.rule, loss.mining.choice) == ("semi_hard", "vgg", "hardest")
    with pytest.raises(InputError, match="mining"):
        choose("triplet", {"mining": "softest"}, seed=0)


def test_a_paper_keeps_its_own_class_and_options():
    chosen = choose("facenet", {"margin": "0.3", "devices": "1"}, seed=2)
    assert (chosen.slug, chosen.cls) == ("facenet", FaceNet)
    assert chosen.arguments == {"margin": 0.3, "random_state": 2}


@pytest.mark.parametrize(
    ("method", "options", "parts"),
    [
        ("proxy-ankor", {}, ("a paper (", "facenet", "a loss (", "sup-con", "did you mean proxy-anchor?")),
        ("proxy-anchor", {"margn": "1"}, ("margin=0.1, alpha=32.0", "steps=400", "devices=1", "did you mean margin?")),
        ("proxy-anchor", {"n_classes": "3"}, ("n_classes", "margin=0.1")),
        ("proxy-anchor", {"margin": "2"}, ("margin", "from 0 to 1")),
        ("proxy-anchor", {"margin": "wide"}, ("margin", "float")),
        ("sup-con", {"steps": "many"}, ("steps", "int")),
        ("sup-con", {"patience": "long"}, ("patience", "int")),
        ("facenet", {"alpha": "1"}, ("alpha", "margin=0.2")),
        ("loki", {"devices": "2"}, ("devices", "temperature")),
    ],
)
def test_wrong_names_and_options_list_the_right_ones(method, options, parts):
    with pytest.raises(InputError) as refused:
        choose(method, options, seed=0)
    for part in parts:
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(loss_classes()))
def test_no_option_of_a_loss_hides_one_of_the_learner(name):
    own = set(inspect.signature(loss_classes()[name]).parameters) - set(SUPPLIED)
    others = {*inspect.signature(MetricLearner).parameters, *inspect.signature(training_options).parameters}
    assert not own & others


def test_rates_suit_what_is_trained():
    assert choose("linear-softmax", {}, seed=0).arguments["loss_rate_factor"] == 1
    assert choose("linear-softmax", {"loss_rate_factor": "3"}, seed=0).arguments["loss_rate_factor"] == 3
    pretrained = choose("proxy-anchor", {"net": "transformers:/folder"}, seed=0).arguments
    assert (pretrained["learning_rate"], pretrained["loss_rate_factor"]) == (1e-4, 100)
    assert choose("proxy-anchor", {"learning_rate": "0.1"}, seed=0).arguments["loss_rate_factor"] == 1
    assert "learning_rate" not in choose("sup-con", {"net": "conv"}, seed=0).arguments
