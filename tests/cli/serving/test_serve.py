"""The serve verb: it says where it is, answers, and ends when it is interrupted."""

import json
import os
import signal
import subprocess
import sys
import urllib.request

import numpy as np
import pytest

from spaceform.cli.main import main
from spaceform.space import Space


@pytest.fixture
def folder(tmp_path):
    return str(Space.create(np.eye(4), attributes={"name": list("abcd")}).save(tmp_path / "space"))


def test_serves_until_it_is_interrupted(folder):
    command = [sys.executable, "-m", "spaceform", "serve", folder, "--port", "0", "--token", "auto"]
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=buffered, **pipes) as process:
        line = process.stdout.readline()
        assert line.startswith("4 rows at http://127.0.0.1:")
        address, _, token = line.split(" at ")[1].split()[0].partition("?token=")
        request = urllib.request.Request(address + "api/space", headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["rows"] == 4
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert (process.returncode, out) == (0, "ended\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--token auto"),
        (["--max-k", "0"], "max_k: got 0"),
        (["--seconds", "-1"], "seconds"),
    ],
)
def test_mistakes_end_with_status_two(folder, capsys, arguments, message):
    assert main(["serve", folder, *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_is_no_space_ends_with_status_two(tmp_path, capsys):
    assert main(["serve", str(tmp_path), "--port", "0"]) == 2
    assert "space.json: is missing" in capsys.readouterr().err
