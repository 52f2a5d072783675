/*
 * The steps of `tonne verify` that need no readings, in their order and by their names
 * (mrv/verify/steps.py); the first that fails ends the walk.
 *
 * What a browser leaves to `tonne verify` and to docs/verify_by_hand.py: everything that
 * computes the tonnes again from the readings.
 */
import { encode, equal, isObject, legible, parseObject } from "./json.mjs";
import { multikeyOf, readRing, ringOf } from "./keys.mjs";
import { verifyReceipt } from "./log.mjs";
import { onlyProof, proven } from "./proof.mjs";
import { counts } from "./status.mjs";
import { CheckError, concat, fromUtf8, sha256, short, toBase58, toBase64, toHex } from "./text.mjs";
import { instant } from "./times.mjs";

const CONTEXT = [
  "https://www.w3.org/ns/credentials/v2",
  "https://www.w3.org/ns/credentials/undefined-terms/v2",
];
const STATEMENT = ["VerifiableCredential", "EmissionReductionStatement"];
const VERIFICATION = ["VerifiableCredential", "VerificationStatement"];
const DOCUMENTS = [
  "plan.json", "factors.json", "keys.json", "digests.json", "seals.json", "diagram.svg",
  "VERIFY.md", "manifest.json", "intervals.parquet",
];
// what the API gives of a statement; anything beside it is an evidence pack
const PUBLIC = ["statement.json", "verification.json", "receipt.txt", "keys.json"];
const UNLISTED = ["manifest.json", "manifest.txt", "receipt.txt"];
const FORMAT = 2;
const UG_PER_T = 10n ** 12n;
const WHOLE = /^(0|[1-9][0-9]*)$/;

class NotApplicable extends Error {}

export const STEPS = [
  ["form", form],
  ["keys and roles", keys],
  ["operator's proof", operator],
  ["verifier's proof and digest", verifier],
  ["log receipt", log],
  ["status", status],
  ["claims", claims],
  ["manifest", manifest],
];

/**
 * Walk through the steps.
 *
 * @param {Map<string, Uint8Array>} files documents by their name in a pack
 * @param {{trusted?: Uint8Array, status?: Uint8Array, told?: Function}} more a keyring that
 *   the reader trusts, the project's status list, and whom to tell of each step
 * @returns {Promise<{name: string, outcome: string, detail: string}[]>}
 */
export async function check(files, { trusted, status: list, told = () => {} } = {}) {
  const subject = { files, trusted, list };
  const found = [];
  let broken = false;
  for (const [name, run] of STEPS) {
    const step = broken ? { outcome: "not reached", detail: "" } : await taken(run, subject);
    broken ||= step.outcome === "failed";
    found.push({ name, ...step });
    told(found.at(-1), found.length);
  }
  return found;
}

async function taken(run, subject) {
  try {
    return { outcome: "ok", detail: await run(subject) };
  } catch (error) {
    if (error instanceof NotApplicable) return { outcome: "not applicable", detail: error.message };
    if (error instanceof CheckError) return { outcome: "failed", detail: error.message };
    if (error?.name === "NotSupportedError") {
      return { outcome: "failed", detail: "this browser cannot check Ed25519 signatures; use a newer one" };
    }
    if (error instanceof TypeError || error instanceof RangeError || error instanceof SyntaxError) {
      return { outcome: "failed", detail: `a field is missing or malformed (${error.message})` };
    }
    throw error;
  }
}

function form(subject) {
  const { files } = subject;
  if (!files.has("statement.json")) throw new CheckError("there is no statement.json");
  if (isPack(files)) {
    ofThisVersion(files);
    exactlyListed(files);
  }
  subject.statement = parseObject(files.get("statement.json"), "statement.json");
  subject.verification = read(files, "verification.json");
  subject.receipt = files.has("receipt.txt") ? fromUtf8(files.get("receipt.txt"), "receipt.txt") : null;
  credential(subject.statement, STATEMENT, "statement.json");
  subject.claims = subject.statement.credentialSubject;
  if (!isObject(subject.claims)) throw new CheckError("statement.json has no credentialSubject");
  const title = subject.claims.statement;
  if (subject.statement.id !== `urn:tonne:${title}`) {
    throw new CheckError(`statement ${short(title)} has the id ${short(subject.statement.id)}`);
  }
  signedInOrder(subject);
  return `${title}, ${stateOf(subject)}`;
}

const isPack = (files) => [...files.keys()].some((name) => !PUBLIC.includes(name));

/** A pack of another version's form is told so, before its parts are found wanting. */
function ofThisVersion(files) {
  if (!files.has("manifest.json")) return;
  const found = parseObject(files.get("manifest.json"), "manifest.json").format;
  if (found !== FORMAT && Number.isInteger(found)) {
    throw new CheckError(`the pack has format ${found}; this page reads ${FORMAT}`);
  }
}

function exactlyListed(files) {
  const missing = DOCUMENTS.filter((name) => !files.has(name));
  if (missing.length) throw new CheckError(`the pack has no ${missing.join(", ")}`);
  const listed = parseObject(files.get("manifest.json"), "manifest.json").files;
  if (!isObject(listed)) throw new CheckError("manifest.json lists no files");
  const gone = Object.keys(listed).filter((name) => !files.has(name));
  if (gone.length) throw new CheckError(`the pack has no ${gone.join(", ")}`);
  const added = [...files.keys()].filter((name) => !(name in listed) && !UNLISTED.includes(name));
  if (added.length) throw new CheckError(`no file of this pack has the name ${added.join(", ")}`);
}

function credential(document, types, name) {
  if (!equal(document["@context"], CONTEXT) || !equal(document.type, types)) {
    throw new CheckError(`${name} has another @context or type`);
  }
}

/** No document may have been taken out from below another. */
function signedInOrder({ statement, verification, receipt }) {
  if ("proof" in statement !== "issuer" in statement) {
    throw new CheckError("statement.json has an issuer without a proof, or a proof without one");
  }
  if (verification) {
    credential(verification, VERIFICATION, "verification.json");
    if (!("proof" in statement)) throw new CheckError("a verification of a statement without proof");
  }
  if (receipt !== null && !verification) {
    throw new CheckError("receipt.txt is of a verified statement, verification.json is missing");
  }
}

function stateOf({ statement, verification, receipt }) {
  if (!("proof" in statement)) return "draft";
  if (!verification) return "submitted";
  return receipt === null ? "verified" : "issued";
}

function keys(subject) {
  const own = ownKeys(subject);
  if (stateOf(subject) === "draft") throw new NotApplicable("a draft, nobody has signed it");
  if (subject.receipt === null && [...own.values()].some((key) => key.role === "log")) {
    throw new CheckError("the statement was issued, and its receipt.txt was taken out");
  }
  const trusted = subject.trusted ? readRing(parseObject(subject.trusted, "your keys")) : null;
  let signers = [];
  for (const ring of [trusted?.size ? trusted : own, own]) {
    signers = [signer(subject.statement, ring, "operator")];
    if (subject.verification) {
      signers.push(signer(subject.verification, ring, "verifier"));
      if (signers[0].multikey === signers[1].multikey || signers[0].name === signers[1].name) {
        throw new CheckError(`${short(signers[1].name)} prepared this statement and verified it, too`);
      }
    }
    if (subject.receipt !== null) logKey(ring);
  }
  subject.ring = trusted?.size ? trusted : own;
  return signers.map((key) => `${key.name} (${key.role}) ${key.multikey}`).join(", ");
}

/** Keys that came with what is checked. */
function ownKeys(subject) {
  if (subject.files.has("keys.json")) return readRing(parseObject(subject.files.get("keys.json"), "keys.json"));
  if (stateOf(subject) === "draft") return new Map();
  const signed = [[subject.statement, "operator"]];
  if (subject.verification) signed.push([subject.verification, "verifier"]);
  return ringOf(signed.map(([document, role]) => {
    const multikey = multikeyOf(onlyProof(document).verificationMethod);
    return { name: issuer(document).name, role, multikey, did: `did:key:${multikey}` };
  }));
}

function issuer(document) {
  const found = document.issuer;
  if (!isObject(found) || String(Object.keys(found).sort()) !== "id,name") {
    throw new CheckError(`the issuer of ${short(document.id)} is ${short(found)}`);
  }
  return found;
}

function signer(document, ring, role) {
  const by = issuer(document);
  for (const key of ring.values()) {
    if (key.did !== by.id) continue;
    if (key.role !== role || key.name !== by.name) {
      throw new CheckError(
        `${short(document.id)} is issued by ${short(by.name)} as ${role};`
        + ` the keys say ${short(key.name)}, ${key.role}`,
      );
    }
    return key;
  }
  throw new CheckError(`${short(document.id)} is issued by ${short(by.name)}, whose key is not among the keys`);
}

function logKey(ring) {
  const found = [...ring.values()].filter((key) => key.role === "log");
  if (found.length !== 1) throw new CheckError(`the keys hold ${found.length} keys of a log, not one`);
  return found[0];
}

async function provenBy(subject, document) {
  const key = await proven(document, subject.ring);
  if (key.did !== issuer(document).id) {
    throw new CheckError(`${short(document.id)} is signed by ${short(key.name)}, who is not its issuer`);
  }
  return key;
}

async function operator(subject) {
  if (stateOf(subject) === "draft") throw new NotApplicable("a draft, without proof");
  return `signed by ${(await provenBy(subject, subject.statement)).name}`;
}

async function verifier(subject) {
  const document = subject.verification;
  if (!document) throw new NotApplicable("not verified yet");
  const key = await provenBy(subject, document);
  const hash = await sha256(encode(subject.statement));
  const expected = {
    id: subject.statement.id,
    digestSRI: `sha256-${toBase64(hash)}`,
    digestMultibase: toBase58(concat(Uint8Array.of(0x12, 0x20), hash)),
    mediaType: "application/vc",
  };
  if (!equal(document.relatedResource, [expected])) {
    throw new CheckError(`the verifier signed another statement than this, ${expected.digestMultibase}`);
  }
  const said = document.credentialSubject;
  if (said.id !== subject.statement.id) throw new CheckError(`the opinion is about ${short(said.id)}`);
  if (["adverse", "disclaimer"].includes(said.opinion)) {
    throw new CheckError(`the verifier ${short(key.name)} rejected this statement: ${said.opinion}`);
  }
  return `${said.opinion}, ${said.levelOfAssurance} assurance, by ${key.name}`;
}

async function log(subject) {
  const { receipt, statement, verification } = subject;
  if (receipt === null || !verification) throw new NotApplicable("not issued yet");
  const entry = encode({
    event: "issued",
    statement: subject.claims.statement,
    statementSha256: toHex(await sha256(encode(statement))),
    verificationSha256: toHex(await sha256(encode(verification))),
  });
  const head = await verifyReceipt(receipt, entry, logKey(subject.ring));
  return `in ${head.origin}, whose head has ${head.size} entries`;
}

async function status(subject) {
  if (stateOf(subject) === "draft") throw new NotApplicable("a draft, which counts nowhere");
  if (!subject.list) throw new NotApplicable("no status list at hand");
  const list = parseObject(subject.list, "status list");
  const key = await provenBy(subject, list);
  if (key.role !== "operator") throw new CheckError(`the status list is signed by a ${key.role}`);
  const { project, statement } = subject.claims;
  if (!(await counts(list, project.id, statement))) {
    throw new CheckError(`${statement} counts no more: it was superseded or revoked`);
  }
  return `counts, as of ${list.validFrom}`;
}

function claims({ claims: said }) {
  const [inner, outer] = [said.monitoringPeriod, said.project.creditingPeriod];
  const [begin, end] = [instant(inner.from), instant(inner.to)];
  if (!(instant(outer.from) <= begin && begin < end && end <= instant(outer.to))) {
    throw new CheckError(`the period ${inner.from} to ${inner.to} is not within the crediting period`);
  }
  const balance = BigInt(said.emissions.reduction.ug) + BigInt(said.carried.in_ug);
  const most = balance > 0n ? balance / UG_PER_T : 0n;
  if (!WHOLE.test(said.credited.t) || BigInt(said.credited.t) > most) {
    throw new CheckError(`${short(said.credited.t)} t are credited, ${balance} ug were reduced`);
  }
  if (said.supersedes && said.supersedes.statement === said.statement) {
    throw new CheckError(`statement ${said.statement} supersedes itself`);
  }
  return `${inner.localFrom} to ${inner.localTo}, ${said.credited.t} whole tonnes`;
}

async function manifest(subject) {
  const { files, claims: said } = subject;
  if (!isPack(files)) throw new NotApplicable("without the files of its evidence pack");
  const data = files.get("manifest.json");
  const listed = parseObject(data, "manifest.json").files;
  const found = Object.create(null);
  for (const [name, bytes] of files) {
    if (!UNLISTED.includes(name)) found[name] = toHex(await sha256(bytes));
  }
  const changed = Object.keys(found).filter((name) => found[name] !== listed[name]).sort();
  if (changed.length) throw new CheckError(`${changed.join(", ")}: not the files that the manifest lists`);
  if (!equal([...data], [...legible({ format: FORMAT, files: found })])) {
    throw new CheckError("manifest.json is not in the form that tonne writes");
  }
  const count = Object.keys(listed).length;
  if (subject.receipt === null) return `${count} files`;
  if (!files.has("manifest.txt")) throw new CheckError("the pack has no manifest.txt");
  const entry = encode({
    event: "evidence", statement: said.statement, manifestSha256: toHex(await sha256(data)),
  });
  await verifyReceipt(fromUtf8(files.get("manifest.txt"), "manifest.txt"), entry, logKey(subject.ring));
  return `${count} files, all in the log`;
}

function read(files, name) {
  return files.has(name) ? parseObject(files.get(name), name) : null;
}
