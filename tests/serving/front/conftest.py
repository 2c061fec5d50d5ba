import pytest

from tests.support.front_place import HASTY, Place


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a place whose backend lives."""
    place = Place(tmp_path_factory.mktemp("front"))
    try:
        place.start_backend()
        yield place
    finally:
        place.close()


@pytest.fixture(scope="module")
def hasty(place, tmp_path_factory):
    """Return a place before the same backend that gives a request a second."""
    hasty = Place(tmp_path_factory.mktemp("hasty"), limits=HASTY, before=place.socket)
    yield hasty
    hasty.close()


@pytest.fixture
def mortal(tmp_path):
    """Return a place of one's own, to kill."""
    place = Place(tmp_path)
    yield place
    place.close()
