"""The role mapper gives its credentials to its own stack's domain only, whatever an event says."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import botocore.loaders
import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from role_mapper import handler, master_user, response_sender
from role_mapper.cloudformation import ResponseNotSentError, check_response_url
from role_mapper.deadline import Deadline
from role_mapper.errors import PropertiesError, SettingsError
from role_mapper.settings import MasterUserMode, Settings
from tests.builders import (
    DOMAIN_ENDPOINT,
    FUNCTION_ENVIRONMENT,
    SECRET_ARN,
    STACK_ID,
    custom_resource_event,
    mapping_properties,
)
from tests.fake_domain import Clock, FakeDomain, FakeResponse
from tests.lambda_context import LambdaContext
from tests.secrets import leaks, make_secret
from tests.template import load_template

pytestmark = pytest.mark.secrets

PASSWORD = make_secret("Only-For.Our-Domain+7")
ATTACKER = "attacker.example"


@dataclass
class Network:
    """Every request that left and every secret that was read; the domain returns `response` to every request."""

    response: FakeResponse
    location: str = ""
    sent: list[tuple[str, str]] = field(default_factory=list)
    secrets_read: list[str] = field(default_factory=list)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Stand in for every way out of the function."""
        with pytest.MonkeyPatch.context() as patch:
            for name, value in FUNCTION_ENVIRONMENT.items():
                patch.setenv(name, value)
            clock = Clock()
            patch.setattr(response_sender, "Deadline", lambda _: Deadline(1, clock=clock, wait=clock.wait))
            patch.setattr(requests.adapters.HTTPAdapter, "send", self._send)
            patch.setattr(urllib.request, "urlopen", self._urlopen)
            patch.setattr(master_user, "_read_secret", self._read_secret)
            yield

    def _send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        text = f"{dict(request.headers)} {request.body!r}"
        self.sent.append((request.url or "", text))
        response = requests.Response()
        response.status_code = self.response.status
        response._content = self.response.text.encode()
        response.headers["Content-Type"] = self.response.content_type
        if self.location:
            response.headers["Location"] = self.location
        response.request, response.url = request, request.url or ""
        return response

    def _urlopen(self, request: urllib.request.Request, timeout: float) -> Any:
        assert timeout > 0
        self.sent.append((request.full_url, f"{dict(request.header_items())} {request.data!r}"))
        return open("/dev/null", "rb")  # noqa: PTH123  # an empty response, closed by its reader

    def _read_secret(self, _: Any, arn: str) -> str:
        self.secrets_read.append(arn)
        return json.dumps({"username": "admin", "password": PASSWORD})


hosts = st.sampled_from(
    [
        DOMAIN_ENDPOINT,
        ATTACKER,
        f"{ATTACKER}:9200",
        f"{DOMAIN_ENDPOINT}@{ATTACKER}",
        f"{DOMAIN_ENDPOINT}:443@{ATTACKER}",
        f"{DOMAIN_ENDPOINT}.{ATTACKER}",
        f"{ATTACKER}/{DOMAIN_ENDPOINT}",
        f"{ATTACKER}#{DOMAIN_ENDPOINT}",
        f"{ATTACKER}?{DOMAIN_ENDPOINT}",
        f"https://{ATTACKER}",
        f"{ATTACKER}\\@{DOMAIN_ENDPOINT}",
        # Hosts that look like ours, or become ours or another one after normalization (IDNA, NFKC, case, dot, space).
        f"{DOMAIN_ENDPOINT}.",
        f" {DOMAIN_ENDPOINT}",
        f"{DOMAIN_ENDPOINT}\n",
        f"{DOMAIN_ENDPOINT}\r\nHost: {ATTACKER}",
        f"{DOMAIN_ENDPOINT}\0.{ATTACKER}",
        DOMAIN_ENDPOINT.upper(),
        DOMAIN_ENDPOINT.replace("a", "\u0430"),
        DOMAIN_ENDPOINT.replace(".", "\u3002"),
        DOMAIN_ENDPOINT.replace("s", "\uff53"),
        f"{ATTACKER}%2f{DOMAIN_ENDPOINT}",
        "127.0.0.1:9200",
        "[::1]:9200",
        "2130706433",
        "169.254.169.254",
        "localtest.me",
    ]
)
json_values = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.lists(st.text(max_size=5), max_size=2)
)
properties = st.builds(
    lambda changes: mapping_properties() | changes,
    st.dictionaries(
        st.sampled_from([*mapping_properties(), "MasterUserMode", "MasterUserSecretArn"]),
        hosts | json_values,
        max_size=4,
    ),
)
BUCKET = "cloudformation-custom-resource-response-useast1"
RESPONSE_URL = f"https://{BUCKET}.s3.amazonaws.com/x?X-Amz-Signature=abc"
hostile_urls = st.sampled_from(
    [
        f"https://{ATTACKER}/",
        f"http://{BUCKET}.s3.amazonaws.com/x",
        f"https://{BUCKET}.s3.amazonaws.com@{ATTACKER}/x",
        f"https://{BUCKET}.s3.amazonaws.com.{ATTACKER}/x",
        f"https://{BUCKET}-{ATTACKER}/x",
        "https://someones-bucket.s3.amazonaws.com/x",
        "file:///etc/passwd",
        f"ftp://{ATTACKER}/",
        # Look-alikes: other spellings of a URL, another region's or a website's bucket, names that resolve elsewhere.
        f"HTTPS://{ATTACKER}/",
        f"//{ATTACKER}/",
        f"https:/\\{ATTACKER}/",
        f"https:///{ATTACKER}/",
        f" https://{BUCKET}.s3.amazonaws.com/x",
        f"https://{BUCKET}.s3.amazonaws.com/x\r\nHost: {ATTACKER}",
        f"https://{BUCKET}.s3.amazonaws.com\t@{ATTACKER}/x",
        f"https://{BUCKET}.s3.amazonaws.com:443@{ATTACKER}/x",
        f"https://{BUCKET}.s3.amazonaws.com:8443/x",
        f"https://{BUCKET}.s3.amazonaws.com./x",
        f"https://{BUCKET}.s3.amazonaws.com?@{ATTACKER}/x",
        f"https://{BUCKET}.s3.amazonaws.com#@{ATTACKER}/x",
        f"https://{BUCKET}.s3.amazonaws.com\\@{ATTACKER}/x",
        f"https://{BUCKET}.s3\u3002amazonaws.com/x",
        f"https://{BUCKET}.s3.amazonaws\uff0ecom/x",
        f"https://{BUCKET}.s3.amazon\u0430ws.com/x",
        f"https://{BUCKET}.s3-website-us-east-1.amazonaws.com/x",
        "https://cloudformation-custom-resource-response-uswest2.s3.us-west-2.amazonaws.com/x",
        f"https://s3.amazonaws.com/{BUCKET}/x",
        f"https://{BUCKET}x.s3.amazonaws.com/x",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1:4566/x",
        "https://[::1]/x",
    ]
)


def draw_events(
    kinds: st.SearchStrategy[str], wanted: st.SearchStrategy[dict[str, Any]], urls: st.SearchStrategy[str]
) -> st.SearchStrategy[dict[str, Any]]:
    """Draw events of these request types, properties and response URLs."""
    return st.builds(
        lambda kind, after, before, url: custom_resource_event(
            kind, after, OldResourceProperties=before, ResponseURL=url, PhysicalResourceId="id"
        ),
        kinds,
        wanted,
        properties,
        urls,
    )


request_types = st.sampled_from(["Create", "Update", "Delete", "Show"])
# The URL is checked first: with one that is refused, nothing that the properties name is ever looked at.
accepted_urls = st.sampled_from(["", RESPONSE_URL])
other_domains = st.builds(
    lambda wanted, host: wanted | {"DomainEndpoint": host},
    properties,
    hosts.filter(lambda host: host != DOMAIN_ENDPOINT),
)
responses = st.sampled_from(
    [
        FakeResponse(200, {}),
        FakeResponse(200, "text", "text/plain"),
        FakeResponse(302, "", "text/html"),
        FakeResponse(307, "", "text/html"),
        FakeResponse(400, {"message": "no"}),
    ]
)


def check_credentials(network: Network) -> None:
    """Only our domain is signed in to, with our secret, and no other request has a credential in it."""
    assert set(network.secrets_read) <= {SECRET_ARN}
    for url, text in network.sent:
        target = urlsplit(url)
        assert target.scheme == "https"
        if target.netloc not in {DOMAIN_ENDPOINT, f"{DOMAIN_ENDPOINT}:443"}:
            assert target.netloc.startswith(f"{BUCKET}.s3."), f"a request to {url}"
            assert not leaks(text)
            assert "Authorization" not in text


@given(draw_events(request_types, other_domains, accepted_urls), responses)
def test_an_event_that_names_another_domain_gets_no_credential(event: dict[str, Any], response: FakeResponse) -> None:
    """Every drawn event passes the check of its URL and names another domain: no request but the response leaves."""
    network = Network(response)
    with network.installed():
        handler.lambda_handler(event, LambdaContext())
    check_credentials(network)
    if event["RequestType"] != "Delete":  # which goes to our domain whatever the properties say
        assert {url for url, _ in network.sent} <= {RESPONSE_URL}
        assert not network.secrets_read


@given(draw_events(request_types | st.just("Other"), properties, accepted_urls), responses, hosts)
def test_no_credential_leaves_for_another_host_whatever_the_event_says(
    event: dict[str, Any], response: FakeResponse, redirect: str
) -> None:
    """Other properties, or a domain that redirects: only our domain is signed in to."""
    network = Network(response, f"https://{redirect}/" if response.status in {302, 307} else "")
    with network.installed():
        handler.lambda_handler(event, LambdaContext())
    check_credentials(network)


@given(draw_events(request_types, properties, hostile_urls | st.text(min_size=1, max_size=30)))
def test_an_event_with_somebody_elses_response_url_has_no_effect(event: dict[str, Any]) -> None:
    """Nothing is sent and no secret is read."""
    network = Network(FakeResponse(200, {}))
    with network.installed(), pytest.raises(ResponseNotSentError):
        handler.lambda_handler(event, LambdaContext())
    assert not network.sent
    assert not network.secrets_read


def test_our_own_domain_is_signed_in_to() -> None:
    """The recorder above sees a credential where there is one."""
    network = Network(FakeResponse(400, {"message": "no"}))
    with network.installed():
        handler.lambda_handler(custom_resource_event("Create"), LambdaContext())
    signed = [url for url, text in network.sent if "Basic " in text]
    assert signed
    assert {urlsplit(url).hostname for url in signed} == {DOMAIN_ENDPOINT}
    assert network.secrets_read == [SECRET_ARN]


@pytest.mark.parametrize(
    ("key", "value"),
    [("DomainEndpoint", ATTACKER), ("MasterUserSecretArn", SECRET_ARN + "x"), ("MasterUserMode", "IamRole")],
)
@pytest.mark.parametrize("kind", ["Create", "Update", "Show"])
def test_an_event_that_names_another_domain_or_secret_is_refused_by_name(
    fake_domain: FakeDomain, monkeypatch: pytest.MonkeyPatch, kind: str, key: str, value: str
) -> None:
    """FAILED, and nothing is called; what the event named is not repeated."""
    for name, setting in FUNCTION_ENVIRONMENT.items():
        monkeypatch.setenv(name, setting)
    secrets_read: list[str] = []

    def read_secret(_: Any, arn: str) -> str:
        secrets_read.append(arn)
        return "{}"

    monkeypatch.setattr(master_user, "_read_secret", read_secret)
    event = custom_resource_event(kind, mapping_properties(**{key: value}), ResponseURL="")
    response = handler.lambda_handler(event, LambdaContext())
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith(f"{key} is not the one in this function's environment")
    assert not fake_domain.calls
    assert not secrets_read


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("DOMAIN_ENDPOINT", "", "DOMAIN_ENDPOINT is ''"),
        ("DOMAIN_ENDPOINT", "https://search-x.es.amazonaws.com", "without https://"),
        ("DOMAIN_ENDPOINT", "search-x.es.amazonaws.com/", "or a path"),
        ("DOMAIN_ENDPOINT", f"search-x@{ATTACKER}", "DOMAIN_ENDPOINT is"),
        ("MASTER_USER_MODE", "Root", "set it to one of InternalUser, IamRole"),
        ("MASTER_USER_SECRET_ARN", "", "MASTER_USER_SECRET_ARN is missing"),
    ],
)
def test_a_wrong_setting_is_named(variable: str, value: str, words: str) -> None:
    """The sentence becomes the Reason of a FAILED."""
    with pytest.raises(SettingsError, match=words):
        Settings.from_environment(FUNCTION_ENVIRONMENT | {variable: value})


def test_an_iam_master_needs_no_secret() -> None:
    """The template sets an empty ARN then."""
    environment = FUNCTION_ENVIRONMENT | {"MASTER_USER_MODE": "IamRole", "MASTER_USER_SECRET_ARN": ""}
    settings = Settings.from_environment(environment)
    assert (settings.master_user_mode, settings.master_user_secret_arn) == (MasterUserMode.IAM_ROLE, "")


def test_an_event_need_not_name_what_the_environment_says() -> None:
    """And may repeat it, as events of earlier versions of the template do."""
    settings = Settings.from_environment(FUNCTION_ENVIRONMENT)
    settings.check({}, STACK_ID)
    settings.check({"DomainEndpoint": DOMAIN_ENDPOINT, "MasterUserSecretArn": SECRET_ARN}, STACK_ID)
    with pytest.raises(PropertiesError):
        settings.check({"DomainEndpoint": None}, STACK_ID)


# Hosts as public samples of CloudFormation's events have them, and the bucket of AWS's page on VPC endpoints.
@pytest.mark.parametrize(
    ("region", "suffix", "url"),
    [
        ("us-east-1", "amazonaws.com", f"https://{BUCKET}.s3.amazonaws.com/arn%3Aaws%3A?X-Amz-Signature=a%2Fb"),
        (
            "eu-west-1",
            "amazonaws.com",
            "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/x",
        ),
        (
            "us-east-2",
            "amazonaws.com",
            "https://cloudformation-custom-resource-response-useast2.s3.us-east-2.amazonaws.com/x",
        ),
        (
            "cn-north-1",
            "amazonaws.com.cn",
            "https://cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn/x",
        ),
    ],
)
def test_cloudformations_own_addresses_are_accepted(region: str, suffix: str, url: str) -> None:
    """Each form of an S3 host, in each partition; another region's bucket is somebody else's."""
    check_response_url(url, {"AWS_REGION": region, "URL_SUFFIX": suffix})
    with pytest.raises(ResponseNotSentError, match="not one of CloudFormation's"):
        check_response_url(url, {"AWS_REGION": "ap-south-1", "URL_SUFFIX": suffix})


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4567/_ministack/cfn-response/x",
        "https://127.0.0.1:4566/x",
        "http://127.0.0.1:4566@attacker.example/x",
        "http://127.0.0.1:4566\\@attacker.example/x",
        "http://127.0.0.1:4566\n/x",
        " http://127.0.0.1:4566/x",
    ],
)
def test_the_local_stacks_address_is_the_one_of_its_configuration(url: str) -> None:
    """AWS_ENDPOINT_URL, exactly: the same scheme, host and port."""
    local = FUNCTION_ENVIRONMENT | {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}
    check_response_url("http://127.0.0.1:4566/_ministack/cfn-response/x", local)
    with pytest.raises(ResponseNotSentError):
        check_response_url("http://127.0.0.1:4566/_ministack/cfn-response/x", FUNCTION_ENVIRONMENT)
    with pytest.raises(ResponseNotSentError) as raised:
        check_response_url(url, local)
    assert ATTACKER not in str(raised.value)


def test_the_template_sets_the_functions_environment() -> None:
    """The custom resources' alias leads to no version: that would keep the environment it was published with.

    It is the alias that SAM made in 1.0.0, by its logical id: "Updates aren't supported" of a ServiceToken (AWS
    CloudFormation Template Reference, AWS::CloudFormation::CustomResource).
    """
    resources = load_template()["Resources"]
    variables = resources["RoleMapperFunction"]["Properties"]["Environment"]["Variables"]
    assert set(variables) == set(FUNCTION_ENVIRONMENT) - {"AWS_REGION"}
    assert variables["URL_SUFFIX"] == {"Ref": "AWS::URLSuffix"}
    assert variables["DOMAIN_ENDPOINT"] == {"GetAtt": "Domain.DomainEndpoint"}
    alias = resources["RoleMapperFunctionAliaslive"]["Properties"]
    assert alias == {"FunctionName": {"Ref": "RoleMapperFunction"}, "Name": "live", "FunctionVersion": "$LATEST"}
    for resource in ("RoleMapping", "ChangeOver"):
        assert resources[resource]["Properties"]["ServiceToken"] == {"Ref": "RoleMapperFunctionAliaslive"}


def test_every_partitions_suffix_is_a_host_name() -> None:
    """AWS::URLSuffix is the partition's DNS suffix, as botocore's list of partitions has it."""
    for partition in botocore.loaders.Loader().load_data("partitions")["partitions"]:
        region = next(iter(partition["regions"]))
        bucket = f"cloudformation-custom-resource-response-{region.replace('-', '')}"
        suffix = partition["outputs"]["dnsSuffix"]
        check_response_url(f"https://{bucket}.s3.{region}.{suffix}/x", {"AWS_REGION": region, "URL_SUFFIX": suffix})
