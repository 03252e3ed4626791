"""Certificates that tests make for themselves."""

import datetime as dt
import ipaddress
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def self_signed(*names: x509.GeneralName) -> tuple[bytes, bytes]:
    """A private key and a certificate for these names that it signed itself, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return plain, signed.public_bytes(pem)


def local(directory: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1."""
    file = directory / "local.pem"
    file.write_bytes(b"".join(self_signed(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))))
    return file


def server_side(file: Path) -> ssl.SSLContext:
    """Return the TLS context of a server with such a file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)
    return context
