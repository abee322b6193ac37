"""The template keeps the walkthrough's names and settings, and the habits that a deployment depends on.

What CloudFormation itself can check (types, values, references) is `sam validate --lint`'s part, in `make check`.
"""

import copy
import itertools
import json
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from iot_stream.local.local_stack import STACK_NAME
from iot_stream.local.ministack import PROFILE, Ministack
from iot_stream.paths import PROJECT
from role_mapper.deployment_rules import problems, remembered
from tests.environments import ENVIRONMENTS, conditions
from tests.template import load_template

PARAMETERS = load_template()["Parameters"]
RESOURCES = load_template()["Resources"]
OUTPUTS = load_template()["Outputs"]
DELIVERY = RESOURCES["DeliveryStream"]["Properties"]
DESTINATION = DELIVERY["AmazonopensearchserviceDestinationConfiguration"]


def _of_type(kind: str) -> dict[str, Any]:
    return {name: resource for name, resource in RESOURCES.items() if resource["Type"] == kind}


def _documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every policy document of a role, by a name for the test's id."""
    for name, role in _of_type("AWS::IAM::Role").items():
        for policy in (each["If"][1] if "If" in each else each for each in role["Properties"]["Policies"]):
            yield f"{name}-{policy['PolicyName']}", policy["PolicyDocument"]
    for name, policy in _of_type("AWS::IAM::ManagedPolicy").items():
        yield name, policy["Properties"]["PolicyDocument"]


def _statements() -> Iterator[Any]:
    """Every statement of every role as `pytest.param`, conditional ones resolved both ways."""
    for name, document in _documents():
        for statement in document["Statement"]:
            branches = statement["If"][1:] if "If" in statement else [statement]
            for branch in branches:
                if "Effect" in branch:  # not AWS::NoValue
                    yield pytest.param(branch, id=name)


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


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_used_and_documented(name: str) -> None:
    """One that nothing reads is a promise that is not kept; one without a page is found by nobody."""
    used = (PROJECT / "template.yaml").read_text(encoding="utf-8")
    assert re.search(rf"!Ref {name}\b|\$\{{{name}\}}", used)
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md")]
    assert any(re.search(rf"\b{name}\b", page.read_text(encoding="utf-8")) for page in pages)


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


def test_the_function_s_metrics_pass_its_log_level() -> None:
    """Its metrics are log lines, of which Lambda sends those of the log level and above; one without a level is INFO.

    Source: AWS Lambda Developer Guide, "Log-level filtering".
    """
    assert RESOURCES["EnrichmentFunction"]["Properties"]["LoggingConfig"]["ApplicationLogLevel"] == "INFO"


@pytest.mark.parametrize("statement", list(_statements()))
def test_a_role_may_do_named_things_to_named_resources(statement: dict[str, Any]) -> None:
    """No statement is on all resources, and none allows a whole service but the domain's HTTP methods.

    Network interfaces are an exception: AWS grants them on all resources ("Grant Firehose access to an OpenSearch
    Service destination in a VPC"; the managed policy AWSLambdaVPCAccessExecutionRole), and only in a VPC. Reading
    metrics is the other: GetMetricStatistics has no resource types (Service Authorization Reference, CloudWatch).
    """
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
    if all(action.startswith("ec2:") for action in actions) or actions == ["cloudwatch:GetMetricStatistics"]:
        assert resources == ["*"]
        return
    assert "*" not in resources
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z]+|es:ESHttp\*", action) for action in actions)


def test_only_this_accounts_delivery_streams_may_use_the_delivery_role() -> None:
    """The external id keeps Firehose from being talked into it by another account (confused deputy)."""
    [statement] = RESOURCES["DeliveryRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": {"Ref": "AWS::AccountId"}}}


def test_nothing_is_delivered_before_the_role_is_mapped() -> None:
    """The delivery stream waits for the mapping, which needs only the delivery role: no circle."""
    assert "RoleMapping" in RESOURCES["DeliveryStream"]["DependsOn"]


@pytest.mark.parametrize("name", ["Stream", "BackupBucket", "Domain"])
def test_a_changed_name_deletes_no_data(name: str) -> None:
    """What a replacement would delete is left behind; only the stack's own deletion deletes it, unless RetainData."""
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"
    assert RESOURCES[name]["DeletionPolicy"] == {"If": ["DataIsRetained", "RetainExceptOnCreate", "Delete"]}


def test_only_resources_without_a_condition_choose_their_deletion_policy() -> None:
    """The transform refuses the others (cfn-language-discussion #124), and it comes before SAM's.

    CloudFormation User Guide, "Intrinsic function references in DeletionPolicy and UpdateReplacePolicy attributes" and
    "AWS::LanguageExtensions transform".
    """
    assert load_template()["Transform"] == ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"]
    for name, resource in RESOURCES.items():
        if isinstance(resource.get("DeletionPolicy"), dict):
            assert "Condition" not in resource, name
        assert isinstance(resource.get("UpdateReplacePolicy", ""), str), name


@pytest.mark.parametrize("retain", ["true", "false"])
def test_awss_own_expansion_takes_the_template(
    retain: str, language_extensions: Callable[[dict[str, Any], dict[str, str]], dict[str, Any]]
) -> None:
    """SAM CLI has the transform's rules: it leaves SAM's references alone and chooses the policies."""
    template = _long_forms(copy.deepcopy(load_template()))
    values = {name: str(each["Default"]) for name, each in PARAMETERS.items()} | {"RetainData": retain}
    made = language_extensions(template, values)["Resources"]
    policies = {made[name]["DeletionPolicy"] for name in ("Stream", "BackupBucket", "Domain")}
    assert policies == {"RetainExceptOnCreate" if retain == "true" else "Delete"}
    assert made["DeploymentCheck"]["Properties"]["EnrichmentFunction"] == {"Ref": "EnrichmentFunction.Version"}


def test_the_key_outlives_what_it_encrypts() -> None:
    """CustomerManagedKey=false with another DomainName leaves the old domain and objects behind, encrypted."""
    assert RESOURCES["Key"]["DeletionPolicy"] == "RetainExceptOnCreate", "a failed first deployment leaves nothing"
    assert RESOURCES["Key"]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize(
    ("policy", "parameters"),
    [
        ("IngestPolicy", {"StreamName"}),
        ("TransformPolicy", {"EnrichmentFunctionName"}),
        ("IndexPolicy", {"IndexName", "DomainName"}),
        ("BackupPolicy", {"BackupBucketSuffix"}),
    ],
)
def test_the_delivery_role_keeps_its_old_rights_until_a_rename_is_complete(
    resource_schema: Callable[[str], dict[str, Any]], policy: str, parameters: set[str]
) -> None:
    """A managed policy's Description is create-only, so a new name in it makes a new policy before the old one goes."""
    assert "/properties/Description" in resource_schema("AWS::IAM::ManagedPolicy")["createOnlyProperties"]
    properties = RESOURCES[policy]["Properties"]
    assert parameters <= set(re.findall(r"\$\{(\w+)\}", properties["Description"]["Sub"]))
    assert properties["Roles"] == [{"Ref": "DeliveryRole"}]
    assert policy in RESOURCES["DeliveryStream"]["DependsOn"], "the delivery stream waits for its rights"


def test_a_deleted_stack_can_be_deployed_again() -> None:
    """What a function writes while its stack is deleted makes its log group anew: a fixed name would be taken then."""
    for name, group in _of_type("AWS::Logs::LogGroup").items():
        assert "LogGroupName" not in group["Properties"], name
    for name in _of_type("AWS::Serverless::Function"):
        assert "Role" in RESOURCES[name]["Properties"], f"{name} would get AWS's basic role, which creates log groups"


@pytest.mark.parametrize(
    "instance_type", ["t3.small.search", "m7g.large.search", "r6g.12xlarge.search", "or1.medium.search"]
)
def test_instance_types_with_ebs_are_accepted(instance_type: str) -> None:
    """As Amazon OpenSearch Service writes them."""
    assert re.fullmatch(PARAMETERS["InstanceType"]["AllowedPattern"], instance_type)


@pytest.mark.parametrize(
    "instance_type",
    ["i3.large.search", "i4g.large.search", "r6gd.large.search", "im4gn.large.search", "t2.small.search", "m7g.large"],
)
def test_instance_types_that_take_no_ebs_volume_are_refused(instance_type: str) -> None:
    """The template always attaches one ("Supported instance types in Amazon OpenSearch Service"); t2 has no FGAC."""
    assert not re.fullmatch(PARAMETERS["InstanceType"]["AllowedPattern"], instance_type)


def test_engines_before_2_19_are_refused() -> None:
    """The parameter's description says "2.19 or later", and holds it before anything is made."""
    pattern = PARAMETERS["EngineVersion"]["AllowedPattern"]
    assert all(re.fullmatch(pattern, f"OpenSearch_{version}") for version in ("2.19", "2.21", "3.1", "3.13", "10.0"))
    assert not any(re.fullmatch(pattern, f"OpenSearch_{version}") for version in ("1.3", "2.9", "2.17", "2.1", "3"))


def test_a_prefix_has_at_most_512_characters() -> None:
    """The longest that Firehose takes ("Custom prefixes for Amazon S3 objects")."""
    pattern = PARAMETERS["BackupPrefix"]["AllowedPattern"]
    assert re.fullmatch(pattern, "x" * 511 + "/")
    assert not re.fullmatch(pattern, "x" * 512 + "/")


def test_the_delivery_stream_names_no_document_type() -> None:
    """TypeName must be absent for OpenSearch (API reference, AmazonopensearchserviceDestinationConfiguration)."""
    assert "TypeName" not in DESTINATION


def test_each_processor_parameter_is_one_that_firehose_knows() -> None:
    """ProcessorParameter's names, from botocore's model of the Firehose API."""
    model = botocore.session.get_session().get_service_model("firehose").shape_for("ProcessorParameterName")
    [processor] = DESTINATION["ProcessingConfiguration"]["Processors"]
    assert {parameter["ParameterName"] for parameter in processor["Parameters"]} <= set(model.enum)


def test_firehose_invokes_the_alias_and_each_setting_makes_a_version(
    resource_schema: Callable[[str], dict[str, Any]],
) -> None:
    """SAM's hash leaves parameters unresolved; a Version's Description is create-only, so it names them all.

    The alias is the one whose version the check returns, not SAM's own, which moves before the check has run.
    """
    function = RESOURCES["EnrichmentFunction"]["Properties"]
    assert "/properties/Description" in resource_schema("AWS::Lambda::Version")["createOnlyProperties"]
    described = set(re.findall(r"\$\{(\w+)\}", function["VersionDescription"]["Sub"]))
    settings = [*function["Environment"]["Variables"].values(), function["MemorySize"]]
    assert {each["Ref"] for each in settings} | {"Architecture", "SubnetIds"} == described
    [processor] = DESTINATION["ProcessingConfiguration"]["Processors"]
    named = {each["ParameterName"]: each["ParameterValue"] for each in processor["Parameters"]}
    assert named["LambdaArn"] == {"Ref": "EnrichmentFunctionAliaslive"}
    alias = RESOURCES["EnrichmentFunctionAliaslive"]["Properties"]
    assert alias["FunctionVersion"] == {"GetAtt": "DeploymentCheck.EnrichmentVersion"}
    assert RESOURCES["DeploymentCheck"]["Properties"]["EnrichmentFunction"] == {"Ref": "EnrichmentFunction.Version"}
    assert function["AutoPublishAlias"] != alias["Name"]


def test_the_longest_settings_fit_into_a_versions_description() -> None:
    """Lambda's PublishVersion takes 256 characters."""
    limit = botocore.session.get_session().get_service_model("lambda").shape_for("Description").metadata["max"]
    longest = {
        "DeviceTimeZone": "z" * 32,
        "EnrichmentMemorySize": "10240",
        "GradualDeployment": "false",
        "MetricsNamespace": "n" * 128,
        "SubnetIds": ",".join(["subnet-0123456789abcdef0"] * 3),
    }
    for name in longest.keys() - {"EnrichmentMemorySize", "GradualDeployment"}:
        pattern = PARAMETERS[name]["AllowedPattern"]
        assert re.fullmatch(pattern, longest[name])
        assert not re.fullmatch(pattern, longest[name] + longest[name][-1]), "nothing longer is accepted"
    assert max(map(len, zoneinfo.available_timezones())) <= len(longest["DeviceTimeZone"])
    text = RESOURCES["EnrichmentFunction"]["Properties"]["VersionDescription"]["Sub"]
    values = longest | {"Architecture": "x86_64"}
    described = re.sub(r"\$\{(\w+)\}", lambda match: values[match[1]], text)
    assert len(described) <= limit, described


def test_a_gradual_deployment_rolls_back_on_the_new_versions_alarms() -> None:
    """CodeDeploy stops at an alarm that is raised before it begins: so none may be about the version that is replaced.

    "CodeDeploy: Monitoring deployments with Amazon CloudWatch alarms"; Fn::If may stand in an update policy ("Condition
    functions"), which CloudFormation uses when an alias's version changes ("CodeDeployLambdaAliasUpdate").
    """
    condition, policy, otherwise = RESOURCES["EnrichmentFunctionAliaslive"]["UpdatePolicy"]["If"]
    assert (condition, otherwise) == ("NewVersionsAreGradual", {"Ref": "AWS::NoValue"})
    named = policy["CodeDeployLambdaAliasUpdate"]
    group = RESOURCES[named["DeploymentGroupName"]["Ref"]]["Properties"]
    assert named["ApplicationName"] == group["ApplicationName"]
    assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    made = [each["If"][1] if "If" in each else each for each in group["AlarmConfiguration"]["Alarms"]]
    for name in (each["Name"]["Ref"] for each in made):
        alarm = RESOURCES[name]["Properties"]
        metrics = [each["MetricStat"]["Metric"] for each in alarm.get("Metrics", []) if "MetricStat" in each] or [alarm]
        for metric in metrics:
            assert {"GetAtt": "DeploymentCheck.EnrichmentVersion"} in [each["Value"] for each in metric["Dimensions"]]
        periods = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each}
        assert (periods or {alarm["Period"]}) == {60}, "the first tenth is tried for five minutes"


def test_sam_publishes_versions_and_leaves_the_alias_to_the_template(
    sam_transform: Callable[[dict[str, Any], dict[str, str]], dict[str, Any]],
) -> None:
    """Of the function SAM makes a version and an alias that nobody invokes; the version survives its successor."""
    template = _long_forms(copy.deepcopy(load_template()))
    for function in (each for each in template["Resources"].values() if each["Type"] == "AWS::Serverless::Function"):
        function["Properties"]["CodeUri"] = "s3://bucket/key"
    made = sam_transform(template, {})["Resources"]
    [(version, published)] = [
        each for each in made.items() if re.fullmatch(r"EnrichmentFunctionVersion[0-9a-f]{10}", each[0])
    ]
    assert published["DeletionPolicy"] == "Retain", "a rollback finds it"
    assert made["DeploymentCheck"]["Properties"]["EnrichmentFunction"] == {"Ref": version}
    invoked = json.dumps([made["DeliveryStream"], made["DeploymentCheck"], made["TransformPolicy"]])
    assert "EnrichmentFunctionAliascandidate" in made
    assert "EnrichmentFunctionAliascandidate" not in invoked


def _long_forms(template: dict[str, Any]) -> dict[str, Any]:
    """Return a template with `Fn::Sub` for `Sub`: AWS's own packages know the long forms only."""
    for node in _nodes(template):
        for short in ("If", "Sub", "GetAtt", "Equals", "Not", "Or", "And", "Join", "Contains", "Split"):
            if short in node:
                value = node.pop(short)
                node[f"Fn::{short}"] = value.split(".", 1) if short == "GetAtt" else value
    return template


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping within `value`, outermost last."""
    if isinstance(value, dict):
        for each in list(value.values()):
            yield from _nodes(each)
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)


def test_the_custom_resource_waits_longer_than_its_function_runs() -> None:
    """Else CloudFormation would give up on a response that is still to come (the default is an hour of silence)."""
    mapper = RESOURCES["RoleMapperFunction"]["Properties"]
    assert int(RESOURCES["RoleMapping"]["Properties"]["ServiceTimeout"]) > mapper["Timeout"]


def test_fine_grained_access_control_has_what_it_needs() -> None:
    """HTTPS, encryption at rest and between nodes (Fine-grained access control in Amazon OpenSearch Service)."""
    domain = RESOURCES["Domain"]["Properties"]
    assert domain["AdvancedSecurityOptions"]["Enabled"] is True
    assert domain["DomainEndpointOptions"]["EnforceHTTPS"] is True
    assert domain["EncryptionAtRestOptions"]["Enabled"] is True
    assert domain["NodeToNodeEncryptionOptions"] == {"Enabled": True}
    assert domain["AdvancedOptions"]["rest.action.multi.allow_explicit_index"] == "true"


def test_no_output_shows_a_password() -> None:
    """Outputs are readable by everyone who may describe the stack."""
    assert "resolve:secretsmanager" not in str(OUTPUTS)


@pytest.mark.parametrize("environment", ["prod", "local"])
def test_an_environment_sets_only_parameters_that_exist(environment: str) -> None:
    """One unmodified template serves AWS and this machine; what differs are parameters that make sense on both."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    overrides = _overrides(environment)
    assert overrides.keys() <= PARAMETERS.keys()
    for name, value in overrides.items():
        parameter = PARAMETERS[name]
        assert re.fullmatch(parameter.get("AllowedPattern", ".*"), value), name
        assert value in map(str, parameter.get("AllowedValues", [value])), name
        assert str(parameter["Default"]) != value, f"{name} has this value anyway"
    assert "parameter_overrides" not in config["default"]["deploy"]["parameters"]


def _overrides(environment: str) -> dict[str, str]:
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    return dict(entry.split("=", 1) for entry in config[environment]["deploy"]["parameters"]["parameter_overrides"])


def test_the_linted_environments_have_each_condition_both_ways() -> None:
    """`make check` lints them; a condition that none of them meets would be linted by nobody."""
    seen = [conditions(environment) for environment in ENVIRONMENTS.values()]
    for name in load_template()["Conditions"]:
        assert {each[name] for each in seen} == {True, False}, name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_linted_environment_could_be_deployed(environment: str) -> None:
    """Its values are the template's to take and contradict nothing."""
    parameters = {name: str(each["Default"]) for name, each in PARAMETERS.items()}
    chosen = parameters | ENVIRONMENTS[environment]
    for name, value in ENVIRONMENTS[environment].items():
        assert re.fullmatch(PARAMETERS[name].get("AllowedPattern", ".*"), value), name
        assert value in map(str, PARAMETERS[name].get("AllowedValues", [value])), name
    before = remembered(chosen)  # single sign-on is for a domain that exists
    assert list(problems(chosen, before)) == []


def test_prod_contradicts_nothing() -> None:
    """What the deployment check and the template's rules want of zones, masters, copies, buffers and alarms."""
    defaults = {name: str(parameter["Default"]) for name, parameter in PARAMETERS.items()}
    assert list(problems(defaults | _overrides("prod"), {})) == []
    assert list(problems(defaults | _overrides("local"), {})) == []


def test_a_local_deployment_never_reaches_aws(tmp_path: Path) -> None:
    """It names a profile that only `iot-stream up` writes, with the local endpoint, and a stack of its own."""
    config = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    names = [config[environment]["global"]["parameters"]["stack_name"] for environment in ("default", "prod", "local")]
    assert len(set(names)) == len(names)
    assert names[2] == STACK_NAME
    assert config["local"]["deploy"]["parameters"]["profile"] == PROFILE
    assert config["local"]["sync"]["parameters"]["profile"] == PROFILE, "sam sync deploys too"
    ministack = Ministack(tmp_path, 14566)
    ministack.make_credentials()
    session = botocore.session.Session(profile=PROFILE)
    session.set_config_variable("config_file", str(ministack.profile_file))
    client = session.create_client("cloudformation")
    assert client.meta.endpoint_url == ministack.url
    assert session.get_credentials().access_key == ministack.environment()["AWS_ACCESS_KEY_ID"]
