/* Whether a statement still counts, by a bitstring status list (as mrv/statement/states.py). */
import { equal, isObject } from "./json.mjs";
import { CheckError, fromBase64, sha256, utf8 } from "./text.mjs";
import { instant } from "./times.mjs";

const LIFE = 31n * 86_400_000_000n;
const BYTES = 2 ** 24 / 8;
const TYPES = ["VerifiableCredential", "BitstringStatusListCredential"];

export async function counts(list, project, statement) {
  const subject = list.credentialSubject;
  if (
    !equal(list.type, TYPES) || list.id !== `urn:tonne:status:${project}` || !isObject(subject)
    || subject.type !== "BitstringStatusList" || subject.statusPurpose !== "revocation"
  ) {
    throw new CheckError(`this is not the status list of ${project}`);
  }
  const bits = await unpacked(subject.encodedList);
  const [a, b, c] = await sha256(utf8(statement));
  const index = a * 65_536 + b * 256 + c;
  return !(bits[index >> 3] & (0x80 >> index % 8));
}

/** From when, and until before when, a list says what it says; in microseconds. */
export function lasts(list) {
  const begin = instant(list.validFrom);
  const end = list.validUntil === undefined ? begin + LIFE : instant(list.validUntil);
  return [begin, end < begin + LIFE ? end : begin + LIFE];
}

/** Bits of an encoded list; more than a list holds is never unpacked. */
async function unpacked(text) {
  if (typeof text !== "string" || !text.startsWith("u")) {
    throw new CheckError("encodedList is not multibase base64url");
  }
  const body = text.slice(1).replaceAll("-", "+").replaceAll("_", "/");
  const packed = fromBase64(body.padEnd(Math.ceil(body.length / 4) * 4, "="));
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const bits = new Uint8Array(BYTES);
  let at = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (at + value.length > BYTES) throw new CheckError("the status list is too long");
      bits.set(value, at);
      at += value.length;
    }
  } catch (error) {
    if (error instanceof CheckError) throw error;
    throw new CheckError("the status list cannot be unpacked");
  }
  if (at !== BYTES) throw new CheckError(`the status list has ${at * 8} bits`);
  return bits;
}
