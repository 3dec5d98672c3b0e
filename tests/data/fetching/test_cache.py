"""The cache: whole files or none, built once, verified when read."""

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spaceform.data.fetching import cache as caching
from spaceform.data.fetching.cache import cache_folder, cache_root, exclusive, is_remembered, remembered, scratch
from spaceform.errors import DataUnavailableError

arrays = hnp.arrays(
    st.sampled_from([np.uint8, np.int64, np.float32, np.dtype("U5"), np.bool_]),
    hnp.array_shapes(max_dims=3, max_side=4),
)


def counted(result):
    """A builder and the list of its calls."""
    calls = []

    def build():
        calls.append(1)
        return result

    return build, calls


def stored_file(cache):
    return next((cache / "processed").glob("*.npz"))


def test_the_folder_is_the_variable_s_or_the_platform_s(monkeypatch, tmp_path):
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path / "here"))
    assert cache_root() == tmp_path / "here"
    assert not cache_root().exists()
    monkeypatch.delenv("SPACEFORM_CACHE")
    assert cache_root().name == "spaceform"
    monkeypatch.setenv("SPACEFORM_CACHE", "~/there")
    assert "~" not in str(cache_root())


def test_a_folder_that_can_t_be_made_is_named_with_the_variable(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SPACEFORM_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataUnavailableError, match="SPACEFORM_CACHE"):
        cache_folder("packages")


@given(st.dictionaries(st.sampled_from("abc"), arrays, min_size=1))
@settings(deadline=None, max_examples=30)
def test_remembered_arrays_come_back_as_they_were(tmp_path_factory, given):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPACEFORM_CACHE", str(tmp_path_factory.mktemp("cache")))
        remembered("x", {}, lambda: given)
        again = remembered("x", {}, lambda: pytest.fail("built twice"))
    assert set(again) == set(given)
    for name, values in given.items():
        assert again[name].dtype == values.dtype
        np.testing.assert_array_equal(again[name], values)


def test_another_recipe_is_another_file(cache):
    first, second = counted({"a": np.zeros(1)}), counted({"a": np.ones(1)})
    assert not is_remembered("x", {"recipe": 1})
    for _ in range(2):
        assert remembered("x", {"recipe": 1}, first[0])["a"] == 0
        assert remembered("x", {"recipe": 2}, second[0])["a"] == 1
    assert (len(first[1]), len(second[1])) == (1, 1)
    assert is_remembered("x", {"recipe": 1})


@pytest.mark.parametrize("harm", ["cut", "flip", "no digest", "wrong digest", "empty"])
def test_a_harmed_result_is_built_again(cache, harm):
    build, calls = counted({"a": np.arange(1000)})
    remembered("x", {}, build)
    path = stored_file(cache)
    whole = path.read_bytes()
    if harm == "cut":
        path.write_bytes(whole[:-7])
    elif harm == "flip":
        path.write_bytes(whole[:500] + bytes([whole[500] ^ 1]) + whole[501:])
    elif harm == "no digest":
        path.with_suffix(".sha256").unlink()
    elif harm == "wrong digest":
        path.with_suffix(".sha256").write_text("0" * 64)
    else:
        path.write_bytes(b"")
    np.testing.assert_array_equal(remembered("x", {}, build)["a"], np.arange(1000))
    assert len(calls) == 2
    assert path.read_bytes() == whole


def test_a_build_that_fails_leaves_nothing(cache):
    with pytest.raises(ZeroDivisionError):
        remembered("x", {}, lambda: 1 / 0)
    assert list((cache / "processed").iterdir()) == []


def test_objects_are_never_pickled(cache):
    with pytest.raises(ValueError, match=r"pickle|Object arrays"):
        remembered("x", {}, lambda: {"a": np.array([object()])})
    assert list((cache / "processed").iterdir()) == []


def test_one_builds_and_the_others_wait(cache):
    entered, go, calls, results = threading.Event(), threading.Event(), [], []

    def build():
        calls.append(1)
        entered.set()
        assert go.wait(10)
        return {"a": np.ones(3)}

    threads = [threading.Thread(target=lambda: results.append(remembered("x", {}, build))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    go.set()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert len(calls) == 1


HOLDER = """
import sys
from spaceform.data.fetching.cache import exclusive
with exclusive("x"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_free(cache):
    process = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    entered = threading.Event()

    def enter():
        with exclusive("x"):
            entered.set()

    waiting = threading.Thread(target=enter)
    waiting.start()
    assert not entered.wait(0.2)
    process.kill()
    process.communicate()
    assert entered.wait(10)
    waiting.join()


def test_scratch_folders_of_dead_runs_go_and_others_stay(tmp_path):
    for name in (".a.partial-dead", ".b.partial-other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("x")
    with scratch(tmp_path, "a") as folder:
        assert folder.parent == tmp_path
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([".b.partial-other", folder.name])
    assert [path.name for path in tmp_path.iterdir()] == [".b.partial-other"]


def test_a_full_disk_is_an_error_that_names_the_place(cache, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.np, "savez", full)
    with pytest.raises(DataUnavailableError, match=r"No space left on device.*SPACEFORM_CACHE"):
        remembered("x", {}, lambda: {"a": np.zeros(1)})
    assert list((cache / "processed").iterdir()) == []
