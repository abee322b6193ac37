"""Start and stop the whole system on this machine, with its processes and ports.

`up` starts with empty state each time: AWS's state is in memory, and an OpenSearch that kept its data would disagree.
"""

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryFile

from iot_stream.dashboards.fleet import alerts_index
from iot_stream.delivery.core.status import DeliveryStatus
from iot_stream.delivery.edges.state_folder import read_status
from iot_stream.delivery.errors import DeliveryError
from iot_stream.errors import SetupError, StackError
from iot_stream.local import deployment, distribution, opensearch, processes
from iot_stream.local.alarm_messages import subscribe_queue
from iot_stream.local.certificates import certificates_in
from iot_stream.local.gateway import process as gateway
from iot_stream.local.master_user import create_master_user
from iot_stream.local.ministack import NAME as MINISTACK
from iot_stream.local.ministack import Ministack
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.parameters import check_parameters
from iot_stream.local.processes import Process
from iot_stream.local.reader_role import create_reader_role
from iot_stream.paths import LOCAL
from iot_stream.stack import Stack, find_stack

__all__ = [
    "AWS_ENDED",
    "DEFAULT_FOLDER",
    "LIVE_PAGE",
    "STACK_NAME",
    "WORKER",
    "LocalStack",
    "Ports",
    "deliver",
    "deploy",
    "find",
    "launch_gateway",
    "master_user_maker",
    "read",
    "serve_live_page",
    "stop",
    "up",
]

DEFAULT_FOLDER = LOCAL / "stack"
STACK_NAME = "iot-stream-local"  # as in samconfig.toml; never that of a stack on AWS
WORKER = "the delivery worker"
LIVE_PAGE = "the live page"
AWS_ENDED = "the local AWS has ended, and what it held was in memory: `iot-stream down`, then `iot-stream up`"
_PART_SECONDS = 180
_MIB = 1024**2
_LEAST_FREE = 300 * _MIB
_IOT_STREAM = (sys.executable, "-m", "iot_stream")


@dataclass(frozen=True)
class Ports:
    """The ports of the parts on 127.0.0.1."""

    opensearch: int = 19200
    aws: int = 14566
    domain: int = 19201
    live: int = 8600


@dataclass
class LocalStack:
    """A local stack: its folder, ports, OpenSearch's home, stack name, and processes in the order they were started."""

    folder: Path
    ports: Ports
    home: Path
    stack_name: str = STACK_NAME
    running: list[Process] = field(default_factory=list)

    @property
    def aws(self) -> Ministack:
        """Return the stack's local AWS."""
        return Ministack(self.folder / "aws", self.ports.aws)

    @property
    def opensearch(self) -> OpenSearch:
        """Return the stack's OpenSearch."""
        folder = self.folder / "opensearch"
        return OpenSearch(folder, self.home, self.ports.opensearch, certificates_in(folder / "config/certificates"))

    @property
    def logs(self) -> Path:
        """Return the folder of the logs of parts without a folder of their own."""
        return self.folder / "logs"

    def log_files(self) -> list[Path]:
        """Return the logs that its parts write."""
        return sorted({*self.logs.glob("*.log"), *(Path(process.log) for process in self.running)})

    @property
    def delivery_state(self) -> Path:
        """Return the folder of the delivery worker's progress."""
        return self.folder / "delivery"

    @property
    def ledger_folder(self) -> Path:
        """Return the folder of the ledger of sent records."""
        return self.folder / "sent"

    @property
    def alive(self) -> bool:
        """Whether any of its processes is running."""
        return any(process.alive for process in self.running)

    @property
    def delivering(self) -> bool:
        """Whether the delivery worker is running."""
        return (worker := self.part(WORKER)) is not None and worker.alive

    @property
    def live_key_file(self) -> Path:
        """Return the file of the key that opens the live page, where the page needs one."""
        return self.folder / "live.key"

    @property
    def live_url(self) -> str:
        """Return the live page's address, with its key where it has one."""
        key = self.live_key_file.read_text(encoding="ascii") if self.live_key_file.exists() else ""
        return f"http://127.0.0.1:{self.ports.live}/" + (f"?key={key}" if key else "")

    def stack(self) -> Stack:
        """Return the deployed stack (raises StackError)."""
        if (aws := self.part(MINISTACK)) is not None and not aws.alive:
            raise StackError(AWS_ENDED)
        return find_stack(self.aws.client("cloudformation"), self.stack_name)

    def part(self, name: str) -> Process | None:
        """Return the process of that name, alive or ended; None if none was started."""
        return next((process for process in self.running if process.name == name), None)

    def down(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Stop its processes, last started first; Ctrl-C during this does not leave a part running."""
        with processes.signals_ignored():
            for process in reversed(self.running):
                if opensearch.is_recording(process):
                    self.opensearch.stop_recording(process, say)
                else:
                    process.stop()
            self.running.clear()
            self.save()

    def add(self, process: Process) -> None:
        """Record a process at once, so that `down` always stops it; replace the one with the same name."""
        names = [each.name for each in self.running]
        if process.name in names:
            self.running[names.index(process.name)] = process
        else:
            self.running.append(process)
        self.save()

    def save(self) -> None:
        """Write the record by which other commands find this local stack."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {
            "ports": asdict(self.ports),
            "home": str(self.home),
            "stack_name": self.stack_name,
            "running": [asdict(process) for process in self.running],
        }
        temporary = _record(self.folder).with_suffix(".new")
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
        temporary.replace(_record(self.folder))


def find(folder: Path = DEFAULT_FOLDER) -> LocalStack:
    """Return the local stack recorded in `folder`.

    Raises:
        StackError: none is running there.
    """
    local_stack = read(folder)
    if local_stack is None or not local_stack.alive:
        raise StackError("no local stack is running: start one with `make run` or `iot-stream up`")
    return local_stack


def stop(folder: Path = DEFAULT_FOLDER, say: Callable[[str], None] = lambda _: None) -> bool:
    """Stop the local stack recorded in `folder`; return whether it was running."""
    local_stack = read(folder)
    running = local_stack is not None and local_stack.alive
    if local_stack is not None:
        local_stack.down(say)
    return running


def up(
    folder: Path = DEFAULT_FOLDER,
    ports: Ports | None = None,
    *,
    overrides: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> LocalStack:
    """Start everything and deploy the template; on any failure, stop whatever was started.

    Args:
        folder: for its state and logs; emptied first.
        ports: the ports of its parts.
        overrides: template parameters beyond those of samconfig.toml's `local` environment.
        say: called with one line for each step.

    Raises:
        SetupError: this machine lacks something, or a port is in use.
        StackError: the deployment failed, with CloudFormation's reason.
    """
    ports = ports or Ports()
    check_parameters(overrides or {})
    _check_folder(folder)
    earlier = read(folder)
    if earlier is not None and earlier.alive:
        raise SetupError(
            "a local stack is already running: `iot-stream deploy` puts changes on it, `iot-stream down` stops it"
        )
    if earlier is None and folder.exists() and any(folder.iterdir()):
        raise SetupError(
            f"{folder} holds files that are not a local stack's and would be deleted: choose another --state"
        )
    processes.claim_port(ports.opensearch, what="OpenSearch", option="--opensearch-port")
    processes.claim_port(ports.domain, what="the domain's endpoint", option="--domain-port")
    processes.claim_port(ports.aws, what="the local AWS", option="--aws-port")
    processes.claim_port(ports.live, what="the live page", option="--live-port")
    home = distribution.assemble(say)
    _empty(folder)
    local_stack = LocalStack(folder, ports, home)
    local_stack.save()
    try:
        _start(local_stack, overrides or {}, say)
    except BaseException:
        local_stack.down(say)
        raise
    return local_stack


def _start(local_stack: LocalStack, overrides: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Run the steps of `up` in order; OpenSearch starts while sam builds."""
    server = opensearch.prepare(local_stack.folder / "opensearch", local_stack.home, local_stack.ports.opensearch)
    say("starting OpenSearch with its security plugin")
    process = server.launch(record=True)
    local_stack.add(process)
    endpoint = launch_gateway(local_stack)
    say("sam build")
    deployment.build(local_stack.logs / "sam-build.log")
    server.wait(process)
    say(f"OpenSearch is up: {server.url}")
    gateway.wait(endpoint, server, local_stack.ports.domain)
    domain_endpoint = f"127.0.0.1:{local_stack.ports.domain}"
    local_stack.add(local_stack.aws.start(domain_endpoint=domain_endpoint, ca_file=server.ca_file))
    say(f"AWS's APIs are up: {local_stack.aws.url}")
    say("sam deploy")
    stack = deploy(local_stack, overrides)
    say(f"stack {stack.name} is deployed")
    index = stack.output("IndexName")
    create_reader_role(server, f"{index}*", alerts_index(index))
    subscribe_queue(local_stack.aws, stack.output("AlarmTopicArn"))
    deliver(local_stack, stack)
    say(f"delivery stream {stack.output('DeliveryStreamName')} is delivering")
    serve_live_page(local_stack)
    say(f"the live page is up: {local_stack.live_url}")


def launch_gateway(local_stack: LocalStack) -> Process:
    """Start the gateway of the domain and return at once."""
    log = local_stack.logs / "gateway.log"
    process = gateway.launch(local_stack.opensearch, local_stack.aws, local_stack.ports.domain, log)
    local_stack.add(process)
    return process


def deploy(local_stack: LocalStack, overrides: Mapping[str, str] | None = None) -> Stack:
    """Run `sam deploy`, and meanwhile create the domain's master user as AWS does.

    Raises:
        StackError: the deployment failed, with CloudFormation's reason.
    """
    log, meanwhile = local_stack.logs / "sam-deploy.log", master_user_maker(local_stack)
    deployment.deploy(local_stack.aws, log, stack=local_stack.stack_name, overrides=overrides, meanwhile=meanwhile)
    return local_stack.stack()


def master_user_maker(local_stack: LocalStack) -> Callable[[], None]:
    """Return a function that creates the domain's master user; a deployment calls it again and again until its end."""
    clients = {name: local_stack.aws.client(name) for name in ("cloudformation", "iam", "secretsmanager")}
    server = local_stack.opensearch
    made = ""

    def make_master_user() -> None:
        nonlocal made
        made = create_master_user(clients.__getitem__, local_stack.stack_name, server, made)

    return make_master_user


def deliver(local_stack: LocalStack, stack: Stack) -> None:
    """Start the delivery worker of `stack` and return once it is running.

    Its environment is that of a client of the local AWS, without the caller's proxies, profile or certificates.

    Raises:
        SetupError: it did not start; names its log.
    """
    server = local_stack.opensearch
    command = [*_IOT_STREAM, "deliver", "--delivery-stream", stack.output("DeliveryStreamName")]
    command += ["--endpoint-url", local_stack.aws.url]
    command += ["--region", local_stack.aws.region, "--state", str(local_stack.delivery_state)]
    # Straight to OpenSearch: every document through the gateway would cost time and prove nothing more.
    command += ["--domain-url", server.url, "--ca", str(server.ca_file)]
    command += ["--sign-in", "jwt", "--jwt-key", str(server.jwt_key_file)]
    log = local_stack.logs / "deliver.log"
    command += ["--log-file", str(log)]  # the worker rotates no other
    environment = processes.clean_environment(**local_stack.aws.environment())
    earlier = _delivery_status(local_stack)  # a worker that was killed left "running" behind
    process = processes.start(WORKER, command, log=log, environment=environment)
    local_stack.add(process)

    def worker_running() -> bool:
        now = _delivery_status(local_stack)
        return now is not None and now.state == "running" and now != earlier

    processes.wait_until(worker_running, process, seconds=_PART_SECONDS, what="its first status")


def _delivery_status(local_stack: LocalStack) -> DeliveryStatus | None:
    """Return the delivery status, or None if its file is damaged; a starting worker rewrites it."""
    with contextlib.suppress(DeliveryError):
        return read_status(local_stack.delivery_state)
    return None


def serve_live_page(local_stack: LocalStack) -> None:
    """Start the live page of `local_stack` and return once it can be loaded.

    Raises:
        SetupError: it did not start; names its log.
    """
    command = [*_IOT_STREAM, "live", "--state", str(local_stack.folder), "--port", str(local_stack.ports.live)]
    environment = processes.clean_environment(**local_stack.aws.environment())
    process = processes.start(LIVE_PAGE, command, log=local_stack.logs / "live.log", environment=environment)
    local_stack.add(process)
    processes.wait_until(
        lambda: processes.responds(local_stack.live_url), process, seconds=_PART_SECONDS, what="its first response"
    )


def _empty(folder: Path) -> None:
    """Delete the files of an earlier local stack, except its record, without which `up` would reject the folder."""
    for child in folder.iterdir() if folder.exists() else ():
        if child.is_dir():
            shutil.rmtree(child, ignore_errors=True)
        elif child != _record(folder):
            child.unlink()


def _record(folder: Path) -> Path:
    return folder / "machine.json"


def _check_folder(folder: Path) -> None:
    """Check that state can be written to `folder`, and create it; nobody else may enter it (raises SetupError)."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        with TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise SetupError(f"the state folder {folder} can't be written: {error}. Choose another with --state") from error
    if free < _LEAST_FREE:  # its parts, in want of it, end in many ways and hardly ever say why
        raise SetupError(
            f"the disk of the state folder {folder} has {free / _MIB:,.0f} MiB free, but a local stack needs "
            f"{_LEAST_FREE / _MIB:,.0f} MiB to start: free some space, or choose another folder with --state"
        )


def read(folder: Path) -> LocalStack | None:
    """Return the local stack recorded in `folder`, None if there is no record.

    A record that can't be understood, as a full disk or a crash leaves it, is one of a stack without processes.
    """
    try:
        text = _record(folder).read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SetupError(f"the state folder {folder} can't be read: {error}. Choose another with --state") from error
    try:
        record = json.loads(text)
        running = [Process(**process) for process in record["running"]]
        return LocalStack(folder, Ports(**record["ports"]), Path(record["home"]), record["stack_name"], running)
    except (ValueError, KeyError, TypeError):
        return LocalStack(folder, Ports(), folder)
