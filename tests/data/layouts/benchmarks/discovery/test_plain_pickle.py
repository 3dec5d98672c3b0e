"""Pickles of plain values come back as they were; anything that could run is refused unread."""

import subprocess
import sys

import pytest

from spaceform.data.layouts.benchmarks.discovery.plain_pickle import MOST, read_plain_pickle
from spaceform.errors import InputError

VALUE = {
    "known": [1, 200, 70000, -3, 2**70],
    "parts": {"Easy": (0,), "Hard": (1, 2, 3, 4)},
    "x": [None, True, 0.5, {7}],
}


def pickled(source: str, protocol: int) -> bytes:
    """Return a pickle that another process wrote."""
    code = f"import pickle, sys, os; sys.stdout.buffer.write(pickle.dumps({source}, protocol={protocol}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_plain_values_come_back(tmp_path, protocol):
    plain = {name: value for name, value in VALUE.items() if protocol == 4 or name != "x"}  # a set was a call once
    (tmp_path / "a.pkl").write_bytes(pickled(repr(plain), protocol))
    assert read_plain_pickle(tmp_path / "a.pkl") == plain


@pytest.mark.parametrize(
    "content",
    [
        b"cos\nsystem\n(S'echo hostile'\ntR.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04echo\x85R.",
        b"(I1\nios\nsystem\n.",
        b"\x80\x02]q\x00K\x01a",
        b"\x80\x02e.",
        b"\x80\x02h\x05.",
        b"K\x01K\x02.",
        b"K\x01K\x02a.",
        b"]]\x85}s.",
        b"",
        b"not a pickle",
    ],
)
def test_calls_and_broken_files_are_refused(tmp_path, content):
    (tmp_path / "a.pkl").write_bytes(content)
    with pytest.raises(InputError, match="plain values"):
        read_plain_pickle(tmp_path / "a.pkl")


def test_large_and_missing_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="plain values"):
        read_plain_pickle(tmp_path / "a.pkl")
    (tmp_path / "a.pkl").write_bytes(bytes(MOST + 1))
    with pytest.raises(InputError, match="at most"):
        read_plain_pickle(tmp_path / "a.pkl")
