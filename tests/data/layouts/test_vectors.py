"""Vectors in .npy and .npz files: round trips, and pickle never."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spaceform.data.layouts import read_vectors
from spaceform.errors import InputError

matrices = hnp.arrays(
    st.sampled_from([np.float32, np.float64]),
    st.tuples(st.integers(1, 8), st.integers(1, 5)),
    elements=st.floats(-1e6, 1e6, width=32),
)


@given(matrices, st.sampled_from(["C", "F"]))
@settings(deadline=None)
def test_a_saved_array_comes_back_as_it_was(tmp_path_factory, matrix, order):
    path = tmp_path_factory.mktemp("v") / "a.npy"
    np.save(path, np.asarray(matrix, order=order))
    source = read_vectors(path)
    np.testing.assert_array_equal(source.vectors, matrix)
    assert source.vectors.dtype == matrix.dtype
    assert (source.kind, source.label, source.attributes, len(source)) == ("vectors", None, {}, len(matrix))


@pytest.mark.parametrize(("given", "read"), [(np.float16, np.float32), (np.int8, np.float64), (">f4", np.float32)])
def test_other_number_types_are_widened(tmp_path, given, read):
    np.save(tmp_path / "a.npy", np.arange(6).reshape(3, 2).astype(given))
    vectors = read_vectors(tmp_path / "a.npy").vectors
    assert vectors.dtype == read
    np.testing.assert_array_equal(vectors, np.arange(6).reshape(3, 2))


def test_an_archive_gives_vectors_labels_and_attributes(tmp_path):
    np.savez(tmp_path / "a.npz", X=np.eye(3), y=[1, -1, 0], colour=["r", "g", "b"], scale=2.0)
    source = read_vectors(tmp_path / "a.npz")
    np.testing.assert_array_equal(source.vectors, np.eye(3))
    assert source.label == "y"
    assert source.attributes["y"] == [1, None, 0]
    assert source.attributes["colour"].tolist() == ["r", "g", "b"]
    assert set(source.attributes) == {"y", "colour"}


def test_of_several_arrays_one_must_be_named(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", train=np.eye(3), test=np.eye(2))
    with pytest.raises(InputError, match=r"2 arrays.*'train' \(3, 3\), 'test' \(2, 2\).*array="):
        read_vectors(tmp_path / "a.npz")
    assert len(read_vectors(tmp_path / "a.npz", array="test")) == 2
    with pytest.raises(InputError, match=r"got 'dev'.*'train'"):
        read_vectors(tmp_path / "a.npz", array="dev")


class Trap:
    """An object whose unpickling is seen."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["object.npy", "object.npz", "raw.npy", "raw.npz"])
def test_pickle_is_refused_unread(tmp_path, name):
    path = tmp_path / name
    if name == "object.npy":
        np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    elif name == "object.npz":
        np.savez(path, X=np.array([Trap()], dtype=object))
    else:
        path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(InputError, match=rf"{name}.*(pickled Python objects|damaged or foreign)"):
        read_vectors(path)


def test_a_file_cut_off_anywhere_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(20))
    np.savez(tmp_path / "a.npz", X=np.eye(20))
    for name in ("a.npy", "a.npz"):
        whole = (tmp_path / name).read_bytes()
        for length in (0, 3, 9, 60, 130, len(whole) // 2, len(whole) - 1):
            cut = tmp_path / f"cut{name[1:]}"
            cut.write_bytes(whole[:length])
            with pytest.raises(InputError, match="damaged or foreign"):
                read_vectors(cut)


def test_a_header_that_promises_too_much_asks_for_no_memory(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(2))
    whole = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(whole.replace(b"(2, 2)", b"(9" + b"9" * 12 + b", 2)", 1)[: len(whole)])
    with pytest.raises(InputError, match="damaged or foreign"):
        read_vectors(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (np.zeros(3), "shape"),
        (np.zeros((0, 3)), "row"),
        (np.zeros((3, 0)), "column"),
        (np.array([[1.0, np.nan]]), "NaN"),
        (np.array([["a", "b"]]), "numeric"),
        (np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_what_is_no_matrix_is_refused_by_file_name(tmp_path, content, reason):
    np.save(tmp_path / "a.npy", content)
    with pytest.raises(InputError, match=rf"a\.npy: .*{reason}"):
        read_vectors(tmp_path / "a.npy")


def test_unknown_labels_and_misplaced_options_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(2))
    with pytest.raises(InputError, match="label: got 'kind', expected one of none"):
        read_vectors(tmp_path / "a.npy", label="kind")
    with pytest.raises(InputError, match="one array without a name"):
        read_vectors(tmp_path / "a.npy", array="X")
