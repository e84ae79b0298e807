"""A small certificate authority for pilots: who may get a certificate, who has one, who had one.

A device gets its first certificate against a one-time code that is bound to its id and to the
serial number of its machine, each further one against a signature by the last. Everything is a row
in one SQLite file beside the keys, so commands and a serving authority may run at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from agent.contract import enrolment, topics
from agent.contract.enrolment import EnrollAnswer, EnrollRequest
from agent.contract.errors import Rejected
from agent.fleet import ca_certs
from agent.fleet.ca_certs import PEM, Kind, Signer
from agent.fleet.identity_work import common_name, load_key, signed

CODE_S = 600
DEVICE_DAYS = 30.0
GRACE_S = 90 * 86400  # so long after its end a certificate may still ask for the next
KEEP_ANSWER_S = 3600
RESERVED = frozenset({"backend", "broker", "ca", "claim"})  # in config/broker
SCHEMA = Path(__file__).parent / "ca.sql"

_LATEST = """SELECT serial, pem, not_after, revoked FROM certificates
WHERE name = ? AND kind = 'device' ORDER BY issued DESC, rowid DESC LIMIT 3"""
_REVOKE = """UPDATE certificates SET revoked = ?, reason = ?
WHERE name = ? AND revoked IS NULL AND not_after > ? RETURNING serial"""
_REVOKED = """SELECT serial, revoked FROM certificates
WHERE generation = ? AND revoked IS NOT NULL AND not_after > ? ORDER BY revoked"""
_NEWEST = """SELECT name, kind, generation, trusts, hardware, issued, not_after, revoked, reason
FROM certificates c WHERE rowid = (SELECT max(rowid) FROM certificates WHERE name = c.name)
ORDER BY name"""


@dataclass(frozen=True, slots=True)
class Owner:
    """Of a certificate, the newest of that name."""

    name: str
    kind: str
    generation: int
    trusts: int
    hardware: str
    issued: int
    not_after: int
    revoked: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Decision:
    """`revoked`: whether the device had a certificate that ended with this one; then its
    connections are to be ended, too."""

    answer: EnrollAnswer
    revoked: bool = False
    moved: bool = False  # the card is in another machine than before


class Authority:
    """The folder of an authority. Raises Rejected for what cannot be done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "ca.db").exists():
            raise Rejected("no_authority", f"there is no authority in {folder}: edge-agent ca init")

    @classmethod
    def create(cls, folder: Path, name: str, now: float, **settings: str) -> Authority:
        """Root and issuing authority, and an empty list of what is revoked."""
        if (folder / "ca.db").exists():
            raise Rejected("exists", f"{folder} has an authority already")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(folder / "ca.db")) as made:
            made.executescript(SCHEMA.read_text("utf-8"))
        (folder / "ca.db").chmod(0o600)
        self = cls(folder)
        with self._open() as tx:
            tx.executemany(
                "INSERT INTO settings VALUES (?, ?)", [("name", name), *settings.items()]
            )
            self._generate(tx, "issuing", now)
        self.write_lists(now)
        return self

    def setting(self, name: str) -> str | None:
        with self._open() as tx:
            return _setting(tx, name)

    # --- enrolment --------------------------------------------------------------------------------

    def code(self, device: str, hardware: str, now: float) -> str:
        """A one-time code, 10 minutes good; an earlier one of this device is worth nothing now."""
        if not topics.DEVICE_ID.fullmatch(device):
            raise Rejected("bad_device", f"{device!r} is no device id ({topics.DEVICE_ID.pattern})")
        code = enrolment.new_code()
        with self._open() as tx:
            _only_as(tx, "device", device)
            tx.execute(
                "INSERT OR REPLACE INTO codes VALUES (?, ?, ?, ?)",
                (device, enrolment.code_key(code), hardware, int(now) + CODE_S),
            )
        return code

    def decide(self, device: str, request: EnrollRequest, now: float) -> Decision:
        """Raises Rejected where nothing may be issued."""
        text = enrolment.request_text(device, request)
        digest = hashlib.sha256(text + request.proof.encode()).digest()
        with self._open() as tx:
            tx.execute("DELETE FROM answers WHERE t < ?", (int(now) - KEEP_ANSWER_S,))
            tx.execute("DELETE FROM codes WHERE expires < ?", (int(now),))
            found = tx.execute(
                "SELECT answer FROM answers WHERE id = ? AND request = ?", (request.id, digest)
            ).fetchone()
            if found:
                return Decision(msgspec.json.decode(found[0], type=EnrollAnswer))
            public = _public_key(device, request)
            if request.kind == "enroll":
                decision = self._enroll(tx, device, request, text, public, now)
            else:
                decision = self._renew(tx, device, request, text, public, now)
            tx.execute(
                "INSERT INTO answers VALUES (?, ?, ?, ?)",
                (request.id, digest, msgspec.json.encode(decision.answer), int(now)),
            )
        return decision

    def _enroll(
        self,
        tx: sqlite3.Connection,
        device: str,
        request: EnrollRequest,
        text: bytes,
        public: ec.EllipticCurvePublicKey,
        now: float,
    ) -> Decision:
        row = tx.execute("SELECT key, hardware FROM codes WHERE device = ?", (device,)).fetchone()
        if row is None or not enrolment.proves(row[0], text, request.proof):
            raise Rejected("code", f"no code for {device} that fits: used, older than 10 minutes?")
        if row[1] != request.hardware:
            raise Rejected("serial", f"the code is for another machine than {request.hardware}")
        tx.execute("DELETE FROM codes WHERE device = ?", (device,))
        ended = tx.execute(_REVOKE, (int(now), "enrolled anew", device, int(now))).fetchall()
        answer = self._answer(tx, device, request, public, now)
        proof = enrolment.prove(row[0], enrolment.answer_text(device, answer))
        return Decision(msgspec.structs.replace(answer, proof=proof), revoked=bool(ended))

    def _renew(
        self,
        tx: sqlite3.Connection,
        device: str,
        request: EnrollRequest,
        text: bytes,
        public: ec.EllipticCurvePublicKey,
        now: float,
    ) -> Decision:
        for _serial, pem, not_after, revoked in tx.execute(_LATEST, (device,)).fetchall():
            key = x509.load_pem_x509_certificate(pem.encode()).public_key()
            if not signed(key, text, request.proof):
                continue
            if revoked is not None:
                raise Rejected("revoked", f"the certificate of {device} is revoked")
            if now > not_after + GRACE_S:
                raise Rejected("expired", f"the certificate of {device} ended too long ago")
            before = tx.execute(
                "SELECT hardware FROM certificates WHERE serial = ?", (_serial,)
            ).fetchone()[0]
            answer = self._answer(tx, device, request, public, now)
            return Decision(answer, moved=before != request.hardware)
        raise Rejected("key", f"no certificate of {device} has the key that signed this")

    def _answer(
        self,
        tx: sqlite3.Connection,
        device: str,
        request: EnrollRequest,
        public: ec.EllipticCurvePublicKey,
        now: float,
    ) -> EnrollAnswer:
        days = float(_setting(tx, "days") or DEVICE_DAYS)
        chain = self._issue(tx, public, device, "device", now, days, hardware=request.hardware)
        return EnrollAnswer(id=request.id, chain=chain, roots=self._trust(tx))

    # --- what it issues ---------------------------------------------------------------------------

    def issue(self, name: str, now: float, hosts: list[str]) -> tuple[bytes, str]:
        """Key and chain for a broker (`hosts`: how clients call it) or for a program."""
        key = ca_certs.new_key()
        kind: Kind = "server" if hosts else "service"
        with self._open() as tx:
            _only_as(tx, kind, name)
            days = ca_certs.SERVICE_DAYS
            chain = self._issue(tx, key.public_key(), name, kind, now, days, hosts=hosts)
        return ca_certs.key_pem(key), chain

    def stand_in(self, device: str, now: float) -> tuple[bytes, str]:
        """Key and chain, good for ten minutes, to connect as somebody: as the authority itself, or
        as a device whose connection is to end. They are in no list: nobody keeps them."""
        key = ca_certs.new_key()
        with self._open() as tx:
            above = self._signer(tx)
        made = ca_certs.leaf(above, key.public_key(), device, "device", now, 600 / 86400)
        return ca_certs.key_pem(key), _pem(made) + _pem(above.cert)

    def _issue(
        self,
        tx: sqlite3.Connection,
        public: ec.EllipticCurvePublicKey,
        name: str,
        kind: Kind,
        now: float,
        days: float,
        *,
        hosts: list[str] | None = None,
        hardware: str = "",
    ) -> str:
        above = self._signer(tx)
        made = ca_certs.leaf(above, public, name, kind, now, days, hosts or ())
        number = self._number(tx, "issuing")
        tx.execute(
            "INSERT INTO certificates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)",
            (
                f"{made.serial_number:x}",
                name,
                kind,
                number,
                tx.execute("SELECT max(number) FROM generations").fetchone()[0],
                hardware,
                int(now),
                int(made.not_valid_after_utc.timestamp()),
                _pem(made),
            ),
        )
        return _pem(made) + _pem(above.cert)

    # --- what it takes back -----------------------------------------------------------------------

    def owners(self) -> list[Owner]:
        with self._open() as tx:
            return [Owner(*row) for row in tx.execute(_NEWEST)]

    def revoke(self, name: str, now: float, reason: str) -> int:
        """How many certificates ended; a code that waits for the name ends, too."""
        with self._open() as tx:
            tx.execute("DELETE FROM codes WHERE device = ?", (name,))
            ended = tx.execute(_REVOKE, (int(now), reason, name, int(now))).fetchall()
        self.write_lists(now)
        return len(ended)

    def write_lists(self, now: float) -> list[Path]:
        """`trust.pem` and `crl.pem`, and the copy that the broker reads, if one was named."""
        with self._open() as tx:
            trust = self._trust(tx).encode()
            lists = b"".join(
                ca_certs.crl(
                    self._read(number, "issuer"),
                    tx.execute(_REVOKED, (number, int(now))).fetchall(),
                    now,
                )
                for (number,) in tx.execute("SELECT number FROM generations").fetchall()
            )
        written = [(self.folder / "trust.pem", trust), (self.folder / "crl.pem", lists)]
        if (copy := self.setting("crl")) is not None:
            written.append((Path(copy), lists))
        for path, content in written:
            replace(path, content)
        return [path for path, _ in written]

    # --- a new root -------------------------------------------------------------------------------

    def roll(self, now: float) -> int:
        """A second root that devices learn to trust; the first goes on issuing."""
        with self._open() as tx:
            if tx.execute("SELECT 1 FROM generations WHERE state != 'issuing'").fetchone():
                raise Rejected("rolling", "a change of roots is under way: ca roll --finish")
            number = self._generate(tx, "coming", now)
        self.write_lists(now)
        return number

    def behind(self, now: float) -> list[str]:
        """Devices with a certificate that do not know the newest root yet."""
        with self._open() as tx:
            newest = tx.execute("SELECT max(number) FROM generations").fetchone()[0]
        return [
            one.name
            for one in self.owners()
            if one.kind == "device"
            and one.revoked is None
            and one.not_after > now
            and one.trusts < newest
        ]

    def switch(self, now: float) -> None:
        """From now on the new root's authority issues; both are still trusted."""
        with self._open() as tx:
            if not tx.execute("SELECT 1 FROM generations WHERE state = 'coming'").fetchone():
                raise Rejected("not_rolling", "there is no new root: ca roll")
            tx.execute("UPDATE generations SET state = 'old' WHERE state = 'issuing'")
            tx.execute("UPDATE generations SET state = 'issuing' WHERE state = 'coming'")
        self.write_lists(now)

    def remaining(self, now: float) -> list[str]:
        """Who has a certificate of the old root's."""
        with self._open() as tx:
            issuing = self._number(tx, "issuing")
        return [
            one.name
            for one in self.owners()
            if one.revoked is None and one.not_after > now and one.generation < issuing
        ]

    def finish(self, now: float) -> None:
        """The old root is trusted no more; its keys are deleted."""
        with self._open() as tx:
            gone = tx.execute("DELETE FROM generations WHERE state = 'old' RETURNING number")
            numbers = [row[0] for row in gone.fetchall()]
        if not numbers:
            raise Rejected("not_rolling", "there is no old root any more")
        self.write_lists(now)
        for number in numbers:
            for name in ("root.key", "issuer.key"):
                (self.folder / str(number) / name).unlink(missing_ok=True)

    # --- files and rows ---------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction; nested ones are their own and only read."""
        connection = sqlite3.connect(self.folder / "ca.db", timeout=10.0)
        try:
            connection.execute("PRAGMA synchronous = FULL")
            with connection:
                yield connection
        finally:
            connection.close()

    def _generate(self, tx: sqlite3.Connection, state: str, now: float) -> int:
        last = tx.execute("SELECT max(number) FROM generations").fetchone()[0] or 0
        number = int(last) + 1
        name = _setting(tx, "name")
        root = ca_certs.root(f"{name} root {number}", now)
        issuer = ca_certs.issuer(f"{name} issuing {number}", root, now)
        at = self.folder / str(number)
        at.mkdir(mode=0o700)
        for word, signer in (("root", root), ("issuer", issuer)):
            replace(at / f"{word}.key", ca_certs.key_pem(signer.key), 0o600)
            replace(at / f"{word}.pem", _pem(signer.cert).encode())
        tx.execute("INSERT INTO generations VALUES (?, ?)", (number, state))
        return number

    def _number(self, tx: sqlite3.Connection, state: str) -> int:
        row = tx.execute("SELECT number FROM generations WHERE state = ?", (state,)).fetchone()
        return int(row[0])

    def _signer(self, tx: sqlite3.Connection) -> Signer:
        return self._read(self._number(tx, "issuing"), "issuer")

    def _read(self, number: int, word: str) -> Signer:
        at = self.folder / str(number)
        key = load_key(at / f"{word}.key")
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return Signer(x509.load_pem_x509_certificate((at / f"{word}.pem").read_bytes()), key)

    def _trust(self, tx: sqlite3.Connection) -> str:
        """All roots, the newest first."""
        rows = tx.execute("SELECT number FROM generations ORDER BY number DESC").fetchall()
        return "".join(
            (self.folder / str(number) / "root.pem").read_text("ascii") for (number,) in rows
        )


def _setting(tx: sqlite3.Connection, name: str) -> str | None:
    row = tx.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def _only_as(tx: sqlite3.Connection, kind: Kind, name: str) -> None:
    """Brokers give rights by name: a device called as a program would have the program's."""
    rows = tx.execute("SELECT DISTINCT kind FROM certificates WHERE name = ?", (name,))
    others = {row[0] for row in rows} - {kind}
    if others or (kind == "device" and name in RESERVED):
        raise Rejected("name_taken", f"{name} is the name of another ({', '.join(others)})"
                       if others else f"{name} is the name of a program")  # fmt: skip


def _public_key(device: str, request: EnrollRequest) -> ec.EllipticCurvePublicKey:
    """Of a request that is signed by its own key and asks for its own name; raises Rejected."""
    try:
        asked = x509.load_pem_x509_csr(request.csr.encode())
        good = asked.is_signature_valid
    except ValueError as error:
        raise Rejected("invalid", f"the request cannot be read: {error}") from None
    public = asked.public_key()
    if not good or not isinstance(public, ec.EllipticCurvePublicKey):
        raise Rejected("invalid", "the request is not signed by an elliptic-curve key")
    if public.curve.name != ca_certs.P256.name:
        raise Rejected("invalid", f"keys are of {ca_certs.P256.name}")
    if common_name(asked.subject) != device:
        raise Rejected("invalid", "the request is for another name than its topic")
    return public


def _pem(cert: x509.Certificate) -> str:
    return cert.public_bytes(PEM).decode()


def replace(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Whole or not at all, and on the disk."""
    made = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask: the broker reads the list
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    made.rename(path)
