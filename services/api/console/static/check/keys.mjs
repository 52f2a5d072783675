/*
 * Ed25519 keys that mean one thing, and who holds them (as mrv/signatures/ed25519.py, mrv/signatures/keys.py).
 *
 * A key of small order would let one signature fit many messages, so a key is looked
 * at before it counts: canonical encoding, on the curve, of the prime order L.
 */
import { BOUNDS, boundsOf } from "./bounds.mjs";
import { isObject } from "./json.mjs";
import { CheckError, fromBase58, short } from "./text.mjs";
import { readRoot } from "./root.mjs";

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n));
const ROOT = power(2n, (P - 1n) / 4n);
const ROLES = ["operator", "verifier", "log", "witness", "programme", "third-party"];
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;
const checked = new Map();

/** Bytes of a public Multikey `z6Mk...`; weak keys are refused. */
export function publicKey(multikey) {
  if (!checked.has(multikey)) {
    const raw = fromBase58(multikey);
    if (raw.length !== 34 || raw[0] !== 0xed || raw[1] !== 0x01) {
      throw new CheckError(`${short(multikey)} is not a public Ed25519 Multikey`);
    }
    refuseWeak(raw.slice(2), multikey);
    checked.set(multikey, raw.slice(2));
  }
  return checked.get(multikey);
}

/** Multikey that a verificationMethod `did:key:KEY#KEY` names. */
export function multikeyOf(method) {
  const key = typeof method === "string" ? method.slice(method.lastIndexOf("#") + 1) : "";
  if (!key || method !== `did:key:${key}#${key}`) {
    throw new CheckError(`verificationMethod ${short(method)} is not did:key:KEY#KEY`);
  }
  return key;
}

/** Whether a signature of these bytes was made with the secret of this key. */
export async function verifies(key, signature, bytes) {
  if (signature.length !== 64) return false;
  const imported = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  return crypto.subtle.verify({ name: "Ed25519" }, imported, signature, bytes);
}

/**
 * Whom a reader trusts: a keyring, which may keep status lists beside the keys, or a
 * programme's trust root.
 *
 * @returns {Promise<{ring: Map, lists: object[], issue: object|null, evidence: object|null, policy: string|null, stamps: boolean}>}
 */
export async function readTrusted(record, at) {
  if ("signed" in record) return readRoot(record, at);
  const { statusLists, logPolicy = null, ...rest } = record;
  if (statusLists !== undefined && !(Array.isArray(statusLists) && statusLists.every(isObject))) {
    throw new CheckError("statusLists of a keyring are signed status lists");
  }
  return { ring: readRing(rest), lists: statusLists ?? [], issue: null, evidence: null, policy: policyOf(logPolicy), stamps: false };
}

/** Text that says which witnesses must have cosigned; `tonne verify` counts them by it. */
export function policyOf(said) {
  if (said !== null && typeof said !== "string") throw new CheckError("logPolicy is the text of a policy");
  return said;
}

/** Enrolled keys of a keyring file, by Multikey. */
export function readRing(record) {
  if (Object.keys(record).join() !== "keys" || !Array.isArray(record.keys)) {
    throw new CheckError('a keyring is {"keys": [...]} and nothing else');
  }
  return ringOf(record.keys.map(enrolled));
}

export function ringOf(keys) {
  const ring = new Map();
  for (const key of keys) {
    const other = ring.get(key.multikey) ?? key;
    if (other.name !== key.name || other.role !== key.role) {
      throw new CheckError(`key ${key.multikey} is enrolled for two holders`);
    }
    ring.set(key.multikey, other);
  }
  return ring;
}

export function enrolled(record) {
  const may = ["name", "role", "publicKeyMultibase", "validFrom", "validUntil", ...BOUNDS];
  const names = isObject(record) ? Object.keys(record) : [];
  if (!may.slice(0, 3).every((name) => names.includes(name)) || names.some((n) => !may.includes(n))) {
    throw new CheckError(`an enrolled key has the fields ${short(names)}`);
  }
  const { name, role, publicKeyMultibase: multikey, validFrom, validUntil } = record;
  if (typeof name !== "string" || !name.trim() || !ROLES.includes(role)) {
    throw new CheckError(`key of ${short(name)} in the role ${short(role)}: no such holder or role`);
  }
  for (const edge of [validFrom, validUntil]) {
    if (edge !== undefined && !(typeof edge === "string" && MOMENT.test(edge))) {
      throw new CheckError(`key of ${short(name)} is valid to or from ${short(edge)}`);
    }
  }
  publicKey(multikey);
  return { name, role, multikey, did: `did:key:${multikey}`, validFrom, validUntil, bounds: boundsOf(record) };
}

/** Refuse what was signed outside of the key's validity; `at` in microseconds. */
export function checkValid(key, at, instant) {
  const early = key.validFrom !== undefined && at < instant(key.validFrom);
  const late = key.validUntil !== undefined && at >= instant(key.validUntil);
  if (early || late) {
    throw new CheckError(
      `signed by the key of ${short(key.name)} outside of its validity,`
      + ` ${key.validFrom ?? ""} to ${key.validUntil ?? ""}`,
    );
  }
}

function refuseWeak(bytes, name) {
  const [x, y] = point(bytes, name);
  const of = [x, y, 1n, mod(x * y)];
  if (identity(times(8n, of))) throw new CheckError(`key ${name} has small order`);
  if (!identity(times(L, of))) throw new CheckError(`key ${name} has a small-order part`);
}

function point(bytes, name) {
  const number = bytes.reduceRight((sum, one) => sum * 256n + BigInt(one), 0n);
  const sign = number >> 255n;
  const y = number & (2n ** 255n - 1n);
  const x = y < P ? root(mod((y * y - 1n) * inverse(D * y * y + 1n))) : null;
  if (x === null || (x === 0n && sign)) {
    throw new CheckError(`key ${name} is not a canonically encoded point of the curve`);
  }
  return [(x & 1n) === sign ? x : P - x, y];
}

function root(square) {
  let found = power(square, (P + 3n) / 8n);
  if (mod(found * found - square)) found = mod(found * ROOT);
  return mod(found * found - square) ? null : found;
}

function add(p, q) {
  const a = mod((p[1] - p[0]) * (q[1] - q[0]));
  const b = mod((p[1] + p[0]) * (q[1] + q[0]));
  const c = mod(2n * p[3] * q[3] * D);
  const d = mod(2n * p[2] * q[2]);
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f), mod(g * h), mod(f * g), mod(e * h)];
}

function times(scalar, of) {
  let sum = [0n, 1n, 1n, 0n];
  for (let left = scalar, twice = of; left; left >>= 1n, twice = add(twice, twice)) {
    if (left & 1n) sum = add(sum, twice);
  }
  return sum;
}

function identity(of) {
  return mod(of[0]) === 0n && mod(of[1] - of[2]) === 0n;
}

function mod(value) {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base, exponent) {
  let found = 1n;
  for (let left = exponent, twice = mod(base); left; left >>= 1n, twice = mod(twice * twice)) {
    if (left & 1n) found = mod(found * twice);
  }
  return found;
}

function inverse(value) {
  return power(value, P - 2n);
}
