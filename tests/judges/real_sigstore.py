"""The real Sigstore on loopback: Fulcio, Rekor v1, Trillian and a CT log, with a root and keys of our own."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import subprocess
import time
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from sigstore.models import ClientTrustConfig

from hatch_attest.sandbox.issuer import Issuer
from tests.judges import issuers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

START = datetime.now(timezone.utc) - timedelta(days=1)


class LogState(NamedTuple):
    """The log's tree, and the indexes of its entries."""

    tree_id: int
    entries: range


class RealSigstore:
    """The services, started in a ``with`` block. Names are those of the sandbox, so that one can stand for the other.

    Args:
        programs: the folder of ``installs.go_programs``.
        directory: for configurations, keys and the services' logs.

    Attributes:
        issuer: gives tokens that Fulcio accepts.

    """

    def __init__(self, programs: Path, directory: Path) -> None:
        self.programs = programs
        self.directory = directory
        self.issuer = Issuer("http://127.0.0.1:9")  # nobody asks it over HTTP
        self._keys: issuers.Keys = {}
        self.rekor_key = ec.generate_private_key(ec.SECP256R1())
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.accept(self.issuer.issuers())
            self._proxy_url = stack.enter_context(issuers.serve(self._keys, self.directory))
            stack.callback(self._stop)
            chain = _write_authority(self.directory)
            ct_key = ec.generate_private_key(ec.SECP256R1())
            trillian, ct, rekor, fulcio, grpc, metrics = free_ports(6)
            self.authority_url, self.log_url = f"http://127.0.0.1:{fulcio}", f"http://127.0.0.1:{rekor}"
            self.ct_url = f"http://127.0.0.1:{ct}/ct"
            tree = self._start_trillian(trillian)
            self._start_ct(ct, trillian, tree, ct_key)
            self._start_rekor(rekor, trillian)
            self._start_fulcio(fulcio, grpc, metrics)
            self._wait(f"{self.ct_url}/ct/v1/get-sth", f"{self.log_url}/api/v1/log", f"{self.authority_url}/healthz")
            self.trusted_root = _trusted_root(self, chain, ct_key.public_key())
            self.trust_config = self._write_trust_config()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def accept(self, keys: Mapping[str, Callable[[], Mapping[str, Any]]]) -> None:
        """Let Fulcio accept tokens that are signed with these keys as well, by issuer."""
        for url, source in keys.items():
            self._keys.setdefault(url, []).append(source)

    @property
    def log(self) -> LogState:
        """The log as it is now."""
        state = requests.get(f"{self.log_url}/api/v1/log", timeout=30).json()
        return LogState(int(state["treeID"]), range(state["treeSize"]))

    @property
    def client_trust_config(self) -> ClientTrustConfig:
        """The trust config, read by sigstore-python."""
        return ClientTrustConfig.from_json(self.trust_config.read_text(encoding="utf-8"))

    def _start(self, name: str, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start a service with an empty environment; its log goes to a file of its name."""
        with (self.directory / f"{name}.log").open("w", encoding="utf-8") as log:
            self.processes[name] = subprocess.Popen(
                [str(self.programs / name), *arguments],
                cwd=self.directory,
                env={"HOME": str(self.directory), **env},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == "sigstore" else log,
                stderr=log,
                text=True,
            )
        return self.processes[name]

    def _start_trillian(self, port: int) -> str:
        process = self._start("sigstore", f"--address=127.0.0.1:{port}")
        if process.stdout is None or not (tree := process.stdout.readline().strip()):
            self._fail("sigstore")
        return tree

    def _start_ct(self, port: int, trillian: int, tree: str, key: ec.EllipticCurvePrivateKey) -> None:
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        octets = "".join(f"\\x{byte:02x}" for byte in der)
        config = f"""config {{
  log_id: {tree}
  prefix: "ct"
  roots_pem_file: "root.pem"
  ext_key_usages: "CodeSigning"
  private_key {{ [type.googleapis.com/keyspb.PrivateKey] {{ der: "{octets}" }} }}
}}
"""
        (self.directory / "ct.cfg").write_text(config, encoding="utf-8")
        self._start(
            "ct_server",
            f"--http_endpoint=127.0.0.1:{port}",
            f"--log_rpc_server=127.0.0.1:{trillian}",
            "--log_config=ct.cfg",
            "--get_sth_interval=0",
            "--logtostderr",
        )

    def _start_rekor(self, port: int, trillian: int) -> None:
        key = self.rekor_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.directory / "rekor.pem").write_bytes(key)
        self._start(
            "rekor-server",
            "serve",
            f"--port={port}",
            f"--trillian_log_server.port={trillian}",
            f"--rekor_server.hostname=127.0.0.1:{port}",  # sigstore-js looks for it in the URL
            "--rekor_server.signer=rekor.pem",
            "--enable_retrieve_api=false",  # the search index would need Redis; both flags are needed to do without
            "--enabled_api_endpoints=getLogInfo,getPublicKey,getLogProof,createLogEntry,getLogEntryByIndex,"
            "getLogEntryByUUID,searchLogQuery",
        )

    def _start_fulcio(self, port: int, grpc: int, metrics: int) -> None:
        self._start(
            "fulcio",
            "serve",
            "--host=127.0.0.1",
            f"--port={port}",
            "--grpc-host=127.0.0.1",
            f"--grpc-port={grpc}",
            f"--metrics-port={metrics}",
            "--legacy-unix-domain-socket=fulcio.sock",
            "--ca=fileca",
            "--fileca-cert=chain.pem",
            "--fileca-key=intermediate.pem",
            "--fileca-key-passwd=unused",  # the key is not encrypted, yet Fulcio wants the flag
            "--fileca-watch=false",
            f"--ct-log-url={self.ct_url}",
            f"--config-path={self.programs / 'fulcio-config.yaml'}",
            HTTPS_PROXY=self._proxy_url,
            SSL_CERT_FILE=str(self.directory / "proxy-ca.pem"),
            SSL_CERT_DIR=str(self.directory / "nowhere"),
        )

    def _wait(self, *urls: str) -> None:
        deadline = time.monotonic() + 60
        for url in urls:
            while not _answers(url):
                for name, process in self.processes.items():
                    if process.poll() is not None or time.monotonic() > deadline:
                        self._fail(name)
                time.sleep(0.05)

    def _fail(self, name: str) -> None:
        log = (self.directory / f"{name}.log").read_text(encoding="utf-8")
        raise RuntimeError(f"{name} does not serve:\n{log[-3000:]}")

    def _stop(self) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.communicate()

    def _write_trust_config(self) -> Path:
        def service(url: str) -> dict[str, Any]:
            return {
                "url": url,
                "majorApiVersion": 1,
                "validFor": {"start": START.isoformat()},
                "operator": "judges",
            }

        config = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self.trusted_root,
            "signingConfig": {
                "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                "caUrls": [service(self.authority_url)],
                "oidcUrls": [service("https://oauth2.sigstore.dev/auth")],
                "rekorTlogUrls": [service(self.log_url)],
                "rekorTlogConfig": {"selector": "ANY"},
                "tsaUrls": [],
                "tsaConfig": {"selector": "ANY"},
            },
        }
        self.config = config
        path = self.directory / "trust_config.json"
        path.write_text(json.dumps(config, indent=1), encoding="utf-8")
        write_parts(self.directory, config)
        return path


def write_parts(directory: Path, config: Mapping[str, Any]) -> None:
    """Write the parts of a ClientTrustConfig to files of their own, which other programs read."""
    for name, part in (("trusted_root.json", "trustedRoot"), ("signing_config.json", "signingConfig")):
        (directory / name).write_text(json.dumps(config[part], indent=1), encoding="utf-8")


def free_ports(count: int) -> list[int]:
    """Return ports of loopback on which nothing listens at the moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [sock.getsockname()[1] for sock in sockets]


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _write_authority(directory: Path) -> list[x509.Certificate]:
    """Make a root and an intermediate as Sigstore's are (P-384, EKU codeSigning); return intermediate and root."""
    root_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    root = _certificate("judges root", root_key, "judges root", root_key, path_length=1)
    intermediate = _certificate("judges intermediate", key, "judges root", root_key, path_length=0)
    pems = [certificate.public_bytes(Encoding.PEM) for certificate in (intermediate, root)]
    (directory / "chain.pem").write_bytes(b"".join(pems))
    (directory / "root.pem").write_bytes(pems[1])
    (directory / "intermediate.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return [intermediate, root]


def _certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey, path_length: int
) -> x509.Certificate:
    def named(common_name: str) -> x509.Name:
        return x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "hatch-attest"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )

    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"),
        False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(START)
        .not_valid_after(START + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if issuer != name:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return builder.sign(issuer_key, hashes.SHA384())


def _trusted_root(
    sigstore: RealSigstore, chain: list[x509.Certificate], ct_key: ec.EllipticCurvePublicKey
) -> dict[str, Any]:
    valid_for = {"start": START.isoformat()}

    def log(url: str, key: ec.EllipticCurvePublicKey) -> dict[str, Any]:
        der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {
            "baseUrl": url,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {"rawBytes": _base64(der), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid_for},
            "logId": {"keyId": _base64(hashlib.sha256(der).digest())},
        }

    certificates = [{"rawBytes": _base64(certificate.public_bytes(Encoding.DER))} for certificate in chain]
    authority = {
        "subject": {"organization": "hatch-attest", "commonName": "judges root"},
        "uri": sigstore.authority_url,
        "certChain": {"certificates": certificates},
        "validFor": valid_for,
    }
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [log(sigstore.log_url, sigstore.rekor_key.public_key())],
        "certificateAuthorities": [authority],
        "ctlogs": [log(sigstore.ct_url, ct_key)],
        "timestampAuthorities": [],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
