/*
 * Data Integrity proofs with cryptosuite eddsa-jcs-2022 (W3C vc-di-eddsa, 3.3),
 * read as mrv/signatures/data_integrity.py reads them.
 */
import { encode, equal, isObject } from "./json.mjs";
import { checkValid, multikeyOf, publicKey, verifies } from "./keys.mjs";
import { CheckError, concat, fromBase58, sha256, short } from "./text.mjs";
import { instant } from "./times.mjs";

const REQUIRED = [
  "type", "cryptosuite", "created", "verificationMethod", "proofPurpose", "proofValue",
];
const WANTED = {
  type: "DataIntegrityProof", cryptosuite: "eddsa-jcs-2022", proofPurpose: "assertionMethod",
};

/** Which enrolled key signed a document that has exactly one proof. */
export async function proven(document, ring) {
  const proof = onlyProof(document);
  checkFields(proof);
  const multikey = multikeyOf(proof.verificationMethod);
  const key = ring.get(multikey);
  if (!key) throw new CheckError(`the proof is by ${multikey}, which is not enrolled`);
  checkValid(key, instant(proof.created), instant);
  const signature = fromBase58(proof.proofValue);
  if (signature.length !== 64) throw new CheckError("proofValue does not hold 64 bytes");
  const signed = { ...document, "@context": contextOf(proof, document) };
  if (signed["@context"] === undefined) delete signed["@context"];
  const bytes = concat(
    await sha256(encode(without(proof, "proofValue"))),
    await sha256(encode(without(signed, "proof"))),
  );
  if (!(await verifies(publicKey(multikey), signature, bytes))) {
    throw new CheckError(
      `the signature of ${short(key.name)} is not of this document and proof;`
      + " one of them was changed after signing",
    );
  }
  return key;
}

export function onlyProof(document) {
  const found = Array.isArray(document.proof) ? document.proof : [document.proof];
  if (!found.length || !found.every(isObject)) throw new CheckError("the document has no proof");
  if (found.length !== 1) throw new CheckError(`the document has ${found.length} proofs, not one`);
  return found[0];
}

function checkFields(proof) {
  if ("previousProof" in proof) throw new CheckError("chains of proofs are refused");
  const missing = REQUIRED.filter((field) => !(field in proof));
  if (missing.length) throw new CheckError(`the proof has no ${missing.join(", ")}`);
  const unknown = Object.keys(proof).filter((f) => ![...REQUIRED, "id", "@context"].includes(f));
  if (unknown.length) throw new CheckError(`proof field ${short(unknown[0])} is not understood`);
  for (const [field, value] of Object.entries(WANTED)) {
    if (proof[field] !== value) {
      throw new CheckError(`proof ${field} is ${short(proof[field])}; only ${value} is accepted`);
    }
  }
  instant(proof.created);
}

/** Later @context entries may follow those that were signed, none may precede or change. */
function contextOf(proof, document) {
  if (!("@context" in proof)) return document["@context"];
  const list = (one) => (Array.isArray(one) ? one : [one]);
  const [signed, found] = [list(proof["@context"]), list(document["@context"])];
  if (!equal(found.slice(0, signed.length), signed)) {
    throw new CheckError("the document's @context does not start with the proof's");
  }
  return proof["@context"];
}

function without(object, name) {
  return Object.fromEntries(Object.entries(object).filter(([key]) => key !== name));
}
