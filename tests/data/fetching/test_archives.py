"""Wheels, npm tarballs and Debian packages are read as they are, and refused when damaged."""

import gzip

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaceform.data.fetching.archives import contents_digest, read_member, read_members
from spaceform.errors import DataUnavailableError

names = st.text("abc/._-", min_size=1, max_size=12).filter(
    lambda name: not name.startswith(("/", "./")) and not name.endswith(("/", ".")) and "//" not in name
)
trees = st.dictionaries(names, st.binary(max_size=700), max_size=4)
KINDS = ("tgz", "whl", "deb xz", "deb gz", "deb zst", "deb ")


def write(folder, pack, kind, files):
    ending, _, packing = kind.partition(" ")
    path = folder / f"a.{ending}"
    if ending == "deb":
        path.write_bytes(pack.deb(files, packing))
    else:
        path.write_bytes(pack.wheel(files) if ending == "whl" else gzip.compress(pack.tar(files)))
    return path


@pytest.mark.parametrize("kind", KINDS)
@given(files=trees)
@settings(deadline=None, max_examples=15)
def test_every_file_comes_back_as_it_was(tmp_path_factory, pack, kind, files):
    path = write(tmp_path_factory.mktemp("a"), pack, kind, files)
    assert dict(read_members(path, lambda name: True)) == files


@pytest.mark.parametrize("kind", KINDS)
def test_one_file_and_the_one_that_is_not_there(tmp_path, pack, kind):
    path = write(tmp_path, pack, kind, {"a/b": b"1", "a/c": b"2"})
    assert read_member(path, "a/c") == b"2"
    with pytest.raises(DataUnavailableError, match="holds no file a/d"):
        read_member(path, "a/d")
    assert [name for name, _ in read_members(path, lambda name: name.endswith("b"))] == ["a/b"]


def test_the_digest_of_contents_sees_files_and_not_their_packing(tmp_path, pack):
    below = {"d/x": b"1", "d/y": b"2", "other": b"3"}
    digests = set()
    for number, kind in enumerate(KINDS):
        (tmp_path / str(number)).mkdir()
        order = dict(reversed(below.items())) if number % 2 else below
        digests.add(contents_digest(write(tmp_path / str(number), pack, kind, {**order, "e": b"%d" % number}), "d"))
    assert len(digests) == 1
    for changed in ({"d/x": b"1"}, {"d/x": b"2", "d/y": b"1"}, {"d/x": b"1", "d/z": b"2"}):
        assert contents_digest(write(tmp_path, pack, "tgz", changed), "d") not in digests


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_archive_is_refused_by_name(tmp_path, pack, kind):
    path = write(tmp_path, pack, kind, {"a": bytes(range(256)) * 40})
    whole = path.read_bytes()
    for length in (0, 5, 60, 100, len(whole) // 2):
        path.write_bytes(whole[:length])
        with pytest.raises(DataUnavailableError, match=r"a\.\w+ (can't be read|holds no file)"):
            read_member(path, "a")


def test_a_deb_without_data_is_refused(tmp_path):
    (tmp_path / "a.deb").write_bytes(b"!<arch>\n" + f"{'debian-binary':<48}{4:<10}`\n2.0\n".encode())
    with pytest.raises(DataUnavailableError, match=r"holds no data\.tar"):
        read_member(tmp_path / "a.deb", "a")
