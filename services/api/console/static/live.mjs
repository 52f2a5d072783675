/* Rows follow the devices; what the server's page showed stays until something newer is said. */
const table = document.getElementById("live");
const body = table.tBodies[0];
const line = document.getElementById("line");
const choose = document.getElementById("choose");
const states = JSON.parse(table.dataset.states);
const names = JSON.parse(table.dataset.names);
const MOST = Number(table.dataset.most); // rows that stand there at once: ten thousand would stall
const DRAW_MS = 500;
const ALARMS_MS = 30_000;
const count = choose.elements.count.dataset;
const STATE = 3;
const VALUE = 5;
const AT = 7;
const rank = { offline: 0, late: 1, online: 2, "not commissioned": 3 };
const sorting = { column: STATE, down: false };
const devices = new Map(); // id: what is shown of it, and the text that is searched

/* The digits of decimal text with the marks of the page's language, as the server writes them. */
const { decimal, group } = document.body.dataset;
function written(text) {
  const [whole, rest] = text.replace("-", "\u2212").split(".");
  return whole.replaceAll(/\B(?=(\d{3})+$)/g, group) + (rest ? decimal + rest : "");
}

/* A local time as the server writes it: `1 December 2026, 06:15`. */
const { lang } = document.documentElement;
const day = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { timeZone: "UTC", year: "numeric", ...(lang === "vi" ? { month: "2-digit", day: "2-digit" } : { month: "long", day: "numeric" }) });
function moment(at) {
  return table.dataset.moment.replace("{0}", at.slice(11, 16)).replace("{1}", day.format(Date.parse(`${at.slice(0, 10)}Z`)));
}

function keep(one) {
  const cells = [
    one.device, names[`site.${one.site}`] ?? one.site, names[`class.${one.class}`] ?? one.class, states[one.state] ?? one.state,
    names[`channel.${one.channel}`] ?? one.channel, one.value === null ? table.dataset.missing : written(one.value), one.unit,
    one.at ? moment(one.at) : "",
  ];
  const value = Number(one.value);
  devices.set(one.device, { state: one.state, at: Date.parse(one.at) || 0, value, cells, text: cells.join("\n").toLowerCase() });
}

function key(one) {
  if (sorting.column === STATE) return rank[one.state] ?? 3;
  if (sorting.column === VALUE) return one.value;
  if (sorting.column === AT) return one.at;
  return one.cells[sorting.column];
}

function made() {
  const row = body.insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  head.append(document.createElement("a"));
  row.append(head);
  for (let i = 1; i < 8; i += 1) row.insertCell();
  row.cells[VALUE].className = "number";
  row.cells[STATE].append(document.createElement("span"));
  return row;
}

function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function show(row, one) {
  const [device] = one.cells;
  if (row.dataset.device !== device) {
    row.dataset.device = device;
    row.cells[0].firstElementChild.href = table.dataset.devices + encodeURIComponent(device);
  }
  row.dataset.state = one.state;
  one.cells.forEach((text, i) => {
    write(i === 0 || i === STATE ? row.cells[i].firstElementChild : row.cells[i], text);
  });
  row.cells[STATE].firstElementChild.className = `state ${one.state}`;
}

function draw() {
  const text = choose.elements.text.value.trim().toLowerCase();
  const wanted = choose.elements.state.value;
  const found = [];
  for (const one of devices.values()) {
    if ((wanted === "" || one.state === wanted) && one.text.includes(text)) found.push([key(one), one]);
  }
  const sign = sorting.down ? -1 : 1;
  found.sort(([a, one], [b, other]) => {
    if (a !== b) return a < b ? -sign : sign;
    return one.cells[0] < other.cells[0] ? -1 : 1;
  });
  const shown = found.slice(0, MOST);
  while (body.rows.length > shown.length) body.deleteRow(-1);
  shown.forEach(([, one], i) => show(body.rows[i] ?? made(), one));
  const [words, part, whole] = shown.length < found.length ? [count.most, shown.length, found.length] : [count.all, found.length, devices.size];
  choose.elements.count.value = words.replace("{0}", written(String(part))).replace("{1}", written(String(whole)));
}

let waiting = null;
function drawSoon() {
  waiting ??= setTimeout(() => { waiting = null; draw(); }, DRAW_MS);
}

for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
  head.tabIndex = 0;
  head.setAttribute("aria-sort", column === STATE ? "ascending" : "none");
  const turn = () => {
    sorting.down = sorting.column === column ? !sorting.down : false;
    sorting.column = column;
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    draw();
  };
  head.addEventListener("click", turn);
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") turn(); });
}
choose.addEventListener("input", draw);
choose.addEventListener("submit", (event) => event.preventDefault());

const source = new EventSource(table.dataset.events);
source.onmessage = (event) => {
  JSON.parse(event.data).forEach(keep);
  document.getElementById("more")?.remove(); // all of them can be searched from here on
  choose.hidden = false;
  drawSoon();
};
source.onopen = () => { line.textContent = line.dataset.on; };
source.onerror = () => { line.textContent = line.dataset.off; };

/* Alarms are those of the page Alarms, as many as stood here. */
const list = document.getElementById("alarm-list");
const SHOWN = 20;
async function alarms() {
  try {
    const answer = await fetch(list.dataset.source);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = page.getElementById("alarm-list");
    [...(found.querySelector("tbody")?.rows ?? [])].slice(SHOWN).forEach((row) => row.remove());
    list.replaceChildren(...found.childNodes);
  } catch { /* the line above says that nothing comes */ }
}
setInterval(alarms, ALARMS_MS);
