"""The worker as a process of its own: its log, its memory and the signals that stop it."""

import signal

from iot_stream.delivery.edges import log
from iot_stream.delivery.edges.memory import collect_rarely, limit_arenas
from iot_stream.delivery.worker import Options, Worker

__all__ = ["serve"]


def serve(options: Options) -> None:
    """Deliver until SIGTERM or SIGINT.

    Raises:
        DeliveryError, SettingsError: see `Worker`.
    """
    log.set_up(options.log_file)
    limit_arenas()
    collect_rarely()
    worker = Worker(options)

    def stop(*_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            # A second signal ends the process at once; the next start continues, as after SIGKILL.
            signal.signal(number, signal.SIG_DFL)
        worker.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    worker.run()
