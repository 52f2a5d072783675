/* An operator's approval of an issue (as mrv/statement/states.py). */
import { checkProject, normalised } from "./bounds.mjs";
import { encode, equal } from "./json.mjs";
import { onlyProof } from "./proof.mjs";
import { CheckError, concat, sha256, short, toBase58, toBase64, toHex } from "./text.mjs";
import { instant } from "./times.mjs";

const CONTEXT = [
  "https://www.w3.org/ns/credentials/v2",
  "https://www.w3.org/ns/credentials/undefined-terms/v2",
];
const TYPES = ["VerifiableCredential", "IssueApproval"];
const NAMES = "@context,credentialSubject,id,issuer,proof,relatedResource,type,validFrom";

/** Refuse an approval that is not of this statement and verification; its proof is the caller's. */
export async function checkApproval(document, { statement, verification, claims }, holder) {
  const name = short(document.id);
  if (holder.role !== "operator") throw new CheckError(`${name} is signed by a ${holder.role}`);
  checkProject(holder, claims.project.id, name);
  if (
    Object.keys(document).sort().join() !== NAMES
    || !equal(document["@context"], CONTEXT) || !equal(document.type, TYPES)
    || document.id !== `${statement.id}:approval:${holder.multikey}`
    || !equal(document.issuer, { id: holder.did, name: holder.name })
  ) {
    throw new CheckError(`${name} is no approval of this statement by ${short(holder.name)}`);
  }
  const hash = await sha256(encode(statement));
  const related = {
    id: statement.id,
    digestSRI: `sha256-${toBase64(hash)}`,
    digestMultibase: toBase58(concat(Uint8Array.of(0x12, 0x20), hash)),
    mediaType: "application/vc",
  };
  const subject = { id: statement.id, verificationSha256: toHex(await sha256(encode(verification))) };
  if (!equal(document.relatedResource, [related]) || !equal(document.credentialSubject, subject)) {
    throw new CheckError(`${name} approves another statement or another verification`);
  }
  if (instant(onlyProof(document).created) < instant(onlyProof(verification).created)) {
    throw new CheckError(`${name} was signed before the verification`);
  }
}

/** How many approved: two keys of one holder, however the name is spelt, are one. */
export const people = (holders) => new Set(holders.map((one) => normalised(one.name))).size;
