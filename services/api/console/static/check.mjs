/* The page of the check: fetch or read the documents, walk the steps, say what each found. */
import { check } from "./check/steps.mjs";
import { isZip, unzipped } from "./check/zip.mjs";

const form = document.getElementById("check");
const texts = JSON.parse(form.dataset.texts);
// of which projects a status list is published: to ask for another is an error in the browser's log
const lists = JSON.parse(form.dataset.lists);
const verdict = document.getElementById("verdict");
const results = document.getElementById("results");
const names = new Map([...document.querySelectorAll("[data-step]")].map((li) => [li.dataset.step, li]));

async function fetched(path) {
  const answer = await fetch(path, { headers: { Accept: "*/*" } });
  if (answer.status === 404) return null;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The status list that this server publishes of a statement's project; it is judged like any other. */
async function published(files) {
  try {
    const { project } = JSON.parse(new TextDecoder().decode(files.get("statement.json"))).credentialSubject;
    if (!lists.includes(project.id)) return undefined;
    const answer = await fetch(`/v1/status-list?project=${encodeURIComponent(project.id)}`);
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : undefined;
  } catch {
    return undefined; // without a list the check says that none is at hand
  }
}

/** What the API gives of a statement to anybody. */
async function ofStatement(name) {
  const parts = {
    "statement.json": `/v1/statements/${name}.json`,
    "verification.json": `/v1/statements/${name}/verification.json`,
    "receipt.txt": `/v1/statements/${name}/receipt`,
    ...(form.dataset.approved ? { "approvals.json": `/v1/statements/${name}/approvals.json` } : {}),
    "keys.json": "/v1/keyring",
  };
  const files = new Map();
  for (const [file, path] of Object.entries(parts)) {
    const data = await fetched(path);
    if (data) files.set(file, data);
  }
  if (!files.has("receipt.txt") && files.has("keys.json")) files.delete("keys.json");
  return files;
}

/** Files of a folder by their path in it, of a zip as it was downloaded, or documents by their name. */
async function ofDisk() {
  const files = new Map();
  const zip = await given("zip");
  if (zip) {
    if (!isZip(zip)) throw new Error(texts.no_zip);
    return unzipped(zip);
  }
  for (const file of document.getElementById("pack").files) {
    files.set(file.webkitRelativePath.split("/").slice(1).join("/") || file.name, await bytes(file));
  }
  for (const file of document.getElementById("documents").files) files.set(file.name, await bytes(file));
  return files;
}

async function bytes(file) {
  return new Uint8Array(await file.arrayBuffer());
}

async function given(id) {
  const [file] = document.getElementById(id).files;
  return file ? bytes(file) : undefined;
}

function told(step) {
  const item = document.createElement("li");
  item.className = step.outcome.replace(" ", "-");
  const [name, outcome] = [document.createElement("b"), document.createElement("i")];
  const known = names.get(step.name);
  name.textContent = known?.textContent ?? step.name;
  outcome.textContent = texts[step.outcome];
  const plain = document.createElement("p");
  plain.textContent = step.outcome === "ok" ? known?.dataset.plain ?? "" : "";
  const detail = document.createElement("small");
  detail.lang = "en"; // what a step found is in English only; elsewhere its sentence says the same
  if (document.documentElement.lang === "en" || step.outcome === "failed") detail.textContent = step.detail;
  item.append(name, " ", outcome, plain, detail);
  results.append(item);
}

async function run() {
  results.replaceChildren();
  verdict.className = "";
  verdict.textContent = texts.working;
  try {
    const [trusted, status] = [await given("trusted"), await given("status")];
    const files = form.dataset.statement ? await ofStatement(form.dataset.statement) : await ofDisk();
    const list = status ?? (await published(files));
    const { steps, missing } = await check(files, { trusted, status: list, told });
    const failed = steps.some((step) => step.outcome === "failed");
    const whole = steps.every((step) => step.outcome !== "not checked");
    // never green: the figures are not computed here
    verdict.className = failed ? "failed" : "partial";
    verdict.replaceChildren(...(failed ? [line(texts.fails)] : said(missing, Boolean(trusted), whole)));
  } catch (error) {
    verdict.className = "failed";
    verdict.textContent = `${texts.away} ${error.message}`;
  }
}

/** What was checked here, what is missing of it, and what only `tonne verify` can tell. */
function said(missing, trusted, whole) {
  const found = [line(`${whole ? texts.here : texts.here_partly} ${trusted ? texts.trusted : texts.own_keys}`)];
  if (missing.length) found.push(line(`${texts.missing} ${named(missing).join("; ")}`));
  return [...found, line(texts.elsewhere)];
}

/** What is missing in words; two codes may have the same. */
const named = (missing) => [...new Set(missing.map((code) => texts[`missing.${code}`] ?? code))];

function line(text) {
  const item = document.createElement("span");
  text.split("`").forEach((part, i) => item.append(i % 2 ? Object.assign(document.createElement("code"), { textContent: part }) : part));
  item.style.display = "block";
  return item;
}

form.hidden = false;
form.addEventListener("submit", (event) => {
  event.preventDefault();
  run();
});
if (form.dataset.statement) run();
