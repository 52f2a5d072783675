/*
 * The steps of `tonne verify` that need no readings, in their order and by their names
 * (mrv/verify/steps.py); the first that fails ends the walk.
 *
 * What a browser leaves to `tonne verify` and to docs/verify_by_hand.py: everything that
 * computes the tonnes again from the readings, and whether the log's seals are of them.  So
 * nobody may rely on a statement by what stands here alone.
 */
import { checkAccreditation, checkProject, sameOrganisation, unnamed } from "./bounds.mjs";
import { encode, equal, isObject, legible, parse, parseObject } from "./json.mjs";
import { checkApproval, people } from "./approvals.mjs";
import { multikeyOf, readRing, readTrusted, ringOf } from "./keys.mjs";
import { cosigned, noteId, parseReceipt, rootOf, signatures, verifyCheckpoint, verifyReceipt } from "./log.mjs";
import { onlyProof, proven } from "./proof.mjs";
import { counts, lasts } from "./status.mjs";
import { CheckError, concat, fromUtf8, same, sha256, short, toBase58, toBase64, toHex } from "./text.mjs";
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
const PUBLIC = ["statement.json", "verification.json", "receipt.txt", "keys.json", "approvals.json"];
const UNLISTED = ["manifest.json", "manifest.txt", "receipt.txt", "timestamps.json"];
const FORMAT = 2;
const UG_PER_T = 10n ** 12n;
const DECIMAL = /^-?[0-9]{1,15}(\.[0-9]{1,12})?$/;
const WHOLE = /^(0|[1-9][0-9]*)$/;

const AHEAD = 300_000_000n;

class NotApplicable extends Error {}
class NotChecked extends Error {}

export const STEPS = [
  ["form", form],
  ["keys and roles", keys],
  ["operator's proof", operator],
  ["verifier's proof and digest", verifier],
  ["log receipt", log],
  ["status", status],
  ["plan and factors", planAndFactors],
  ["claims", claims],
  ["manifest", manifest],
  ["times", times],
  ["approvals", approvals],
];

/**
 * Walk through the steps.
 *
 * @param {Map<string, Uint8Array>} files documents by their name in a pack
 * @param {{trusted?: Uint8Array, status?: Uint8Array, at?: bigint, told?: Function}} more a
 *   keyring that the reader trusts, the project's status list, the time of the check in
 *   microseconds, and whom to tell of each step
 * @returns {Promise<{steps: {name: string, outcome: string, detail: string}[], missing: string[]}>}
 *   the steps, and codes of what is missing, as `tonne verify --json` has them
 */
export async function check(files, { trusted, status: list, at, told = () => {} } = {}) {
  const subject = { files, trusted, list, at: at ?? BigInt(Date.now()) * 1000n, missing: [] };
  const steps = [];
  let broken = false;
  for (const [name, run] of STEPS) {
    const step = broken ? { outcome: "not reached", detail: "" } : await taken(run, subject);
    broken ||= step.outcome === "failed";
    steps.push({ name, ...step });
    told(steps.at(-1), steps.length);
  }
  if (!broken) await noteMissing(subject);
  return { steps, missing: [...new Set(subject.missing)] };
}

/** What the steps could not find missing, since they had nothing to look at. */
async function noteMissing(subject) {
  const { missing } = subject;
  const order = ["draft", "submitted", "verified", "issued"];
  const codes = { submitted: "signature", verified: "verification", issued: "issue" };
  const state = stateOf(subject);
  if (!isPack(subject.files)) missing.push("evidence");
  for (const later of order.slice(order.indexOf(state) + 1)) missing.push(codes[later]);
  if (!subject.trusted) missing.push("keys");
  else if (subject.ring || state === "draft") {
    const held = new Set([...(await trust(subject)).ring.values()].map((k) => k.role));
    for (const role of ["operator", "verifier", "log"]) if (!held.has(role)) missing.push(`key-${role}`);
    await noteUnnamed(subject);
    await noteUnbound(subject);
  }
  if (state !== "draft" && !(await listsOf(subject)).length) missing.push("status");
}

/** Operator and verifier have to be two organisations, and the verifier accredited. */
async function noteUnnamed(subject) {
  if (ofFirstRelease(subject)) return;
  for (const key of (await trust(subject)).ring.values()) {
    const signs = signed(subject).some(([one, role]) => role === key.role && one.issuer?.id === key.did);
    if (signs) subject.missing.push(...unnamed(key).map((one) => `${key.role}-${one}`));
  }
}

/** Statements of tonne 0.1.0 named no versions of the rules. */
const ofFirstRelease = ({ claims: said }) => said.metering === undefined && said.accounting === undefined;

/** Among keys of several operators, each says for which projects it may sign. */
async function noteUnbound(subject) {
  const operators = [...(await trust(subject)).ring.values()].filter((key) => key.role === "operator");
  // of keys whose holders' organisations nobody wrote down, nobody can tell
  if (!operators.some(({ bounds }) => bounds.organisation ?? bounds.organisationId)) return;
  if (operators.every((other) => sameOrganisation(operators[0], other))) return;
  const lists = (await listsOf(subject)).map(([, list]) => list);
  const signers = new Set([subject.statement, ...approvalsOf(subject), ...lists].map((one) => one.issuer?.id));
  if (operators.some((key) => signers.has(key.did) && key.bounds.projects === undefined)) {
    subject.missing.push("unbound-key");
  }
}

/** Whom the reader trusts, read once. */
async function trust(subject) {
  subject.trust ??= await readTrusted(parseObject(subject.trusted, "your keys"), subject.at);
  return subject.trust;
}

async function taken(run, subject) {
  try {
    return { outcome: "ok", detail: await run(subject) };
  } catch (error) {
    if (error instanceof NotApplicable) return { outcome: "not applicable", detail: error.message };
    if (error instanceof NotChecked) return { outcome: "not checked", detail: error.message };
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

async function form(subject) {
  const { files } = subject;
  if (!files.has("statement.json")) throw new CheckError("there is no statement.json");
  if (isPack(files)) {
    ofThisVersion(files);
    await exactlyListed(files);
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

async function exactlyListed(files) {
  const missing = DOCUMENTS.filter((name) => !files.has(name));
  if (missing.length) throw new CheckError(`the pack has no ${missing.join(", ")}`);
  const listed = parseObject(files.get("manifest.json"), "manifest.json").files;
  if (!isObject(listed)) throw new CheckError("manifest.json lists no files");
  const gone = Object.keys(listed).filter((name) => !files.has(name));
  if (gone.length) throw new CheckError(`the pack has no ${gone.join(", ")}`);
  const added = [...files.keys()].filter((name) => !(name in listed) && !UNLISTED.includes(name));
  if (added.length) throw new CheckError(`no file of this pack has the name ${added.join(", ")}`);
  const changed = [];
  for (const [name, bytes] of files) {
    if (UNLISTED.includes(name) || name.endsWith(".parquet")) continue; // tables: step manifest
    if (toHex(await sha256(bytes)) !== listed[name]) changed.push(name);
  }
  if (changed.length) throw new CheckError(`${changed.sort().join(", ")}: not the files that the manifest lists`);
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

async function keys(subject) {
  const own = ownKeys(subject);
  if (stateOf(subject) === "draft") throw new NotApplicable("the statement is a draft and not signed");
  if (subject.receipt === null && [...own.values()].some((key) => key.role === "log")) {
    throw new CheckError("the statement was issued, and its receipt.txt was taken out");
  }
  const roles = needed(subject);
  subject.ring = own;
  let found;
  if (!subject.trusted) {
    found = await signersOf(subject, roles);
  } else {
    await signersOf(subject, roles.filter((role) => role !== "log"));
    subject.ring = (await trust(subject)).ring;
    const held = new Set([...subject.ring.values()].map((key) => key.role));
    found = await signersOf(subject, roles.filter((role) => held.has(role)));
    needsKeys(subject, ...roles);
  }
  return found.map((key) => `${key.name} (${key.role}) ${key.multikey}`).join(", ");
}

function needed(subject) {
  const roles = signed(subject).map(([, role]) => role);
  return subject.receipt === null ? roles : [...roles, "log"];
}

/** Who signed in these roles, each within its bounds. */
async function signersOf(subject, roles) {
  const found = signed(subject)
    .filter(([, role]) => roles.includes(role))
    .map(([document, role]) => signer(document, subject.ring, role));
  for (const key of found) checkProject(key, subject.claims.project.id, subject.claims.statement);
  if (found.length > 1 && sameOrganisation(...found)) {
    throw new CheckError(`${short(found[1].name)} and ${short(found[0].name)}, who prepared this, are one organisation`);
  }
  if (roles.includes("log") && subject.receipt !== null) {
    await logKey(subject.ring, parseReceipt(subject.receipt).checkpoint);
  }
  return found;
}

function signed(subject) {
  const found = [[subject.statement, "operator"]];
  return subject.verification ? [...found, [subject.verification, "verifier"]] : found;
}

function needsKeys(subject, ...roles) {
  const held = new Set([...subject.ring.values()].map((key) => key.role));
  const lacks = roles.filter((role) => !held.has(role));
  if (lacks.length) throw new NotChecked(`your trusted keys include no key of ${lacks.join(" and ")}`);
}

/** Keys that came with what is checked. */
function ownKeys(subject) {
  if (subject.files.has("keys.json")) return readRing(parseObject(subject.files.get("keys.json"), "keys.json"));
  if (stateOf(subject) === "draft") return new Map();
  return ringOf(signed(subject).map(([document, role]) => {
    const multikey = multikeyOf(onlyProof(document).verificationMethod);
    return { name: issuer(document).name, role, multikey, did: `did:key:${multikey}`, bounds: {} };
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

/** The one enrolled key of a log that signed a head. */
async function logKey(ring, note) {
  const { text, lines } = signatures(note);
  const origin = text.split("\n")[0];
  const logs = [...ring.values()].filter((key) => key.role === "log");
  if (!logs.some((key) => key.name === origin)) throw new NotChecked(`your trusted keys include no key of log ${short(origin)}`);
  const found = [];
  for (const key of logs) {
    const id = await noteId(key);
    if (lines.some(([name, raw]) => name === key.name && same(raw.slice(0, 4), id))) found.push(key);
  }
  if (found.length !== 1) throw new CheckError(`the head of log ${short(origin)} is signed by ${found.length} of the keys`);
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
  if (stateOf(subject) === "draft") throw new NotApplicable("the statement is a draft without a proof");
  needsKeys(subject, "operator");
  return `signed by ${(await provenBy(subject, subject.statement)).name}`;
}

async function verifier(subject) {
  const document = subject.verification;
  if (!document) throw new NotApplicable("not verified yet");
  needsKeys(subject, "verifier");
  const key = await provenBy(subject, document);
  checkAccreditation(key, subject.claims.methodology.id, onlyProof(document).created);
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
  conditions(subject, said);
  return `${said.opinion}, ${said.levelOfAssurance} assurance, by ${key.name}`;
}

/** Conditions that do not hold, each with a reason that the verifier signed. */
function conditions(subject, said) {
  const unmet = unmetOf(subject.claims);
  const listed = said.unmet?.map(({ rule, texts }) => ({ rule, texts }));
  if (listed !== undefined && !equal(listed, unmet)) {
    throw new CheckError("the conditions that do not hold are other ones in verification.json");
  }
  if (unmet.length && !said.unmet?.every((one) => reasoned(one.reason))) subject.missing.push("conditions");
  if (said.opinion === "unqualified" && !ofFirstRelease(subject) && blank(subject.claims, said)) subject.missing.push("words");
  // as in mrv/statement/conditions.py
  if (!DECIMAL.test(said.materiality_percent)) throw new CheckError(`materiality is ${short(said.materiality_percent)}`);
  const percent = Number(said.materiality_percent);
  if (!(percent >= 0 && percent <= 10) && !ofFirstRelease(subject)) subject.missing.push("materiality");
}

const REQUIREMENTS = [
  "eligibility", "implementation", "monitoring", "calibration", "calculation", "double_counting", "earlier_findings",
];

/** Whether a parameter or a requirement has no words (as mrv/statement/opinion.py). */
function blank(claims, { parameters = [], requirements = [] }) {
  const metered = claims.monitoredParameters.map((one) => [one.role, one.device]);
  const fixed = (claims.fixedParameters ?? []).filter((one) => one.monitoringOption).map((one) => [one.parameter, one.device]);
  const lacks = [...metered, ...fixed].some(([parameter, device]) => {
    const rows = parameters.filter((one) => one.parameter === parameter);
    const row = rows.find((one) => (one.device ?? null) === device) ?? rows.find((one) => (one.device ?? null) === null);
    return !row || !reasoned(row.means) || !reasoned(row.opinion) || !named(row.source) || !named(row.crossChecked);
  });
  return lacks || REQUIREMENTS.some((name) => {
    const row = requirements.find((one) => one.requirement === name);
    return !row || !reasoned(row.means) || !reasoned(row.opinion);
  });
}

/** Whether a text names something. */
function named(text) {
  return [...text].filter((one) => /\p{L}/u.test(one)).length >= 2;
}

/** Whether a reason is of words (as mrv/statement/conditions.py). */
function reasoned(text) {
  if (typeof text !== "string") return false;
  const plain = [...text.trim().replace(/\s+/gu, " ")];
  return plain.length >= 20 && plain.filter((one) => /\p{L}/u.test(one)).length >= 10;
}

/** Texts of a condition, as codes and values; tonne 0.1.0 wrote words. */
function textsOf({ texts, detail }) {
  if (texts !== undefined) return texts;
  return detail ? [{ code: "text.plain", values: { words: detail } }] : [];
}

/** A cross-check that does not hold (as mrv/statement/conditions.py). */
function differs(one) {
  const values = {
    kind: { code: one.kind === "invoice" ? "cross_check.invoice" : "cross_check.meter", values: {} },
    against: one.against, devices: one.devices, effect: one.effect_t,
    percent: one.difference_percent ?? "", tolerance: one.tolerance_percent,
  };
  return { code: one.difference_percent === null ? "cross_check.of_zero" : "cross_check.differs", values };
}

export function unmetOf(said) {
  // 0.1.0 wrote a text for a rule; an observation needs no reply
  const found = said.applicability.filter((one) => !one.holds && one.severity !== "observation")
    .map((one) => ({ rule: one.rule ?? one.clause, texts: textsOf(one) }));
  const checks = (said.crossChecks ?? []).filter((one) => one.holds === false).map((one) => ({
    rule: one.kind === "invoice" ? "EVD-03" : "PAR-08", texts: [differs(one)],
  }));
  return [...found, ...checks];
}

async function log(subject) {
  const { receipt, statement, verification } = subject;
  if (receipt === null || !verification) throw new NotApplicable("not issued yet");
  const entry = encode({
    event: "issued",
    statement: subject.claims.statement,
    statementSha256: toHex(await sha256(encode(statement))),
    verificationSha256: toHex(await sha256(encode(verification))),
    ...(await approvedIn(subject)),
  });
  needsKeys(subject, "log");
  let key;
  try {
    key = await logKey(subject.ring, parseReceipt(receipt).checkpoint);
  } catch (error) {
    if (error instanceof NotChecked) subject.missing.push("log");
    throw error;
  }
  const head = await verifyReceipt(receipt, entry, key);
  [subject.head, subject.logHolder] = [head, key];
  await witnessed(subject, parseReceipt(receipt).checkpoint);
  return `included in ${head.origin} (${head.size} entries)`;
}

/** Where the reader trusts witnesses, one of them must have countersigned the head. */
async function witnessed(subject, note) {
  if (!subject.trusted) return;
  const { ring, policy, stamps } = await trust(subject);
  const witnesses = [...ring.values()].filter((key) => key.role === "witness");
  const latest = (subject.at + AHEAD) / 1_000_000n;
  let seen = false;
  for (const witness of witnesses) {
    // the time of one whose key has ended is its own word, for any time before the end
    if (!hasEnded(witness, subject.at)) seen = (await cosigned(note, witness, latest)) || seen;
  }
  // tokens of authorities are not read here, so that nothing is green for them
  if (stamps) subject.missing.push("timestamps");
  // by a policy they are not counted here, so that nothing is green for it
  if (policy !== null || (witnesses.length && !seen)) subject.missing.push("witnesses");
}

async function status(subject) {
  if (stateOf(subject) === "draft") throw new NotApplicable("a draft, which counts nowhere");
  const lists = await listsOf(subject);
  if (!lists.length) throw new NotApplicable("no status list at hand");
  needsKeys(subject, "operator");
  const made = [];
  for (const [where, list] of lists) made.push({ ...(await listed(subject, where, list)), list });
  // a list of later says nothing about the time for which the reader asks
  let past = made.filter((one) => one.at <= subject.at + AHEAD);
  if (!past.length) past = made;
  const { project, statement } = subject.claims;
  // an end is for good, so that any list that names it outweighs a newer one that does not
  for (const { list } of past) {
    if (!(await counts(list, project.id, statement))) {
      throw new CheckError(`${statement} counts no more: it was superseded or revoked, by the list of ${list.validFrom}`);
    }
  }
  // lists stand in no log: whoever holds an ended key can sign one of any date
  const good = past.filter((one) => !hasEnded(one.key, subject.at));
  if (!good.length) subject.missing.push("status-key");
  const { list } = (good.length ? good : past).reduce((newest, one) => (one.at > newest.at ? one : newest));
  current(subject, list);
  return `valid as of ${list.validFrom}`;
}

/** The status list that was given, and those of this project beside the trusted keys. */
async function listsOf(subject) {
  const found = subject.list ? [["given", parseObject(subject.list, "status list")]] : [];
  if (!subject.trusted) return found;
  const own = `urn:tonne:status:${subject.claims.project.id}`;
  const kept = (await trust(subject)).lists.map((list, n) => [`statusLists[${n}] beside your keys`, list]);
  return [...found, ...kept.filter(([, list]) => list.id === own)];
}

/** When a status list was signed, and by which operator who may sign for this project. */
async function listed(subject, where, list) {
  let key;
  try {
    key = await provenBy(subject, list);
  } catch (error) {
    if (error instanceof CheckError) throw new CheckError(`status list (${where}): ${error.message}`);
    throw error;
  }
  if (key.role !== "operator") throw new CheckError(`the status list is signed by a ${key.role}`);
  checkProject(key, subject.claims.project.id, "the status list");
  return { at: instant(onlyProof(list).created), key };
}

/** Whether a key has ended by a time, wherever in a log that was. */
function hasEnded(key, at) {
  return key.validUntil === undefined ? key.bounds?.endsAt !== undefined : instant(key.validUntil) <= at;
}

/** Whether the list was made after what it is about, and speaks of the reader's time. */
function current(subject, list) {
  const [begin, end] = lasts(list);
  const made = instant(onlyProof(list).created);
  const apart = made > begin ? made - begin : begin - made;
  if (begin > end || apart > AHEAD) throw new CheckError("the status list was signed at another time than it says");
  if (made > subject.at + AHEAD) throw new CheckError("the status list is of a time to come");
  const last = signed(subject).map(([document]) => instant(onlyProof(document).created));
  if (last.some((at) => begin < at) || subject.at >= end) subject.missing.push("status-age");
}

/** Plan, factors and lists of digests are those that the statement names; readings are not read. */
async function planAndFactors({ files, claims: said }) {
  if (!isPack(files)) throw new NotApplicable("without the files of its evidence pack");
  for (const name of ["plan", "factors"]) {
    const found = toHex(await sha256(encode(parse(files.get(`${name}.json`), `${name}.json`))));
    if (found !== said.digests[name]) {
      throw new CheckError(`${name}.json has the digest ${found}, the statement names ${short(said.digests[name])}`);
    }
  }
  const listed = parseObject(files.get("digests.json"), "digests.json");
  for (const name of ["readings", "intervals"]) {
    if (!Array.isArray(listed[name])) throw new CheckError(`digests.json does not list ${name}`);
    const found = toHex(await rootOf(listed[name].map(encode)));
    if (found !== said.digests[name]) {
      throw new CheckError(`the ${name} leaves of digests.json have the root ${found}, the statement names ${short(said.digests[name])}`);
    }
  }
  return `as the statement names them; ${listed.readings.length} device-days of readings are listed, and were not read here`;
}

async function claims(subject) {
  const said = subject.claims;
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
  await noteAsked(subject);
  return `${inner.localFrom} to ${inner.localTo}, ${said.credited.t} whole tonnes`;
}

/** A statement that asked for less evidence than the programme, or the usual rules, do. */
async function noteAsked(subject) {
  const { evidence } = subject.claims;
  if (evidence === undefined) return;
  const usual = { quantities: "C", parameters: "B", above_percent: "5" };
  const wanted = (subject.trusted && (await trust(subject)).evidence) || usual;
  const own = evidence.asked ?? usual;
  const enough = own.quantities <= wanted.quantities && own.parameters <= wanted.parameters
    && Number(own.above_percent) <= Number(wanted.above_percent);
  if (!enough) subject.missing.push("evidence-asked");
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
  const issued = issuedAt(subject);
  const more = issued === null ? {} : { issued };
  if (!equal([...data], [...legible({ format: FORMAT, files: found, ...more })])) {
    throw new CheckError("manifest.json is not in the form that tonne writes");
  }
  const count = Object.keys(listed).length;
  if (subject.receipt === null) return `${count} files`;
  if (!files.has("manifest.txt")) throw new CheckError("the pack has no manifest.txt");
  needsKeys(subject, "log");
  const entry = encode({
    event: "evidence", statement: said.statement, manifestSha256: toHex(await sha256(data)),
  });
  const text = fromUtf8(files.get("manifest.txt"), "manifest.txt");
  const head = await verifyReceipt(text, entry, await logKey(subject.ring, parseReceipt(text).checkpoint));
  const of = subject.head;
  if (!of) throw new NotChecked("the receipt of the statement was not checked");
  const entered = parseReceipt(subject.receipt).index;
  if (
    head.origin !== of.origin || head.size !== of.size || !same(head.root, of.root)
    || parseReceipt(text).index !== entered + 1n
  ) {
    throw new CheckError("manifest.txt is not of the entry behind the statement's, under the same head");
  }
  return `${count} files, all in the log`;
}

/** Signed after the period's end, verified after that, by keys that could sign then. */
async function times(subject) {
  const state = stateOf(subject);
  if (state === "draft") throw new NotApplicable("the statement is a draft and not signed");
  needsKeys(subject, ...signed(subject).map(([, role]) => role));
  const first = instant(onlyProof(subject.statement).created);
  if (first < instant(subject.claims.monitoringPeriod.to)) {
    throw new CheckError("the statement was signed before its period's end");
  }
  let last = first;
  const papers = papersOf(subject);
  if (subject.verification) {
    last = instant(onlyProof(subject.verification).created);
    if (last < first) throw new CheckError("it was verified before it was signed");
    for (const paper of papers) {
      const at = instant(onlyProof(paper).created);
      if (at < first || at > last) throw new CheckError(`${short(paper.id)} was signed at another time`);
    }
  }
  if (last > subject.at + AHEAD) throw new CheckError("it was signed in a time to come");
  for (const paper of [...(subject.verification ? [subject.verification] : []), ...papers, ...approvalsOf(subject)]) {
    // reports show when it says that it is of
    if (instant(paper.validFrom) !== instant(onlyProof(paper).created)) {
      throw new CheckError(`${short(paper.id)} was signed at another time than it says`);
    }
  }
  const holders = new Map();
  for (const document of [...signed(subject).map(([one]) => one), ...papers, ...approvalsOf(subject)]) {
    const key = await proven(document, subject.ring);
    holders.set(key.multikey, key);
  }
  for (const key of holders.values()) {
    keyCounted(subject, key);
    // nothing but the verifier's own date says that it was signed before
    const until = key.bounds?.accreditation?.validUntil;
    if (until != null && instant(until) <= subject.at) subject.missing.push("ended-accreditation");
  }
  await logCounted(subject);
  issuedLast(subject, last);
  return "in their order";
}

/** The time of issue by the clock of the log; null before it, and without a pack. */
function issuedAt({ files, receipt }) {
  if (receipt === null || !files.has("manifest.json")) return null;
  const { issued } = parseObject(files.get("manifest.json"), "manifest.json");
  return typeof issued === "string" ? issued : null;
}

/** Refuse a time of issue before a signature that it needs, or in the future. */
function issuedLast(subject, verified) {
  const text = issuedAt(subject);
  if (text === null) return;
  const at = instant(text);
  const last = [verified, ...approvalsOf(subject).map((one) => instant(onlyProof(one).created))];
  if (last.some((one) => at + AHEAD < one)) throw new CheckError("the log states an issue before the last signature");
  if (at - AHEAD > subject.at) throw new CheckError("the log states an issue in a time to come");
}

/** Each approval is proven and of these documents, and there are as many as there must be. */
async function approvals(subject) {
  const own = Number(subject.claims.issueSignatures ?? 1);
  if (!Number.isInteger(own)) throw new CheckError("issueSignatures is no whole number");
  const asked = await programmes(subject);
  const given = approvalsOf(subject);
  if (!subject.verification && given.length) throw new CheckError("approvals.json approves what is not verified");
  if (given.length || (subject.receipt !== null && Math.max(own, asked) > 1)) needsKeys(subject, "operator");
  const holders = [];
  for (const document of given) {
    const holder = await proven(document, subject.ring);
    await checkApproval(document, subject, holder);
    if (instant(onlyProof(document).created) > subject.at + AHEAD) throw new CheckError("it was approved in a time to come");
    holders.push(holder);
  }
  const found = people(holders);
  if (subject.receipt === null) throw new NotApplicable(`the statement is not issued yet; it has ${found} approvals so far`);
  if (!found && Math.max(own, asked) === 1) return "only the preparer's signature is required";
  if (own > 1 && found < own) throw new CheckError(`${own} people have to approve the issue, and ${found} did`);
  if (found < asked) subject.missing.push("approvals");
  return `${found} people approved: ${[...new Set(holders.map((one) => one.name))].sort().join(", ")}`;
}

/** How many the programme asks for, of periods that end after it began to ask. */
async function programmes(subject) {
  const issue = subject.trusted ? (await trust(subject)).issue : null;
  if (issue === null) return 1;
  return instant(subject.claims.monitoringPeriod.to) > instant(issue.since) ? Number(issue.threshold) : 1;
}

function approvalsOf({ files }) {
  if (!files.has("approvals.json")) return [];
  const found = parse(files.get("approvals.json"), "approvals.json");
  if (!Array.isArray(found) || !found.length || !found.every(isObject)) {
    throw new CheckError("approvals.json is not a list of approvals");
  }
  return found;
}

/** What the log's entry of an issue says of approvals: their digests, where there are any. */
async function approvedIn(subject) {
  const found = [];
  for (const one of approvalsOf(subject)) found.push(toHex(await sha256(encode(one))));
  return found.length ? { approvalsSha256: found.sort() } : {};
}

function papersOf({ files }) {
  const events = files.has("findings.json") ? parse(files.get("findings.json"), "findings.json") : [];
  return files.has("sampling.json") ? [...events, read(files, "sampling.json")] : [...events];
}

/** Refuse what entered the log after a key's end; note where nothing shows the order. */
function keyCounted(subject, key) {
  const place = key.bounds.endsAt;
  if (!place && !hasEnded(key, subject.at)) return;
  if (subject.head && place?.log === subject.head.origin) {
    if (parseReceipt(subject.receipt).index >= place.index) {
      throw new CheckError(`the key of ${short(key.name)} ended before this entered the log`);
    }
    return;
  }
  subject.missing.push("ended-key");
}

/** A log that was closed is believed as far as its last head, and under that head alone. */
async function logCounted({ head, logHolder: key, at, missing }) {
  if (!head) return;
  if (key.bounds.finalHead === undefined) {
    if (key.validUntil !== undefined && instant(key.validUntil) <= at) missing.push("closed-log");
    return;
  }
  const final = await verifyCheckpoint(key.bounds.finalHead, key);
  if (head.size === final.size && same(head.root, final.root)) return;
  if (head.size >= final.size) throw new CheckError(`log ${short(key.name)} was closed, and its key used after that`);
  missing.push("closed-log");
}

function read(files, name) {
  return files.has(name) ? parseObject(files.get(name), name) : null;
}
