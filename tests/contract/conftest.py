"""The engines as fixtures."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.contract.engines import LOCAL, REMOTE, Engine, Engines
from tests.helpers.processes import carried_by


@pytest.fixture(scope="package")
def engines(
    tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., str]
) -> Iterator[Engines]:
    opened = Engines(tmp_path_factory.mktemp("engines"), tiny)
    yield opened
    opened.close()
    assert not carried_by(os.getpid())


@pytest.fixture(params=[*LOCAL, *REMOTE], ids="-".join)
def engine(request: pytest.FixtureRequest, engines: Engines) -> Iterator[Engine]:
    """Each kind of engine on each kind of model; it has no adapter, before and after."""
    found = engines.open(*request.param)
    yield found
    found.backend.load(None)
    found.backend.drop_previous()


@pytest.fixture(params=LOCAL, ids="-".join)
def local(request: pytest.FixtureRequest, engines: Engines) -> Engine:
    """The in-process engine on each kind of model."""
    return engines.open(*request.param)
