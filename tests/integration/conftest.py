"""What integration tests of different processes must not share."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _reader_of_this_process(worker_id: str) -> Iterator[None]:
    """Another name of the live page's role in each process (pytest-xdist): each file gives it its own indices."""
    from iot_stream.live import reader
    from iot_stream.local import reader_role

    with pytest.MonkeyPatch.context() as patched:
        for module in (reader, reader_role):
            patched.setattr(module, "READER_ROLE", f"{reader_role.READER_ROLE}-{worker_id}")
        yield
