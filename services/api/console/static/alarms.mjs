/* Alarms searched, filtered and sorted where they stand; the page is whole without this. */
const choose = document.getElementById("choose");
const table = document.querySelector("#alarm-list table");
const { decimal, group } = document.body.dataset;
if (table !== null) {
  const rows = [...table.tBodies[0].rows];
  const heads = [...table.tHead.rows[0].cells];
  const SEVERITY = 2;

  const filter = () => {
    const text = choose.elements.text.value.trim().toLowerCase();
    const severity = choose.elements.severity.value;
    let shown = 0;
    for (const row of rows) {
      row.hidden = !row.textContent.toLowerCase().includes(text)
        || (severity !== "" && row.cells[SEVERITY].textContent !== severity);
      shown += row.hidden ? 0 : 1;
    }
    choose.elements.count.value = `${shown} / ${rows.length}`;
  };

  const key = (row, column, numeric) => {
    const said = row.cells[column].textContent.trim();
    if (column === SEVERITY) return [...choose.elements.severity.options].findIndex((o) => o.value === said);
    const moment = row.cells[column].querySelector("time");
    if (moment !== null) return Date.parse(moment.dateTime);
    const plain = said.replaceAll(group, "").replace(decimal, ".").replace("\u2212", "-");
    const number = Number.parseFloat(plain.replaceAll(/[^0-9.-]/g, ""));
    return numeric ? (Number.isNaN(number) ? -1 : number) : said;
  };

  let sorted = null;
  let down = false;
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    head.setAttribute("aria-sort", "none");
    const turn = () => {
      down = sorted === column ? !down : false;
      sorted = column;
      const sign = down ? -1 : 1;
      const numeric = head.classList.contains("number");
      const keyed = rows.map((row) => [key(row, column, numeric), row]);
      keyed.sort((a, b) => (a[0] < b[0] ? -sign : a[0] > b[0] ? sign : 0));
      table.tBodies[0].append(...keyed.map((one) => one[1]));
      for (const other of heads) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
    };
    head.addEventListener("click", turn);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") turn(); });
  });
  choose.addEventListener("input", filter);
  choose.addEventListener("submit", (event) => event.preventDefault());
  choose.hidden = false;
  filter();
}
