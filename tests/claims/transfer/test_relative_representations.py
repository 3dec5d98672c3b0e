"""The claim of relative representations: its mechanism at smoke scale, and the original layout as a tiny folder."""

import struct

import numpy as np
import pytest

from spaceform import papers
from spaceform.claims import runner
from spaceform.claims.context import Context
from spaceform.claims.transfer import relative_representations as claim
from spaceform.errors import InputError


@pytest.fixture(scope="module")
def record():
    return runner.reproduce("relative-representations", scale="smoke")


def test_the_mechanism_holds_at_smoke_scale(record):
    claim.mechanism(record)
    assert set(record.figures()) == set(claim.ARMS)
    assert len(record.comparisons) == len(papers.load(claim.SLUG).claim.comparisons)


def test_shuffled_anchors_break_the_mechanism(record):
    runs = [dict(run) for run in record.runs]
    shuffled = {run["seed"]: run["figures"]["stitched"] for run in runs if run["arm"] == "shuffled"}
    for run in runs:
        if run["arm"] == "relative":
            run["figures"] = run["figures"] | {"stitched": shuffled[run["seed"]]}
    with pytest.raises(AssertionError, match="stitched"):
        claim.mechanism(type(record)(**(record.to_dict() | {"runs": runs})))


def test_the_original_layout_runs_as_a_tiny_folder(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 60), ("t10k", 20)):
        pictures, labels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), (np.arange(n) % 10).astype(np.uint8)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 2051, n, 28, 28) + pictures.tobytes())
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">II", 2049, n) + labels.tobytes())
    settings = claim.SETTINGS["paper"] | {"anchors": 20, "epochs": 1, "epochs_autoencoder": 1, "hidden": 8, "dim": 4}
    context = Context(scale="paper", root=tmp_path)
    for arm in ("relative", "absolute", "shuffled", "architecture", "sensor"):
        figures = claim.run(arm, 0, settings, context)
        assert np.isfinite(list(figures.values())).all()
        assert 0 <= figures["stitched"] <= 1
    with pytest.raises(InputError, match="IDX"):
        claim.run("relative", 0, settings, Context(scale="paper"))
