"""A certificate authority's root and intermediate, and what its certificates have in common."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CODE_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])


def new_chain(now: dt.datetime) -> tuple[ec.EllipticCurvePrivateKey, tuple[x509.Certificate, x509.Certificate]]:
    """Make a root and an intermediate on P-384; returns the intermediate's key and both certificates.

    The root's key is not kept. Both are valid from an hour ago, as Fulcio's own command makes them.
    """
    root_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP384R1())
    root_name, name = _name("hatch-attest sandbox root"), _name("hatch-attest sandbox intermediate")

    def certificate(subject: x509.Name, public: ec.EllipticCurvePublicKey, depth: int) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(root_name)
            .subject_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=depth), critical=True)
            .add_extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        )

    root = certificate(root_name, root_key.public_key(), 1).sign(root_key, hashes.SHA384())
    intermediate = (
        certificate(name, key.public_key(), 0)
        .add_extension(CODE_SIGNING, critical=False)
        .sign(root_key, hashes.SHA384())
    )
    return key, (intermediate, root)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "sandbox.invalid"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def authority_key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Return the extension that names the issuer's key."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    """Return the extension that allows these uses alone."""
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
