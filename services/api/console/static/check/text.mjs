/*
 * Bytes as text, strictly: one byte string, one text (as mrv/signatures/ed25519.py).
 *
 * Decoders that forgive would let two texts stand for one signature.
 */
export class CheckError extends Error {}

const ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const LONGEST = 256;

export const utf8 = (text) => new TextEncoder().encode(text);

/** Text of UTF-8 bytes; a byte order mark is kept, anything else refused. */
export function fromUtf8(bytes, what) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CheckError(`${what} is not UTF-8`);
  }
}

export function toHex(bytes) {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}

export function toBase58(bytes) {
  let number = BigInt(`0x0${toHex(bytes)}`);
  let digits = "";
  while (number) {
    digits = ALPHABET[Number(number % 58n)] + digits;
    number /= 58n;
  }
  const zeros = bytes.findIndex((one) => one !== 0);
  return "z" + ALPHABET[0].repeat(zeros < 0 ? bytes.length : zeros) + digits;
}

/** Bytes of a multibase text `z...`. */
export function fromBase58(text) {
  if (typeof text !== "string" || !text.startsWith("z") || text.length > LONGEST) {
    throw new CheckError(`${short(text)} is not multibase base58btc`);
  }
  const body = text.slice(1);
  let number = 0n;
  for (const letter of body) {
    const value = ALPHABET.indexOf(letter);
    if (value < 0) throw new CheckError(`${JSON.stringify(letter)} is no base58 letter`);
    number = number * 58n + BigInt(value);
  }
  const zeros = /^1*/.exec(body)[0].length;
  const hex = number ? number.toString(16) : "";
  return concat(new Uint8Array(zeros), fromHex(hex.length % 2 ? `0${hex}` : hex));
}

export function toBase64(bytes) {
  return btoa(Array.from(bytes, (one) => String.fromCharCode(one)).join(""));
}

/** Bytes of base64 with padding, refusing any text that `toBase64` would not write. */
export function fromBase64(text) {
  let bytes;
  try {
    bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
  } catch {
    throw new CheckError(`${short(text)} is not base64`);
  }
  if (toBase64(bytes) !== text) throw new CheckError(`${short(text)} is base64 with loose bits`);
  return bytes;
}

export function concat(...parts) {
  const whole = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0));
  let at = 0;
  for (const one of parts) {
    whole.set(one, at);
    at += one.length;
  }
  return whole;
}

export function same(one, other) {
  return one.length === other.length && one.every((value, i) => value === other[i]);
}

export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export function short(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
