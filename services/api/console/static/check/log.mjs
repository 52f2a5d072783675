/*
 * The transparency log's receipt: Merkle proof (RFC 9162) and signed head (C2SP
 * tlog-proof, tlog-checkpoint, signed-note), read as mrv/log reads them.
 */
import { publicKey, verifies } from "./keys.mjs";
import { CheckError, concat, fromBase64, same, sha256, short, utf8 } from "./text.mjs";

const HEADER = "c2sp.org/tlog-proof@v1";
const DASH = "\u2014 ";
const WHOLE = /^(0|[1-9][0-9]{0,18})$/;
const MOST_HASHES = 63;
const MOST_SIGNATURES = 64;

/** Check that an entry is in the log, as its signed head says; return that head. */
export async function verifyReceipt(text, entry, key) {
  const { index, proof, checkpoint } = parseReceipt(text);
  const head = await verifyCheckpoint(checkpoint, key);
  await verifyInclusion(index, head.size, await leafHash(entry), proof, head.root);
  return head;
}

export function parseReceipt(text) {
  const gap = text.indexOf("\n\n");
  const [header, place = "", ...hashes] = (gap < 0 ? text : text.slice(0, gap)).split("\n");
  if (header !== HEADER || gap < 0) throw new CheckError("the receipt is not of its form");
  const index = place.startsWith("index ") ? place.slice(6) : "";
  if (!WHOLE.test(index) || hashes.length > MOST_HASHES) {
    throw new CheckError("the receipt's second line is not 'index N', or its proof is too long");
  }
  return { index: BigInt(index), proof: hashes.map(hash), checkpoint: text.slice(gap + 2) };
}

/** Head of a log of a signed note, if the log's key signed it. */
export async function verifyCheckpoint(note, key) {
  const text = await verifyNote(note, key);
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3] || !lines[0] || !WHOLE.test(lines[1])) {
    throw new CheckError("the head is not origin, size and root on three lines");
  }
  if (lines[0] !== key.name) throw new CheckError(`the head is of the log ${short(lines[0])}`);
  return { origin: lines[0], size: BigInt(lines[1]), root: hash(lines[2]) };
}

/** Text of a signed note, and name and bytes of each signature; nothing is verified. */
export function signatures(note) {
  const gap = note.lastIndexOf("\n\n");
  const tail = note.slice(gap + 2);
  if (gap < 0 || !tail.endsWith("\n")) throw new CheckError("the head has no signature lines");
  const text = note.slice(0, gap + 1);
  // eslint-disable-next-line no-control-regex
  if (/[\u0000-\u0009\u000b-\u001f]/.test(text)) throw new CheckError("control characters in the head");
  const lines = tail.slice(0, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new CheckError("the head has too many signatures");
  return { text, lines: lines.map(signatureLine) };
}

async function verifyNote(note, key) {
  const { text, lines } = signatures(note);
  const id = await noteId(key);
  let signed = false;
  for (const [name, raw] of lines) {
    if (name !== key.name || !same(raw.slice(0, 4), id)) continue;
    if (!(await verifies(publicKey(key.multikey), raw.slice(4), utf8(text)))) {
      throw new CheckError(`the signature of ${short(name)} is not of this head`);
    }
    signed = true;
  }
  if (!signed) throw new CheckError(`the head is not signed by ${short(key.name)}`);
  return text;
}

function signatureLine(line) {
  const rest = line.slice(DASH.length);
  const gap = rest.indexOf(" ");
  if (!line.startsWith(DASH) || gap < 1) throw new CheckError(`${short(line)} is no signature line`);
  const raw = fromBase64(rest.slice(gap + 1));
  if (raw.length <= 4) throw new CheckError(`${short(line)} is too short for a signature`);
  return [rest.slice(0, gap), raw];
}

/**
 * Whether a witness countersigned a head, by a time in seconds; a line of its key that is not
 * of this head is refused.
 */
export async function cosigned(note, witness, latest) {
  const { text, lines } = signatures(note);
  const named = concat(utf8(`${witness.name}\n`), Uint8Array.of(4), publicKey(witness.multikey));
  const id = (await sha256(named)).slice(0, 4);
  let found = false;
  for (const [name, raw] of lines) {
    if (name !== witness.name || !same(raw.slice(0, 4), id)) continue;
    const seconds = raw.length >= 12 ? new DataView(raw.buffer, raw.byteOffset + 4, 8).getBigUint64(0) : 2n ** 63n;
    const message = utf8(`cosignature/v1\ntime ${seconds}\n${text}`);
    if (seconds >= 2n ** 63n || !(await verifies(publicKey(witness.multikey), raw.slice(12), message))) {
      throw new CheckError(`the cosignature of ${short(name)} is not of this head`);
    }
    found ||= seconds > 0n && seconds <= latest;
  }
  return found;
}

/** First 4 bytes of SHA-256(name, newline, type, key), by which notes name a key. */
export async function noteId(key) {
  if (!key.name || /[\s+\u0000-\u001f]/.test(key.name)) {
    throw new CheckError(`a log cannot be named ${short(key.name)}`);
  }
  const named = concat(utf8(`${key.name}\n`), Uint8Array.of(1), publicKey(key.multikey));
  return (await sha256(named)).slice(0, 4);
}

/** Root of a tree over entries (RFC 9162): a node without a sibling rises as it is. */
export async function rootOf(entries) {
  if (!entries.length) return sha256(new Uint8Array());
  let level = await Promise.all(entries.map(leafHash));
  while (level.length > 1) {
    const pairs = [];
    for (let n = 0; n < level.length; n += 2) pairs.push(n + 1 < level.length ? nodeHash(level[n], level[n + 1]) : level[n]);
    level = await Promise.all(pairs);
  }
  return level[0];
}

export async function verifyInclusion(index, size, leaf, proof, root) {
  if (index >= size) throw new CheckError(`no entry ${index} in a log of ${size}`);
  let [place, last, found] = [index, size - 1n, leaf];
  for (const sibling of proof) {
    if (last === 0n) throw new CheckError("the inclusion proof is too long");
    if (place & 1n || place === last) {
      found = await nodeHash(sibling, found);
      while (place && !(place & 1n)) [place, last] = [place >> 1n, last >> 1n];
    } else {
      found = await nodeHash(found, sibling);
    }
    [place, last] = [place >> 1n, last >> 1n];
  }
  if (last || !same(found, root)) {
    throw new CheckError(`the inclusion proof of entry ${index} does not lead to the head's root`);
  }
}

const leafHash = (entry) => sha256(concat(Uint8Array.of(0), entry));
const nodeHash = (left, right) => sha256(concat(Uint8Array.of(1), left, right));

function hash(line) {
  const bytes = fromBase64(line);
  if (bytes.length !== 32) throw new CheckError(`${short(line)} does not hold 32 bytes`);
  return bytes;
}
