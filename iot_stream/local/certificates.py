"""The certificate authority of one local stack: every HTTPS client verifies against it.

Python 3.13 verifies strictly (RFC 5280): the authority and its leaf certificates need key usage and key identifiers.
"""

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["ADMIN_DN", "NODE_DN", "Certificates", "certificates_in", "make_certificates"]

ADMIN_DN = "CN=admin,O=iot-stream local"
NODE_DN = "CN=node,O=iot-stream local"

_DAYS = 365


@dataclass(frozen=True)
class Certificates:
    """PEM files of one authority: its certificate, and the certificates and keys of the node and the administrator."""

    ca: Path
    node_cert: Path
    node_key: Path
    admin_cert: Path
    admin_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Create a new authority in `folder`, with a certificate for the node (TLS server) and one for the administrator.

    The administrator's certificate has every right on OpenSearch's security API (`plugins.security.authcz.admin_dn`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = certificates_in(folder)
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = _certificate("CN=local authority,O=iot-stream local", ca_key, issuer=None, issuer_key=ca_key)
    paths.ca.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    for name, cert, key in (
        (NODE_DN, paths.node_cert, paths.node_key),
        (ADMIN_DN, paths.admin_cert, paths.admin_key),
    ):
        leaf_key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(name, leaf_key, issuer=ca, issuer_key=ca_key)
        cert.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
        key.touch(mode=0o600)
        key.write_bytes(
            leaf_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return paths


def certificates_in(folder: Path) -> Certificates:
    """Return the files that `make_certificates` writes to `folder`."""
    return Certificates(*(folder / name for name in ("ca.pem", "node.pem", "node.key", "admin.pem", "admin.key")))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """Return an authority's certificate if `issuer` is None, else a leaf for localhost (server and client)."""
    now = dt.datetime.now(dt.UTC)
    subject = _distinguished(name)
    leaf = issuer is not None
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=_DAYS))
        .add_extension(x509.BasicConstraints(ca=not leaf, path_length=None), critical=True)
        .add_extension(_key_usage(leaf=leaf), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if leaf:
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        )
    return builder.sign(issuer_key, hashes.SHA256())


def _distinguished(name: str) -> x509.Name:
    """Return the X.509 name of "CN=…,O=…", which is written most specific part first."""
    kinds = {"CN": NameOID.COMMON_NAME, "O": NameOID.ORGANIZATION_NAME}
    parts = (part.split("=", 1) for part in reversed(name.split(",")))
    return x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in parts])


def _key_usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=leaf,
        key_encipherment=False,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
