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
  cell(row, 0, one.device);
  cell(row, 1, one.site);
  cell(row, 2, names[`class.${one.class}`] ?? one.class);
  const state = row.cells[3].firstElementChild;
  state.className = `state ${one.state}`;
  state.textContent = states[one.state] ?? one.state;
  cell(row, 4, names[`channel.${one.channel}`] ?? one.channel);
  cell(row, 5, one.value ?? table.dataset.missing);
  cell(row, 6, one.unit);
  cell(row, 7, one.at ? one.at.slice(0, 19).replace("T", " ") : "");
}

const source = new EventSource(table.dataset.events);
source.onmessage = (event) => JSON.parse(event.data).forEach(show);
source.onopen = () => { line.textContent = line.dataset.on; };
source.onerror = () => { line.textContent = line.dataset.off; };
