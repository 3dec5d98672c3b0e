"""The claim of NAPA-VQ: its mechanism at smoke scale, arms that start alike, and the paper's scale on a small tree."""

import numpy as np
import torch

from spaceform.claims.context import Context
from spaceform.claims.continual import napa_vq
from spaceform.claims.continual.streams import half_size
from spaceform.claims.runner import reproduce

SMOKE = napa_vq.SETTINGS["smoke"]


def test_the_mechanism_holds_at_smoke_scale():
    before = torch.get_rng_state()
    record = reproduce("napa-vq", scale="smoke", seeds=[0, 1])
    napa_vq.mechanism(record)
    assert torch.equal(torch.get_rng_state(), before)


def test_arms_of_a_seed_start_alike():
    nets = [
        napa_vq.make_learner(arm, (6,), SMOKE["table"], SMOKE["weights"], seed=0).net for arm in ("napa_vq", "pass")
    ]
    ours, theirs = (net.state_dict() for net in nets)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_pictures_are_halved():
    small = half_size(np.arange(784, dtype=np.uint8).reshape(1, 28, 28) % 200)
    assert small.shape == (1, 16, 16)
    assert small[0, 1, 1] == round((0 + 1 + 28 + 29) / 4)
    assert not small[0, 0].any()


def test_the_papers_scale_reads_its_layout(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 24), ("test", 12)):
        records = rng.integers(0, 256, (n, 3074), dtype=np.uint8)
        records[:, 0], records[:, 1] = 0, np.arange(n) % 6
        records.tofile(tmp_path / f"{split}.bin")
    for name, count in (("fine", 100), ("coarse", 20)):
        (tmp_path / f"{name}_label_names.txt").write_text("".join(f"class_{i}\n" for i in range(count)))
    settings = dict(napa_vq.SETTINGS["paper"])
    assert settings["pictures"]["net"] == "resnet18"
    tiny = {"base": 4, "step": 2, "epochs": [1, 1], "net": "conv:0.25", "width": 8}
    settings["pictures"] = {**settings["pictures"], **tiny}
    figures = napa_vq.run("pictures", 0, settings, Context(scale="paper", root=tmp_path))
    assert 0 <= figures["final"] <= 1
