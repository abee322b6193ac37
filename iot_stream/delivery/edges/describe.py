"""DescribeDeliveryStream and DescribeDomain: what is configured, and where the domain is."""

from iot_stream.delivery.core.settings import Settings, read_settings
from iot_stream.delivery.edges.aws import AWS_ERRORS, Access, JsonApi, code_of, read_object
from iot_stream.delivery.errors import DeliveryError

__all__ = ["describe", "find_endpoint"]


def describe(api: JsonApi, name: str, *, created: float | None = None) -> Settings:
    """The settings of the delivery stream `name`; of the one created then (epoch seconds), when that is given.

    Raises:
        DeliveryError: there is none, or AWS can't be reached.
        SettingsError: it has a setting that this worker does not support.
    """
    try:
        answer = api.call("DescribeDeliveryStream", {"DeliveryStreamName": name}, read_object)
    except AWS_ERRORS as error:
        if code_of(error) == "ResourceNotFoundException":
            raise DeliveryError(
                f"there is no delivery stream {name!r} here: deploy it, or check the name", final=True
            ) from error
        raise DeliveryError(
            f"DescribeDeliveryStream of {name!r} failed ({code_of(error)}): check the endpoint and the credentials"
        ) from error
    settings = read_settings(answer)
    if created not in {None, settings.created}:
        raise DeliveryError(f"the delivery stream {name!r} was created anew: start the worker again", final=True)
    if settings.status != "ACTIVE":
        raise DeliveryError(f"the delivery stream {name!r} is {settings.status}: start the worker when it is ACTIVE")
    return settings


def find_endpoint(access: Access, settings: Settings) -> str:
    """The domain's URL.

    The environment's credentials ask, not the role's: ministack denies es:DescribeDomain to a role that has it.

    Raises:
        DeliveryError: the domain is not there, or has no endpoint yet.
    """
    if settings.endpoint:
        return settings.endpoint.rstrip("/")
    name = (settings.domain_arn or "").rpartition("/")[2]
    try:
        domain = access.client("opensearch").describe_domain(DomainName=name)["DomainStatus"]
    except AWS_ERRORS as error:
        raise DeliveryError(f"DescribeDomain of {name!r} failed ({code_of(error)}): does the domain exist?") from error
    endpoint = domain.get("Endpoint") or (domain.get("Endpoints") or {}).get("vpc")
    if not endpoint:
        raise DeliveryError(f"the domain {name!r} has no endpoint yet: wait until it is active")
    return f"https://{endpoint}"
