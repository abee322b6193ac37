"""What the caller's own settings of AWS lack is said with what mends it, and their region is found as they set it."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError, InvalidRegionError
from click.testing import CliRunner

from iot_stream.caller import advice, caller_session, remedy
from iot_stream.cli import cli
from iot_stream.errors import StackError

NOTHING = (
    "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE",
    "AWS_MAX_ATTEMPTS",
)  # fmt: skip


@pytest.fixture
def caller(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what sets the caller's variables; all that AWS's tools read are unset, and there are no files."""
    for name in NOTHING:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def set_variables(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_variables


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({}, None),
        ({"AWS_REGION": "eu-north-1"}, "eu-north-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
        ({"AWS_REGION": "eu-north-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "eu-west-1"),
    ],
    ids=["none", "AWS_REGION", "AWS_DEFAULT_REGION", "both"],
)
def test_the_region_is_the_one_that_sam_uses_or_else_aws_region(
    caller: Callable[..., None], variables: dict[str, str], region: str | None
) -> None:
    """Sam is boto3 too: where both are set, the stack is where boto3 says."""
    caller(**variables)
    assert caller_session().region_name == region


ACCOUNT = {"AWS_DEFAULT_REGION": "eu-central-1"}
KEY = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}  # AWS's own example


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, r"You must specify a region: export AWS_DEFAULT_REGION=…, for example eu-central-1, or `aws configure`$"),
        (
            {"AWS_PROFILE": "nosuch"},
            r"\(nosuch\) could not be found: export AWS_PROFILE=… of `aws configure list-profiles`",
        ),
        (ACCOUNT, r"Unable to locate credentials: sign in with `aws sso login`"),
        (ACCOUNT | KEY, r"missing: AWS_SECRET_ACCESS_KEY: sign in"),
        (ACCOUNT | {"AWS_MAX_ATTEMPTS": "abc"}, r"with base 10: 'abc': check the variables AWS_…"),
        (
            ACCOUNT | KEY | {"AWS_SECRET_ACCESS_KEY": "x", "AWS_ENDPOINT_URL": "nonsense"},
            r"Invalid endpoint: nonsense: check the variables AWS_…",
        ),
    ],
    ids=["no region", "no such profile", "no credentials", "half a key", "no number", "no URL"],
)
@pytest.mark.parametrize(
    "command",
    [["send"], ["alarms"], ["alerts"], ["password"], ["domain", "show"], ["failures", "list"], ["failures", "replay"]],
    ids=" ".join,
)
def test_every_command_with_aws_says_what_to_set(
    caller: Callable[..., None], variables: dict[str, str], words: str, command: list[str]
) -> None:
    """In one line, with the library's own words first."""
    caller(**variables)
    result = CliRunner().invoke(cli, [*command, "--aws"])
    assert isinstance(result.exception, StackError), result.exception
    with pytest.raises(StackError, match=words):
        raise result.exception


def test_what_botocore_says_itself_of_a_setting_is_not_said_in_other_words(caller: Callable[..., None]) -> None:
    """Its error for a region's name is a ValueError too."""
    caller(AWS_DEFAULT_REGION="a b")
    with pytest.raises(InvalidRegionError, match="'a b' doesn't match a supported format"):
        caller_session().client("s3")


@pytest.mark.parametrize(
    ("variables", "what", "cure"),
    [
        (
            {"AWS_PROFILE": "nosuch"},
            "The config profile (nosuch) could not be found",
            "export AWS_PROFILE=… of `aws configure list-profiles`, or unset it",
        ),
        (
            KEY | {"AWS_SECRET_ACCESS_KEY": "x"},
            "You must specify a region",
            "export AWS_DEFAULT_REGION=…, for example eu-central-1, or `aws configure`",
        ),
        (
            ACCOUNT | {"AWS_MAX_ATTEMPTS": "abc"},
            "a setting of boto3 is wrong: invalid literal for int() with base 10: 'abc'",
            "check the variables AWS_…, such as AWS_MAX_ATTEMPTS or AWS_ENDPOINT_URL, and ~/.aws/config",
        ),
    ],
    ids=["no such profile", "no region", "no number"],
)
def test_the_doctor_says_the_same_of_the_credentials(
    caller: Callable[..., None], variables: dict[str, str], what: str, cure: str
) -> None:
    """As what mends the first layer that refuses; that STS has an endpoint without a region hides nothing."""
    caller(**variables)
    result = CliRunner(mix_stderr=False).invoke(cli, ["doctor", "--aws"])
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert f"first failing layer: credentials: AWS can't be called: {what}" in lines
    assert f"to fix it: {cure}" in lines


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId", "AccessDenied"])
def test_an_expired_session_says_to_sign_in_again_and_a_missing_permission_does_not(code: str) -> None:
    """What AWS itself refuses keeps its own words."""
    response: Any = {"Error": {"Code": code, "Message": "no."}}
    error = ClientError(response, "DescribeStacks")
    assert advice(error).startswith(str(error).rstrip("."))
    assert ("aws sso login" in advice(error)) is (code != "AccessDenied")
    assert bool(remedy(error)) is (code != "AccessDenied")
