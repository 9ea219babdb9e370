"""Certificates made on the spot, and contexts of clients."""

import datetime
import ipaddress
import ssl
import struct

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .peer import Peer

PEM = serialization.Encoding.PEM
DAY = datetime.timedelta(days=1)


class Pair:
    """A certificate and its key."""

    def __init__(self, certificate, key):
        self.certificate, self.key = certificate, key

    @property
    def serial(self):
        return self.certificate.serial_number

    def chain_pem(self):
        return self.certificate.public_bytes(PEM)

    def key_pem(self, kind="PKCS8", password=None):
        """The key: `PKCS8`, or `TraditionalOpenSSL` (PKCS#1 and SEC1); encrypted by a password."""
        hidden = (serialization.BestAvailableEncryption(password) if password
                  else serialization.NoEncryption())
        return self.key.private_bytes(PEM, getattr(serialization.PrivateFormat, kind), hidden)

    def write(self, folder, name="server", **how):
        """Writes both files; returns the keys of a listener's `tls`."""
        (folder / f"{name}.crt").write_bytes(self.chain_pem())
        (folder / f"{name}.key").write_bytes(self.key_pem(**how))
        return {"certificate": f"{name}.crt", "key": f"{name}.key"}


class Authority(Pair):
    """A CA of its own."""

    def __init__(self, name="Test CA"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        builder = _builder(subject, subject, key, -1, 30)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        super().__init__(builder.sign(key, hashes.SHA256()), key)

    def issue(self, *names, begins=-1, ends=30, use_rsa=False, client=False, both=False):
        """A certificate for these names and addresses, valid from and to so many days from now; for servers, for
        clients, or for both."""
        key = (rsa.generate_private_key(65537, 2048) if use_rsa
               else ec.generate_private_key(ec.SECP256R1()))
        builder = _builder(_name(names[0]), self.certificate.subject, key, begins, ends)
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        usages = [ExtendedKeyUsageOID.SERVER_AUTH] * (both or not client)
        usages += [ExtendedKeyUsageOID.CLIENT_AUTH] * (both or client)
        builder = builder.add_extension(alternatives, False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), False)
        return Pair(builder.sign(self.key, hashes.SHA256()), key)


def tls_client(alpn=(), trust=None, version=None, identity=None):
    """A client's context: it trusts that authority, or everybody.

    `version` is the only one it speaks; `identity` is a pair of files, for mutual TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if trust:
        context.load_verify_locations(cadata=trust.chain_pem().decode())
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version:
        context.minimum_version = context.maximum_version = version
    if identity:
        context.load_cert_chain(*identity)
    return context


def client_hello(name):
    """A ClientHello of TLS 1.3 that asks for a server of that name, in as many records as it takes."""
    def vector(content, size):
        return len(content).to_bytes(size, "big") + content

    def extension(kind, content):
        return struct.pack("!H", kind) + vector(content, 2)

    shown = name[:65_000]
    extensions = extension(0, vector(b"\0" + vector(shown, 2), 2))
    extensions += extension(43, vector(b"\x03\x04", 1)) + extension(13, vector(b"\x04\x03\x08\x04", 2))
    extensions += extension(10, vector(b"\0\x1d", 2)) + extension(51, vector(b"\0\x1d" + vector(b"\x09" * 32, 2), 2))
    body = b"\x03\x03" + b"\x07" * 32 + vector(b"", 1) + vector(b"\x13\x01\x13\x02", 2) + vector(b"\0", 1)
    body += vector(extensions[:65_535], 2)
    message = b"\x01" + vector(body, 3)
    parts = [message[at:at + 16_000] for at in range(0, len(message), 16_000)]
    return b"".join(b"\x16\x03\x01" + vector(part, 2) for part in parts)


class TlsPeer(Peer):
    """An HTTP/1 client over TLS; `before` is said in plain."""

    def __init__(self, address, context=None, name="localhost", session=None, before=b"", **options):
        super().__init__(address, **options)
        try:
            self.socket.sendall(before)
            self.socket = (context or tls_client()).wrap_socket(
                self.socket, server_hostname=name, session=session)
        except OSError:
            self.socket.close()
            raise


def serial_of(connection):
    """The serial number of the certificate that the server showed on a TLS socket."""
    return x509.load_der_x509_certificate(connection.getpeercert(binary_form=True)).serial_number


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(subject, issuer, key, begins, ends):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now + begins * DAY).not_valid_after(now + ends * DAY))
