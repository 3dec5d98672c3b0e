"""The list of sets: loading by name, options checked, records true."""

import inspect
import subprocess
import sys

import pytest

from spaceform import data
from spaceform.data.catalog import _ENTRIES
from spaceform.errors import InputError

BUNDLED = {"digits", "dejavu", "debian"}
"""Sets that come with a library this one stands on, or with the system: nothing is fetched."""


@pytest.mark.parametrize(("name", "near"), [("emojis", "emoji"), ("mnist5k", "mnist-5k"), ("leter", "letter")])
def test_an_unknown_name_gets_near_matches_and_the_list(name, near):
    with pytest.raises(InputError, match=rf"one of emoji, .*did you mean {near}"):
        data.load(name)


def test_an_unknown_option_is_refused_with_the_known_ones():
    with pytest.raises(
        InputError, match=r"sizes: got an option of 'emoji', expected one of size, vendors.*did you mean"
    ):
        data.load("emoji", sizes=3)
    with pytest.raises(InputError, match="expected none"):
        data.load("digits", size=3)


def test_a_folder_is_asked_for_where_needed_and_refused_where_not(tmp_path):
    with pytest.raises(InputError, match="root: got None"):
        data.load("lfw")
    with pytest.raises(InputError, match="comes from a package"):
        data.load("digits", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("emoji", {"size": 4}, "size: got 4"),
        ("emoji", {"size": True}, "size"),
        ("emoji", {"vendors": ["apple"]}, "'google', 'twitter', 'fluent', 'emojione'"),
        ("emoji", {"vendors": "google"}, "a list"),
        ("emoji", {"vendors": []}, "a list"),
        ("wordnet", {"version": "2.0"}, "'3.1', '3.0'"),
    ],
)
def test_wrong_values_of_options_are_refused_before_anything_is_fetched(cache, name, options, message):
    with pytest.raises(InputError, match=message):
        data.load(name, **options)
    assert not cache.exists()


@pytest.mark.parametrize(("name", "message"), [("minilm", r"a model.*models\.folder"), ("lfw", "comes|root")])
def test_models_and_benchmarks_go_their_own_ways(name, message):
    with pytest.raises(InputError, match=message):
        data.load(name)
    if name == "lfw":
        with pytest.raises(InputError, match=r"get faces.* yourself"):
            data.fetch(name)


@pytest.mark.parametrize("entry", _ENTRIES.values(), ids=lambda entry: entry.name)
def test_every_entry_has_a_loader_of_the_common_form(entry):
    parameters = inspect.signature(entry.loader()).parameters
    assert "progress" in parameters
    assert ("root" in parameters) == (entry.root != "no")
    keyword_only = [name for name, item in parameters.items() if item.kind is item.KEYWORD_ONLY]
    assert set(parameters) - set(keyword_only) <= {"root"}
    assert (entry.root == "must") == (entry.rows is None or not (entry.packages or entry.name in BUNDLED))


def test_records_say_what_is_there_and_what_it_costs(cache):
    records = data.describe()
    assert {record.name for record in records} == {*_ENTRIES, "minilm"}
    kinds = [record.kind for record in records]
    assert kinds == sorted(kinds, key=["set", "model", "benchmark"].index)
    for record in records:
        assert record.what
        assert record.licence
        assert all(record.terms)
        assert record.fetched == (record.name in BUNDLED)
        assert (record.size > 0) == bool(record.packages)
    by_name = {record.name: record for record in records}
    assert by_name["emoji"].size == 74_344_091 + 61_683_754 + 15_792_027 + 87_804_555 + 6_711_091


def test_importing_and_describing_load_no_heavy_module():
    probe = (
        "import sys; from spaceform import data; data.describe(); dir(data); "
        "print([n for n in ('torch', 'sklearn', 'PIL', 'pandas', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_package_offers_what_it_lists():
    for name in data.__all__:
        assert getattr(data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'loads'"):
        data.loads  # noqa: B018  # the access is what raises
