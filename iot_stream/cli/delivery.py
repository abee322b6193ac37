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
    help="Folder for saved progress.  [default: .local/delivery/NAME in the current folder]",
)
@click.option(
    "--sign-in",
    type=click.Choice(["sigv4", "jwt", "basic", "none"]),
    default="sigv4",
    help="How to sign in to the domain; basic reads OPENSEARCH_USER and OPENSEARCH_PASSWORD from the environment.",
)
@click.option(
    "--jwt-key",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the security plugin's signing_key (base64), for --sign-in jwt; the worker signs in as the delivery "
    "role.",
)
@click.option(
    "--ca",
    "ca_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CA certificate (PEM) to verify the domain's certificate with.",
)
@click.option(
    "--domain-url",
    metavar="URL",
    help="URL to reach the domain at, for example through a tunnel into its VPC.  [default: its endpoint]",
)
@click.option("--own-credentials", is_flag=True, help="Call AWS with your own credentials, not as the delivery role.")
@click.option(
    "--log-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="File that stderr is appended to (2>>FILE), for the worker to rotate at 5 MB. Nothing else may write to it.",
)
def deliver(delivery_stream: str, state: Path | None, *, own_credentials: bool, **given: Any) -> None:
    """Run a local stand-in for Amazon Data Firehose that delivers a Kinesis stream to an OpenSearch domain.

    The endpoint must support Kinesis, Lambda, S3, STS and Firehose's DescribeDeliveryStream; docs/delivery.md has an
    example. Ctrl-C or SIGTERM stops it. After a restart, it resumes where it stopped.
    """
    from iot_stream.delivery.service import serve
    from iot_stream.delivery.worker import Options

    folder = state or Path(".local", "delivery", delivery_stream)
    serve(Options(delivery_stream=delivery_stream, state=folder, assume_roles=not own_credentials, **given))
