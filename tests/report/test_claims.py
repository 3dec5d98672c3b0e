"""The plot of a claim: one small plot per comparison, the same bytes for the same record."""

from spaceform.claims.record import Record
from spaceform.report.claims import draw


def record():
    one = {
        "name": "a beats b", "kind": "mechanism", "role": "baseline", "test": "superior", "metric": "m", "method": "a",
        "baseline": "b_with_a_long_name", "baseline_metric": "m", "margin": 0.1, "method_mean": 0.5,
        "baseline_mean": 0.3, "differences": [0.2, 0.2], "difference": 0.2, "low": 0.1, "high": 0.3,
        "verdict": "reproduced",
    }  # fmt: skip
    runs = [
        {"arm": arm, "seed": seed, "seconds": 1.0, "figures": {"m": value + seed / 10}}
        for arm, value in (("a", 0.5), ("b_with_a_long_name", 0.3))
        for seed in (0, 1)
    ]
    return Record(
        slug="toy", scale="laptop", statement="s", claim_hash="", code_hash="", settings={}, seeds=[0, 1], arms={},
        runs=runs, comparisons=[one] * 5, verdict="reproduced", mechanism="reproduced", accuracy="", seconds=4.0,
        finished=True,
    )  # fmt: skip


def test_svg_and_png(tmp_path):
    first = draw(record(), tmp_path / "a.svg").read_bytes()
    assert first.startswith(b"<?xml")
    assert draw(record(), tmp_path / "b.svg").read_bytes() == first
    assert draw(record(), tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "a.svg", "b.svg"]
