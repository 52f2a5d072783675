"""Time stamps of trusted authorities are used for what they prove; others are not."""

import random
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mrv import timestamps
from mrv.errors import EnrolmentError, TimestampError
from mrv.log import signature_lines
from mrv.log.entries import parse_receipt
from mrv.packs.pack import TIMESTAMPS
from mrv.signatures import canonical
from mrv.signatures.authorities import Authority, StampRule, pem, read_authorities
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.merkle_tree import inclusion_proof, leaf_hash
from mrv.signatures.trust_root import IssueRule, TrustRoot, read_trusted, sign_root, write_root
from mrv.statement.credentials import issued_entry
from mrv.statement.states import sign_list
from mrv.stored_tokens import Head, Place, StoredTokens, read, write
from mrv.verify import __main__ as command
from mrv.verify import lines, verify
from tests.mrv import packs
from tests.timestamp_authority import DAY, POLICY, StampAuthority

MESSAGE = b"tonne-log\n3\nroot\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return two trusted authorities, an invented one, and two outside their validity."""
    base = tmp_path_factory.mktemp("authorities")
    return {
        name: StampAuthority(base / name, name, **more)
        for name, more in {
            "east": {},
            "west": {},
            "made-up": {},
            "ended": {"begins": -30 * DAY, "ends": -DAY},
            "early": {"begins": DAY},
        }.items()
    }


def stamped(authority, message):
    """Return an authority's answer over a message."""
    return authority.answer(timestamps.request(message).content)


@pytest.fixture(scope="module")
def good(made):
    """Return a token over MESSAGE."""
    return stamped(made["east"], MESSAGE)


def test_a_token_holds_and_openssl_says_the_same(made, good, tmp_path):
    """An auditor with other software would come to another result."""
    east, now = made["east"], datetime.now(UTC)
    found = timestamps.verify(good, MESSAGE, [made["west"].trusted, east.trusted])
    assert (found.authority, found.signer, found.policy) == ("east", "east stamps", POLICY)
    assert abs(found.time - now) < timedelta(minutes=5)
    assert found.latest - found.time == timedelta(seconds=1)
    (tmp_path / "token").write_bytes(good)
    (tmp_path / "message").write_bytes(MESSAGE)
    (tmp_path / "root").write_text(pem(east.root))
    words = ["openssl", "ts", "-verify", "-in", "token", "-data", "message", "-CAfile", "root"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "Verification: OK" in done.stdout, done.stderr


def _refused(what, response, message=MESSAGE, authorities=(), **more):
    with pytest.raises(TimestampError, match=what):
        timestamps.verify(response, message, authorities, **more)


def test_what_does_not_hold_is_named(made, good):
    """A wrong token would count, or no one would know what is wrong with it."""
    east = made["east"].trusted
    asked = timestamps.request(MESSAGE)
    _refused("token is for another document", good, MESSAGE + b"!", [east])
    _refused("belongs to another request", good, MESSAGE, [east], nonce=asked.nonce)
    _refused("is not from one of your trusted", good, MESSAGE, [made["west"].trusted])
    _refused(
        "could not stamp at that time",
        stamped(made["ended"], MESSAGE),
        MESSAGE,
        [made["ended"].trusted],
    )
    _refused(
        "could not stamp at that time",
        stamped(made["early"], MESSAGE),
        MESSAGE,
        [made["early"].trusted],
    )
    _refused("has policy", good, MESSAGE, [replace(east, policies=("1.2.3",))])
    _refused("accepted only until", good, MESSAGE, [replace(east, until="2026-01-01T00:00:00Z")])
    _refused("is not a token of RFC 3161", b"<html>", MESSAGE, [east])
    _refused("granted no token: status 2", bytes.fromhex("30053003020102"), MESSAGE, [east])
    policies = replace(east, policies=("1.2.3", POLICY), until="2099-01-01T00:00:00Z")
    assert timestamps.verify(good, MESSAGE, [policies]).authority == "east"


def test_certificates_that_come_along_are_not_believed(made, good):
    """Certificates inside a pack are not trusted as time-stamp authorities."""
    false = stamped(made["made-up"], MESSAGE)
    own = [pem(made["made-up"].root), pem(made["made-up"].between), pem(made["made-up"].signer)]
    _refused("is not from one of your trusted", false, MESSAGE, [made["east"].trusted], between=own)
    foreign = [pem(made["west"].between), pem(made["west"].root)]
    assert timestamps.verify(good, MESSAGE, [made["east"].trusted], foreign).authority == "east"


def test_no_changed_byte_passes(made, good):
    """A time-stamp token with any changed byte is rejected."""
    east, seed = [made["east"].trusted], random.randrange(2**32)  # noqa: S311
    print("seed", seed)  # noqa: T201 - told where it fails
    said = timestamps.verify(good, MESSAGE, east)
    chance, passed = random.Random(seed), 0  # noqa: S311
    for _ in range(300):
        spoilt = bytearray(good)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        try:
            found = timestamps.verify(bytes(spoilt), MESSAGE, east)
        except TimestampError:
            continue
        passed += 1  # a certificate that is not needed, or the status' own text
        assert found == said
    assert passed < 100


def test_authorities_that_say_two_things_are_refused(made):
    """One authority could count as two, or a file would be read as something else."""
    east = made["east"].trusted
    for what, rule in {
        "list each authority once": (1, (east, replace(east, name="another"))),
        "a threshold of at most their number": (2, (east,)),
    }.items():
        with pytest.raises(EnrolmentError, match=what):
            StampRule(*rule)
    with pytest.raises(EnrolmentError, match="is a root"):
        Authority("x", (pem(made["east"].between),))
    for what, data in {
        "may have `since`": b'{"threshold": 1}',
        "not an object identifier": canonical.encode(
            {"threshold": 1, "authorities": [east.to_json() | {"policies": ["x"]}]}
        ),
        "not in PEM": b'{"threshold": 1, "authorities": [{"name": "x", "certificates": ["y"]}]}',
    }.items():
        with pytest.raises(EnrolmentError, match=what):
            read_authorities(data)
    bundle = read_authorities((pem(made["east"].root) + pem(made["east"].between)).encode())
    assert [one.name for one in bundle.authorities] == ["east root"]


def _rule(made, *names, threshold=1, since="1970-01-01T00:00:00Z"):
    return StampRule(threshold, tuple(made[name].trusted for name in names), since)


def _held(files, statement=(), heads=(), chains=()):
    """Return the tokens of a pack: over the statement, over the receipt's head, both or none."""
    receipt = parse_receipt(files["receipt.txt"].decode())
    seal = canonical.parse_object(files["seals.json"])["days"][0]
    leaves = _leaves(files, seal)
    places = {
        index: (Place(0, tuple(inclusion_proof(index, leaves))),)
        for index in (seal["index"], receipt.index)
    }
    head = (Head(receipt.checkpoint, tuple(heads)),) if heads else ()
    return StoredTokens(tuple(chains), tuple(statement), head, places if heads else {})


def _leaves(files, seal):
    signed, opinion = (
        canonical.parse_object(files[f"{name}.json"]) for name in ("statement", "verification")
    )
    from mrv.log.entries import evidence_entry  # noqa: PLC0415

    name = signed["credentialSubject"]["statement"]
    entries = [b"before", canonical.encode(seal["entry"]), issued_entry(signed, opinion, ()),
               evidence_entry(name, files["manifest.json"])]  # fmt: skip
    return [leaf_hash(one) for one in entries]


def _head_text(files):
    return signature_lines(parse_receipt(files["receipt.txt"].decode()).checkpoint)[0].encode()


def _pack(files, held):
    return packs.with_files(packs.pack(files), files | {TIMESTAMPS: write(held)})


FILES = packs.documents()


def _tokens(made, names, files=FILES):
    whole = [stamped(made[name], files["statement.json"]) for name in names]
    return whole, [stamped(made[name], _head_text(files)) for name in names]


@pytest.fixture(scope="module")
def both(made):
    """Return tokens of both authorities over statement and head."""
    return _tokens(made, ("east", "west"))


def _status():
    project = canonical.parse_object(FILES["statement.json"])["credentialSubject"]["project"]["id"]
    signer = packs.SIGNERS["operator"], packs.HOLDERS["operator"]
    return canonical.encode(sign_list(project, [], [], *signer, datetime.now(UTC)))


def _report(made, held, *names, files=FILES, **more):
    rule = more.pop("rule", None) or _rule(made, *names)
    pack = _pack(files, held)
    return verify(pack, packs.HOLDERS.values(), _status(), authorities=rule, **more)


def _step(report):
    return next(one for one in report.steps if one.name == "time stamps")


def test_time_stamps_of_a_pack(made, both):
    """The time stamps of a pack are listed with authority and time."""
    whole, heads = both
    held = _held(FILES, whole, heads)
    assert read(write(held)) == held
    report = _report(made, held, rule=_rule(made, "east", "west", threshold=2))
    assert report.exit_code == 0, list(lines(report))
    assert [name for name, _ in report.stamps] == ["east", "west"]
    said = "\n".join(lines(report))
    assert "relied on: time stamps: the statement existed when stamped by east at" in said
    assert "not the operator's" not in said
    (day,) = report.stamped_days
    assert day.late  # a day of January, stamped today
    assert "no evidence that it was sealed earlier" in said


def test_too_few_or_none_that_count(made, both):
    """Too few time stamps of trusted authorities are reported."""
    whole, heads = both
    false, false_heads = _tokens(made, ("made-up",))
    chains = [pem(made["made-up"].root), pem(made["made-up"].between)]
    own = _held(FILES, false, false_heads, chains)
    report = _report(made, own, "east")
    assert report.exit_code == 4
    assert [one.code for one in report.missing] == ["timestamps"]
    assert "is not from one of your trusted authorities" in _step(report).detail
    assert report.stamps == ()
    assert _report(made, own, "east", accept=["no-timestamps"]).exit_code == 0
    two = _rule(made, "east", "west", threshold=2)
    one = _report(made, _held(FILES, whole[:1], heads[:1]), rule=two)
    assert one.missing[0].what.endswith("1 stamped it")
    assert one.stamped_days[0].stamped is None
    # the same authority's second token is no second authority
    again = _held(FILES, [whole[0], stamped(made["east"], FILES["statement.json"])], heads[:1])
    assert _report(made, again, rule=two).exit_code == 4
    later = replace(two, since="2026-12-01T00:00:00Z")
    assert _report(made, own, rule=later).exit_code == 0
    plain = verify(packs.pack(FILES), packs.HOLDERS.values(), _status())
    assert plain.exit_code == 0
    assert "no trusted authority stamped the statement" in "\n".join(plain.not_relied)


def test_tokens_of_something_else_are_false(made, both):
    """A time stamp of another document is rejected."""
    whole, heads = both
    cases = {
        "token is for another document": _held(FILES, heads, heads),
        "token is for another": _held(FILES, whole, whole),
        "does not lead to the root": replace(
            _held(FILES, whole, heads),
            entries={
                index: (Place(0, (*places[0].proof[::-1], b"\0" * 32)),)
                for index, places in _held(FILES, whole, heads).entries.items()
            },
        ),
    }
    for what, held in cases.items():
        failure = _report(made, held, "east", "west").failure
        assert failure is not None, what
        assert failure.name == "time stamps"
        assert what.split("token ")[-1] in failure.detail or "proof" in failure.detail
    # a head that somebody else's key signed
    other = packs.SIGNERS | {"log": packs.SIGNERS["verifier"]}
    forged = packs.head(
        _leaves(FILES, canonical.parse_object(FILES["seals.json"])["days"][0]),
        packs.Cast(signers=other),
    )
    held = _held(FILES, whole, heads)
    held = replace(held, heads=(Head(forged, held.heads[0].tokens),))
    assert _report(made, held, "east").failure.name == "time stamps"


def _cast(**more):
    return packs.documents(cast=packs.Cast(**more))


def test_dates_that_an_authority_contradicts(made):
    """A date that contradicts the time-stamp authority is reported."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    files = _cast(signed=tomorrow, verified=tomorrow)
    held = _held(files, [stamped(made["east"], files["statement.json"])])
    at = tomorrow + timedelta(hours=1)
    failure = _report(made, held, "east", files=files, at=at, accept=["draft"]).failure
    assert failure.name == "time stamps"
    assert "the signer's clock was ahead, or the date is false" in failure.detail
    files = _cast(verified=tomorrow)
    whole, heads = _tokens(made, ("east",), files)
    failure = _report(made, _held(files, whole, heads), "east", files=files, at=at).failure
    assert "with the verification" in failure.detail
    files = _cast(issued=tomorrow)
    whole, heads = _tokens(made, ("east",), files)
    failure = _report(made, _held(files, whole, heads), "east", files=files, at=at).failure
    assert "saw the issue in the log at" in failure.detail
    arrival = {"root": "00", "readings": "1", "late": "0", "hours": {"2026-01-03T00:00:00Z": "1"},
               "sealed": tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ")}  # fmt: skip
    files = _cast(arrival=arrival)
    whole, heads = _tokens(made, ("east",), files)
    failure = _report(made, _held(files, whole, heads), "east", files=files).failure
    assert "the clock of the log was ahead" in failure.detail


def test_a_time_before_the_stamp_sees_none(made, both):
    """With `--at` an earlier time, a later stamp would be accepted."""
    at = datetime.now(UTC) - timedelta(days=100)
    pack, rule = _pack(FILES, _held(FILES, *both)), _rule(made, "east")
    report = verify(pack, packs.HOLDERS.values(), at=at, accept=["draft"], authorities=rule)
    assert report.stamps == ()
    assert report.consistent


def test_a_trust_root_names_authorities(made, both):
    """A programme's rule of two authorities would bind no one who reads its trust root."""
    signer = packs.SIGNERS["log"]
    rule = _rule(made, "east", "west", threshold=2)
    named = tuple(packs.HOLDERS.values())
    root = TrustRoot("P", 1, "2099-01-01T00:00:00Z", (signer.public_multikey,), 1, named,
                     IssueRule(2, "2099-01-01T00:00:00Z"), rule)  # fmt: skip
    data = sign_root(write_root(root), signer)
    trusted = read_trusted(data, datetime.now(UTC))
    assert trusted.timestamps == rule
    whole, heads = both
    for count, code in ((2, 0), (1, 4)):
        pack = _pack(FILES, _held(FILES, whole[:count], heads[:count]))
        assert verify(pack, trusted, _status()).exit_code == code
    without = verify(packs.pack(FILES), trusted, _status())
    assert [one.code for one in without.missing] == ["timestamps"]


IN_TEN_YEARS = timedelta(days=3653)


def test_ten_years_on(made, both):
    """After keys and certificates have expired, the report states what is still proven."""
    at = datetime.now(UTC) + IN_TEN_YEARS
    end = (datetime.now(UTC) + timedelta(days=700)).strftime("%Y-%m-%dT%H:%M:%SZ")
    ended = [
        EnrolledKey(k.name, k.role, k.multikey, valid_until=end, bounds=k.bounds)
        for k in packs.HOLDERS.values()
    ]
    rule, pack = _rule(made, "east", "west", threshold=2), _pack(FILES, _held(FILES, *both))
    report = verify(pack, ended, _status(), at=at, authorities=rule)
    left = {one.name for one in report.steps if one.outcome != "ok"}
    # nobody asks for the first two, and no meter of this plant signs
    assert left <= {"approvals", "witnesses", "signed values"}
    # proven: contents, and that these keys signed while they counted; not: that it still counts
    assert [one.code for one in report.missing] == ["status-key", "status-age"]
    said = "\n".join(lines(report))
    for name in ("east", "west"):
        assert f"not relied on: {name} since its certificate expired at" in said
    assert report.exit_code == 4
    # without time stamps only the signatures themselves say when they were made
    bare = verify(packs.pack(FILES), ended, _status(), at=at)
    assert sorted({one.code for one in bare.missing}) == [
        "closed-log", "ended-key", "status-age", "status-key",
    ]  # fmt: skip
    # keys that ended before the authorities saw anything are not helped
    long_ago = [
        EnrolledKey(k.name, k.role, k.multikey, None, "2026-03-01T00:00:00Z", k.bounds)
        for k in packs.HOLDERS.values()
    ]
    late = verify(pack, long_ago, at=at, authorities=rule)
    assert {"ended-key", "closed-log"} <= {one.code for one in late.missing}


def test_the_auditor_s_command(made, both, tmp_path, capsys, monkeypatch):
    """
    Anyone who installs no server could not name authorities, or would
    not learn what is missing.
    """
    pack = packs.folder(tmp_path / "pack") if (tmp_path / "pack").mkdir() is None else None
    files = {file.name: file.read_bytes() for file in pack.iterdir() if file.is_file()}
    held = _held(files, *_tokens(made, ("east",), files))
    (pack / TIMESTAMPS).write_bytes(write(held))
    own = tmp_path / "authorities.pem"
    own.write_text(pem(made["east"].root))
    words = [str(pack), "--authorities", str(own), "--accept", "draft"]
    assert command.main(words) == 0
    assert "east root at" in capsys.readouterr().out
    (pack / "authorities.pem").write_text(own.read_text())
    assert command.main([str(pack), "--authorities", str(pack / "authorities.pem")]) == 2
    assert "its creator chose the authorities" in capsys.readouterr().err
    (pack / "authorities.pem").unlink()
    monkeypatch.setitem(__import__("sys").modules, "rfc3161_client", None)
    assert command.main([*words, "--accept", "no-timestamps"]) == 0
    assert "pip install rfc3161-client" in capsys.readouterr().out
    assert command.main([*words[:3]]) == 4
