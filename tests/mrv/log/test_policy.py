"""Policies of witnesses (C2SP tlog-policy), and cosignatures of both kinds."""

import itertools
import random

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from mrv.errors import LogError, SignatureError
from mrv.log import COSIGNATURE, ML_DSA_COSIGNATURE, MlDsaKey, NoteKey, Vkey, signature_lines
from mrv.log.entries import Checkpoint, sign_checkpoint
from mrv.log.witness import cosign, cosignatures, read_policy, strangers
from mrv.signatures.keys import SigningKey
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from tests.transparency import HOME, judged, needs_judge

KEY = SigningKey(bytes([7]) * 32)
LOG = NoteKey("log.example/a", KEY.public)
NAMES = [f"w{n}" for n in range(6)]
SECRETS = {name: SigningKey(bytes([20 + n]) * 32) for n, name in enumerate(NAMES)}
KEYS = {n: Vkey(f"{n}.example", COSIGNATURE, key.public) for n, key in SECRETS.items()}
WITNESSES = "".join(f"witness {name} {key}\n" for name, key in KEYS.items())
NOTE = sign_checkpoint(Checkpoint(LOG.name, 3, root_hash([leaf_hash(b"x")] * 3)), KEY)
TWO_LEVELS = f"""# as the example of the specification
log {LOG.vkey} https://log.example/
{WITNESSES}
\tgroup X-witnesses 2 w0 w1  w2
group Y any w3 w4 w5
group X-and-Y all X-witnesses Y
quorum X-and-Y
"""


def signed(names):
    return NOTE + "".join(cosign(NOTE, KEYS[n].name, SECRETS[n], 1_770_000_000) for n in names)


@pytest.mark.parametrize(
    ("names", "lacks"),
    [
        (("w0", "w1", "w3"), None),
        (("w0", "w2", "w4", "w5"), None),
        (("w0", "w3"), "1 more of X-witnesses"),
        (("w0", "w1", "w2"), "1 more of Y"),
        ((), "2 more of X-and-Y"),
    ],
)
def test_quorums_of_groups(names, lacks):
    """Witnesses of one organisation could replace those of another."""
    policy = read_policy(TWO_LEVELS.encode())
    found = policy.lacks([KEYS[name] for name in names])
    assert (found is None) == policy.reached([KEYS[name] for name in names]) == (lacks is None)
    assert lacks is None or lacks in found


@needs_judge
def test_another_implementation_counts_the_same(tmp_path):
    """What an auditor's other tool calls enough would not be enough here, or the reverse."""
    drawn = random.Random(7)  # noqa: S311 - draws cases
    seen = set()
    for _ in range(24):
        lines, free = [f"log {LOG.vkey}", *WITNESSES.splitlines()], list(NAMES)
        for number in range(drawn.randint(1, 3)):
            drawn.shuffle(free)
            members = [free.pop() for _ in range(drawn.randint(1, max(1, len(free) - 1)))]
            count = drawn.choice(["any", "all", str(drawn.randint(1, len(members)))])
            lines.append(f"group g{number} {count} {' '.join(members)}")
            free.append(f"g{number}")
        lines.append(f"quorum {drawn.choice([*free, 'none'])}")
        text = "\n".join(lines).encode() + b"\n"
        names = drawn.sample(NAMES, drawn.randint(0, 6))
        ours = read_policy(text).reached([KEYS[name] for name in names])
        code, words = judged(text, signed(names), tmp_path)
        assert (code == 0) == ours, (text, names, words)
        seen.add(ours)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("quorum none\nquorum none\n", "second line `quorum`"),
        ("log x+00000000+AA==\nquorum none\n", "line 1"),
        (f"witness none {KEYS['w0']}\nquorum none\n", "already used"),
        (f"witness w {KEYS['w0']}\nwitness v {KEYS['w0']}\nquorum none\n", "twice"),
        (f"log {LOG.vkey}\nlog {LOG.vkey}\nquorum none\n", "twice"),
        (f"witness w {NoteKey('w', KEY.public).vkey}\nquorum w\n", "type 0x01"),
        (f"log {LOG.vkey}\nwitness w {Vkey('w', 4, KEY.public)}\nquorum w\n", "key of a log"),
        (f"{WITNESSES}group g 2 w0 w0\nquorum g\n", "one group"),
        (f"{WITNESSES}group g 1 w0\ngroup h all w0\nquorum h\n", "one group"),
        (f"{WITNESSES}group g 3 w0 w1\nquorum g\n", "requires '3'"),
        (f"{WITNESSES}group g 0 w0 w1\nquorum g\n", "requires '0'"),
        (f"{WITNESSES}group g 01 w0 w1\nquorum g\n", "requires '01'"),
        (f"{WITNESSES}group g any h\nquorum g\n", "no earlier line"),
        (f"{WITNESSES}group g any none\nquorum g\n", "no earlier line"),
        (f"{WITNESSES}group g all\nquorum g\n", "group has"),
        (f"quorum w0\n{WITNESSES}", "no earlier line"),
        (f"{WITNESSES}", "no line `quorum`"),
        ("quorum none extra\n", "quorum has"),
        ("quorum none\r\n", "control character"),
        ("Quorum none\n", "is not a line of a policy"),
    ],
)
def test_a_policy_that_cannot_be_is_refused(text, word):
    """A slip in a policy would count fewer witnesses than its author meant."""
    with pytest.raises(LogError, match=word):
        read_policy(text.encode())


@pytest.mark.skipif(not (HOME / "sample-log").is_dir(), reason=f"no sample log in {HOME}")
def test_a_log_that_others_made():
    """Policies and cosignatures of C2SP's own tools could not be read."""
    sample = HOME / "sample-log"
    policy = read_policy((sample / "policy-with-witness").read_bytes())
    note = (sample / "cosigned").read_text("utf-8")
    witness = policy.witnesses["w1"].key
    (found,) = cosignatures(note, witness)
    assert (found.witness, found.line in note) == (witness, True)
    assert policy.reached([found.witness])
    assert strangers(note, policy.logs[0].key) == [witness.name]
    assert str(policy.logs[0].key) == (sample / "vkey").read_text("utf-8").strip()


def test_ml_dsa_signs_the_structure_of_the_specification():
    """Readers with another implementation could not verify our cosignature."""
    key, name, time_s = MlDsaKey(bytes(range(32))), "w.example/q", 1_770_000_001
    vkey = Vkey(name, ML_DSA_COSIGNATURE, key.public)
    assert Vkey.parse(str(vkey)) == vkey
    line = cosign(NOTE, name, key, time_s)
    (found,) = cosignatures(NOTE + line, vkey)
    assert (found.time_s, found.line) == (time_s, line)
    root = root_hash([leaf_hash(b"x")] * 3)
    message = (
        b"subtree/v1\n\x00" + bytes([len(name)]) + name.encode() + time_s.to_bytes(8, "big")
        + bytes([len(LOG.name)]) + LOG.name.encode() + bytes(8) + (3).to_bytes(8, "big") + root
    )  # fmt: skip
    raw = signature_lines(NOTE + line)[1][-1][1]
    MLDSA44PublicKey.from_public_bytes(key.public).verify(raw[12:], message)


def test_every_part_of_a_cosignature_counts():
    """A line could name another time, another witness, or be listed under another head."""
    other = sign_checkpoint(Checkpoint(LOG.name, 4, root_hash([leaf_hash(b"x")] * 4)), KEY)
    for secret, kind in ((SECRETS["w0"], COSIGNATURE), (MlDsaKey(bytes(32)), ML_DSA_COSIGNATURE)):
        vkey = Vkey("w", kind, secret.public)
        line = cosign(NOTE, "w", secret, 1_770_000_000)
        assert cosignatures(NOTE + line, vkey)
        with pytest.raises(SignatureError, match="not of this checkpoint"):
            cosignatures(other + line, vkey)
        for at in itertools.chain(range(12, 24), range(40, len(line) - 2, 37)):
            changed = line[:at] + ("A" if line[at] != "A" else "B") + line[at + 1 :]
            try:
                assert cosignatures(NOTE + changed, vkey) == []  # another key's id
            except SignatureError:
                continue
