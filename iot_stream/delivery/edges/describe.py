"""DescribeDeliveryStream and DescribeDomain: the configuration, and the domain's endpoint."""

from iot_stream.delivery.core.settings import Settings, parse_settings
from iot_stream.delivery.edges.aws import AWS_ERRORS, AwsClients, JsonApi, error_code, parse_object
from iot_stream.delivery.errors import DeliveryError

__all__ = ["describe_delivery_stream", "find_endpoint"]


def describe_delivery_stream(api: JsonApi, name: str, *, created: float | None = None) -> Settings:
    """Return the settings of the delivery stream `name`.

    Args:
        api: Firehose.
        name: the delivery stream.
        created: when it was created (epoch seconds); None accepts any.

    Raises:
        DeliveryError: it does not exist, is not ACTIVE, was created at another time, or AWS cannot be reached.
        SettingsError: it has a setting that this worker does not support.
    """
    try:
        response = api.call("DescribeDeliveryStream", {"DeliveryStreamName": name}, parse_object)
    except AWS_ERRORS as error:
        if error_code(error) == "ResourceNotFoundException":
            raise DeliveryError(
                f"the delivery stream {name!r} does not exist: deploy it, or check the name", final=True
            ) from error
        raise DeliveryError(
            f"DescribeDeliveryStream of {name!r} failed ({error_code(error)}): check the endpoint and the credentials"
        ) from error
    settings = parse_settings(response)
    if created not in {None, settings.created}:
        raise DeliveryError(f"the delivery stream {name!r} was created again: restart the worker", final=True)
    if settings.status != "ACTIVE":
        raise DeliveryError(f"the delivery stream {name!r} is {settings.status}: start the worker when it is ACTIVE")
    return settings


def find_endpoint(clients: AwsClients, settings: Settings) -> str:
    """Return the domain's URL.

    It is looked up with the environment's credentials, not the role's: ministack denies es:DescribeDomain to a role
    that is allowed it.

    Raises:
        DeliveryError: the domain does not exist, has no endpoint yet, or an endpoint without TLS (the API's pattern of
            ClusterEndpoint is `https:.*`).
    """
    if settings.endpoint:
        if not settings.endpoint.startswith("https://"):
            raise DeliveryError(
                f"the ClusterEndpoint {settings.endpoint!r} is not https://…: pass --domain-url to use it"
            )
        return settings.endpoint.rstrip("/")
    name = (settings.domain_arn or "").rpartition("/")[2]
    try:
        domain = clients.client("opensearch").describe_domain(DomainName=name)["DomainStatus"]
    except AWS_ERRORS as error:
        raise DeliveryError(f"DescribeDomain of {name!r} failed ({error_code(error)}): check that it exists") from error
    endpoint = domain.get("Endpoint") or (domain.get("Endpoints") or {}).get("vpc")
    if not endpoint:
        raise DeliveryError(f"the domain {name!r} has no endpoint yet: wait until it is active")
    return f"https://{endpoint}"
