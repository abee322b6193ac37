"""`python -m iot_stream.local.gateway`: serve the gateway of one local domain until SIGTERM."""

import argparse
import base64
from pathlib import Path

import requests
import uvicorn
from requests.adapters import HTTPAdapter

from iot_stream.local.gateway.app import Gateway, ask_local_aws


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="HTTPS port on 127.0.0.1")
    parser.add_argument("--opensearch", required=True, help="URL of OpenSearch")
    parser.add_argument("--aws", required=True, help="URL of the local AWS")
    parser.add_argument("--region", required=True, help="the domain's region")
    parser.add_argument("--certificates", type=Path, required=True, help="folder with ca.pem, node.pem and node.key")
    parser.add_argument("--jwt-key", type=Path, required=True, help="file of the security plugin's signing_key")
    options = parser.parse_args()
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", HTTPAdapter(pool_maxsize=40))  # as many threads has Starlette
    gateway = Gateway(
        upstream=options.opensearch,
        ca_file=str(options.certificates / "ca.pem"),
        region=options.region,
        hosts=frozenset(f"{host}:{options.port}" for host in ("127.0.0.1", "localhost")),
        jwt_key=base64.b64decode(options.jwt_key.read_text(encoding="ascii")),
        caller=ask_local_aws(options.aws),
        session=session,
    )
    uvicorn.run(
        gateway,
        host="127.0.0.1",
        port=options.port,
        ssl_certfile=options.certificates / "node.pem",
        ssl_keyfile=options.certificates / "node.key",
        proxy_headers=False,
        log_level="warning",
        lifespan="off",
        server_header=False,
        date_header=False,
    )


if __name__ == "__main__":
    main()
