"""What AWS does around a domain relies on two logical ids of the template."""

from iot_stream.local.master_user import DOMAIN, IAM_MASTER_USER, MASTER_USER_MODE, MASTER_USER_SECRET
from tests.template import load_template


def test_the_domain_takes_its_master_user_from_the_secret() -> None:
    """The local control plane makes the user that the domain's MasterUserOptions resolve to."""
    resources = load_template()["Resources"]
    options = resources[DOMAIN]["Properties"]["AdvancedSecurityOptions"]["MasterUserOptions"]
    password = options["MasterUserPassword"]["If"][1]["Sub"]
    assert password == f"{{{{resolve:secretsmanager:${{{MASTER_USER_SECRET}}}:SecretString:password}}}}"
    # A name from the secret would leave the domain as it is when Secrets Manager makes a password for another name.
    assert options["MasterUserName"]["If"][1] == {"Ref": "MasterUserName"}
    template = resources[MASTER_USER_SECRET]["Properties"]["GenerateSecretString"]["SecretStringTemplate"]
    assert template == {"Sub": '{"username": "${MasterUserName}"}'}
    assert resources[MASTER_USER_SECRET]["Type"] == "AWS::SecretsManager::Secret"


def test_the_domain_takes_its_iam_master_from_the_role() -> None:
    """With MasterUserMode=IamRole the local stack maps the role that MasterUserARN names."""
    template = load_template()
    options = template["Resources"][DOMAIN]["Properties"]["AdvancedSecurityOptions"]["MasterUserOptions"]
    assert options["MasterUserARN"]["If"][2] == {"GetAtt": f"{IAM_MASTER_USER}.Arn"}
    assert template["Parameters"][MASTER_USER_MODE]["AllowedValues"] == ["InternalUser", "IamRole"]
