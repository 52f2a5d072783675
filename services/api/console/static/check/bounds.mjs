/*
 * What an enrolled key may sign, and whose it is (as mrv/signatures/key_bounds.py,
 * mrv/signatures/organisations.py and mrv/statement/states.py).
 */
import { isObject } from "./json.mjs";
import { CheckError, short } from "./text.mjs";
import { instant } from "./times.mjs";

export const BOUNDS = ["organisation", "organisationId", "projects", "accreditation", "endsAt", "finalHead"];
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;
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
  const plain = name.normalize("NFKD").toLowerCase().replace(/\p{M}/gu, "");
  const words = plain.replace(/[^\p{L}\p{N}]/gu, " ").split(" ").filter(Boolean);
  return words.map((word) => FORMS[word] ?? word).join("");
}

export function sameOrganisation(one, other) {
  const [a, b] = [one, other].map((key) => key.bounds?.organisationId?.trim().toLowerCase());
  if (a !== undefined && a === b) return true;
  if (one.multikey === other.multikey) return true;
  const names = (key) => [key.name, key.bounds?.organisation ?? key.name].map(normalised);
  return names(one).some((name) => names(other).includes(name));
}
