"""The template keeps the walkthrough's names and settings, and the habits that a deployment depends on.

What CloudFormation itself can check (types, values, references) is `sam validate --lint`'s part, in `make check`.
"""

import itertools
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest

from iot_stream.paths import PROJECT
from tests.template import load_template

PARAMETERS = load_template()["Parameters"]
RESOURCES = load_template()["Resources"]
OUTPUTS = load_template()["Outputs"]
DELIVERY = RESOURCES["DeliveryStream"]["Properties"]
DESTINATION = DELIVERY["AmazonopensearchserviceDestinationConfiguration"]


def _of_type(kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def _statements() -> Iterator[Any]:
    """Every statement of every role as `pytest.param`, conditional ones resolved both ways."""
    for name, role in _of_type("AWS::IAM::Role").items():
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                branches = statement["If"][1:] if "If" in statement else [statement]
                for branch in branches:
                    if "Effect" in branch:  # not AWS::NoValue
                        yield pytest.param(branch, id=f"{name}-{policy['PolicyName']}")


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("StreamName", "iot-data-stream-2"),
        ("DeliveryStreamName", "kinesis-Opensearch"),
        ("EnrichmentFunctionName", "iot-enrichment"),
        ("DomainName", "builders"),
        ("IndexName", "iot-stream"),
        ("IndexRotationPeriod", "NoRotation"),
        ("BackupBucketSuffix", "builders-analytics"),
        ("BackupPrefix", "opensearch_backup/"),
        ("OpenSearchRoleName", "kinesis-firehose"),
        ("TransformBufferSizeInMBs", 0.2),
        ("TransformBufferIntervalInSeconds", 60),
        ("DeliveryBufferSizeInMBs", 1),
        ("DeliveryBufferIntervalInSeconds", 60),
        ("BackupMode", "FailedDocumentsOnly"),
    ],
)
def test_the_walkthroughs_settings_are_the_defaults(parameter: str, value: object) -> None:
    """Deployed without parameters, the system is the one that was made by hand."""
    assert PARAMETERS[parameter]["Default"] == value


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_described_and_bounded(name: str) -> None:
    """A wrong value fails before anything is made, with words that say what is right."""
    parameter = PARAMETERS[name]
    assert parameter["Description"].endswith((".", ")"))
    if "AllowedPattern" in parameter:
        assert parameter["ConstraintDescription"]
        assert re.fullmatch(parameter["AllowedPattern"], str(parameter["Default"]))
    else:
        assert "AllowedValues" in parameter or {"MinValue", "MaxValue"} <= parameter.keys()


def test_every_parameter_is_in_one_group_of_the_console() -> None:
    """The form people fill in follows the flow."""
    groups = load_template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sorted(itertools.chain.from_iterable(group["Parameters"] for group in groups)) == sorted(PARAMETERS)


@pytest.mark.parametrize("name", _of_type("AWS::Serverless::Function"))
def test_a_function_has_a_log_group_that_forgets(name: str) -> None:
    """Without one, Lambda makes a group that keeps everything for ever and outlives the stack."""
    group = RESOURCES[name]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}


@pytest.mark.parametrize("statement", list(_statements()))
def test_a_role_may_do_named_things_to_named_resources(statement: dict[str, Any]) -> None:
    """No statement is on all resources, and none allows a whole service but the domain's HTTP methods."""
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    assert "*" not in resources
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+|es:ESHttp\*", action) for action in actions)


def test_only_this_accounts_delivery_streams_may_use_the_delivery_role() -> None:
    """The external id keeps Firehose from being talked into it by another account (confused deputy)."""
    [statement] = RESOURCES["DeliveryRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "AWS::AccountId"}}}


def test_nothing_is_delivered_before_the_role_is_mapped() -> None:
    """The delivery stream waits for the mapping, which needs only the delivery role: no circle."""
    assert RESOURCES["DeliveryStream"]["DependsOn"] == "RoleMapping"


def test_the_delivery_stream_names_no_document_type() -> None:
    """TypeName must be absent for OpenSearch (API reference, AmazonopensearchserviceDestinationConfiguration)."""
    assert "TypeName" not in DESTINATION


def test_each_processor_parameter_is_one_that_firehose_knows() -> None:
    """ProcessorParameter's names, from botocore's model of the Firehose API."""
    model = botocore.session.get_session().get_service_model("firehose").shape_for("ProcessorParameterName")
    [processor] = DESTINATION["ProcessingConfiguration"]["Processors"]
    assert {parameter["ParameterName"] for parameter in processor["Parameters"]} <= set(model.enum)


def test_the_custom_resource_waits_longer_than_its_function_runs() -> None:
    """Else CloudFormation would give up on an answer that is still to come (the default is an hour of silence)."""
    mapper = RESOURCES["RoleMapperFunction"]["Properties"]
    assert int(RESOURCES["RoleMapping"]["Properties"]["ServiceTimeout"]) > mapper["Timeout"]


def test_fine_grained_access_control_has_what_it_needs() -> None:
    """HTTPS, encryption at rest and between nodes (Fine-grained access control in Amazon OpenSearch Service)."""
    domain = RESOURCES["Domain"]["Properties"]
    assert domain["AdvancedSecurityOptions"]["Enabled"] is True
    assert domain["DomainEndpointOptions"]["EnforceHTTPS"] is True
    assert domain["EncryptionAtRestOptions"] == {"Enabled": True}
    assert domain["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    assert domain["AdvancedOptions"]["rest.action.multi.allow_explicit_index"] == "true"


def test_no_output_shows_a_password() -> None:
    """Outputs are readable by everyone who may describe the stack."""
    assert "resolve:secretsmanager" not in str(OUTPUTS)


def test_the_local_environment_sets_only_parameters_that_exist() -> None:
    """One unmodified template serves AWS and this machine; what differs are parameters that make sense on both."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    overrides = dict(entry.split("=") for entry in config["local"]["deploy"]["parameters"]["parameter_overrides"])
    assert overrides.keys() <= PARAMETERS.keys()
    assert "parameter_overrides" not in config["default"]["deploy"]["parameters"]
