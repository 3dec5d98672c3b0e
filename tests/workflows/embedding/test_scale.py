"""Where a job runs, said in the call or by the environment."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spaceform.errors import InputError
from spaceform.workflows.embedding.engines import ENGINES
from spaceform.workflows.embedding.scale import ADDRESS, ENGINE, WORKERS, Scale
from spaceform.workflows.embedding.scale import ENGINES as NAMES


@given(engine=st.sampled_from(NAMES), workers=st.integers(1, 10_000), address=st.none() | st.text(min_size=1))
def test_the_environment_says_what_a_call_would(engine, workers, address):
    said = {ENGINE: engine, WORKERS: str(workers), ADDRESS: address or ""}
    if address and engine == "local":
        with pytest.raises(InputError, match="address"):
            Scale.from_environment(said)
    else:
        made = Scale(engine=engine, workers=workers, address=address)
        assert Scale.from_environment(said) == made


def test_nothing_said_is_this_process(monkeypatch):
    for name in (ENGINE, WORKERS, ADDRESS):
        monkeypatch.delenv(name, raising=False)
    assert Scale.from_environment() == Scale() == Scale(engine="local", workers=1, address=None)
    monkeypatch.setenv(WORKERS, "3")
    assert Scale.from_environment().workers == 3


def test_every_name_is_an_engine():
    assert list(ENGINES) == list(NAMES)


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ({ENGINE: "spark"}, "engine"),
        ({WORKERS: "0"}, "workers"),
        ({WORKERS: "many"}, WORKERS),
        ({WORKERS: "-1"}, WORKERS),
        ({ADDRESS: "auto"}, "address"),
    ],
)
def test_bad_input_is_refused(said, part):
    with pytest.raises(InputError, match=part):
        Scale.from_environment(said)
