// Draws the charts of a page: each `[data-chart]` holds its figures as JSON in `data-figures`.
// The same figures stand in a table behind each chart; until it is drawn here, it is a static SVG.
import * as echarts from "echarts/core";
import { BarChart, CustomChart, LineChart } from "echarts/charts";
import { GraphicComponent, GridComponent, TooltipComponent } from "echarts/components";
import { SVGRenderer } from "echarts/renderers";
import { CHARTS } from "./options.mjs";
echarts.use([BarChart, LineChart, CustomChart, GridComponent, TooltipComponent, GraphicComponent, SVGRenderer]);

const NAMES = ["bg", "ink", "muted", "hair", "land", "coast", "sea", "a1", "a2", "a3", "a4", "a5", "a6", "acc", "acc2", "acc3", "crit", "gold"];
const colours = () => {
  const s = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((k) => [k, s.getPropertyValue(`--${k}`).trim()]));
};
const language = document.documentElement.lang;
const written = (o) => { const n = new Intl.NumberFormat(language === "en" ? "en-GB" : language, o); return (v) => n.format(v).replace("-", "−"); };
const [whole, plain, short] = [written({ maximumFractionDigits: 0 }), written({ maximumSignificantDigits: 4 }), written({ maximumSignificantDigits: 4, roundingMode: "floor" })];
// as the tables write an amount: four digits or whole, rounded down
const f = { whole: (v) => whole(Math.trunc(v)), plain, amount: (v, unit) => `${Math.abs(v) < 1000 ? short(v) : whole(Math.floor(v))}\u00a0${unit}` };

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
    head(d.bars[i].long); const p = document.createElement("p"); p.textContent = d.bars[i].shown; box.append(p);
  }
  return box;
}

const redraws = [];
function mount(el) {
  const kind = el.dataset.chart, all = JSON.parse(el.dataset.figures), hidden = new Set(), said = document.createElement("output");
  const canvas = document.createElement("div");
  canvas.className = "canvas"; said.className = "hidden"; el.replaceChildren(canvas, said);
  const chart = echarts.init(canvas, null, { renderer: "svg" });
  let d = all, option, size = "";
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
  const open = (i) => { const one = (d.bars ?? d.sites ?? [])[i]; if (one?.projects) card(el, one, d.words); else if (one?.href) location.assign(one.href); };
  const period = zoomed(el, canvas, kind, () => d, (now) => { d = now ?? all; draw(); });
  chart.on("click", (p) => { if (!period.dragged()) open(p.dataIndex); });
  byKeys(el, chart, said, () => option, kind, () => d, open, period);
  // a name of the legend takes its part out of the chart, and brings it back
  for (const button of el.parentElement.querySelectorAll("[data-series]")) button.addEventListener("click", () => hidden.toggle(button.dataset.series));
  tools(el, canvas, kind, () => d);
}

// Arrows go from mark to mark and say what each shows; Enter opens it.
function byKeys(el, chart, said, option, kind, now, open, period) {
  const series = kind === "map" ? 4 : 0;
  let at = -1;
  el.tabIndex = 0;
  el.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] ?? (kind === "hours" ? { ArrowDown: 1, ArrowUp: -1 }[event.key] : undefined);
    if (event.key === "Enter" && at >= 0) { chart.dispatchAction({ type: "hideTip" }); open(at); }
    if (event.key === "Escape") { at = -1; chart.dispatchAction({ type: "hideTip" }); period.whole(); }
    const d = now(), count = (d.bars ?? d.cells ?? d.labels ?? d.sites ?? d.flows).length;
    // a plus takes the half around the mark
    if (event.key === "+" && at >= 0) {
      const [place, half] = [d.cells ? d.cells[at][0] : at, Math.floor((d.labels ?? d.bars ?? []).length / 4)];
      period.take(place - half, place + half); at = -1;
    }
    if (!step) return;
    event.preventDefault();
    // in a heat map right and left lead to the same hour of another day, up and down to another hour
    const day = d.cells && at >= 0 && /Right|Left/.test(event.key) ? d.cells.findIndex(([x, y]) => x === d.cells[at][0] + step && y === d.cells[at][1]) : -1;
    at = day >= 0 ? day : (at + step + count) % count;
    chart.dispatchAction({ type: "showTip", seriesIndex: series, dataIndex: at });
    const parts = tip(kind, d, option(), { dataIndex: at }).querySelectorAll("strong, dt, dd, p");
    said.textContent = [...parts].map((one) => one.textContent).join(", ");
  });
}

// What is known of a place, with its projects, where it was clicked; Escape or the cross closes it.
function card(el, site, words) {
  el.querySelector(".place")?.remove();
  const made = (name, words, more = {}) => Object.assign(document.createElement(name), { textContent: words, ...more });
  const box = made("section", "", { className: "place", tabIndex: -1 }), list = document.createElement("ul");
  const close = made("button", "×", { type: "button", onclick: () => { box.remove(); el.focus(); } });
  close.setAttribute("aria-label", words.close); box.setAttribute("aria-label", site.name);
  for (const one of site.projects) {
    const item = document.createElement("li");
    item.append(made("a", one.name, { href: one.href }), made("span", one.amount)); list.append(item);
  }
  box.append(close, made("strong", site.name), made("p", `${words.avoided}: ${site.note}`), made("p", `${words.meters}: ${site.up} / ${site.of}`), list);
  box.addEventListener("keydown", (event) => { event.stopPropagation(); if (event.key === "Escape") close.click(); });
  el.append(box); box.focus();
}

// A pointer drawn over some of the time shows that time alone; the button, or Escape, the whole again.
const TIMED = {
  bars: (d, a, b) => ({ ...d, bars: d.bars.slice(a, b + 1) }),
  cumulative: (d, a, b) => ({ ...d, ...Object.fromEntries(["labels", "long", "measured", "expected"].map((k) => [k, d[k].slice(a, b + 1)])) }),
  hours: (d, a, b) => ({ ...d, labels: d.labels.slice(a, b + 1), long: d.long.slice(a, b + 1), cells: d.cells.filter(([x]) => x >= a && x <= b).map(([x, ...rest]) => [x - a, ...rest]) }),
};
function zoomed(el, canvas, kind, now, show) {
  const button = el.closest("figure")?.querySelector("[data-tool=whole]"), band = document.createElement("div");
  let from = null, dragged = false;
  band.className = "drawn-over"; band.hidden = true; el.append(band);
  const whole = () => { button?.setAttribute("hidden", ""); show(null); };
  const take = (a, b) => {
    const d = now(), count = (d.bars ?? d.labels)?.length ?? 0, first = Math.max(0, a), last = Math.min(count - 1, b);
    if (!TIMED[kind] || last - first < 1 || last - first + 1 >= count) return;
    button?.removeAttribute("hidden");
    show(TIMED[kind](d, first, last));
  };
  button?.addEventListener("click", whole);
  if (TIMED[kind]) {
    const at = (event) => event.clientX - canvas.getBoundingClientRect().left;
    const index = (x) => { const chart = echarts.getInstanceByDom(canvas); return chart.convertFromPixel({ xAxisIndex: 0 }, x); };
    canvas.addEventListener("pointerdown", (event) => { from = at(event); dragged = false; });
    window.addEventListener("pointermove", (event) => {
      if (from === null) return;
      const to = at(event);
      dragged = Math.abs(to - from) > 8;
      band.hidden = !dragged;
      Object.assign(band.style, { left: `${Math.min(from, to)}px`, width: `${Math.abs(to - from)}px` });
    });
    window.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const [a, b] = [from, at(event)].sort((x, y) => x - y);
      from = null; band.hidden = true;
      if (dragged) take(Math.round(index(a)), Math.round(index(b)));
    });
  }
  return { whole, take, dragged: () => dragged };
}

// The figures as rows, where no table stands in the figure.
const ROWS = {
  bars: (d) => { const kinds = [...new Set(d.bars.flatMap((b) => (b.parts ?? []).map(([k]) => k)))]; return [["", ...kinds, "expected", d.unit], ...d.bars.map((b) => [b.long, ...kinds.map((k) => b.parts?.filter(([of]) => of === k).reduce((s, [, v]) => s + v, 0) ?? ""), b.expected ?? ""])]; },
  cumulative: (d) => [["", d.words.measured, d.words.expected, d.unit], ...d.long.map((l, i) => [l, d.measured[i] ?? "", d.expected[i] ?? ""])],
  hours: (d) => [["", d.words.hour, d.words.quantity, d.unit], ...d.cells.map(([x, y, v]) => [d.long[x], d.hours[y], v])],
  map: (d) => [["", `${d.words.avoided} [t]`, d.words.meters], ...d.sites.map((s) => [s.name, s.t, `${s.up} / ${s.of}`])],
  flows: (d) => [["", "", d.words.amount, d.unit], ...d.flows.map((o) => [o.giver, o.receiver, o.amount])],
};
const hand = (blob, name) => {
  const a = document.createElement("a");
  a.href = URL.createObjectURL(blob); a.download = name; a.click();
  setTimeout(() => URL.revokeObjectURL(a.href), 10_000);
};
const cell = (node) => node.dataset.value ?? node.textContent.trim().replace(/\s+/g, " ");
const quoted = (value) => { const words = String(value); return /[",\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words; };

// The table behind as CSV, the chart as a picture.
function tools(el, canvas, kind, now) {
  const figure = el.closest("figure"), name = el.dataset.name ?? el.dataset.chart;
  figure?.querySelector("[data-tool=csv]")?.addEventListener("click", () => {
    const table = [...figure.querySelectorAll("table tr")].map((tr) => [...tr.cells].map(cell));
    const rows = (table.length ? table : ROWS[kind](now())).map((row) => row.map(quoted).join(","));
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

// The page is shown first, with its static charts; then each is drawn, so that none delays the first.
const waiting = [...document.querySelectorAll("[data-chart]")];
const draw = () => { if (waiting.length) { mount(waiting.shift()); setTimeout(draw); } };
requestAnimationFrame(() => setTimeout(draw));
for (const of of ["(prefers-color-scheme: dark)", "print"]) matchMedia(of).addEventListener("change", () => redraws.forEach((draw) => draw()));
