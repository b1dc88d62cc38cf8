"""The authority's certificates, extension by extension, against those that the real Fulcio v1.8.8 issued."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pyasn1.codec.der.decoder import decode
from pyasn1.type.char import UTF8String

from hatch_attest.sandbox import EmailIdentity, GitHubIdentity, GitLabIdentity, GoogleIdentity, Sandbox

if TYPE_CHECKING:
    from hatch_attest.sandbox.identities import Identity
    from tests.sandbox.services import Services

RECORDED = Path(__file__).with_name("recorded")
FULCIO = "1.3.6.1.4.1.57264.1"

#: Each recorded certificate, with the identity that it was issued to.
IDENTITIES: dict[str, Identity] = {
    "github": GitHubIdentity(),
    "github-environment": GitHubIdentity(environment="pypi"),
    "gitlab": GitLabIdentity(),
    "gitlab-environment": GitLabIdentity(environment="pypi"),
    "email-google": GoogleIdentity(email="octocat@example.com"),
    "email-dex": EmailIdentity(),
}


def recorded(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(RECORDED.joinpath(f"{name}.pem").read_bytes())


def issued(services: Services, identity: Identity) -> x509.Certificate:
    services.sandbox.issuer.identity = identity
    return x509.load_pem_x509_certificate(services.certificate())


def fulcio_extensions(certificate: x509.Certificate) -> dict[str, bytes]:
    """Return Fulcio's own extensions, by the last number of their identifier."""
    return {
        extension.oid.dotted_string.rpartition(".")[2]: extension.value.public_bytes()
        for extension in certificate.extensions
        if extension.oid.dotted_string.startswith(f"{FULCIO}.")
    }


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_certificate_has_the_real_one_s_extensions_in_order(name: str, shared_services: Services) -> None:
    """A policy that holds for the sandbox's certificates would not hold for the real ones."""
    ours, theirs = issued(shared_services, IDENTITIES[name]), recorded(name)
    assert [(it.oid, it.critical) for it in ours.extensions] == [(it.oid, it.critical) for it in theirs.extensions]


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_certificate_says_of_the_identity_what_the_real_one_says(name: str, shared_services: Services) -> None:
    """A claim would be read from the wrong extension, or in the wrong encoding."""
    ours, theirs = issued(shared_services, IDENTITIES[name]), recorded(name)
    assert fulcio_extensions(ours) == fulcio_extensions(theirs)
    for kind in (x509.SubjectAlternativeName, x509.KeyUsage, x509.ExtendedKeyUsage):
        assert ours.extensions.get_extension_for_class(kind) == theirs.extensions.get_extension_for_class(kind)


def test_a_certificate_is_as_short_lived_and_nameless_as_the_real_one(shared_services: Services) -> None:
    """What happens after ten minutes could not be rehearsed."""
    ours, theirs = issued(shared_services, GitHubIdentity()), recorded("github")
    assert ours.not_valid_after_utc - ours.not_valid_before_utc == dt.timedelta(minutes=10)
    assert theirs.not_valid_after_utc - theirs.not_valid_before_utc == dt.timedelta(minutes=10)
    assert ours.subject == theirs.subject == x509.Name([])
    assert ours.signature_algorithm_oid == theirs.signature_algorithm_oid
    assert ours.version == theirs.version
    assert ours.serial_number.bit_length() <= 160


def test_the_key_identifiers_and_the_sct_are_made_as_the_real_ones(shared_services: Services) -> None:
    """Chain building by key identifiers would fail elsewhere than in the sandbox, or succeed only there."""
    ours = issued(shared_services, GitHubIdentity())
    intermediate = shared_services.sandbox.authority.chain[0]
    for leaf, issuer in ((ours, intermediate), (recorded("github"), recorded("intermediate"))):
        key = leaf.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        subject_id = leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        assert subject_id == x509.SubjectKeyIdentifier.from_public_key(key)
        issuer_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        authority_id = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        assert authority_id == x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id)
        (sct,) = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
        assert sct.version == x509.certificate_transparency.Version.v1
        assert isinstance(sct.signature_hash_algorithm, hashes.SHA256)
        assert sct.extension_bytes == b""


@pytest.mark.parametrize(("index", "name"), [(0, "intermediate"), (1, "root")])
def test_the_chain_is_of_the_real_one_s_form(index: int, name: str, shared_sandbox: Sandbox) -> None:
    """A verifier that is strict about authorities would refuse the sandbox's."""
    ours, theirs = shared_sandbox.authority.chain[index], recorded(name)
    assert [(it.oid, it.critical) for it in ours.extensions] == [(it.oid, it.critical) for it in theirs.extensions]
    for kind in (x509.BasicConstraints, x509.KeyUsage):
        assert ours.extensions.get_extension_for_class(kind) == theirs.extensions.get_extension_for_class(kind)
    for certificate in (ours, theirs):
        key = certificate.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP384R1)


def test_a_reusable_workflow_is_the_signer_and_the_caller_is_the_configuration(services: Services) -> None:
    """The mismatch that makes PyPI refuse an upload from a reusable workflow could not be rehearsed."""
    reusable = "octo-org/workflows/.github/workflows/publish.yml@refs/heads/main"
    certificate = issued(services, GitHubIdentity(job_workflow_ref=reusable))
    extensions = fulcio_extensions(certificate)
    assert extensions["9"].endswith(f"https://github.com/{reusable}".encode())
    assert extensions["18"].endswith(b"https://github.com/octo-org/widget/.github/workflows/release.yml@refs/tags/v1")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [f"https://github.com/{reusable}"]


@pytest.mark.parametrize(
    ("identity", "number", "value"),
    [
        (GitHubIdentity(visibility="private"), "22", b"private"),
        (GitHubIdentity(visibility="internal"), "22", b"internal"),
        (GitHubIdentity(event_name="pull_request_target"), "20", b"pull_request_target"),
        (GitHubIdentity(environment="veröffentlichen"), "23", "veröffentlichen".encode()),
        (GitLabIdentity(ref="refs/heads/main"), "14", b"refs/heads/main"),
        (GitLabIdentity(visibility="internal"), "22", b"internal"),
        (GitLabIdentity(project="group/sub/widget"), "16", b"https://gitlab.com/group/sub"),
    ],
)
def test_a_certificate_follows_the_identity(
    identity: Identity, number: str, value: bytes, shared_services: Services
) -> None:
    """A job could not be told from another by its certificate."""
    assert fulcio_extensions(issued(shared_services, identity))[number][2:] == value


def test_an_empty_claim_is_left_out(shared_services: Services) -> None:
    """Fulcio writes no empty extension; a policy that reads one would work in the sandbox alone."""
    token = shared_services.sandbox.issuer.token("sigstore", identity=GitHubIdentity(), repository_visibility="")
    chain = shared_services.certify(token=token).json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    assert "22" not in fulcio_extensions(x509.load_pem_x509_certificate(chain[0].encode()))


@pytest.mark.parametrize("length", [100, 117, 118, 245, 246, 3000])
def test_a_value_of_any_length_is_encoded_as_der_has_it(length: int, shared_services: Services) -> None:
    """A long branch name would make certificates that no verifier reads."""
    ref = f"refs/tags/{'v' * length}"
    certificate = issued(shared_services, GitHubIdentity(ref=ref))
    (extension,) = (it for it in certificate.extensions if it.oid.dotted_string == f"{FULCIO}.14")
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    assert str(decode(extension.value.value, UTF8String())[0]) == ref


def test_a_reference_that_is_not_ascii_becomes_a_uri(shared_services: Services) -> None:
    """A certificate cannot hold it as it is, so the authority would fail where Fulcio escapes it."""
    certificate = issued(shared_services, GitHubIdentity(ref="refs/tags/größe"))
    (name,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert name.value.endswith("@refs/tags/gr%C3%B6%C3%9Fe")
    assert fulcio_extensions(certificate)["14"].endswith("refs/tags/größe".encode())


def test_the_answer_holds_the_whole_chain_from_leaf_to_root(shared_services: Services) -> None:
    """A client that builds the chain from the answer could not."""
    answer = shared_services.certify().json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    leaf, intermediate, root = (x509.load_pem_x509_certificate(pem.encode()) for pem in answer)
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    bundle = shared_services.client.get(f"{shared_services.sandbox.authority_url}/api/v2/trustBundle").json()
    assert bundle == {"chains": [{"certificates": answer[1:]}]}
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    assert leaf.public_key().public_bytes(serialization.Encoding.DER, spki) == (
        shared_services.key.public_key().public_bytes(serialization.Encoding.DER, spki)
    )
