// Draws the charts of a page: each `[data-chart]` holds its figures as JSON in `data-figures`.
// The same figures stand in a table behind each chart, which is what a reader without script has.
import * as echarts from "echarts/core";
import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { GraphicComponent, GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";
import { CHARTS } from "./options.mjs";
echarts.use([BarChart, LineChart, CustomChart, GridComponent, TooltipComponent, GraphicComponent, SVGRenderer]);

const NAMES = ["bg", "ink", "muted", "hair", "land", "coast", "a1", "a2", "a3", "a4", "a5", "a6", "acc", "acc2", "acc3", "crit", "gold"];
const colours = () => {
  const s = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((k) => [k, s.getPropertyValue(`--${k}`).trim()]));
};
const language = document.documentElement.lang;
const written = (o) => { const n = new Intl.NumberFormat(language === "en" ? "en-GB" : language, o); return (v) => n.format(v).replace("-", "−"); };
const [whole, plain, short] = [written({ maximumFractionDigits: 0 }), written({ maximumSignificantDigits: 4 }), written({ maximumSignificantDigits: 4, useGrouping: true })];
const f = { whole: (v) => whole(Math.trunc(v)), plain, amount: (v, unit) => `${short(v)}\u00a0${unit}` };

// What a pointer or the keyboard shows: nodes with classes, since the page's policy takes no style.
function tip(kind, d, option, params) {
  const [first] = [params].flat(), i = first.dataIndex, box = document.createElement("div"), list = document.createElement("dl");
  const head = (words) => { const b = document.createElement("strong"); b.textContent = words; box.append(b, list); };
  const row = (name, value, key) => {
    const [dt, dd] = ["dt", "dd"].map((n) => document.createElement(n));
    if (key) dt.className = `key k-${key}`;
    dt.textContent = name; dd.textContent = value; list.append(dt, dd);
  };
  if (kind === "months") {
    head(d.long[i]);
    const known = d.actions.filter((a) => a.values[i] != null);
    for (const a of [...known].reverse()) row(a.name, f.amount(a.values[i], "t"), a.key);
    if (known.length > 1) row(d.words.total, f.amount(known.reduce((s, a) => s + a.values[i], 0), "t"));
    if (d.expected[i] !== null) row(d.words.expected, f.amount(d.expected[i], "t"));
  } else if (kind === "map") {
    const s = d.sites[i];
    head(s.name); row(d.words.avoided, s.note); row(d.words.meters, `${s.up} / ${s.of}`);
  } else if (kind === "hours") {
    const [x, y, v] = d.cells[i];
    head(`${d.long[x]}, ${d.hours[y]}`); row(d.words.quantity, f.amount(v, d.unit));
  } else if (kind === "cumulative") {
    head(d.long[i]);
    for (const of of ["measured", "expected"]) if (d[of][i] !== null) row(d.words[of], f.amount(d[of][i], d.unit));
  } else if (kind === "flows") {
    const one = option.bands[i];
    head(`${one.giver} → ${one.receiver}`); row(d.words.amount, one.shown);
  } else {
    const [words, ...rest] = d.bars[i].told.split(": ");
    head(words); const p = document.createElement("p"); p.textContent = rest.join(": "); box.append(p);
  }
  return box;
}

const redraws = [];
function mount(el) {
  const kind = el.dataset.chart, d = JSON.parse(el.dataset.figures), hidden = new Set(), said = document.createElement("output");
  const canvas = document.createElement("div");
  canvas.className = "canvas"; said.className = "hidden"; el.append(canvas, said);
  const chart = echarts.init(canvas, null, { renderer: "svg" });
  let option, size = "";
  const draw = () => {
    const w = canvas.clientWidth, h = canvas.clientHeight;
    if (!w || !h) return;
    chart.resize({ width: w, height: h });
    option = CHARTS[kind](d, colours(), w, h, f, hidden);
    Object.assign(option.tooltip, { className: "tip", renderMode: "html", confine: true, backgroundColor: "transparent", borderWidth: 0, padding: 0, shadowBlur: 0, extraCssText: "", transitionDuration: 0, formatter: (p) => tip(kind, d, option, p) });
    chart.setOption(option, true);
    // paper is as wide as it is
    const svg = canvas.querySelector("svg");
    svg?.setAttribute("viewBox", `0 0 ${w} ${h}`);
  };
  const resized = () => { const now = `${canvas.clientWidth}x${canvas.clientHeight}`; if (now !== size) { size = now; draw(); } };
  hidden.toggle = (key) => {
    if (!hidden.delete(key)) hidden.add(key);
    for (const button of el.parentElement.querySelectorAll("[data-series]")) button.setAttribute("aria-pressed", String(!hidden.has(button.dataset.series)));
    draw();
  };
  resized();
  new ResizeObserver(resized).observe(canvas);
  redraws.push(draw);
  const items = d.bars ?? d.sites ?? [];
  const open = (i) => { if (items[i]?.href) location.assign(items[i].href); };
  chart.on("click", (p) => open(p.dataIndex));
  byKeys(el, chart, said, () => option, kind, d, open);
  // a name of the legend takes its part out of the chart, and brings it back
  for (const button of el.parentElement.querySelectorAll("[data-series]")) button.addEventListener("click", () => hidden.toggle(button.dataset.series));
  tools(el, canvas);
}

// Arrows go from mark to mark and say what each shows; Enter opens it.
function byKeys(el, chart, said, option, kind, d, open) {
  const count = (d.bars ?? d.labels ?? d.sites ?? d.flows).length, series = kind === "map" ? 1 : 0;
  let at = -1;
  el.tabIndex = 0;
  el.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Enter" && at >= 0) open(at);
    if (event.key === "Escape") { at = -1; chart.dispatchAction({ type: "hideTip" }); }
    if (!step || kind === "hours") return;
    event.preventDefault();
    at = (at + step + count) % count;
    chart.dispatchAction({ type: "showTip", seriesIndex: series, dataIndex: at });
    said.textContent = tip(kind, d, option(), { dataIndex: at }).textContent;
  });
}

const hand = (blob, name) => {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(blob); a.download = name; a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
};
const cell = (node) => { const words = node.dataset.value ?? node.textContent.trim().replace(/\s+/g, " "); return /[",\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words; };

// The table behind as CSV, the chart as a picture.
function tools(el, canvas) {
  const figure = el.closest("figure"), name = el.dataset.name ?? el.dataset.chart;
  figure?.querySelector("[data-tool=csv]")?.addEventListener("click", () => {
    const rows = [...figure.querySelectorAll("table tr")].map((tr) => [...tr.cells].map(cell).join(","));
    hand(new Blob(["\ufeff", rows.join("\r\n"), "\r\n"], { type: "text/csv" }), `${name}.csv`);
  });
  figure?.querySelector("[data-tool=png]")?.addEventListener("click", () => {
    const svg = canvas.querySelector("svg").cloneNode(true), w = canvas.clientWidth, h = canvas.clientHeight, image = new Image();
    svg.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    image.onload = () => {
      const paper = Object.assign(document.createElement("canvas"), { width: 2 * w, height: 2 * h }), pen = paper.getContext("2d");
      pen.fillStyle = colours().bg; pen.fillRect(0, 0, paper.width, paper.height); pen.drawImage(image, 0, 0, paper.width, paper.height);
      paper.toBlob((blob) => hand(blob, `${name}.png`), "image/png");
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(svg))}`;
  });
  figure?.querySelector(".tools")?.removeAttribute("hidden");
}

document.querySelectorAll("[data-chart]").forEach(mount);
for (const of of ["(prefers-color-scheme: dark)", "print"]) matchMedia(of).addEventListener("change", () => redraws.forEach((draw) => draw()));
