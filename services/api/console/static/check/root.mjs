/*
 * A programme's trust root: a signed, versioned file that says whom it names
 * (as mrv/signatures/trust_root.py reads it).
 */
import { encode, equal, isObject } from "./json.mjs";
import { enrolled, policyOf, publicKey, ringOf, verifies } from "./keys.mjs";
import { CheckError, fromBase58, short } from "./text.mjs";
import { instant } from "./times.mjs";

const FIELDS = ["type", "programme", "version", "expires", "root", "keys"];

/** Whom a trust root names, once its own root keys signed it and it has not expired. */
export async function readRoot(record, at) {
  const said = record.signed;
  const has = isObject(said) ? Object.keys(said) : [];
  if (
    Object.keys(record).sort().join() !== "signatures,signed" || !FIELDS.every((name) => has.includes(name))
    || has.some((name) => !["evidence", "issue", "logPolicy", "timestamps"].includes(name) && !FIELDS.includes(name)) || said.type !== "tonne-trust-root"
  ) {
    throw new CheckError("the trust root has other fields than its form");
  }
  const { root, issue = null, evidence = null } = said;
  if (!isObject(root) || !equal(Object.keys(root).sort(), ["keys", "threshold"])) {
    throw new CheckError("the trust root names its root keys otherwise than its form");
  }
  const [threshold, version] = [whole(root.threshold), whole(said.version)];
  const roots = root.keys;
  if (!Array.isArray(roots) || !roots.every((one) => typeof one === "string") || new Set(roots).size !== roots.length || threshold < 1 || threshold > roots.length) {
    throw new CheckError(`a trust root cannot have the threshold ${short(root.threshold)}`);
  }
  if (version < 1 || typeof said.programme !== "string" || !said.programme.trim()) {
    throw new CheckError("a trust root needs a programme, and a version from 1");
  }
  roots.forEach(publicKey);
  if (issue !== null) checkIssue(issue);
  if (evidence !== null) checkEvidence(evidence);
  if (!Array.isArray(said.keys) || !Array.isArray(record.signatures)) {
    throw new CheckError("the trust root lists no keys, or no signatures");
  }
  const ring = ringOf(said.keys.map(enrolled));
  await signedBy(record.signatures, roots, threshold, encode(said));
  if (at >= instant(said.expires)) {
    throw new CheckError(`version ${version} of the trust root of ${short(said.programme)} has expired; get the newest`);
  }
  return { ring, lists: [], issue, evidence, policy: policyOf(said.logPolicy ?? null), stamps: said.timestamps !== undefined };
}

async function signedBy(signatures, roots, threshold, message) {
  const good = new Set();
  for (const one of signatures) {
    if (!isObject(one) || typeof one.value !== "string") throw new CheckError("a signature of the trust root is none");
    const value = fromBase58(one.value);
    if (roots.includes(one.key) && (await verifies(publicKey(one.key), value, message))) good.add(one.key);
  }
  if (good.size < threshold) {
    throw new CheckError(`the trust root is signed by ${good.size} of its root keys; ${threshold} are needed`);
  }
}

function checkIssue(issue) {
  if (!isObject(issue) || Object.keys(issue).sort().join() !== "since,threshold" || whole(issue.threshold) < 2) {
    throw new CheckError("issue of a trust root asks for 2 people or more, since a time");
  }
  instant(issue.since);
}

/** The grades of evidence that a programme asks for (as mrv/parameters/__init__.py). */
function checkEvidence(asked) {
  const { quantities, parameters, above_percent: above } = isObject(asked) ? asked : {};
  if (
    !isObject(asked) || Object.keys(asked).sort().join() !== "above_percent,parameters,quantities"
    || !["B", "C", "D"].includes(quantities) || !["B", "C", "D"].includes(parameters)
    || typeof above !== "string" || !/^[0-9]{1,3}(\.[0-9]{1,3})?$/.test(above) || Number(above) > 100
  ) {
    throw new CheckError("evidence of a trust root asks for grades of quantities and parameters, above a share");
  }
}

function whole(value) {
  if (!["number", "bigint"].includes(typeof value) || !Number.isInteger(Number(value))) {
    throw new CheckError(`${short(value)} in a trust root is no whole number`);
  }
  return Number(value);
}
