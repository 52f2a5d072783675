/* On a phone each row of a wide table is a card: every cell says the head of its column. */
const MOST = 80; // a longer table scrolls: as cards it would be a mile long
const SHORT = 26;

function heads(table) {
  const names = [];
  const rows = [...table.tHead.rows];
  const taken = new Map(); // what a head of an earlier row covers
  rows.forEach((row, r) => {
    let column = 0;
    for (const cell of row.cells) {
      while (taken.has(`${r},${column}`)) column += 1;
      for (let c = column; c < column + cell.colSpan; c += 1) {
        for (let below = r; below < r + cell.rowSpan; below += 1) taken.set(`${below},${c}`, true);
        const text = cell.textContent.trim();
        names[c] = names[c] && text ? `${names[c]}, ${text}` : names[c] || text;
      }
      column += cell.colSpan;
    }
  });
  return names;
}

for (const table of document.querySelectorAll(".wide table:not(.pairs, .calendar, [id=live])")) {
  const rows = [...table.tBodies].reduce((sum, body) => sum + body.rows.length, 0);
  if (!table.tHead || rows > MOST || table.querySelector("tbody [rowspan]")) continue;
  const names = heads(table);
  for (const body of table.tBodies) {
    for (const row of body.rows) {
      let column = 0;
      for (const cell of row.cells) {
        if (cell.tagName === "TD" && cell.colSpan === 1) cell.dataset.label = names[column] ?? "";
        if (cell.colSpan > 1 || cell.textContent.length > SHORT) cell.classList.add("long");
        column += cell.colSpan;
      }
    }
  }
  // what is a card to the eye stays a table to a screen reader
  const roles = { table: [table], rowgroup: table.querySelectorAll("thead, tbody"), row: table.querySelectorAll("tr"),
    columnheader: table.querySelectorAll("thead th"), rowheader: table.querySelectorAll("tbody th"), cell: table.querySelectorAll("td") };
  for (const [role, found] of Object.entries(roles)) found.forEach((one) => one.setAttribute("role", role));
  table.classList.add("cards");
}
