"""The claim of MSENet: its mechanism at smoke scale, its control, and the paper's scale on a small tree."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spaceform.claims.context import Context
from spaceform.claims.few_shot import msenet
from spaceform.claims.runner import reproduce
from spaceform.heads.multi_scale import MultiScalePrototypeHead

SMOKE = msenet.SETTINGS["smoke"]


def test_the_mechanism_holds_at_smoke_scale():
    before = torch.get_rng_state()
    record = reproduce("msenet", scale="smoke")
    msenet.mechanism(record)
    assert torch.equal(torch.get_rng_state(), before)
    assert set(record.curves["accuracy of training tasks"]) == set(msenet.ARMS) - {"pixels"}
    runs = [run for run in record.runs if run["arm"] == "prototypical"]
    with pytest.raises(AssertionError, match="far domain"):
        msenet.mechanism(replace(record, runs=[run | {"figures": figures(run, runs)} for run in record.runs]))


def figures(run, others):
    """The figures of a prototypical network in place of those of every arm."""
    return run["figures"] | {"far": others[0]["figures"]["far"]}


def test_the_control_shuffles_all_depths_but_the_last_and_keeps_what_they_are():
    generator = torch.Generator().manual_seed(0)
    support = [torch.randn(8, w, generator=generator) for w in (2, 3)]
    query = [torch.randn(5, w, generator=generator) for w in (2, 3)]
    y = torch.arange(8)
    head = MultiScalePrototypeHead(2)
    first, last = head.distances(support, y, query)
    shuffled = -msenet.ShuffledHead(head, seed=1)(support, y, query) - last
    assert not torch.allclose(shuffled, first)
    torch.testing.assert_close(shuffled.sort(dim=1).values, first.sort(dim=1).values)
    control = msenet.ShuffledHead(head, seed=1)
    assert not torch.equal(control(support, y, query), control(support, y, query)), "anew for every task"


def test_arms_of_a_seed_start_alike_and_differ_in_what_they_say():
    nets = {arm: msenet.build(arm, (20, 20, 1), SMOKE, seed=0) for arm in msenet.ARMS if arm != "pixels"}
    for net in nets.values():
        ours, theirs = net.taps.module.state_dict(), nets["msenet"].taps.module.state_dict()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert len(nets["prototypical"].channels) == 1
    assert nets["prototypical"].taps.layer_names == ("stage5",)
    assert not nets["equal"].head.alpha.requires_grad
    assert nets["learned"].head.alpha.requires_grad
    attended = {arm for arm, net in nets.items() if any(True for _ in net.attention.parameters())}
    assert attended == {"msenet"}


@pytest.fixture
def photographs(tmp_path):
    """Folders as of the benchmarks: 3 + 1 + 5 classes of miniImageNet and 20 species, 6 pictures each; weights."""
    image = pytest.importorskip("PIL.Image")
    from safetensors.torch import save_file

    from spaceform.nets.resnets.resnet18 import ResNet18

    rng = np.random.default_rng(0)

    def draw(place, shade):
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.clip(rng.normal(12 * shade, 15, (40, 40, 3)), 0, 255).astype(np.uint8)
        image.fromarray(pixels).save(place)

    mini = tmp_path / "mini-imagenet"
    names = iter(range(9))
    for split, count in (("train", 3), ("val", 1), ("test", 5)):
        lines = ["filename,label"]
        for number in (next(names) for _ in range(count)):
            for n in range(6):
                draw(mini / "images" / f"n{number}{n}.jpg", number)
                lines.append(f"n{number}{n}.jpg,n{number}")
        (mini / f"{split}.csv").write_text("\n".join(lines) + "\n")
    for number in range(20):
        for n in range(6):
            draw(tmp_path / "CUB_200_2011" / "images" / f"{number + 1:03d}.Bird" / f"{n}.jpg", number)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        save_file(ResNet18().state_dict(), tmp_path / "resnet18.safetensors")
    return tmp_path


def test_the_papers_scale_runs_on_its_layout(photographs):
    tiny = {"size": 32, "n_way": 3, "n_shot": 1, "n_query": 2, "steps": 1, "episodes": 2, "test_queries": 1}
    settings = {**msenet.SETTINGS["paper"], **tiny}
    context = Context(scale="paper", root=photographs)
    for arm in ("msenet", "prototypical", "pixels"):
        found = msenet.run(arm, 0, settings, context)
        assert all(0 <= found[name] <= 1 for name in ("unseen", "unseen_5", "far", "far_5"))
    first, second = (msenet.build("msenet", (32, 32, 3), settings, seed=seed, root=photographs) for seed in (0, 1))
    assert torch.equal(first.taps.module.conv1.weight, second.taps.module.conv1.weight), "weights come from the file"
