"""Sign a token that lets its bearer act as an IAM role on an OpenSearch outside AWS."""

import time

import jwt

__all__ = ["role_token"]


def role_token(role_arn: str, key: bytes, *, seconds: int) -> str:
    """Return a JSON Web Token that makes its bearer `role_arn` to the security plugin's `jwt` domain (HS256).

    The plugin's `subject_key` is `sub` and its `roles_key` is `roles`; what it reads there becomes the user's name and
    backend roles ("JSON Web Token", OpenSearch documentation), as a SigV4 signature does on AWS.

    Args:
        role_arn: the role's ARN, or any name that a role mapping has as a backend role.
        key: the plugin's `signing_key`, decoded.
        seconds: how long the token is valid.
    """
    now = int(time.time())
    claims = {"sub": role_arn, "roles": [role_arn], "iat": now, "exp": now + seconds}
    return jwt.encode(claims, key, algorithm="HS256")
