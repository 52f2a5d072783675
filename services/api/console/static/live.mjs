/* Rows follow the devices; what the server's page showed stays until something newer is said. */
const table = document.getElementById("live");
const line = document.getElementById("line");
const states = JSON.parse(table.dataset.states);
const names = JSON.parse(table.dataset.names);
const rows = new Map([...table.tBodies[0].rows].map((row) => [row.dataset.device, row]));

function cell(row, index, text) {
  if (row.cells[index].textContent !== text) row.cells[index].textContent = text;
}

function made(device) {
  const row = table.tBodies[0].insertRow();
  const head = document.createElement("th");
  head.scope = "row";
  const link = document.createElement("a");
  link.href = table.dataset.devices + encodeURIComponent(device);
  link.textContent = device;
  head.append(link);
  row.append(head);
  for (let i = 0; i < 7; i += 1) row.insertCell();
  row.cells[5].className = "number";
  row.cells[3].append(document.createElement("span"));
  row.dataset.device = device;
  rows.set(device, row);
  return row;
}

function show(one) {
  const row = rows.get(one.device) ?? made(one.device);
  cell(row, 1, one.site);
  cell(row, 2, names[`class.${one.class}`] ?? one.class);
  const state = row.cells[3].firstElementChild;
  state.className = `state ${one.state}`;
  state.textContent = states[one.state] ?? one.state;
  row.dataset.state = one.state;
  cell(row, 4, names[`channel.${one.channel}`] ?? one.channel);
  cell(row, 5, one.value ?? table.dataset.missing);
  cell(row, 6, one.unit);
  cell(row, 7, one.at ? one.at.slice(0, 19).replace("T", " ") : "");
}

/* What the reader chose: a text, a state, a column to sort by; alarms first until then. */
const choose = document.getElementById("choose");
const rank = { offline: 0, late: 1, online: 2 };
const sorting = { column: 3, down: false };

function filter() {
  const text = choose.elements.text.value.trim().toLowerCase();
  const wanted = choose.elements.state.value;
  let shown = 0;
  for (const row of rows.values()) {
    const fits = (wanted === "" || row.dataset.state === wanted)
      && (text === "" || row.textContent.toLowerCase().includes(text));
    row.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  choose.elements.count.value = `${shown} / ${rows.size}`;
}

function key(row) {
  const said = row.cells[sorting.column].textContent;
  if (sorting.column === 3) return rank[row.dataset.state] ?? 3;
  if (sorting.column === 5) return Number.parseFloat(said.replaceAll(",", "")) || 0;
  return said;
}

function sort() {
  const keyed = [...rows.values()].map((row) => [key(row), row.dataset.device, row]);
  const sign = sorting.down ? -1 : 1;
  keyed.sort((a, b) => (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : a[1] < b[1] ? -1 : 1));
  table.tBodies[0].append(...keyed.map((one) => one[2]));
}

for (const [column, head] of [...table.tHead.rows[0].cells].entries()) {
  head.tabIndex = 0;
  head.setAttribute("aria-sort", column === 3 ? "ascending" : "none");
  const turn = () => {
    sorting.down = sorting.column === column ? !sorting.down : false;
    sorting.column = column;
    for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
    sort();
  };
  head.addEventListener("click", turn);
  head.addEventListener("keydown", (event) => { if (event.key === "Enter") turn(); });
}
choose.addEventListener("input", filter);
choose.addEventListener("submit", (event) => event.preventDefault());
choose.hidden = false;
sort();
filter();

const source = new EventSource(table.dataset.events);
source.onmessage = (event) => {
  const known = rows.size;
  const found = JSON.parse(event.data);
  const turned = found.some((one) => rows.get(one.device)?.dataset.state !== one.state);
  found.forEach(show);
  if (turned && sorting.column === 3) sort();
  if (turned || rows.size !== known || choose.elements.text.value !== "") filter();
};
source.onopen = () => { line.textContent = line.dataset.on; };
source.onerror = () => { line.textContent = line.dataset.off; };
