"""The delivery worker's command, which stands in for Amazon Data Firehose."""

from pathlib import Path
from typing import Any

import click

__all__ = ["deliver"]


@click.command()
@click.option("--delivery-stream", required=True, metavar="NAME", help="Name of the delivery stream to stand in for.")
@click.option("--endpoint-url", metavar="URL", help="Endpoint of AWS's APIs.  [default: AWS, or AWS_ENDPOINT_URL]")
@click.option("--region", envvar=["AWS_REGION", "AWS_DEFAULT_REGION"], default="us-east-1", help="AWS region.")
@click.option(
    "--state",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of its progress.  [default: .local/delivery/NAME here]",
)
@click.option(
    "--sign-in",
    type=click.Choice(["sigv4", "jwt", "basic", "none"]),
    default="sigv4",
    help="How to sign in to the domain; basic takes OPENSEARCH_USER and OPENSEARCH_PASSWORD from the environment.",
)
@click.option(
    "--jwt-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The security plugin's signing_key (base64), for --sign-in jwt: the worker is the delivery role.",
)
@click.option(
    "--ca",
    "ca_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Certificate authority to verify the domain's certificate with (PEM).",
)
@click.option(
    "--domain-url",
    metavar="URL",
    help="Where to reach the domain, e.g. through a tunnel into its VPC.  [default: its endpoint]",
)
@click.option("--own-credentials", is_flag=True, help="Call AWS with your own credentials, not as the delivery role.")
@click.option(
    "--log-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file that stderr is appended to, if nothing else writes to it: it is rotated at 5 MB.",
)
def deliver(delivery_stream: str, state: Path | None, *, own_credentials: bool, **given: Any) -> None:
    """Stand in for Amazon Data Firehose: deliver from a delivery stream's Kinesis stream to its domain.

    Works against any endpoint that has Kinesis, Lambda, S3, STS and Firehose's DescribeDeliveryStream; docs/delivery.md
    has an example. Ctrl-C or SIGTERM stops it; started again, it resumes where it stopped.
    """
    from iot_stream.delivery.service import serve
    from iot_stream.delivery.worker import Options

    folder = state or Path(".local", "delivery", delivery_stream)
    serve(Options(delivery_stream=delivery_stream, state=folder, assume_roles=not own_credentials, **given))
