"""What AWS does around a domain relies on two logical ids of the template."""

from iot_stream.local.control_plane import DOMAIN, MASTER_USER_SECRET
from tests.template import load_template


def test_the_domain_takes_its_master_user_from_the_secret() -> None:
    """The local control plane makes the user that the domain's MasterUserOptions resolve to."""
    resources = load_template()["Resources"]
    options = resources[DOMAIN]["Properties"]["AdvancedSecurityOptions"]["MasterUserOptions"]
    for option, key in (("MasterUserName", "username"), ("MasterUserPassword", "password")):
        reference = options[option]["If"][1]["Sub"]
        assert reference == f"{{{{resolve:secretsmanager:${{{MASTER_USER_SECRET}}}:SecretString:{key}}}}}"
    assert resources[MASTER_USER_SECRET]["Type"] == "AWS::SecretsManager::Secret"
