"""The command's words: what is wrong is one line that says what to do, and the exit code is not 0."""

import errno
import os
import sys
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import click
import psutil
import pytest
from botocore.stub import Stubber
from click.testing import CliRunner
from rich.console import Console

from iot_stream import cli as cli_module
from iot_stream.alarms import Alarm
from iot_stream.cli import cli, main, signals
from iot_stream.cli.options import target_options
from iot_stream.delivery.edges.opensearch import SIGN_INS
from iot_stream.display import Display, _table, counts_text, reconciliation_text
from iot_stream.errors import IotStreamError, SetupError, StackError
from iot_stream.local import local_stack
from iot_stream.run.counts import Counts, read_counts
from iot_stream.run.reconciliation import Reconciliation
from iot_stream.stack import Stack
from iot_stream.target import Target
from tests.aws_clients import aws_client
from tests.commands import PAGE, page

STACK_ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/prod/1"
TO_STREAM = f"to stream devices of {STACK_ID}"
REPLAYING = "sending failed readings of s3://backup to stream devices, failed documents to search-x (AWS)"
COUNTS = Counts(
    sent=3000,
    transformed=2990,
    delivered=2980,
    failed=10,
    searchable=2970,
    pending=10,
    lag_ms=1234,
    delivering=True,
    last_error=None,
)


def test_the_worker_s_ways_to_sign_in_are_those_of_the_command() -> None:
    """The command's choices stand apart, so that `--help` need not import the worker."""
    option = next(parameter for parameter in cli.commands["deliver"].params if parameter.name == "sign_in")
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == SIGN_INS


def test_every_command_explains_itself() -> None:
    """No command or option is without a help text."""

    def check(command: object, path: str) -> None:
        assert getattr(command, "help", None), path
        for parameter in getattr(command, "params", []):
            assert getattr(parameter, "help", "an argument"), f"{path} {parameter.name}"
        for name, inner in getattr(command, "commands", {}).items():
            check(inner, f"{path} {name}")

    check(cli, "iot-stream")


def test_the_page_of_commands_is_what_they_print() -> None:
    """docs/commands.md has each command's help, word for word."""
    assert PAGE.read_text(encoding="utf-8") == page(), "run `make docs` and commit the result"


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", "--rate", "0"],
        ["send", "--rate", "-1"],
        ["send", "--rate", "nan"],
        ["send", "--rate", "inf"],
        ["send", "--rate", "fast"],
        ["send", "--for", "0"],
        ["run", "--rate", "0"],
        ["run", "--gauss", "-3"],
        ["send", "--ramp", "0"],
        ["send", "--sine", "1", "0"],
    ],
)
def test_a_rate_or_time_that_is_not_positive_is_refused(arguments: list[str]) -> None:
    """Nothing is started; the value is named."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert f"{arguments[-1]} is not a positive number" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--ramp", "5", "--gauss", "1", "--for", "9"], "can't be combined"),
        (["--sine", "5", "1", "--gauss", "1"], "can't be combined"),
        (["--ramp", "5"], "--ramp needs --for"),
        (["--rate", "1e308", "--for", "100"], "--rate: 1e+308 is too high: the maximum is 1e+09 per second"),
        (["--gauss", "1e10"], "--gauss: 1e+10 is too high: the maximum is 1e+09 per second"),
        (["--sine", "5", "0.5"], "--sine: the period must be at least one second"),
        (["--rate", "10", "--sine", "11", "60"], "the amplitude must not exceed the rate (10)"),
        (["--late", "101"], "--late"),
        (["--devices", "0"], "--devices"),
    ],
)
@pytest.mark.parametrize("command", ["send", "run"])
def test_options_of_sending_that_make_no_sense_are_refused(command: str, arguments: list[str], message: str) -> None:
    """Before anything starts; each says what it needs."""
    result = CliRunner().invoke(cli, [command, *arguments])
    assert result.exit_code == 2
    assert message in result.output


def test_a_dry_run_prints_records_and_needs_no_stack(tmp_path: Path) -> None:
    """Five, or as many as asked for; the same ones for the same seed."""
    template = tmp_path / "t"
    template.write_text('{"n": {{random.number}}, "ü": 1}', encoding="utf-8")
    arguments = ["send", "--dry-run", "--template", str(template), "--seed", "5"]
    first, second = (CliRunner().invoke(cli, [*arguments, *more]) for more in ([], ["--count", "7"]))
    assert (first.exit_code, second.exit_code) == (0, 0)
    lines = second.output.splitlines()
    assert (len(lines), lines[:5]) == (7, first.output.splitlines())
    assert all(line.endswith(', "ü": 1}') for line in lines)


def test_recorded_readings_are_sent_as_they_stand(tmp_path: Path) -> None:
    """Each once and in order, however the file puts them together; with more asked for, from the beginning again."""
    file = tmp_path / "readings.json"
    file.write_text('[{"n": 1.0},\n {"n":  2}, {"n": "ü"}]', encoding="utf-8")
    arguments = ["send", "--dry-run", "--readings", str(file)]
    once, again = (CliRunner().invoke(cli, [*arguments, *more]) for more in ([], ["--count", "5"]))
    lines = ['{"n": 1.0}', '{"n":  2}', '{"n": "ü"}']
    assert once.output.splitlines() == lines
    assert again.output.splitlines() == [*lines, *lines[:2]]
    piped = CliRunner().invoke(cli, [*arguments[:-1], "-"], input="\n".join(lines))
    assert piped.output.splitlines() == lines
    for more, message in (
        (["--lively", "--faulty", "1"], "omit --lively, --faulty"),
        (["--template", str(file)], "omit --template"),
    ):
        refused = CliRunner().invoke(cli, [*arguments, *more])
        assert (refused.exit_code, message in refused.output) == (2, True)
    file.write_text(" \n", encoding="utf-8")
    assert "is empty: give a file" in CliRunner().invoke(cli, arguments).output
    for text in ('# Readings\n\n{"n": 1}\n', "uuid,device_ts\nx,1\n", "{broken"):
        file.write_text(text, encoding="utf-8")
        refused = CliRunner().invoke(cli, arguments)
        assert (refused.exit_code, "contains no JSON" in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("more", "named"),
    [(["--code", "A", "--reason", "not_json"], "--reason, --code"), (["--kind", "document"], "--kind")],
)
def test_a_backup_is_not_chosen_by_what_only_failures_have(more: list[str], named: str) -> None:
    """It sent nothing and was content; now one line says what to leave out."""
    result = CliRunner().invoke(cli, ["failures", "replay", "--backup", *more])
    assert (result.exit_code, f"omit {named}" in result.output) == (2, True)


@pytest.mark.parametrize("command", ["send", "run"])
def test_a_mistake_in_a_template_is_said_before_anything_starts(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its place."""
    monkeypatch.setattr("iot_stream.readings.built_files.outdated", lambda _: [])
    template = tmp_path / "t"
    template.write_text("{{random.nothing}}", encoding="utf-8")
    arguments = [command, "--template", str(template), "--state", str(tmp_path), "--dry-run"]
    result = CliRunner().invoke(cli, arguments[: 5 if command == "run" else 6])
    assert isinstance(result.exception, IotStreamError)
    assert f"{template}, line 1, column 1: unknown helper random.nothing" in str(result.exception)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.template", (Path("a.template"), 1.0)),
        ("a.template=2.5", (Path("a.template"), 2.5)),
        ("a=b", (Path("a=b"), 1.0)),
        ("a=b=3", (Path("a=b"), 3.0)),
    ],
)
def test_a_template_may_have_a_weight(value: str, expected: tuple[Path, float]) -> None:
    """FILE or FILE=WEIGHT."""
    option = next(parameter for parameter in cli.commands["send"].params if parameter.name == "templates")
    context = click.Context(cli.commands["send"])
    assert option.process_value(context, (value,)) == [expected]


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_weight_is_above_zero(weight: str) -> None:
    """Nothing is sent; the value is named."""
    result = CliRunner().invoke(cli, ["send", "--template", f"a={weight}"])
    assert result.exit_code == 2
    assert f"a={weight}: the weight must be a number above 0" in result.output


@pytest.mark.parametrize("count", ["0", "-5", "1.5", "many"])
def test_a_count_that_is_not_a_positive_whole_number_is_refused(count: str) -> None:
    """Nothing is sent; the option is named."""
    result = CliRunner().invoke(cli, ["send", "--count", count])
    assert result.exit_code == 2
    assert "--count" in result.output


def test_a_parameter_without_a_value_is_refused() -> None:
    """The form is shown by an example."""
    result = CliRunner().invoke(cli, ["up", "--parameter", "IndexRotationPeriod"])
    assert result.exit_code == 2
    assert "IndexRotationPeriod must have the form NAME=VALUE, for example" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan", "--devices", "1", "--every", "nan"],
        ["plan", "--devices", "1", "--every", "1", "--peak", "nan"],
        ["plan", "--devices", "1", "--every", "1", "--failed", "nan"],
        ["send", "--late", "nan"],
    ],
)
def test_a_value_that_is_no_number_is_in_no_range(arguments: list[str]) -> None:
    """`nan` passes every comparison with a bound."""
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 2
    assert "nan is not a number" in result.output


@pytest.mark.parametrize("command", [["alarms"], ["doctor"], ["failures", "list"], ["failures", "replay"], ["send"]])
def test_a_stack_that_is_named_is_never_ignored(command: list[str]) -> None:
    """Without --aws the local stack would be taken instead."""
    result = CliRunner().invoke(cli, [*command, "--stack", "production"])
    assert result.exit_code == 2
    assert "add --aws" in result.output


@pytest.mark.parametrize("arguments", [["--stack", "production", "--aws"], ["--aws", "--stack", "production"]])
def test_the_order_of_stack_and_aws_does_not_matter(arguments: list[str]) -> None:
    """Both arrive at the command."""

    @click.command()
    @target_options
    def command(*, aws: bool, stack_name: str, **_: object) -> None:
        click.echo(f"{stack_name} {aws}")

    assert CliRunner().invoke(command, arguments).output == "production True\n"
    assert CliRunner().invoke(command, []).output == "iot-stream False\n"


@pytest.mark.parametrize("option", ["--since", "--until"])
@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_a_time_that_is_none_is_said_before_anything_else(command: str, option: str, tmp_path: Path) -> None:
    """An empty one (an unset variable of a script) must not select everything."""
    result = CliRunner().invoke(cli, ["failures", command, "--state", str(tmp_path), option, ""])
    assert isinstance(result.exception, IotStreamError)
    assert "'' is not a valid time" in str(result.exception)


@pytest.mark.parametrize("chosen", [[], ["--dry-run"], ["--all", "--reason", "not_json"]])
def test_nobody_discards_everything_by_mistake(chosen: list[str], tmp_path: Path) -> None:
    """It is asked for: with filters, or with --all."""
    result = CliRunner().invoke(cli, ["failures", "discard", "--state", str(tmp_path), *chosen])
    assert result.exit_code == 2
    assert "all of them with --all" in result.output


@pytest.mark.parametrize("command", ["send", "status", "password"])
def test_without_a_running_stack_a_command_says_how_to_start_one(command: str, tmp_path: Path) -> None:
    """The same words everywhere."""
    result = CliRunner().invoke(cli, [command, "--state", str(tmp_path)])
    assert isinstance(result.exception, StackError)
    assert "start one with `make run` or `iot-stream up`" in str(result.exception)


def test_the_runbook_of_an_alarm_can_be_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of a terminal's width would break it; one that is not raised needs none."""
    stack = Stack("s", "arn", {}, {})
    monkeypatch.setattr(Target, "local", classmethod(lambda *_: Target(stack, lambda _: None, None)))
    states = {"DeliveryDataFreshnessAlarm": "ALARM", "DomainRedAlarm": "INSUFFICIENT_DATA", "DomainStorageAlarm": "OK"}
    found = [
        Alarm(name, name, state, "Threshold crossed: " * 5, runbook=f"docs/operations.md#{name.lower()}")
        for name, state in states.items()
    ]
    monkeypatch.setattr("iot_stream.alarms.stack_alarms", lambda *_: found)
    shown = CliRunner().invoke(cli, ["alarms"], env={"COLUMNS": "60"})
    runbooks = [line for line in shown.output.splitlines() if "operations" in line]
    assert runbooks == ["runbook of DeliveryDataFreshnessAlarm: docs/operations.md#deliverydatafreshnessalarm"]
    assert shown.output.count("Threshold") == 2 * 5, "the reason of one that is OK reads like a fault"
    assert shown.exit_code == 1


def test_stopping_what_does_not_run_is_fine(tmp_path: Path) -> None:
    """It says so, and exits with 0."""
    result = CliRunner().invoke(cli, ["down", "--state", str(tmp_path)])
    assert (result.exit_code, result.output) == (0, "nothing was running\n")


def test_an_expected_error_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback for what a person can mend."""

    def fail(**_: object) -> NoReturn:
        raise IotStreamError("the bucket is full: empty it")

    monkeypatch.setattr(cli_module, "cli", fail)
    monkeypatch.setattr(sys, "argv", ["iot-stream"])
    monkeypatch.setattr(signals.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert capsys.readouterr().err == "iot-stream: the bucket is full: empty it\n"


def test_a_full_disk_is_one_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever file it was that a command could not write. Other errors of the system keep their traceback."""
    raised = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run.accepted")

    def fail(**_: object) -> NoReturn:
        raise raised

    monkeypatch.setattr(cli_module, "cli", fail)
    monkeypatch.setattr(sys, "argv", ["iot-stream"])
    monkeypatch.setattr(signals.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        main()
    error = capsys.readouterr().err
    assert error.startswith("iot-stream: [Errno 28] No space left on device: 'run.accepted'")
    assert error.endswith("free some space, or choose another folder\n")
    assert error.count("\n") == 1
    raised = OSError(errno.ENOTCONN, "not this kind")
    with pytest.raises(OSError, match="not this kind"):
        main()


def test_a_local_stack_is_found_again_as_it_was_saved(tmp_path: Path) -> None:
    """Ports, home, name and processes are those of the record, not defaults; this very process stands for its parts."""
    this = psutil.Process()
    parts = [local_stack.Process(name, this.pid, this.create_time(), str(tmp_path / name)) for name in ("one", "two")]
    ports = local_stack.Ports(opensearch=1, aws=2, live=3)
    saved = local_stack.LocalStack(tmp_path, ports, tmp_path / "home", "another", parts)
    saved.save()
    found = local_stack.find(tmp_path)
    assert found == saved
    assert found.aws.url == "http://127.0.0.1:2"
    assert found.opensearch.url == "https://127.0.0.1:1"
    assert found.live_url == "http://127.0.0.1:3/"


def test_a_local_stack_whose_processes_are_gone_is_not_running(tmp_path: Path) -> None:
    """There is nothing to stop, and nothing to find."""
    ports = local_stack.Ports(opensearch=1, aws=2, live=3)
    gone = local_stack.Process("it", 2**22 + 1, 0.0, str(tmp_path / "log"))
    saved = local_stack.LocalStack(tmp_path, ports, tmp_path / "home", "another", [gone])
    saved.save()
    assert local_stack.stop(tmp_path) is False
    with pytest.raises(StackError, match="no local stack is running"):
        local_stack.find(tmp_path)


def test_a_folder_with_other_peoples_files_is_not_emptied(tmp_path: Path) -> None:
    """`up` begins in an empty folder: one that is not its own is left as it is."""
    (tmp_path / "thesis.txt").write_text("years of work", encoding="utf-8")
    with pytest.raises(SetupError, match="not a local stack's and would be deleted: choose another --state"):
        local_stack.up(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_a_start_leaves_nothing_of_the_last_one_but_its_record(tmp_path: Path) -> None:
    """Files and folders go; a folder that is not there has nothing."""
    local_stack.LocalStack(tmp_path, local_stack.Ports(), tmp_path / "home").save()
    (tmp_path / "aws").mkdir()
    for name in ("aws/log", "old"):
        (tmp_path / name).touch()
    local_stack._empty(tmp_path)
    local_stack._empty(tmp_path / "none")
    assert [child.name for child in tmp_path.iterdir()] == ["machine.json"]


def test_an_interrupted_start_does_not_lock_out_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record of the folder is there as long as anything else of it is."""
    local_stack.LocalStack(tmp_path, local_stack.Ports(), tmp_path / "home").save()
    for name in ("aws", "opensearch"):
        (tmp_path / name).mkdir()

    def interrupt(*_: Any, **__: Any) -> NoReturn:
        assert (tmp_path / "machine.json").exists()
        raise KeyboardInterrupt

    monkeypatch.setattr(local_stack.shutil, "rmtree", interrupt)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            local_stack._empty(tmp_path)


def test_a_secret_that_can_not_be_read_is_said() -> None:
    """One line with AWS's reason, and no traceback."""
    client = aws_client("secretsmanager")
    outputs = {"MasterUserSecretArn": "arn:aws:secretsmanager:us-east-1:1:secret:m"}
    target = Target(Stack("s", "arn", outputs, {"MasterUserMode": "InternalUser"}), lambda _: client, None)
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "AccessDeniedException", "no rights")
        with pytest.raises(StackError, match=r"secret can't be read: .*no rights"):
            target.master_user()


def test_a_stack_without_passwords_says_so() -> None:
    """Nothing is wrong with the template then."""
    target = Target(Stack("s", "arn", {}, {"MasterUserMode": "IamRole"}), lambda _: None, None)
    with pytest.raises(StackError, match="its MasterUserMode is IamRole"):
        target.master_user()


def test_no_lag_is_told_that_nobody_measures(tmp_path: Path) -> None:
    """The worker knows the lag; its last status says 0 for ever once it has ended."""
    (tmp_path / "home").mkdir()
    stack = local_stack.LocalStack(tmp_path, local_stack.Ports(), tmp_path / "home", "iot-stream", [])
    client: Any = SimpleNamespace(count=lambda **_: {"count": 0})
    counts = read_counts(stack, client, "iot-stream")
    assert (counts.lag_ms, counts.delivering) == (None, False)
    assert counts_text(counts).endswith(" · lag unknown · the delivery worker is NOT running")
    console = Console(file=StringIO(), width=200)
    console.print(_table(counts))
    assert "unknown" in console.file.getvalue()  # type: ignore[attr-defined]


def test_the_counts_are_told_in_flow_order() -> None:
    """In one line, with the lag in seconds."""
    expected = "3,000 sent · 2,990 transformed · 2,980 delivered · 2,970 searchable · 10 failed · lag 1.2 s"
    assert counts_text(COUNTS) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"searchable": None}, "OpenSearch does not respond"),
        ({"delivering": False}, "the delivery worker is NOT running"),
        ({"last_error": "403"}, "last error: 403"),
        ({"unresolved": False}, "10 failed (all resolved) · lag"),
        ({"unresolved": True}, "10 failed (`failures list` shows what is not resolved) · lag"),
        ({"unresolved": None}, "10 failed · lag"),
        ({"failed": 0, "unresolved": False}, "0 failed · lag"),
    ],
    ids=["no OpenSearch", "no worker", "an error", "all resolved", "not all resolved", "not known", "no failure"],
)
def test_what_is_wrong_is_told_beside_the_counts(change: dict[str, object], words: str) -> None:
    """Nobody has to guess from a count that stands still."""
    assert words in counts_text(Counts(**(COUNTS.as_dict() | change)))


@pytest.mark.parametrize(
    "words", ["no such index [iot-stream]", "403: backend_roles=[arn:aws:iam::1:role/d]", "[/_bulk]"]
)
def test_other_peoples_brackets_are_no_markup(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    """OpenSearch puts names into brackets: they are what a person needs."""
    Display().show(Counts(**(COUNTS.as_dict() | {"last_error": words})))
    assert words in capsys.readouterr().out
    console = Console(file=StringIO(), width=200)
    console.print(_table(Counts(**(COUNTS.as_dict() | {"last_error": words}))))
    assert words in console.file.getvalue()  # type: ignore[attr-defined]


def test_an_account_names_what_is_missing_and_what_is_doubled() -> None:
    """Only when there is any."""
    assert (
        reconciliation_text(Reconciliation(3000, 2999, 1, 0, 0)) == "3,000 sent = 2,999 searchable + 1 failure objects"
    )
    text = reconciliation_text(Reconciliation(3000, 2990, 1, 9, 4))
    assert text.endswith("+ 9 MISSING (4 duplicate documents)")


def test_the_second_interrupt_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first asks to stop in order, the second does not wait for it."""
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signals.signal, "signal", handlers.__setitem__)
    stop = signals.interrupted()
    assert not stop()
    handlers[signals.signal.SIGINT](2, None)
    assert stop()
    with pytest.raises(KeyboardInterrupt):
        handlers[signals.signal.SIGTERM](15, None)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["send", "--rate", "50", "--count", "9"], f"sending 50 records per second (9 records) {TO_STREAM}"),
        (["send", "--for", "60"], f"sending 100 records per second (60 s) {TO_STREAM}"),
        (["send"], f"sending 100 records per second (until Ctrl-C) {TO_STREAM}"),
        (["domain", "apply"], f"apply: in domain search-x of {STACK_ID}"),
        (["domain", "remove"], f"remove: in domain search-x of {STACK_ID}"),
        (
            ["failures", "replay"],
            f"{REPLAYING}; checked by the description in this clone, which must be the deployed one",
        ),
        (
            ["failures", "replay", "--unchecked"],
            REPLAYING,
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_what_is_done_to_aws_is_said_before_it_is_done(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole name of the stack has its account and region."""

    class ReachedError(Exception):
        """AWS would be called now."""

    def client(*_: object, **__: object) -> NoReturn:
        raise ReachedError

    names = ("DeliveryStreamName", "BackupPrefix", "RoleMapperFunctionArn")
    outputs = {"StreamName": "devices", "DomainEndpoint": "search-x", "BackupBucketName": "backup"}
    stack = Stack("prod", STACK_ID, dict.fromkeys(names, "x/") | outputs, {"DeviceTimeZone": "UTC"})
    monkeypatch.setattr(Target, "on_aws", classmethod(lambda *_: Target(stack, client, None)))
    result = CliRunner(mix_stderr=False).invoke(cli, [*arguments, "--aws"])
    assert isinstance(result.exception, ReachedError), result.exception
    assert result.stderr.splitlines()[-1] == words
