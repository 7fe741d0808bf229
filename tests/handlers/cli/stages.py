"""A stage as ``splitsound doctor --stage`` meets it: moto's AWS, and what is on the internet."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import boto3
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from handlers.cli.checks import Check
from handlers.cli.checks.stage import Stage, examine, expected
from infra.payments.endpoints import CONSUMED
from infra.stage import QUEUES, names

NAME, DOMAIN, REGION, ACCOUNT = "prod", "example.com", "eu-central-1", "123456789012"
API, FRONT = f"https://api.{DOMAIN}", f"https://{DOMAIN}"
STACKS = ("access", "data", "network", "workers", "api", "observability")
PROVIDERS = json.dumps([{"name": "acme", "issuer": "https://acme.test", "client_id": "1"}])
SECRETS = {"stripe_api_key": "sk_test_1", "stripe_webhook_secrets": "whsec_1",
           "oidc_providers": PROVIDERS, "replicate_api_token": "", "metrics_token": ""}  # fmt: skip
API_STACK = Path(__file__).parents[3] / "infra" / "stacks" / "api.yaml"
_TRIVIAL = '{"Resources": {}}'


class Internet:
    """The API, a sign-in provider and Stripe at one address. A test changes ``answers`` (status,
    headers, body, by path), or one of the parts from which the right ones are made.
    """

    def __init__(self) -> None:
        self.url = ""
        self.redirect = f"{API}/v1/auth/callback"
        self.registered = f"{API}/v1/auth/callback"
        self.allowed = {FRONT}
        self.offered = ["acme"]
        self.endpoint: dict[str, Any] = {
            "id": "we_1", "object": "webhook_endpoint", "url": f"{API}/v1/webhooks/stripe",
            "status": "enabled", "enabled_events": sorted(CONSUMED),
        }  # fmt: skip
        self.answers: dict[str, tuple[int, dict[str, str], str]] = {}

    def answer(self, path: str, query: str, origin: str) -> tuple[int, dict[str, str], str]:
        """What is said there."""
        if path in self.answers:
            return self.answers[path]
        items = [{"name": n, "title": n, "login": f"/v1/auth/{n}/login"} for n in self.offered]
        provider = f"{self.url}/acme/authorize?redirect_uri={quote(self.redirect, safe='')}"
        registered = f"redirect_uri={quote(self.registered, safe='')}" in query
        allowing = {"Access-Control-Allow-Origin": origin,
                    "Access-Control-Allow-Credentials": "true"}  # fmt: skip
        listed = {"object": "list", "has_more": False, "url": path, "data": [self.endpoint]}
        return {
            "/healthz": (200, {}, '{"status": "ok"}'),
            "/.well-known/jwks.json": (200, {}, '{"keys": [{"kid": "1"}]}'),
            "/v1/jobs": (204, allowing, "") if origin in self.allowed else (400, {}, ""),
            "/v1/auth/providers": (200, {}, json.dumps({"items": items})),
            "/v1/auth/acme/login": (303, {"Location": provider}, ""),
            "/acme/authorize": (200 if registered else 400, {}, "a page"),
            "/v1/webhook_endpoints": (200, {}, json.dumps(listed)),
        }.get(path, (404, {}, "{}"))


@contextmanager
def internet() -> Iterator[Internet]:
    """One for as long as the block lasts."""
    there = Internet()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            told = there.answer(parts.path, parts.query, self.headers.get("Origin", ""))
            status, headers, body = told
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        do_OPTIONS = do_POST = do_GET  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield there
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def self_signed(place: Path) -> Iterator[str]:
    """A server whose certificate no browser takes; its URL. place: for its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = place / "server.pem"
    pem.write_bytes(key.private_bytes(*form) + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Cloud:
    """The stage's parts at moto's AWS, as a deployment leaves them."""

    def __init__(self) -> None:
        self.s3, self.ecs, self.sqs, self.formation, self.secrets = (
            boto3.client(each) for each in ("s3", "ecs", "sqs", "cloudformation", "secretsmanager")
        )
        self.bucket = names(NAME, ACCOUNT, REGION)["media_bucket"]

    def deploy(self) -> None:
        """Everything as it should be."""
        for name in STACKS:
            self.formation.create_stack(
                StackName=f"splitsound-{NAME}-{name}",
                TemplateBody=_TRIVIAL,
            )
        for queue in (each for each in QUEUES.values() if each.endswith("-dlq")):
            self.sqs.create_queue(QueueName=f"splitsound-{NAME}-{queue}")
        self.s3.create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        self.allow(FRONT, ["PUT", "GET", "HEAD"], ["ETag"])
        self.secrets.create_secret(
            Name=f"splitsound/{NAME}/secrets", SecretString=json.dumps(SECRETS)
        )
        self.ecs.create_cluster(clusterName=f"splitsound-{NAME}")
        self.ecs.create_service(
            cluster=f"splitsound-{NAME}", serviceName=f"splitsound-{NAME}-api", desiredCount=0,
            taskDefinition=self.define(expected(Stage(NAME, DOMAIN))),
        )  # fmt: skip

    def allow(self, origin: str, methods: list[str], exposed: list[str]) -> None:
        """The bucket's one CORS rule."""
        rule = {"AllowedOrigins": [origin], "AllowedMethods": methods, "AllowedHeaders": ["*"],
                "ExposeHeaders": exposed}  # fmt: skip
        self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]})

    def define(self, environment: dict[str, str]) -> str:
        """A revision of the API's task definition; its ARN."""
        told = [{"name": name, "value": value} for name, value in environment.items()]
        container = {"name": "api", "image": "api", "memory": 512, "environment": told}
        made = self.ecs.register_task_definition(
            family=f"splitsound-{NAME}-api", containerDefinitions=[container]
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def tell(self, **changed: str) -> None:
        """Deploy tasks with another environment."""
        self.ecs.update_service(
            cluster=f"splitsound-{NAME}", service=f"splitsound-{NAME}-api",
            taskDefinition=self.define(expected(Stage(NAME, DOMAIN)) | changed),
        )  # fmt: skip

    def keep(self, **changed: str) -> None:
        """Fill in secrets."""
        self.secrets.put_secret_value(
            SecretId=f"splitsound/{NAME}/secrets", SecretString=json.dumps(SECRETS | changed)
        )


def examined(stage: Stage) -> dict[str, Check]:
    """Every check, by name, of a look made now."""
    fresh = Stage(stage.name, stage.domain, stage.base, stage.stripe_base)
    fresh.client = stage.client  # they take longer to make than to ask
    found = list(examine(fresh))
    assert len({check.name for check in found}) == len(found)
    return {check.name: check for check in found}
