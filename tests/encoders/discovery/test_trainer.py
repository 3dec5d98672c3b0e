"""Both stages: who takes part in what, the targets, the teacher, and one step on two processes."""

import copy

import numpy as np
import pytest
import torch
from torch import distributed, nn

from oracles.ranks import on_ranks
from spaceform.encoders.discovery.trainer import CrKDTrainer
from spaceform.errors import InputError
from spaceform.losses.discovery.class_relation import ClassRelationKD
from spaceform.nets.novel_classes import NCDNet
from spaceform.ops.transport.sinkhorn import sinkhorn

CODES = torch.tensor([0, 1, 2, -1, -1, 0, -1, -1, 1, -1, -1, -1])


def net(seed=0, **options):
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(4, 16), nn.LayerNorm(16), nn.ReLU(), nn.Linear(16, 8))
    return NCDNet(encoder, **({"width": 8, "n_known": 3, "n_novel": 2, "n_heads": 2, "norm": False} | options))


def views(count=2):
    generator = torch.Generator().manual_seed(5)
    base = torch.randn(12, 4, generator=generator)
    return [base + 0.1 * torch.randn(12, 4, generator=generator) for _ in range(count)]


def trainer(**options):
    made = CrKDTrainer(net(), **options)
    made.freeze_teacher()
    return made


def test_targets_split_labelled_and_unlabelled_rows():
    made = trainer()
    logits = torch.stack([made.net(view) for view in views(4)])
    targets = made.targets(logits, CODES)
    assert targets.shape == (2, 2, 12, 5)  # large views only
    known = CODES >= 0
    torch.testing.assert_close(targets[0, 0, known, :3], torch.eye(3)[CODES[known]])
    assert (targets[:, :, known, 3:] == 0).all()
    assert (targets[:, :, ~known, :3] == 0).all()
    expected = sinkhorn(logits[1, 1, ~known, 3:])  # rows of the batch without label, cosines as they are
    torch.testing.assert_close(targets[1, 1, ~known, 3:], expected)
    torch.testing.assert_close(targets.sum(-1), torch.ones(2, 2, 12))


def test_the_loss_is_the_sum_of_its_parts():
    made = trainer(alpha=0.3)
    loss, parts = made.discovery_loss((views(), CODES))
    assert loss.item() == pytest.approx(parts["swapped"] + 0.3 * parts["relation"])
    plain, parts = trainer(alpha=0).discovery_loss((views(), CODES))
    assert plain.item() == pytest.approx(parts["swapped"])
    assert "relation" not in parts


def test_student_equal_to_teacher_has_the_least_relation_loss():
    made = trainer()
    same = made.discovery_loss((views(), CODES))[1]["relation"]
    made.teacher = copy.deepcopy(net(seed=1)).eval()
    assert made.discovery_loss((views(), CODES))[1]["relation"] != pytest.approx(same, abs=1e-4)


def test_a_batch_without_unlabelled_rows_is_plain_classification():
    made = trainer()
    loss, parts = made.discovery_loss((views(), CODES.clamp(min=0)))
    assert torch.isfinite(loss)
    assert "relation" not in parts


def test_few_unlabelled_rows_warn():
    codes = torch.where(torch.arange(12) == 3, -1, 0)
    with pytest.warns(UserWarning, match="equal shares"):
        trainer().discovery_loss((views(), codes))


def test_the_teacher_is_frozen_in_evaluation_mode_and_sees_the_same_views():
    made = trainer()
    made.net.train()
    seen = []
    made.teacher.encoder.register_forward_hook(lambda _module, inputs, _output: seen.append(inputs[0]))
    given = views(4)
    made.discovery_loss((given, CODES))
    assert not made.teacher.training
    assert not any(value.requires_grad for value in made.teacher.parameters())
    assert len(seen) == 2
    assert all(torch.equal(one, other) for one, other in zip(seen, given, strict=False))  # the large ones


def test_training_leaves_unit_vectors_and_the_teacher_as_it_was():
    made = CrKDTrainer(net())
    made.fit([(views(), CODES)], supervised_epochs=3, epochs=0)
    made.freeze_teacher()
    before = copy.deepcopy(made.teacher.state_dict())
    made.fit([(views(), CODES)], supervised_epochs=0, epochs=5)
    assert all(torch.equal(before[name], value) for name, value in made.teacher.state_dict().items())
    assert not torch.equal(before["known.vectors"], made.net.known.vectors)
    for head in (made.net.known, *made.net.novel):
        torch.testing.assert_close(head.vectors.norm(dim=1), torch.ones(len(head.vectors)))
    assert int(made.net.best_head) == int(made.head_losses_.argmin())


def test_supervised_loss_is_on_labelled_rows_only():
    made, given = trainer(), views()
    first, _ = made.supervised_loss((given, CODES))
    changed = [torch.where((CODES < 0)[:, None], 9.0, view) for view in given]
    assert made.supervised_loss((changed, CODES))[0].item() == pytest.approx(first.item())


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="at least 2"):
        trainer().discovery_loss((views(1), CODES))
    with pytest.raises(InputError, match="codes"):
        trainer().discovery_loss((views(), CODES + 3))
    with pytest.raises(InputError, match="alpha"):
        CrKDTrainer(net(), alpha=-0.1)
    with pytest.raises(InputError, match="teacher"):
        CrKDTrainer(net(), teacher=net(n_known=4))
    with pytest.raises(InputError, match="relation"):
        CrKDTrainer(net(), relation=ClassRelationKD(n_known=4))
    with pytest.raises(InputError, match="no labelled row"):
        trainer().supervised_loss((views(), CODES.clamp(max=-1)))
    with pytest.raises(InputError, match="freeze_teacher"):
        CrKDTrainer(net()).discovery_loss((views(), CODES))
    with pytest.raises(InputError, match="loader"):
        trainer().fit([])


def one_step(part=slice(None)):
    """Take one step of discovery on a part of the batch, gradients averaged over processes; return loss and vectors."""
    made = trainer(alpha=0.5)
    made.teacher.load_state_dict(net(seed=3).state_dict())
    loss, _ = made.discovery_loss(([view[part] for view in views()], CODES[part]))
    loss.backward()
    if distributed.is_initialized():
        for value in made.net.parameters():
            distributed.all_reduce(value.grad)
            value.grad /= distributed.get_world_size()
    torch.optim.SGD(made.net.parameters(), lr=0.1).step()
    made.net.normalize_()
    found = torch.cat([head.vectors.detach().flatten() for head in (made.net.known, *made.net.novel)])
    return float(loss.detach()), found.numpy(), made.net.encoder[0].weight.detach().numpy()


def on_part():
    return one_step(slice(0, 5) if distributed.get_rank() == 0 else slice(5, 12))


def test_a_step_on_two_processes_is_that_of_one(tmp_path):
    expected = one_step()
    for found in on_ranks(on_part, tmp_path):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-5)
