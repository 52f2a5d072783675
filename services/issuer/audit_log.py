"""Steps about the log itself: entries, signed heads, witnesses."""

from __future__ import annotations

from mrv.errors import MrvError
from mrv.log.entries import DATA, RECORDS
from mrv.log.note import NoteKey, Vkey, signature_lines
from mrv.log.receipt import verify_checkpoint
from mrv.log.witness import cosignatures
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.signatures.merkle_tree import leaf_hash, root_hash
from services.issuer.audit_walk import Walk
from services.store.postgres.row_hashes import STATES
from services.store.registry import signing_keys as enrolled
from services.store.statements import transparency_log as log


def entries(walk: Walk) -> str:
    """Entries are dense, and each is what its leaf says."""
    walk.entries = log.entries(walk.conn)
    for place, entry in enumerate(walk.entries):
        if entry.index != place:
            walk.breaks.append(
                f"entry {place} is missing: the next one has the place {entry.index}"
            )
            break
        if leaf_hash(entry.body) != entry.leaf:
            walk.breaks.append(f"entry {place} is not what its leaf was made of")
            continue
        body = canonical.parse_object(entry.body)
        if canonical.encode(body) != entry.body or body.get("event") != entry.kind:
            walk.breaks.append(
                f"entry {place} is stored as {entry.kind!r}, its body says otherwise"
            )
        if body.get("statement") != entry.statement:
            walk.breaks.append(f"entry {place} is stored for another statement than its body names")
    rooted = {entry.index for entry in walk.entries if entry.kind in (DATA, RECORDS, *STATES)}
    found = {int(i) for (i,) in walk.conn.execute("SELECT index FROM log_detail")}
    for index in sorted(rooted ^ found):
        what = "has lost" if index in rooted else "cannot have"
        walk.breaks.append(f"entry {index} {what} what stands under its roots (log_detail)")
    return f"{len(walk.entries)} entries"


def heads(walk: Walk) -> str:
    """Every signed head is over exactly the entries below it, and the last over all."""
    keys = [_note_key(one.key) for one in enrolled.load(walk.conn) if one.key.role == "log"]
    leaves = [entry.leaf for entry in walk.entries]
    rows = walk.conn.execute("SELECT size, root, note FROM log_checkpoint ORDER BY size").fetchall()
    for size, root, note in rows:
        _head(walk, keys, leaves, note, (int(size), bytes(root)))
    sizes = {int(size) for size, _, _ in rows}
    appended = [entry.appended for entry in walk.entries]
    for place in range(len(appended)):
        ends = place + 1 == len(appended) or appended[place] != appended[place + 1]
        if ends and place + 1 not in sizes:
            walk.breaks.append(f"no signed head over the first {place + 1} entries")
    if rows and max(sizes) > len(leaves):
        walk.breaks.append(f"a head is over {max(sizes)} entries, there are {len(leaves)}")
    for note in walk.held:
        _head(walk, keys, leaves, note, None)
    return f"{len(rows)} signed heads, {len(walk.held)} of your own"


def _head(
    walk: Walk,
    keys: list[NoteKey],
    leaves: list[bytes],
    note: str,
    stored: tuple[int, bytes] | None,
) -> None:
    text, lines = signature_lines(note)
    of = [key for key in keys if (key.name, key.key_id) in {(n, raw[:4]) for n, raw in lines}]
    if not of:
        walk.breaks.append(f"the head {text.splitlines()[:2]} is not signed by the log's key")
        return
    head = verify_checkpoint(note, of[0])
    walk.origin = head.origin
    if stored is not None and stored != (head.size, head.root):
        walk.breaks.append(f"the head over {stored[0]} entries is stored beside another note")
    elif head.size > len(leaves) or root_hash(leaves[: head.size]) != head.root:
        whose = "stored" if stored else "your own"
        walk.breaks.append(
            f"the first {head.size} entries are not those of {whose} head: the log was rewritten"
        )


def witnesses(walk: Walk) -> str:
    """Every countersignature is by an enrolled witness, of the head that it stands under."""
    known = {
        one.key.multikey: _note_key(one.key)
        for one in enrolled.load(walk.conn)
        if one.key.role == "witness"
    }
    rows = walk.conn.execute(
        "SELECT size, multikey, note, line FROM log_cosignature"
        " LEFT JOIN log_checkpoint USING (size) ORDER BY size, multikey"
    ).fetchall()
    for size, multikey, note, line in rows:
        key = known.get(multikey)
        if key is None:
            walk.breaks.append(f"head {size} is countersigned by {multikey}, which is no witness")
        elif note is None:
            walk.breaks.append(f"{key.name} countersigned head {size}, which is not there")
        elif [c.line for c in cosignatures(note + line, key)] != [line]:
            walk.breaks.append(f"the countersignature of {key.name} is not of head {size}")
    asked = walk.conn.execute(
        "SELECT size, vkey, time_s, note, line FROM witness_cosignature"
        " LEFT JOIN log_checkpoint USING (size) ORDER BY size, vkey"
    ).fetchall()
    for size, vkey, time_s, note, line in asked:
        if note is None:
            walk.breaks.append(f"head {size} is cosigned by {_name(vkey)}, and is not there")
        elif not _cosigned(note + line, vkey, time_s, line):
            walk.breaks.append(f"the cosignature of {_name(vkey)} is not of head {size}")
    return f"{len(rows) + len(asked)} countersignatures"


def _cosigned(note: str, vkey: str, time_s: int, line: str) -> bool:
    try:
        found = cosignatures(note, Vkey.parse(vkey))
    except MrvError:
        return False
    return [(one.time_s, one.line) for one in found] == [(time_s, line)]


def _name(vkey: str) -> str:
    return vkey.split("+", maxsplit=1)[0]


def _note_key(key: EnrolledKey) -> NoteKey:
    return NoteKey(key.name, key.public)
