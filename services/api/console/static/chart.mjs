/* Tables as charts: what is drawn is what stands in the table, and the table stays. */
const DAY_S = 86_400;
// as the page writes them: 1/3 is a day in March to some and in January to others
const day = (at) => new Date(at * 1000).toISOString().slice("2026-".length, "2026-01-31".length);
const number = new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 6 });
const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function series(table, columns) {
  const rows = [...table.tBodies[0].rows];
  const days = rows.map((row) => Number(row.cells[0].dataset.at) || Date.parse(`${row.cells[0].textContent}T00:00:00Z`) / 1000);
  const values = columns.map((column) => rows.map((row) => {
    const said = row.cells[column].dataset.value;
    return said === undefined ? null : Number(said);
  }));
  return [days, ...values];
}

function draw(figure) {
  const table = document.getElementById(figure.dataset.chart);
  // quarter hours of a day, by the clock of the device's site
  const zone = figure.dataset.clock;
  const clock = zone && new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
  const hour = (at) => clock.format(new Date(at * 1000));
  const columns = figure.dataset.series.split(" ").map(Number);
  const heads = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
  const [ink, line] = [style("--quiet"), style("--line")];
  const axis = { stroke: ink, grid: { stroke: line, width: 0.5 }, ticks: { stroke: line, width: 0.5 } };
  const looks = [
    { fill: style("--accent"), stroke: style("--accent"), width: 1, paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false } },
    { stroke: style("--warn"), width: 2, dash: [6, 4], points: { show: false } },
  ];
  const width = Math.max(figure.clientWidth - 18, 260);
  figure.replaceChildren();
  const options = {
    width,
    height: 260,
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
    scales: { x: { range: (_, low, high) => (zone ? [low - 900, high + 900] : [low - 43_200, high + 43_200]) }, y: { range: (_, low, high) => [Math.min(low ?? 0, 0), Math.max(high ?? 0, 0) * 1.08 || 1] } },
    axes: [
      zone ? { ...axis, incrs: [900, 3_600, 10_800, 21_600], values: (_, at) => at.map(hour) }
        : { ...axis, incrs: [1, 2, 7, 14, 31].map((days) => days * DAY_S), values: (_, at) => at.map(day) },
      { ...axis, size: 64, values: (_, found) => found.map((one) => number.format(one)) },
    ],
    series: [
      { label: heads[0], value: zone ? (_, at) => (at === null ? "\u2013" : hour(at)) : "{YYYY}-{MM}-{DD}" },
      ...columns.map((column, i) => ({ label: heads[column], value: (_, one) => (one === null || one === undefined ? "\u2013" : number.format(one)), ...looks[i % looks.length] })),
    ],
  };
  return new uPlot(options, series(table, columns), figure);
}

function drawAll() {
  for (const figure of document.querySelectorAll("[data-chart]")) {
    figure.textContent = "\u2026"; // an empty figure has no width
    draw(figure);
  }
}

drawAll();
let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawAll, 200);
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
