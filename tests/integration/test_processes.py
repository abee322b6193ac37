"""Processes of the local stack: only its own are stopped, and a failed start names its log."""

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from iot_stream.delivery.edges.state_folder import claim
from iot_stream.delivery.errors import DeliveryError
from iot_stream.errors import SetupError
from iot_stream.local import processes
from iot_stream.local.local_stack import LocalStack, Ports
from iot_stream.local.opensearch import is_recording
from iot_stream.local.processes import Process
from tests.polling import until


def _start(tmp_path: Path, code: str) -> Process:
    command = [sys.executable, "-c", code]
    return processes.start("it", command, log=tmp_path / "log", environment=processes.clean_environment())


def _wait_for(tmp_path: Path, process: Process, text: str) -> None:
    processes.wait_until(lambda: text in (tmp_path / "log").read_text(), process, seconds=20, what=text)


def test_a_process_is_stopped_politely(tmp_path: Path) -> None:
    """SIGTERM is enough for a process that handles it."""
    bye = "lambda *_: (print('bye'), sys.exit(0))"
    code = f"import signal, sys; signal.signal(15, {bye}); print('on', flush=True); signal.pause()"
    process = _start(tmp_path, code)
    _wait_for(tmp_path, process, "on")
    process.stop()
    assert not process.alive
    assert process.log_tail() == "bye"


def test_nobody_else_can_read_what_a_process_writes(tmp_path: Path) -> None:
    """Its log and its files, whatever the umask of who started it; unless it is asked for otherwise."""
    for umask, mode in ((0o077, 0o600), (0o022, 0o644)):
        folder = tmp_path / str(umask)
        folder.mkdir()
        before = os.umask(0)
        try:
            command = [sys.executable, "-c", f"open({str(folder / 'made')!r}, 'w'); print('on', flush=True)"]
            environment = processes.clean_environment()
            process = processes.start("it", command, log=folder / "log", environment=environment, umask=umask)
        finally:
            os.umask(before)
        until(lambda one=process: one.exit_code() is not None, seconds=20, what="its end")
        process.stop()
        assert (folder / "made").stat().st_mode & 0o777 == mode
        assert (folder / "log").stat().st_mode & 0o777 == 0o600


def test_a_process_that_does_not_listen_is_killed(tmp_path: Path) -> None:
    """After the grace given it is gone all the same."""
    process = _start(
        tmp_path, "import signal; signal.signal(15, signal.SIG_IGN); print('on', flush=True); signal.pause()"
    )
    _wait_for(tmp_path, process, "on")
    process.stop(grace=0.2)
    assert not process.alive


def test_what_a_process_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    """A child of its own that outlives it, as pip outlives a `sam build` that is stopped."""
    child = "import signal; signal.signal(15, signal.SIG_IGN); signal.pause()"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {child!r}]).pid, flush=True)"
    process = _start(tmp_path, f"{code}; import signal; signal.pause()")
    _wait_for(tmp_path, process, "\n")
    left = psutil.Process(int((tmp_path / "log").read_text()))
    process.stop()
    left.wait(20)


def test_a_stop_says_whether_the_process_ended_by_itself(tmp_path: Path) -> None:
    """What a process writes at its end is whole only then."""
    for number, (handler, ended) in enumerate((("lambda *_: sys.exit(0)", True), ("signal.SIG_IGN", False))):
        folder = tmp_path / str(number)
        folder.mkdir()
        process = _start(
            folder, f"import signal, sys; signal.signal(15, {handler}); print('on', flush=True); signal.pause()"
        )
        _wait_for(folder, process, "on")
        assert process.stop(grace=10 if ended else 0.2) is ended


def test_a_class_cache_is_written_by_the_process_whose_command_says_so(tmp_path: Path) -> None:
    """`down` knows it from the command line: `up` was another process."""
    code = "import signal; print('on', flush=True); signal.pause()"
    for number, option in enumerate(("-XX:AOTCacheOutput=x", "-XX:AOTCache=x")):
        log = tmp_path / str(number)
        command = [sys.executable, "-c", code, option]
        process = processes.start("it", command, log=log, environment=processes.clean_environment())
        processes.wait_until(lambda one=log: "on" in one.read_text(), process, seconds=20, what="its line")
        assert is_recording(process) == ("Output" in option)
        process.stop()
        assert not is_recording(process)


def test_an_impatient_interrupt_leaves_nothing_running(tmp_path: Path) -> None:
    """A second Ctrl-C while everything is being stopped does not stop the stopping."""
    process = _start(tmp_path, "import signal; print('on', flush=True); signal.pause()")
    _wait_for(tmp_path, process, "on")
    local_stack = LocalStack(tmp_path / "local_stack", Ports(), tmp_path, running=[process])
    stop, before = Process.stop, signal.getsignal(signal.SIGINT)

    def impatient(one: Process) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        stop(one)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Process, "stop", impatient)
        local_stack.down()
    assert not process.alive
    assert signal.getsignal(signal.SIGINT) is before


def test_one_that_outlives_who_started_it_is_left_without_a_word(tmp_path: Path) -> None:
    """As those of `iot-stream up` are: Python warns of a child that still runs at its end."""
    code = """
import sys
from pathlib import Path
from iot_stream.local.processes import start
process = start("it", [sys.executable, "-c", "import signal; signal.pause()"], log=Path("log"), environment={})
print(process.pid, process.created)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    pid, created = ended.stdout.split()
    left = Process("it", int(pid), float(created), str(tmp_path / "log"))
    assert left.alive
    left.stop()
    assert ended.stderr == ""


def test_a_recycled_pid_is_not_ours(tmp_path: Path) -> None:
    """A process with our pid and another creation time is neither reported as running nor stopped."""
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as other:
        recorded = Process("it", other.pid, psutil.Process(other.pid).create_time() - 100, str(tmp_path / "log"))
        assert not recorded.alive
        recorded.stop()
        assert other.poll() is None
        os.kill(other.pid, signal.SIGKILL)


def test_one_that_ends_early_is_an_error_with_its_last_words_and_its_log(tmp_path: Path) -> None:
    """Stack frames at the end of the log are skipped."""
    process = _start(tmp_path, "import sys; sys.exit('no room\\n\\tat some.Frame\\n')")
    with pytest.raises(SetupError, match=r"it ended before it was ready: no room \(whole log: .*log\)"):
        processes.wait_until(lambda: False, process, seconds=20, what="never")


def test_one_that_is_not_ready_in_time_is_stopped(tmp_path: Path) -> None:
    """Nothing is left running after a failed start."""
    process = _start(tmp_path, "import signal; signal.pause()")
    with pytest.raises(SetupError, match=r"it: its response did not arrive within 0 s"):
        processes.wait_until(lambda: False, process, seconds=0.2, what="its response")
    assert not process.alive


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """One line, with the system's reason."""
    with pytest.raises(SetupError, match=r"it could not be started: .*No such file"):
        processes.start("it", [str(tmp_path / "nothing")], log=tmp_path / "log", environment={})


def test_nothing_of_the_caller_but_the_necessary_reaches_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's proxies, certificate bundles and AWS profiles would redirect or break local traffic."""
    for name in ("HTTPS_PROXY", "REQUESTS_CA_BUNDLE", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.setenv(name, "caller's")
    environment = processes.clean_environment(EXTRA="1")
    assert "caller's" not in environment.values()
    assert environment["EXTRA"] == "1"
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_delivery_stream_has_one_worker_whatever_the_state_folder(
    platform: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same command from another directory is refused; the same name at another fake of AWS is not."""
    monkeypatch.setattr(sys, "platform", platform)  # which has no abstract socket names but on Linux
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    arn = f"arn:{uuid4()}"
    with closing(claim(arn, "http://127.0.0.1:1")):
        with pytest.raises(DeliveryError, match=f"already running for {arn}, with another --state"):
            claim(arn, "http://127.0.0.1:1")
        with pytest.raises(DeliveryError):
            claim(arn, "http://localhost:1/")
        claim(arn, "http://127.0.0.1:2").close()
    claim(arn, "http://127.0.0.1:1").close()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(tempfile, "tempdir", "/dev/null")
    with pytest.raises(DeliveryError, match=f"{arn} can't be claimed for this worker: .*Not a directory"):
        claim(arn, "http://127.0.0.1:1")
