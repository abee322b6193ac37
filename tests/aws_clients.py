"""boto3 clients for unit tests, each made once in a run: making one takes longer than most tests.

Both moto and botocore's Stubber work on a client that exists already: moto adds its handler to each client made
after its import, and responds inside `mock_aws` only. Whatever a test sets on such a client it takes back.
"""

from functools import cache
from typing import Any

import boto3
import moto  # noqa: F401  # before any client is made, so that moto's handler is in each

__all__ = ["aws_client"]


@cache
def aws_client(service: str, region: str = "us-east-1") -> Any:
    """Return the client of a service, with credentials that AWS would refuse."""
    return boto3.client(service, region_name=region, aws_access_key_id="AKID", aws_secret_access_key="secret")
