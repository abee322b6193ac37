"""What template.yaml, the files for the domain and the function must agree on."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

from enrichment.description import INGESTED_AT
from enrichment.description_file import load
from iot_stream.paths import PROJECT
from role_mapper import files, response_sender
from role_mapper.properties import Properties
from tests.builders import mapping_properties
from tests.environments import ENVIRONMENTS
from tests.template import load_template

SOURCES = sorted((PROJECT / "functions/role_mapper/role_mapper").rglob("*.py"))


@pytest.fixture(scope="module")
def template() -> Any:
    """The whole template."""
    return load_template()


@pytest.fixture(scope="module")
def mapping(template: Any) -> dict[str, Any]:
    """The custom resource's properties."""
    properties: dict[str, Any] = template["Resources"]["RoleMapping"]["Properties"]
    return properties


def test_the_function_reads_every_property_and_the_template_sets_every_one_it_reads(mapping: dict[str, Any]) -> None:
    """A property that nobody reads is a typo; so is one that nobody sets."""
    source = (PROJECT / "functions/role_mapper/role_mapper/properties.py").read_text(encoding="utf-8")
    read = set(re.findall(r'given\.\w+\(\s*"(\w+)"', source))
    for_cloudformation = {"ServiceToken", "ServiceTimeout", "CodeVersion"}
    assert set(mapping) == read | for_cloudformation
    assert set(mapping) == set(mapping_properties())


def test_cloudformation_waits_a_little_longer_than_the_function_runs(template: Any, mapping: dict[str, Any]) -> None:
    """Otherwise a response in the function's last seconds would come too late."""
    timeout = template["Resources"]["RoleMapperFunction"]["Properties"]["Timeout"]
    assert timeout < mapping["ServiceTimeout"] <= timeout + 120


def test_the_guard_responds_before_lambda_ends_the_function(template: Any) -> None:
    """Half of the reserve is for sending, the other half for the call that is under way."""
    timeout = template["Resources"]["RoleMapperFunction"]["Properties"]["Timeout"]
    assert 0 < response_sender._LONGEST_RESERVE <= timeout * response_sender._RESERVE
    assert math.isclose(response_sender._LONGEST_RESERVE / 2, 10)


def test_new_code_reaches_the_domain(template: Any, mapping: dict[str, Any]) -> None:
    """The version is published from the code's hash, and a changed property is what makes an Update."""
    function = template["Resources"]["RoleMapperFunction"]["Properties"]
    assert function["AutoPublishAlias"]
    assert mapping["CodeVersion"] == {"Ref": "RoleMapperFunction.Version"}


def test_nothing_is_delivered_before_the_domain_is_prepared(template: Any) -> None:
    """The delivery stream depends on the mapping, and the mapping on the delivery role only."""
    assert "RoleMapping" in template["Resources"]["DeliveryStream"]["DependsOn"]


def test_a_retry_after_cloudformation_gave_up_never_happens(template: Any) -> None:
    """Lambda would invoke the function again, minutes later, and the domain would change then."""
    configuration = template["Resources"]["RoleMapperFunctionEventInvokeConfig"]["Properties"]
    assert configuration == {
        "FunctionName": {"Ref": "RoleMapperFunction"},
        "Qualifier": "live",
        "MaximumRetryAttempts": 0,
    }
    mapping = template["Resources"]["RoleMapping"]
    assert mapping["Properties"]["ServiceToken"] == {"Ref": "RoleMapperFunctionAliaslive"}
    assert mapping["DependsOn"] == "RoleMapperFunctionEventInvokeConfig"


def test_every_field_of_a_document_has_a_type_and_there_is_no_other(template: Any) -> None:
    """The index knows what the enrichment function writes."""
    document = files.index_template(Properties.of(mapping_properties()), "why")
    mappings = document["template"]["mappings"]
    assert set(mappings["properties"]) == {*(field.name for field in load().fields), INGESTED_AT}
    assert mappings["dynamic"] is False
    assert template["Parameters"]["IndexName"]["Default"] == mapping_properties()["IndexName"]


def test_the_index_template_holds_for_every_index_of_the_stream() -> None:
    """With and without rotation; shards, replicas and refresh are the parameters'."""
    properties = Properties.of(mapping_properties(NumberOfShards="3", NumberOfReplicas="2", RefreshInterval="30s"))
    document = files.index_template(properties, "why")
    assert document["index_patterns"] == ["iot-stream*"]
    assert document["template"]["settings"]["index"] == {
        "number_of_shards": "3",
        "number_of_replicas": "2",
        "refresh_interval": "30s",
    }


def test_each_of_three_zones_gets_a_copy_of_each_index() -> None:
    """Or else a domain with Standby refuses the template: OpenSearch's AwarenessReplicaBalance.validateReplicas.

    Its setting `cluster.routing.allocation.awareness.balance` is true there ("replica=2, 5, 8",
    aws-solutions/centralized-logging-with-opensearch issue 170).
    """
    properties = Properties.of(mapping_properties(NumberOfReplicas=ENVIRONMENTS["prod"]["NumberOfReplicas"]))
    for template in (files.index_template(properties, ""), files.alerts_template(properties, "")):
        settings = template["template"]["settings"]["index"]
        most = settings.get("number_of_replicas") or settings["auto_expand_replicas"].split("-")[1]
        assert (int(most) + 1) % 3 == 0, settings


def test_a_more_specific_index_wins_over_a_shorter_one() -> None:
    """Overlapping patterns of the same priority are refused by OpenSearch and by Index State Management."""
    longer, shorter = (Properties.of(mapping_properties(IndexName=name)) for name in ("iot-stream", "iot"))
    assert files.index_template(longer, "")["priority"] > files.index_template(shorter, "")["priority"]
    policies = [files.retention_policy(each, "")["policy"]["ism_template"][0] for each in (longer, shorter)]
    assert policies[0]["priority"] > policies[1]["priority"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_pure_modules_import_no_input_or_output(path: Path) -> None:
    """Those whose docstring says so, and what responds under the guard needs only the standard library."""
    source = path.read_text(encoding="utf-8")
    if "(pure)" in source.split('"""')[1].splitlines()[0] or path.name in {"cloudformation.py", "reply.py"}:
        assert not re.search(r"^\s*(import|from) (boto\w*|requests\w*|opensearchpy|os)\b", source, re.MULTILINE)


def test_the_shipped_files_are_valid_and_hold_nothing_of_one_stack() -> None:
    """Names, patterns and numbers are put in from the properties."""
    for name in ("index-template.json", "retention-policy.json", "rollover-policy.json"):
        text = (PROJECT / "functions/role_mapper/opensearch" / name).read_text(encoding="utf-8")
        assert json.loads(text)
        assert "iot-stream" not in text


def test_the_scheduled_repair_asks_for_what_a_deployment_asks_for(template: Any, mapping: dict[str, Any]) -> None:
    """The same owner and the same values, without a ResponseURL; only EventBridge's rule may invoke the function."""
    (target,) = template["Resources"]["RepairRule"]["Properties"]["Targets"]
    text, variables = target["Input"]["Sub"]
    request = json.loads(text)
    assert (request["RequestType"], request["ResponseURL"], request["LogicalResourceId"]) == (
        "Create",
        "",
        "RoleMapping",
    )
    assert request["StackId"] == "${AWS::StackId}"
    asked = request["ResourceProperties"]
    assert set(asked) == set(mapping) - {"ServiceToken", "ServiceTimeout", "CodeVersion"}
    for name, value in asked.items():
        reference = value.removeprefix("${").removesuffix("}")
        if name in {"IndexPattern", "AlertsRoleArn"}:
            assert variables[reference] == mapping[name]
        else:
            assert mapping[name] in ({"Ref": reference}, {"GetAtt": reference})
    permission = template["Resources"]["RepairPermission"]["Properties"]
    assert permission["SourceArn"] == {"GetAtt": "RepairRule.Arn"}
    assert permission["FunctionName"] == target["Arn"] == mapping["ServiceToken"]
