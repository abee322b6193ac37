"""The whole system on this machine: what runs, where it listens, and its one way up and one way down.

`up` starts from nothing each time: AWS's state is in memory, so an OpenSearch that remembered would disagree with it.
"""

import json
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from iot_stream.errors import SetupError, StackError
from iot_stream.local import deployment, distribution, opensearch, processes
from iot_stream.local.aws import Aws
from iot_stream.local.certificates import certificates_in
from iot_stream.local.control_plane import create_master_user
from iot_stream.local.firehose.progress import read_status
from iot_stream.local.opensearch import OpenSearch
from iot_stream.local.places import LOCAL
from iot_stream.local.processes import Process
from iot_stream.stack import DEFAULT_STACK_NAME, Stack, find_stack

__all__ = ["DEFAULT_FOLDER", "Machine", "Ports", "deliver", "deploy", "find", "stop", "up", "watch"]

DEFAULT_FOLDER = LOCAL / "stack"
_WORKER = "the delivery worker"
_PART_SECONDS = 180
_IOT_STREAM = (sys.executable, "-m", "iot_stream")


@dataclass(frozen=True)
class Ports:
    """Where the parts listen on 127.0.0.1."""

    opensearch: int = 19200
    aws: int = 14566
    live: int = 8600


@dataclass
class Machine:
    """A local stack: its folder, its ports, and the processes that make it, in the order they were started."""

    folder: Path
    ports: Ports
    home: Path
    stack_name: str = DEFAULT_STACK_NAME
    running: list[Process] = field(default_factory=list)

    @property
    def aws(self) -> Aws:
        """Its AWS."""
        return Aws(self.folder / "aws", self.ports.aws)

    @property
    def opensearch(self) -> OpenSearch:
        """Its OpenSearch."""
        folder = self.folder / "opensearch"
        return OpenSearch(folder, self.home, self.ports.opensearch, certificates_in(folder / "config/certificates"))

    @property
    def logs(self) -> Path:
        """Folder of the logs of everything that has no folder of its own."""
        return self.folder / "logs"

    @property
    def delivery_state(self) -> Path:
        """Where the delivery worker keeps its progress."""
        return self.folder / "delivery"

    @property
    def alive(self) -> bool:
        """Whether anything of it still runs."""
        return any(process.alive for process in self.running)

    @property
    def delivering(self) -> bool:
        """Whether the delivery worker runs."""
        return any(process.alive for process in self.running if process.name == _WORKER)

    @property
    def live_url(self) -> str:
        """Where the live page is."""
        return f"http://127.0.0.1:{self.ports.live}/"

    def stack(self) -> Stack:
        """The deployed stack (raises StackError)."""
        return find_stack(self.aws.client("cloudformation"), self.stack_name)

    def down(self) -> None:
        """End what runs, last started first, and only that; an impatient Ctrl-C does not leave a part running."""
        with processes.undisturbed():
            for process in reversed(self.running):
                process.stop()
            self.running.clear()
            self.save()

    def add(self, process: Process) -> None:
        """Remember a process at once, so that `down` ends it whatever happens next."""
        self.running.append(process)
        self.save()

    def save(self) -> None:
        """Write the record that other commands find this machine by."""
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


def find(folder: Path = DEFAULT_FOLDER) -> Machine:
    """The machine recorded in `folder`.

    Raises:
        StackError: none runs there.
    """
    machine = _read(folder)
    if machine is None or not machine.alive:
        raise StackError("no local stack is running: start one with `make run` or `iot-stream up`")
    return machine


def stop(folder: Path = DEFAULT_FOLDER) -> bool:
    """Stop the machine recorded in `folder`; whether there was anything to stop."""
    machine = _read(folder)
    running = machine is not None and machine.alive
    if machine is not None:
        machine.down()
    return running


def up(
    folder: Path = DEFAULT_FOLDER,
    ports: Ports | None = None,
    *,
    overrides: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Machine:
    """Start everything and deploy the template; on any failure, end again whatever was started.

    Args:
        folder: its state, logs included; emptied first.
        ports: where its parts listen.
        overrides: template parameters beyond those of samconfig.toml's `local` environment.
        say: told each step in a few words.

    Raises:
        SetupError: something is missing or in use on this machine.
        StackError: the deployment failed, with CloudFormation's reason.
    """
    ports = ports or Ports()
    earlier = _read(folder)
    if earlier is not None and earlier.alive:
        raise SetupError("a local stack is already running: stop it with `make down`, or use it as it is")
    if earlier is None and folder.exists() and any(folder.iterdir()):
        raise SetupError(f"{folder} has files that are no local stack's, and would be emptied: name another --state")
    processes.claim_port(ports.opensearch, what="OpenSearch", option="--opensearch-port")
    processes.claim_port(ports.aws, what="the local AWS", option="--aws-port")
    processes.claim_port(ports.live, what="the live page", option="--live-port")
    home = distribution.assemble(say)
    _empty(folder)
    machine = Machine(folder, ports, home)
    machine.save()
    try:
        _start(machine, overrides or {}, say)
    except BaseException:
        machine.down()
        raise
    return machine


def _start(machine: Machine, overrides: Mapping[str, str], say: Callable[[str], None]) -> None:
    """The steps of `up`, in order; OpenSearch starts while sam builds."""
    server = opensearch.prepare(machine.folder / "opensearch", machine.home, machine.ports.opensearch)
    say("OpenSearch with its security plugin is starting")
    process = server.launch()
    machine.add(process)
    say("sam build")
    deployment.build(machine.logs / "sam-build.log")
    server.wait(process)
    say(f"OpenSearch is up: {server.url}")
    machine.add(machine.aws.start(domain_endpoint=f"127.0.0.1:{server.port}", ca_file=server.ca_file))
    say(f"AWS's APIs are up: {machine.aws.url}")
    say("sam deploy")
    stack = deploy(machine, overrides)
    say(f"stack {stack.name} is deployed")
    deliver(machine, stack)
    say(f"delivery stream {stack.output('DeliveryStreamName')} is delivering")
    watch(machine)
    say(f"the live page is up: {machine.live_url}")


def deploy(machine: Machine, overrides: Mapping[str, str] | None = None) -> Stack:
    """Run `sam deploy`, and meanwhile make the domain's master user as AWS would.

    Raises:
        StackError: the deployment failed, with CloudFormation's reason.
    """
    cloudformation, secrets = (machine.aws.client(name) for name in ("cloudformation", "secretsmanager"))
    server = machine.opensearch
    made = ""

    def make_master_user() -> None:
        nonlocal made
        made = create_master_user(cloudformation, secrets, machine.stack_name, server, made)

    log = machine.logs / "sam-deploy.log"
    deployment.deploy(machine.aws, log, stack=machine.stack_name, overrides=overrides, meanwhile=make_master_user)
    return machine.stack()


def deliver(machine: Machine, stack: Stack) -> None:
    """Start the delivery worker of `stack` and return once it is at work.

    It has the environment of any AWS client of this machine, and nothing else of its caller's.

    Raises:
        SetupError: it did not come up; names its log.
    """
    server = machine.opensearch
    command = [*_IOT_STREAM, "deliver", "--delivery-stream", stack.output("DeliveryStreamName")]
    command += ["--endpoint-url", machine.aws.url]
    command += ["--region", machine.aws.region, "--state", str(machine.delivery_state)]
    command += ["--sign-in", "jwt", "--jwt-key", str(server.jwt_key_file), "--ca", str(server.ca_file)]
    environment = processes.clean_environment(**machine.aws.environment())
    process = processes.start(_WORKER, command, log=machine.logs / "deliver.log", environment=environment)
    machine.add(process)

    def at_work() -> bool:
        return read_status(machine.delivery_state).state == "running"

    processes.wait_until(at_work, process, seconds=_PART_SECONDS, what="its first status")


def watch(machine: Machine) -> None:
    """Start the live page of `machine` and return once it can be loaded.

    Raises:
        SetupError: it did not come up; names its log.
    """
    command = [*_IOT_STREAM, "live", "--state", str(machine.folder), "--port", str(machine.ports.live)]
    environment = processes.clean_environment(**machine.aws.environment())
    process = processes.start("the live page", command, log=machine.logs / "live.log", environment=environment)
    machine.add(process)
    processes.wait_until(
        lambda: processes.answers(machine.live_url), process, seconds=_PART_SECONDS, what="its first answer"
    )


def _empty(folder: Path) -> None:
    """Delete what an earlier machine left but for its record, or an interrupted start would lock out the next."""
    for child in folder.iterdir() if folder.exists() else ():
        if child.is_dir():
            shutil.rmtree(child, ignore_errors=True)
        elif child != _record(folder):
            child.unlink()


def _record(folder: Path) -> Path:
    return folder / "machine.json"


def _read(folder: Path) -> Machine | None:
    try:
        record = json.loads(_record(folder).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    running = [Process(**process) for process in record["running"]]
    return Machine(folder, Ports(**record["ports"]), Path(record["home"]), record["stack_name"], running)
