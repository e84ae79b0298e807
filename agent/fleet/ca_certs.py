"""Certificates as the pilots' authority makes them; RFC 5280, elliptic curves throughout.

    root (20 years) -> issuing authority (5 years) -> device (30 days), server, service (1 year)

A device's certificate names it twice: as common name, which mosquitto makes the user name, and as
DNS name, which RabbitMQ can compare with the MQTT client id.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_DAYS, ISSUER_DAYS, SERVICE_DAYS, CRL_DAYS = 7305, 1826, 366, 366
EARLY = timedelta(minutes=5)  # clocks differ
Kind = Literal["device", "server", "service"]
PEM = serialization.Encoding.PEM
P256 = ec.SECP256R1()  # every TLS 1.3 stack has it (RFC 8446, section 9.1)


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate with its key: a root, or an issuing authority."""

    cert: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(P256)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def root(name: str, now: float) -> Signer:
    key = new_key()
    subject = _name(name)
    cert = _authority(subject, subject, key.public_key(), now, ROOT_DAYS, 1).sign(
        key, hashes.SHA256()
    )
    return Signer(cert, key)


def issuer(name: str, above: Signer, now: float) -> Signer:
    key = new_key()
    made = _authority(_name(name), above.cert.subject, key.public_key(), now, ISSUER_DAYS, 0)
    return Signer(_signed(made, above), key)


def leaf(
    above: Signer,
    public: ec.EllipticCurvePublicKey,
    name: str,
    kind: Kind,
    now: float,
    days: float,
    hosts: Sequence[str] = (),
) -> x509.Certificate:
    """`hosts`: DNS names and addresses of a server. Only servers may act as one."""
    client, server = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
    made = (
        _builder(_name(name), above.cert.subject, public, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([server if kind == "server" else client]), False)
        .add_extension(x509.SubjectAlternativeName(_names(hosts or [name])), False)
    )
    return _signed(made, above)


def crl(above: Signer, revoked: Sequence[tuple[str, int]], now: float) -> bytes:
    """PEM; `revoked`: serial number (hex) and unix second. It is good for a year, because a broker
    that finds it expired lets nobody in."""
    made = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(above.cert.subject)
        .last_update(_date(now) - EARLY)
        .next_update(_date(now) + timedelta(days=CRL_DAYS))
        .add_extension(_key_of(above), critical=False)
        .add_extension(x509.CRLNumber(int(now)), critical=False)
    )
    for serial, t in revoked:
        one = x509.RevokedCertificateBuilder().serial_number(int(serial, 16))
        made = made.add_revoked_certificate(one.revocation_date(_date(t)).build())
    return made.sign(above.key, hashes.SHA256()).public_bytes(PEM)


def _builder(
    subject: x509.Name,
    above: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: float,
    days: float,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_date(now) - EARLY)
        .not_valid_after(_date(now) + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _authority(
    subject: x509.Name,
    above: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: float,
    days: float,
    path_length: int,
) -> x509.CertificateBuilder:
    return (
        _builder(subject, above, public, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(ca=True), critical=True)
    )


def _signed(made: x509.CertificateBuilder, above: Signer) -> x509.Certificate:
    return made.add_extension(_key_of(above), critical=False).sign(above.key, hashes.SHA256())


def _key_of(above: Signer) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key())


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _names(hosts: Sequence[str]) -> list[x509.GeneralName]:
    return [_host(host) for host in hosts]


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _date(t: float) -> datetime:
    return datetime.fromtimestamp(int(t), UTC)
