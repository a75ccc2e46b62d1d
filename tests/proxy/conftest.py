from collections.abc import Iterator

import pytest

from tests.support.plane import Plane, running_plane


@pytest.fixture
def plane() -> Iterator[Plane]:
    with running_plane() as running:
        yield running
