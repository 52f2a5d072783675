"""Time-stamp authorities of tests: `openssl ts` behind HTTP, with their own certificates."""

import subprocess
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mrv.signatures.authorities import Authority, pem

DAY = timedelta(days=1)
POLICY = "1.3.6.1.4.1.99999.1"
_CONFIG = """
[ tsa ]
default_tsa = here
[ here ]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
certs = {folder}/between.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = {policy}
digests = sha256, sha512
accuracy = secs:1
ess_cert_id_alg = sha256
"""


class StampAuthority:
    """An authority with a root, an intermediate certificate, and one that signs its tokens."""

    def __init__(self, folder, name, begins=-DAY, ends=365 * DAY, policy=POLICY):
        folder.mkdir(parents=True)
        now = datetime.now(UTC)
        self.folder, self.name = folder, name
        root, between, signer = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
        long = now - 30 * 365 * DAY, now + 30 * 365 * DAY
        self.root = _certificate(f"{name} root", root, f"{name} root", root, long, ca=True)
        self.between = _certificate(f"{name} CA", between, f"{name} root", root, long, ca=True)
        mine = now + begins, now + ends
        self.signer = _certificate(f"{name} stamps", signer, f"{name} CA", between, mine, ca=False)
        secret = signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "signer.key").write_bytes(secret)
        (folder / "signer.pem").write_text(pem(self.signer))
        (folder / "between.pem").write_text(pem(self.between) + pem(self.root))
        (folder / "authority.conf").write_text(_CONFIG.format(folder=folder, policy=policy))

    @property
    def trusted(self):
        """Return the authority as a reader trusts it: by its root only."""
        return Authority(self.name, (pem(self.root),))

    def answer(self, request):
        """Answer a request, as `openssl ts -reply` does."""
        (self.folder / "query").write_bytes(request)
        subprocess.run(
            ["openssl", "ts", "-reply", "-config", "authority.conf", "-queryfile", "query",
             "-out", "answer"],
            cwd=self.folder, check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        return (self.folder / "answer").read_bytes()


def _certificate(name, key, issuer, issuer_key, valid, *, ca):
    made = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not ca:
        stamps = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        made = made.add_extension(stamps, critical=True)
    return made.sign(issuer_key, SHA256())


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, ca):
    off = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "encipher_only", "decipher_only"), False,
    )  # fmt: skip
    return x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **off)


class Served:
    """An authority behind HTTP; `spoil` changes its answers, `down` lets it answer 503."""

    def __init__(self, authority, url):
        self.authority, self.url = authority, url
        self.spoil, self.down, self.asked = None, False, 0

    def answer(self, request):
        """Return the status and the body of an answer."""
        self.asked += 1
        if self.down:
            return 503, b"closed"
        found = self.authority.answer(request)
        return 200, found if self.spoil is None else self.spoil(request, found)


@contextmanager
def served(authority):
    """Serve an authority at a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = self.rfile.read(int(self.headers["Content-Length"]))
            status, body = here.answer(request)
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Served(authority, f"http://127.0.0.1:{server.server_address[1]}/stamp")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
