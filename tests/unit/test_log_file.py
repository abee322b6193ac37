"""A log stays bounded while its writer never opens it again."""

from pathlib import Path

from iot_stream.local.local_stack import LocalStack, Ports
from iot_stream.local.processes import Process
from iot_stream.log_file import rotate


def test_a_writer_goes_on_at_the_start(tmp_path: Path) -> None:
    """Everything is in FILE.1 and FILE, nothing between is a hole; a small file stays as it is."""
    log = tmp_path / "part.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 90)
        rotate(log, 100)
        assert log.stat().st_size == 90
        writer.write(b"b" * 20)
        rotate(log, 100)
        writer.write(b"c" * 5)
    assert log.read_bytes() == b"c" * 5
    assert (tmp_path / "part.log.1").read_bytes() == b"a" * 90 + b"b" * 20
    with log.open("ab", buffering=0) as writer:
        writer.write(b"d" * 200)
        rotate(log, 100)
    assert (tmp_path / "part.log.1").read_bytes() == b"c" * 5 + b"d" * 200  # one older file, not many


def test_every_part_s_log_is_known(tmp_path: Path) -> None:
    """Those with folders of their own, and those that were started later."""
    stack = LocalStack(tmp_path, Ports(), tmp_path)
    stack.logs.mkdir()
    (stack.logs / "live.log").touch()
    stack.running = [Process("ministack", 1, 0.0, str(tmp_path / "aws" / "ministack.log"))]
    assert stack.log_files() == [tmp_path / "aws" / "ministack.log", stack.logs / "live.log"]
