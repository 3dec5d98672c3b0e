import pytest
import torch
from torch.nn import functional

from spaceform.errors import InputError
from spaceform.nets.domains.feature_gan import ConditionalFeatureGAN, FeatureGANPair, GANLearners
from spaceform.training.adversarial import AdversarialSteps


def learners(pair, rate=5e-3, rounds=1):
    return GANLearners(
        *(
            AdversarialSteps(gan.generator, gan.discriminator, learning_rate=rate, reptile_rate=1.0)
            for gan in (pair.low, pair.high)
        ),
        rounds=rounds,
    )


def test_losses_are_the_cross_entropies():
    torch.manual_seed(0)
    gan = ConditionalFeatureGAN(3, 2)
    real, made, told = torch.rand(6, 3), torch.rand(6, 3), torch.eye(2).repeat(3, 1)
    bce = functional.binary_cross_entropy_with_logits
    yes, no = (gan.judge(rows, told) for rows in (real, made))
    expected = bce(yes, torch.ones(6)) + bce(no, torch.zeros(6))
    assert gan.discriminator_loss(real, made, told).item() == pytest.approx(expected.item(), rel=1e-6)
    assert gan.generator_loss(made, told).item() == pytest.approx(bce(no, torch.ones(6)).item(), rel=1e-6)


def test_noise_has_its_width_and_follows_the_generator():
    gan = ConditionalFeatureGAN(3, 2, sigma=0.2)
    told = torch.zeros(4000, 2)
    made, noise = gan.generate(told, generator=torch.Generator().manual_seed(1))
    again = gan.generate(told, generator=torch.Generator().manual_seed(1))[0]
    assert noise.std().item() == pytest.approx(0.2, rel=0.03)
    assert torch.equal(made, again)
    assert FeatureGANPair(3).high.sigma == 1.0


def test_conditions_of_means_say_the_same_of_a_class_wherever_it_stands():
    pair = FeatureGANPair(3)
    rows, targets = torch.rand(6, 3), torch.tensor([0, 0, 1, 1, 2, 2])
    renumbered = torch.tensor([2, 2, 0, 0, 1, 1])
    assert torch.allclose(pair.conditions(rows, targets, 1), pair.conditions(rows, renumbered, 1))
    assert pair.conditions(rows, targets, 1)[:, 3:].tolist() == [[0, 1]] * 6
    slots = FeatureGANPair(3, slots=3)
    assert not torch.equal(slots.conditions(rows, targets, 1), slots.conditions(rows, renumbered, 1))
    with pytest.raises(InputError, match="slots"):
        slots.conditions(rows, torch.tensor([0, 0, 1, 1, 3, 3]), 0)


def test_it_learns_the_mean_of_a_class_that_it_is_told():
    torch.manual_seed(0)
    pair = FeatureGANPair(4)
    rng = torch.Generator().manual_seed(2)
    centres = torch.tensor([[3.0, 0, 0, 1], [0, 3.0, 1, 0]])
    targets, play = torch.tensor([0, 1]).repeat_interleave(16), learners(pair)

    def features():
        return (centres[targets] + 0.2 * torch.randn(32, 4, generator=rng)).relu()

    def error():
        made = pair.invent(features(), targets, 0, high=False, generator=rng)
        return sum((made[targets == c].mean(0) - centres[c]).norm().item() for c in (0, 1))

    before = error()
    for _ in range(300):
        part = [(features(), targets, 0)]
        figures = pair.learn(part, part, play, generator=rng)
    assert error() < 0.5 * before
    assert set(figures) == {"low_judge", "low_maker", "high_judge", "high_maker"}


def test_made_features_and_real_ones_get_no_gradient():
    pair = FeatureGANPair(3)
    rows = torch.rand(4, 3, requires_grad=True)
    targets = torch.tensor([0, 0, 1, 1])
    assert not pair.invent(rows, targets, 0, high=True, generator=None).requires_grad
    pair.learn([(rows, targets, 0)], [(rows, targets, 1)], learners(pair), generator=None)
    assert rows.grad is None
    assert all(p.grad is None for p in pair.parameters())


def test_other_widths_are_refused():
    with pytest.raises(InputError, match="conditions"):
        ConditionalFeatureGAN(3, 2).generate(torch.zeros(2, 3))
