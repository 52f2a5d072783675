/*
 * What an enrolled key may sign, and whose it is (as mrv/signatures/key_bounds.py,
 * mrv/signatures/organisations.py and mrv/statement/states.py).
 */
import { isObject } from "./json.mjs";
import { CheckError, short } from "./text.mjs";
import { instant } from "./times.mjs";

export const BOUNDS = ["organisation", "organisationId", "projects", "accreditation", "endsAt", "finalHead"];
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;
// as in mrv/signatures/organisations.py
const ALIKE = {
  "đ": "d", "ð": "d", "ø": "o", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th", "ɑ": "a", "ɡ": "g", "ß": "ss",
  "а": "a", "в": "b", "е": "e", "к": "k", "м": "m", "н": "h", "о": "o", "р": "p", "с": "c", "т": "t", "у": "y", "х": "x",
  "і": "i", "ј": "j", "ѕ": "s", "ԁ": "d", "ԛ": "q", "ԝ": "w", "һ": "h", "ӏ": "l",
  "α": "a", "β": "b", "ε": "e", "ζ": "z", "η": "h", "ι": "i", "κ": "k", "μ": "m", "ν": "v", "ο": "o", "ρ": "p", "τ": "t",
  "υ": "y", "χ": "x", "ς": "σ",
};
const SHAPES = [["i", "l"], ["1", "l"], ["0", "o"], ["rn", "m"], ["vv", "w"]];
const FORM_WORDS = new Set([
  "ltd", "co", "corp", "inc", "jsc", "llc", "plc", "llp", "gmbh", "ag", "sa", "spa", "srl", "bv", "nv", "ab", "oy", "kk",
  "tnhh", "ctcp", "mtv", "pte", "pty", "sdn", "bhd", "株", "有",
]);
const ATTACHED = ["株式会社", "有限会社", "合同会社"];
const FORM_PHRASES = ["cong ty cp", "cty cp", "cty", "trach nhiem huu han", "mot thanh vien", "cong ty", "co phan", "joint stock", "kabushiki kaisha"];
const FORMS = { limited: "ltd", company: "co", corporation: "corp", incorporated: "inc", jointstockcompany: "jsc" };

/** Bounds of a key in a keyring; anything that is not of their form is refused. */
export function boundsOf(record) {
  const found = {};
  for (const name of ["organisation", "organisationId", "finalHead"]) {
    if (name in record) found[name] = text(record[name], name);
  }
  if ("projects" in record) found.projects = texts(record.projects, "projects");
  if ("accreditation" in record) found.accreditation = accredited(record.accreditation);
  if ("endsAt" in record) {
    const place = record.endsAt;
    const names = isObject(place) ? Object.keys(place).sort().join() : "";
    if (names !== "index,log" || !Number.isInteger(Number(place.index)) || Number(place.index) < 0) {
      throw new CheckError(`endsAt of a key is ${short(place)}`);
    }
    found.endsAt = { log: text(place.log, "endsAt log"), index: BigInt(place.index) };
  }
  return found;
}

function accredited(record) {
  const names = isObject(record) ? Object.keys(record) : [];
  const may = ["id", "scope", "validFrom", "validUntil"];
  if (!names.includes("id") || names.some((name) => !may.includes(name))) {
    throw new CheckError(`accreditation of a key has the fields ${short(names)}`);
  }
  for (const edge of [record.validFrom, record.validUntil]) {
    if (edge !== undefined && edge !== null && !(typeof edge === "string" && MOMENT.test(edge))) {
      throw new CheckError(`accreditation is valid to or from ${short(edge)}`);
    }
  }
  return { ...record, id: text(record.id, "accreditation id"), scope: texts(record.scope ?? [], "scope") };
}

function text(value, name) {
  if (typeof value !== "string" || !value.trim() || value.length > 4096) {
    throw new CheckError(`${name} of a key is ${short(value)}`);
  }
  return value;
}

function texts(value, name) {
  if (!Array.isArray(value)) throw new CheckError(`${name} of a key is ${short(value)}`);
  return value.map((one) => text(one, name));
}

export function checkProject(key, project, what) {
  const allowed = key.bounds?.projects;
  if (allowed !== undefined && !allowed.includes(project)) {
    throw new CheckError(`${what} is of project ${short(project)}; the key of ${short(key.name)} may not sign for it`);
  }
}

export function checkAccreditation(key, methodology, created) {
  const body = key.bounds?.accreditation;
  if (body === undefined) return;
  if (body.scope.length && !body.scope.includes(methodology)) {
    throw new CheckError(`accreditation ${short(body.id)} does not cover ${short(methodology)}`);
  }
  const at = instant(created);
  const early = body.validFrom != null && at < instant(body.validFrom);
  if (early || (body.validUntil != null && at >= instant(body.validUntil))) {
    throw new CheckError(`accreditation ${short(body.id)} was not valid at ${short(created)}`);
  }
}

/** A name without case, width, accents, punctuation and ways to write a legal form. */
export function normalised(name) {
  return shape(words(name).map(form).join(""));
}

/** The same without the legal form; a name that is nothing else keeps it. */
function stem(name) {
  let text = words(name).map(form).join(" ");
  for (const attached of ATTACHED) text = text.replaceAll(attached, " ");
  for (const phrase of FORM_PHRASES) text = ` ${text} `.replaceAll(` ${phrase} `, " ");
  return shape(text.split(" ").filter((word) => word && !FORM_WORDS.has(word)).join("")) || normalised(name);
}

const form = (word) => (Object.hasOwn(FORMS, word) ? FORMS[word] : word);

function words(name) {
  const plain = [...name.normalize("NFKD").toLowerCase()].map((char) => ALIKE[char] ?? char).join("");
  return plain.replace(/[\p{M}.'\u2019]/gu, "").replace(/[^\p{L}\p{N}]/gu, " ").split(" ").filter(Boolean);
}

function shape(text) {
  return SHAPES.reduce((found, [one, other]) => found.replaceAll(one, other), text);
}

export function sameOrganisation(one, other) {
  const [a, b] = [one, other].map(idOf);
  if (one.multikey === other.multikey || (a && a === b)) return true;
  const written = a && b ? normalised : stem;
  const names = (key) => [key.name, key.bounds?.organisation ?? key.name].map(written);
  return names(one).some((name) => names(other).includes(name));
}

const LABEL = /^(?:\p{L}{1,4} )*(?:(?![oil]+[0-9])\p{L}{2,4})? ?(?=[0-9oil])/u;
const DIGITS = { o: "0", i: "1", l: "1" };
const BRANCH = /^(?:([0-9]{9,10}) [0-9]{3,5}|(0[0-9]{9})[0-9]{3})$/;

/** The number of a legal entity in a register, in one form; a branch has that of its entity. */
export function legalEntity(number) {
  const text = words(number).join(" ").replace(LABEL, "");
  const parts = text.replace(/[oil]/g, (letter) => DIGITS[letter]).split(" ").filter(Boolean);
  const last = parts.pop() ?? "";
  const head = parts.join("");
  if (!/^t?[0-9]+$/.test(head + last)) return shape(text.replaceAll(" ", ""));
  const found = BRANCH.exec(`${head} ${last}`.trim());
  return (found ? found[1] ?? found[2] : head + last).replace(/^[t0]+/, "");
}

function idOf(key) {
  return legalEntity(key.bounds?.organisationId ?? "");
}

/** What a signer's key does not say of whose it is. */
export function unnamed({ role, bounds }) {
  const lacks = bounds?.organisation === undefined ? ["organisation"] : [];
  if (role === "verifier" && bounds?.accreditation === undefined) lacks.push("accreditation");
  return lacks;
}
