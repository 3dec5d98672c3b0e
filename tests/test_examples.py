"""Every example runs, without a warning, and shows what it is there to show."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "examples"
EXAMPLES = {path.stem: path for path in sorted(FOLDER.glob("*.py"))}

SHOWS = {
    "audit_array": r"with labels: .*\nwithout labels: separability 0\.\d\d, 0\.[12]\d \+- 0\.\d\d above shuffled .*\n",
    "class_relations": r"(class \d goes with class \d .*\n){5}neighbours .* for [34]\d%, after training for [5-9]\d%\n",
    "filtered_search": r"(\d item-\d+ (animal|tool) 20(0\d|10)\n){3}\{'animal': .*\}\n",
    "growing_learners": r"[2-4] learner\(s\) of .*\n9\d\.\d% of unseen digits .*\nDice .*: 0\.\d\d\n",
    "novel_classes": r"NCDKMeans: [89]\d% .*\nNCDSpectralClustering: [89]\d% .*\nthe silhouette suggests [4-7] .*\n",
    "unseen_labels": r".* says lynx, Loki says cat\n.* Loki says animal\n.* says lynx, Loki says lynx\n",
    "watch_training": r"(epoch +\d+: score 0\.\d+, accuracy 0\.\d+\n)+stopped after epoch \d+; keep epoch \d+\n",
}
"""What each example prints: the figures may move a little with the versions of the libraries, the meaning may not."""


def test_every_example_is_expected_to_show_something():
    assert set(SHOWS) == set(EXAMPLES)


@pytest.mark.parametrize("name", SHOWS)
def test_the_example_runs(name, tmp_path):
    variables = {"OMP_NUM_THREADS": "1", **os.environ}
    variables["PYTHONWARNINGS"] = "error::UserWarning,error::FutureWarning,error::RuntimeWarning"
    command = [sys.executable, EXAMPLES[name]]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(SHOWS[name], done.stdout), done.stdout
    assert list(tmp_path.iterdir()) == [], "an example leaves nothing behind"
