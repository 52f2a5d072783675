"""Cosignatures of witnesses on the log's head, counted by the reader's policy."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from mrv.errors import EnrolmentError
from mrv.log import COSIGNATURE, ML_DSA_COSIGNATURE, MlDsaKey, NoteKey, Vkey, signature_lines
from mrv.log.witness import cosign, read_policy
from mrv.packs.pack import RECEIPT
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey, SigningKey, write_keyring
from mrv.signatures.trust_root import (
    Trust,
    TrustRoot,
    read_root,
    read_trusted,
    sign_root,
    write_root,
)
from mrv.verify import verify
from mrv.verify.subject import own_keys
from tests.invoked import tonne
from tests.mrv.forging import ASKED, HOLDERS, RING, STATUS, forged

SECRETS = {
    "w1": SigningKey(bytes([80]) * 32),
    "w2": SigningKey(bytes([81]) * 32),
    "w3": MlDsaKey(bytes([82]) * 32),
}
NAMES = {name: f"witness.example/{name}" for name in SECRETS}
KEYS = {
    name: Vkey(
        NAMES[name], ML_DSA_COSIGNATURE if isinstance(key, MlDsaKey) else COSIGNATURE, key.public
    )
    for name, key in SECRETS.items()
}
LOG = NoteKey(HOLDERS["log"].name, HOLDERS["log"].public)
OTHER_LOG = NoteKey("log.example/b", SigningKey(bytes([83]) * 32).public)
ROOT = SigningKey(bytes([84]) * 32)
SEEN = int((ASKED - timedelta(hours=2)).timestamp())
PACK = forged()


def policy(quorum, *groups, log=None):
    lines = [f"log {(log or LOG).vkey}"]
    lines += [f"witness {name} {key}" for name, key in KEYS.items()]
    return "\n".join([*lines, *groups, f"quorum {quorum}", ""])


TWO = policy("two", "group two 2 w1 w2 w3")


def note_of(pack):
    return pack.files[RECEIPT].decode().partition("\n\n")[2]


def line(name, time_s=SEEN, pack=PACK, note=None):
    return cosign(note or note_of(pack), NAMES[name], SECRETS[name], time_s)


def with_lines(*lines, pack=PACK):
    return replace(
        pack, files={**pack.files, RECEIPT: pack.files[RECEIPT] + "".join(lines).encode()}
    )


def outcome(pack, said=TWO, ring=RING, at=ASKED, given=None):
    trust = Trust(tuple(ring), "version 1 of the trust root of HP", log_policy=said)
    own = None if given is None else read_policy(given.encode())
    return verify(pack, trust, STATUS, at=at, policy=own)


def step(report):
    (found,) = [one for one in report.steps if one.name == "witnesses"]
    return found


def missing(report):
    return [one.what for one in report.missing]


def test_enough_witnesses_and_it_may_be_relied_on():
    """No statement of a programme with witnesses could be relied on."""
    for names in (("w1", "w2"), ("w2", "w3"), ("w1", "w2", "w3")):
        report = outcome(with_lines(*map(line, names)))
        assert report.exit_code == 0, report
        assert all(NAMES[name] in step(report).detail for name in names)
        assert any("countersigned by" in said for said in report.relied)


def test_too_few_are_named_and_not_enough():
    """Too few witness signatures fail the check and are named."""
    stranger = cosign(note_of(PACK), "w9.example", SigningKey(bytes([90]) * 32), SEEN)
    once = line("w1")
    for lines in ((), (once,), (once, stranger), (once, once, line("w1", SEEN + 1))):
        report = outcome(with_lines(*lines))
        assert report.exit_code == 4, report
        (what,) = missing(report)
        assert "more of two" in what
        assert "witness w2 (witness.example/w2)" in what
    report = outcome(with_lines(once, stranger))
    assert "not known to you, so not counted: w9.example" in step(report).detail


def spoilt(name):
    """Return a line of a trusted witness that is not for this head."""
    text, _ = signature_lines(note_of(PACK))
    origin, size, root = text.split("\n")[:3]
    other = f"{origin}\n{int(size) + 1}\n{root}\n\n" + note_of(PACK).partition("\n\n")[2]
    return line(name, note=other)


def test_a_false_cosignature_is_false():
    """A forged witness signature is rejected."""
    for name in KEYS:
        good = [line(other) for other in KEYS if other != name]
        report = outcome(with_lines(*good, spoilt(name)))
        assert (report.exit_code, step(report).outcome) == (1, "failed"), report
        assert f"cosignature of {NAMES[name]} is not of this checkpoint" in step(report).detail


def test_a_witness_of_the_keyring_is_enough_where_there_is_no_policy():
    """Readers who trust one witness would have to write a policy."""
    holder = EnrolledKey(NAMES["w1"], "witness", SECRETS["w1"].public_multikey)
    assert outcome(with_lines(line("w1")), None, (*RING, holder)).exit_code == 0
    report = outcome(PACK, None, (*RING, holder))
    assert (report.exit_code, "one of your trusted witnesses" in missing(report)[0]) == (4, True)
    report = outcome(with_lines(spoilt("w1")), None, (*RING, holder))
    assert report.exit_code == 1
    # and none are asked for where the reader trusts none
    report = outcome(with_lines(line("w1")), None)
    assert (report.exit_code, step(report).outcome) == (0, "not applicable")
    assert "not counted: witness.example/w1" in step(report).detail
    assert any("a witness: no trusted witness" in said for said in report.not_relied)


def test_both_policies_have_to_be_met():
    """An auditor's own rule would be softened by the programme's, or the reverse."""
    pack = with_lines(line("w1"), line("w2"))
    assert outcome(pack, given=policy("w1")).exit_code == 0
    assert outcome(pack, given=policy("w3")).exit_code == 4
    assert outcome(with_lines(line("w3")), policy("w3"), given=TWO).exit_code == 4
    assert outcome(PACK, policy("none"), given=policy("none")).exit_code == 0


def test_a_policy_of_other_logs_counts_not_this_one():
    """Witnesses of another log would vouch for this one."""
    report = outcome(with_lines(line("w1")), policy("w1", log=OTHER_LOG))
    assert (report.exit_code, missing(report)) == (
        4,
        [f"log {LOG.name} among those of the policy: log.example/b"],
    )
    assert outcome(PACK, policy("none", log=OTHER_LOG)).exit_code == 4


def test_times_that_no_witness_can_mean_do_not_count():
    """A cosignature of later would show that a head was seen before the time that is asked for."""
    later = SEEN + 86_400
    report = outcome(with_lines(line("w1"), line("w2", later)))
    assert (report.exit_code, "1 cosigned after" in missing(report)[0]) == (4, True)
    assert outcome(with_lines(line("w1"), line("w3", 0))).exit_code == 4


def root_file(text):
    made = TrustRoot(
        "HP", 1, "2099-01-01T00:00:00Z", (ROOT.public_multikey,), 1, RING, log_policy=text
    )
    return sign_root(write_root(made), ROOT)


def test_the_trust_root_holds_the_policy(tmp_path):
    """The signed trust root contains the witness policy."""
    data = root_file(TWO)
    assert read_root(data, ASKED).log_policy == read_trusted(data, ASKED).log_policy == TWO
    assert read_trusted(root_file(None), ASKED).log_policy is None
    for change in (TWO.replace("group two 2", "group two 1"), None):
        record = json.loads(data)
        record["signed"].pop("logPolicy")
        if change is not None:
            record["signed"]["logPolicy"] = change
        with pytest.raises(EnrolmentError, match="signed by"):
            read_trusted(canonical.encode(record), ASKED)
    ring = json.loads(write_keyring(RING)) | {"logPolicy": TWO}
    assert read_trusted(canonical.encode(ring), ASKED).log_policy == TWO
    for wrong, word in (("quorum x\n", "line 1 of the policy"), (7, "text of a policy")):
        file = tmp_path / "ring.json"
        file.write_bytes(canonical.encode(ring | {"logPolicy": wrong}))
        with pytest.raises(Exception, match=word):
            own_keys(str(file), "pack", ASKED)


def test_commands_take_a_policy(tmp_path):
    """A programme could not say which witnesses it wants, nor an auditor."""
    ring, file, out = tmp_path / "ring.json", tmp_path / "policy", tmp_path / "root.json"
    ring.write_bytes(write_keyring(RING))
    file.write_text(TWO)
    (tmp_path / "root-key.json").write_bytes(
        write_keyring([EnrolledKey("secretariat", "programme", ROOT.public_multikey)])
    )

    def run(*words):
        return tonne(*words, env={"TONNE_HOME": str(tmp_path)})

    made = run(
        "trust", "create", "--programme", "HP", "--keys", str(ring), "--root",
        str(tmp_path / "root-key.json"), "--expires", "2099-01-01T00:00:00Z", "--log-policy",
        str(file), "--out", str(out),
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert json.loads(out.read_bytes())["signed"]["logPolicy"] == TWO
    statement = tmp_path / "statement.json"
    statement.write_bytes(PACK.files["statement.json"])
    file.write_text("quorum x\n")
    done = run("verify", str(statement), "--keys", str(ring), "--policy", str(file))
    assert (done.exit_code, "line 1 of the policy" in done.output) == (2, True), done.output


def test_one_witness_of_two_does_not_date_a_key_that_ended():
    """One witness that works with a thief could date what a stolen key signed back."""
    until = ASKED - timedelta(days=3)
    ended = replace(HOLDERS["verifier"], valid_until=f"{until:%Y-%m-%dT%H:%M:%SZ}")
    ring = tuple(ended if key.role == "verifier" else key for key in RING)
    before = int((until - timedelta(hours=1)).timestamp())
    report = outcome(with_lines(line("w1", before), line("w2", before)), ring=ring)
    assert report.exit_code == 0, report
    report = outcome(with_lines(line("w1", before), line("w2")), ring=ring)
    assert (report.exit_code, [one.code for one in report.missing]) == (4, ["ended-key"])


def test_a_witness_whose_key_has_ended_counts_no_more():
    """Anyone who stole a witness's key would date a cosignature back to before its end."""
    pack = with_lines(line("w1"))
    good = EnrolledKey(NAMES["w1"], "witness", SECRETS["w1"].public_multikey)
    assert outcome(pack, None, (*RING, good)).exit_code == 0
    ended = replace(good, valid_until="2026-02-09T00:00:00Z")
    report = outcome(pack, None, (*RING, ended))
    assert report.exit_code == 4
    assert f"{NAMES['w1']}, whose key has ended" in missing(report)[0]
    second = EnrolledKey(NAMES["w2"], "witness", SECRETS["w2"].public_multikey)
    assert outcome(pack, None, (*RING, ended, second)).exit_code == 4
    assert outcome(with_lines(line("w1"), line("w2")), None, (*RING, ended, second)).exit_code == 0


def test_witnesses_date_a_verification_before_an_accreditation_ended():
    """A body that lost its accreditation would date its verifications back."""
    body = replace(HOLDERS["verifier"].bounds.accreditation, valid_until="2026-02-08T00:00:00Z")
    bounds = replace(HOLDERS["verifier"].bounds, accreditation=body)
    ended = replace(HOLDERS["verifier"], bounds=bounds)
    ring = tuple(ended if key.role == "verifier" else key for key in RING)
    before = int((ASKED - timedelta(days=3)).timestamp())
    assert outcome(with_lines(line("w1", before), line("w2", before)), ring=ring).exit_code == 0
    report = outcome(with_lines(line("w1", before), line("w2")), ring=ring)
    assert (report.exit_code, [one.code for one in report.missing]) == (4, ["ended-accreditation"])
