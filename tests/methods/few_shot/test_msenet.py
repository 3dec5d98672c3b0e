"""MSENet: the network against a slow one, what must not change its answers, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from contracts.cases import EstimatorCase, full_labels
from spaceform.errors import InputError
from spaceform.methods.few_shot.msenet import (
    RESNET18_TAPS,
    MSENet,
    MSENetEncoder,
    MultiScalePrototypeClassifier,
    MultiScalePrototypeHead,
)
from spaceform.nets.resnets.resnet18 import ResNet18
from spaceform.nets.stages import StagedConvNet
from spaceform.nets.taps import FeatureTaps
from spaceform.samplers.episodes import EpisodeSampler

CONTRACT_CASES = {
    "MSENetEncoder": EstimatorCase({"net": "stages:0.1", "n_way": 2, "n_query": 2, "steps": 2}, full_labels),
    "MultiScalePrototypeClassifier": EstimatorCase({}, full_labels),
}


def seeded(make, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def network(**options):
    def make():
        backbone = StagedConvNet(channels=1, size=12, widths=(4, 6, 5))
        return MSENet(backbone, backbone.stages, input_shape=(1, 12, 12), **options)

    return seeded(make)


def task(seed=0, *, ways=3, shots=2, queries=5):
    pictures = torch.rand(ways * shots + queries, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    y = torch.arange(ways).repeat_interleave(shots)
    return pictures[: len(y)], y, pictures[len(y) :]


def test_logits_are_those_of_the_parts_put_together_by_hand():
    net = network(gamma=0.3, head=MultiScalePrototypeHead(3, init=[0.5, 1.0, 2.0])).eval()
    support, y, query = task()
    expected = torch.zeros(5, 3)
    for pictures in (support, query):
        maps = FeatureTaps(net.taps.module, ["stage1", "stage2", "stage3"])(pictures)
        parts = [refine(x).flatten(2).mean(2) for refine, x in zip(net.attention, maps.values(), strict=True)]
        if pictures is support:
            means = [torch.stack([z[y == c].mean(0) for c in range(3)]) for z in parts]
        else:
            for weight, z, mean in zip((0.5, 1.0, 2.0), parts, means, strict=True):
                expected -= weight * (z[:, None] - mean[None]).square().sum(2).sqrt()
    torch.testing.assert_close(net(support, y, query), expected, atol=1e-5, rtol=1e-5)


def test_the_last_depth_alone_without_attention_is_a_prototypical_network():
    net = network(head=MultiScalePrototypeHead(3, init=[0, 0, 1])).eval()
    support, y, query = task()
    z, asked = net.taps.module(support), net.taps.module(query)
    means = torch.stack([z[y == c].mean(0) for c in range(3)])
    torch.testing.assert_close(net(support, y, query), -torch.cdist(asked, means), atol=1e-6, rtol=1e-5)


def test_at_gamma_zero_attention_changes_no_bit_and_learns_by_gamma_alone():
    plain, refined = network(attention=False), network(gamma=0.0)
    refined.taps.load_state_dict(plain.taps.state_dict())
    support, y, query = task()
    logits = refined(support, y, query)
    assert torch.equal(plain(support, y, query), logits)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0, 1])).backward()
    learned = {name for name, value in refined.attention.named_parameters() if value.grad.abs().max() > 0}
    assert learned == {"0.gamma", "1.gamma", "2.gamma"}


def test_attention_is_registered_shared_and_learns():
    net = network(gamma=0.5)
    support, y, query = task()
    names = {name for name, _ in net.named_parameters()}
    assert {f"attention.{s}.{part}" for s in range(3) for part in ("gamma", "query.weight", "value.bias")} < names
    nn.functional.cross_entropy(net(support, y, query), torch.tensor([0, 1, 2, 0, 1])).backward()
    for part in ("query.weight", "key.weight", "value.weight", "gamma"):
        assert net.attention[0].get_parameter(part).grad.abs().max() > 0, part
    net.eval()
    assert torch.equal(net(support, y, query), net(support, y, query)), "weights are not drawn anew in a pass"
    assert torch.equal(net(support, y, support).argmax(1), net(support, y, support.clone()).argmax(1))


def test_labels_and_order_of_supports_are_names_only():
    net = network(gamma=0.3).eval()
    support, y, query = task(1)
    logits = net(support, y, query)
    torch.testing.assert_close(net(support, torch.tensor([7, 3, 42])[y], query), logits[:, [1, 0, 2]])
    order = torch.tensor([4, 1, 5, 0, 2, 3])
    torch.testing.assert_close(net(support[order], y[order], query), logits, atol=1e-5, rtol=1e-5)


def test_supports_and_queries_may_pass_together_or_apart_only_in_evaluation():
    net = network(gamma=0.3)
    support, y, query = task(2)
    for training, same in ((False, True), (True, False)):
        net.train(training)
        together = net(support, y, query)
        apart = net.head(net.embed(support), y, net.embed(query))
        assert bool((together - apart).abs().max() < 1e-5) == same


def test_the_papers_taps_of_resnet18():
    net = MSENet(ResNet18(), input_shape=(3, 84, 84))
    assert net.channels == [64, 128, 256, 512, 512]
    assert net.taps.layer_names == RESNET18_TAPS
    with torch.inference_mode():
        embedded = net.eval().embed(torch.zeros(2, 3, 84, 84))
    assert [tuple(z.shape) for z in embedded] == [(2, c) for c in net.channels]


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: network(head=MultiScalePrototypeHead(2)), "head: got one for 2 spaces, expected 3"),
        (lambda: MSENet(ResNet18(width=0.1), ["layer9"]), "layer_names: got 'layer9'"),
        (
            lambda: MSENet(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), ["1"], input_shape=(3, 2, 2)),
            "a layer of maps",
        ),
        (lambda: network()(*task()[:2], torch.zeros(0, 1, 12, 12)), "query"),
        (lambda: network()(*task()[:2], torch.zeros(2, 1, 10, 10)), "query"),
        (lambda: network()(task()[0], torch.zeros(6, dtype=torch.int64), task()[2]), "at least two"),
        (lambda: network()(task()[0] * float("nan"), *task()[1:]), "NaN"),
    ],
)
def test_what_does_not_fit_is_refused(work, message):
    with pytest.raises(InputError, match=message):
        work()


def test_two_runs_of_training_learn_the_same_and_leave_no_weight_behind():
    X, y = stripes()
    first, second = (MSENetEncoder(**{**QUICK, "steps": 3}).fit(X, y) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    start = MSENetEncoder(**{**QUICK, "steps": 0}).fit(X, y)
    before = dict(start.net_.named_parameters())
    still = {n for n, v in first.net_.named_parameters() if torch.equal(v, before[n])}
    assert still <= {f"attention.{s}.key.bias" for s in range(5)} | {
        f"attention.{s}.{part}" for s in (3, 4) for part in ("query.weight", "query.bias", "key.weight")
    }


QUICK = {"net": "stages:0.2", "n_way": 3, "n_query": 2, "steps": 2}


def stripes(n=90, size=16):
    """Six classes: the column of a bright stripe."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 6
    X = rng.integers(0, 120, size=(n, size, size, 1))
    for row, code in zip(X, y, strict=True):
        row[:, 2 * code + 2] += 120
    return X.astype(np.uint8), y


def test_the_classifier_on_vectors_of_the_encoder_answers_as_the_network():
    X, y = stripes()
    encoder = MSENetEncoder(**{**QUICK, "steps": 5}, init=[0.5, 1.0, 1.5, 1.0, 2.0]).fit(X, y)
    episode = EpisodeSampler(y, n_way=4, n_shot=2, n_query=5)(0)
    support, query = X[episode.support.ravel()], X[episode.query.ravel()]
    model = MultiScalePrototypeClassifier(scale_slices=encoder.scale_slices_)
    model.fit(encoder.transform(support), np.repeat(np.arange(4), 2))
    pictures = [torch.from_numpy(part).permute(0, 3, 1, 2) / 255 for part in (support, query)]
    with torch.inference_mode():
        logits = encoder.net_(pictures[0], torch.arange(4).repeat_interleave(2), pictures[1])
    np.testing.assert_allclose(model.decision_function(encoder.transform(query)), logits.numpy(), atol=1e-5)
    assert encoder.dim == encoder.scale_slices_[-1][1] == sum(encoder.net_.channels)
    np.testing.assert_allclose(encoder.weights_, [0.5, 1.0, 1.5, 1.0, 2.0], atol=0.05)


def test_training_helps_on_classes_that_were_not_trained():
    from spaceform.claims.few_shot.msenet_data import draw_strokes
    from spaceform.metrics.few_shot import few_shot_accuracy

    X, y = draw_strokes(24, 10, seed=3, size=16)
    seen = y < 16
    unseen = EpisodeSampler(y[~seen], n_way=5, n_shot=1, n_query=5)
    scores = []
    for steps in (0, 40):
        encoder = MSENetEncoder(net="stages:0.3", n_way=8, n_query=3, steps=steps, learning_rate=4e-3)
        vectors = encoder.fit(X[seen], y[seen]).transform(X[~seen])
        scores.append(few_shot_accuracy(vectors, unseen.episodes(60)).mean)
    assert scores[1] > scores[0] + 0.05


def test_ways_follow_the_classes_that_have_rows_enough():
    X, y = stripes()
    encoder = MSENetEncoder(net="stages:0.1", steps=1, n_query=2)
    assert encoder.fit(X, y)._sampler(np.asarray(y), 0).n_way == 6
    few = np.where(y == 5, -1, y)
    assert encoder._sampler(few, 0).n_way == 5
    with pytest.raises(InputError, match="expected 7 for n_way 7"):
        MSENetEncoder(**{**QUICK, "n_way": 7}).fit(X, y)
    with pytest.raises(InputError, match="0 classes with 30 rows"):
        MSENetEncoder(net="stages:0.1", n_query=29).fit(X, y)


def test_saved_and_found_again(tmp_path):
    X, y = stripes()
    encoder = MSENetEncoder(**QUICK, taps=["stage2", "stage4"], nonneg="softplus").fit(X, y)
    encoder.save(tmp_path)
    again = MSENetEncoder.load(tmp_path)
    np.testing.assert_array_equal(again.transform(X), encoder.transform(X))
    assert again.scale_slices_ == encoder.scale_slices_
    assert len(again.scale_slices_) == 2


def test_a_killed_fit_goes_on_and_ends_the_same(tmp_path):
    X, y = stripes()
    settings = {**QUICK, "steps": 4}

    def kill(task, done, total, figures=None):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        MSENetEncoder(**settings).fit(X, y, checkpoint=tmp_path, every=1, progress=kill)
    resumed = MSENetEncoder(**settings).fit(X, y, checkpoint=tmp_path, every=1)
    assert resumed.fingerprint == MSENetEncoder(**settings).fit(X, y).fingerprint


def test_networks_by_name_by_function_and_of_vectors():
    X, y = stripes(36)
    assert (
        MSENetEncoder(**{**QUICK, "net": "resnet18:0.05", "n_query": 1, "steps": 1}).fit(X, y).dim
        == 3 + 6 + 13 + 26 * 2
    )

    def own(shape, width):
        return nn.Sequential(nn.Conv2d(shape[2], 5, 3), nn.ReLU(), nn.Conv2d(5, 7, 3))

    assert MSENetEncoder(**{**QUICK, "net": own}, taps=["0", "2"]).fit(X, y).transform(X).shape == (36, 12)
    with pytest.raises(InputError, match="taps: got None"):
        MSENetEncoder(**{**QUICK, "net": own}).fit(X, y)
    vectors = X.reshape(36, -1)[:, :7] / 255
    assert MSENetEncoder(**QUICK, attention=False).fit(vectors, y).transform(vectors).shape == (36, 67)


def test_weights_that_are_not_trained_stay_as_they_start():
    encoder = MSENetEncoder(**{**QUICK, "steps": 3}, weight_rate=0, init=1.25).fit(*stripes())
    assert encoder.weights_.tolist() == [1.25] * 5
    assert all(refine.gamma.item() == 0 for refine in encoder.net_.attention)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"net": "vgg"}, "net"),
        ({"net": "stages:wide"}, "net"),
        ({"taps": ["stage9"]}, "layer_names"),
        ({"nonneg": "none"}, "nonneg"),
        ({"init": [1.0, 2.0]}, "init"),
        ({"steps": -1}, "steps"),
        ({"n_shot": 0}, "n_shot"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"weight_rate": -1.0}, "weight_rate"),
    ],
)
def test_settings_are_checked(settings, name):
    with pytest.raises(InputError, match=name):
        MSENetEncoder(**{**QUICK, **settings}).fit(*stripes(36))


def test_a_space_is_trained_on_by_its_pictures_or_by_its_vectors(tmp_path):
    image = pytest.importorskip("PIL.Image")
    from spaceform.workflows.encoders import open_encoder
    from spaceform.workflows.train import train

    X, y = stripes(36)
    for row, (picture, code) in enumerate(zip(X, y, strict=True)):
        (tmp_path / "pictures" / f"c{code}").mkdir(parents=True, exist_ok=True)
        image.fromarray(picture[..., 0]).save(tmp_path / "pictures" / f"c{code}" / f"{row}.png")
    options = {"net": "stages:0.1", "steps": 1, "n_query": 2}
    found = train("msenet", tmp_path / "pictures", out=tmp_path / "space", options=options, size=16, held_out=0)
    encoder = open_encoder(tmp_path / "space")
    assert isinstance(encoder, MSENetEncoder)
    assert found.dim == encoder.dim
    scales = [list(bounds) for bounds in encoder.scale_slices_]
    answered = train("msenet:MultiScalePrototypeClassifier", tmp_path / "space", options={"scale_slices": str(scales)})
    assert set(answered.columns) == {"msenet_class", "msenet_confidence"}
    assert 0 <= answered.figures["msenet"]["accuracy"] <= 1
