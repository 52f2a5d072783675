// One function per kind of chart: figures, colours, size and number format in, ECharts option out.
// `T` holds the page's colours by name (console.css), `f` writes numbers as the page's language does.
const FONT = "system-ui, 'Noto Sans', 'Noto Sans CJK JP', sans-serif";
const base = (T) => ({ animation: false, textStyle: { fontFamily: FONT, fontSize: 12, color: T.muted } });
const shadow = (T) => ({ trigger: "axis", axisPointer: { type: "shadow", shadowStyle: { color: T.ink, opacity: 0.06 } } });
const text = (T, words, x, y, o = {}) => ({
  type: "text", silent: true, x, y, z: 9,
  style: {
    text: words, fill: o.fill ?? T.ink, align: o.align ?? "left", verticalAlign: o.from ?? "middle", lineHeight: Math.round(1.25 * (o.size ?? 12)),
    font: `${o.weight ?? 400} ${o.size ?? 12}px ${FONT}`, ...(o.halo ? { stroke: T.bg, lineWidth: 3 } : {}), ...(o.width ? { width: o.width, overflow: o.overflow ?? "truncate" } : {}),
  },
});
const line = (points, stroke, width = 1, dash = undefined) => ({
  type: "polyline", silent: true, z: 8, shape: { points }, style: { stroke, lineWidth: width, lineDash: dash, fill: null },
});

// A scale with three or four steps that holds zero and all values.
export function scale(low, high) {
  // what is less than a hundredth of the other side has no step of its own
  if (-low < high / 100) low = 0;
  const span = Math.max(high, 0) - Math.min(low, 0) || 1;
  const power = 10 ** Math.floor(Math.log10(span / 3));
  const step = [1, 2, 2.5, 5, 10].map((k) => k * power).find((s) => span / s <= 4.0001);
  return { min: Math.floor(Math.min(low, 0) / step - 1e-9 + 1e-9) * step, max: Math.ceil(Math.max(high, 0) / step - 1e-9) * step || 4 * step, interval: step };
}

// How wide a text is drawn, in bold as names are: by the reader's own font.
const pen = document.createElement("canvas").getContext("2d");
const wide = (words, size) => { pen.font = `600 ${size}px ${FONT}`; return pen.measureText(words).width; };

// Labels in one column: as near to their marks as a gap between them allows.
function spread(wanted, gap, low, high) {
  const o = wanted.map((y, i) => ({ y, i })).sort((a, b) => a.y - b.y);
  for (let k = 0; k < o.length; k++) o[k].y = Math.max(o[k].y, k ? o[k - 1].y + gap : low);
  for (let k = o.length - 1; k >= 0; k--) o[k].y = Math.min(o[k].y, k < o.length - 1 ? o[k + 1].y - gap : high);
  const out = [];
  for (const e of o) out[e.i] = e.y;
  return out;
}

const valueAxis = (T, f, s, more = {}) => ({
  type: "value", ...s, axisLabel: { color: T.muted, fontSize: 11, formatter: (v) => f.plain(v) },
  splitLine: { lineStyle: { color: T.hair } }, ...more,
});
const categoryAxis = (T, labels, more = {}) => ({
  type: "category", data: labels, axisTick: { show: false }, axisLine: { lineStyle: { color: T.muted } },
  axisLabel: { color: T.muted, fontSize: 11, interval: 0, hideOverlap: true, ...more },
});
const left = (f, s) => 10 + 6.6 * Math.max(f.plain(s.max).length, f.plain(s.min).length);

// Tonnes of a year by month, stacked by action, with what was expected as a line.
export function months(d, T, W, H, f, hidden) {
  const narrow = W < 520;
  const shown = d.actions.filter((a) => !hidden.has(a.key));
  const high = d.labels.map((_, i) => shown.reduce((sum, a) => sum + Math.max(a.values[i] ?? 0, 0), 0));
  const low = d.labels.map((_, i) => shown.reduce((sum, a) => sum + Math.min(a.values[i] ?? 0, 0), 0));
  const known = d.expected.filter((v) => v !== null);
  const s = scale(Math.min(...low), Math.max(...high, ...known, 0));
  const room = Math.min(Math.max(...d.actions.map((a) => wide(a.name, 12.5)), 90), 240);
  // a month that has just begun has no height to lead a line from
  const last = d.last > 0 && high[d.last] < high[d.last - 1] / 4 ? d.last - 1 : d.last;
  // names and amounts stand beside the last bar if the months after it leave room, else beside the chart
  const named = wide(d.words.expected, 12) + 26, place = (right) => { const step = (W - left(f, s) - right) / d.labels.length; return [step, Math.min(step * 0.33, 26)]; };
  const beside = ([step, half]) => left(f, s) + step * (last + 0.5) + half + room + 86 > W;
  const g = { left: left(f, s), right: narrow ? 6 : beside(place(named)) ? room + 78 : named, top: 22, bottom: 22 };
  const ph = H - g.top - g.bottom, pw = W - g.left - g.right, [step, half] = place(g.right);
  const y = (v) => g.top + (ph * (s.max - v)) / (s.max - s.min);
  const elements = [text(T, d.unit, 0, 6, { fill: T.muted, size: 11 })];
  if (known.length) {
    const points = d.expected.flatMap((v, i) => (v === null ? [] : [[g.left + step * i, y(v)], [g.left + step * (i + 1), y(v)]]));
    elements.push(line(points, T.ink, 1.5));
  }
  // of the current month: above its bar, or with its name where names of actions stand beside the bar before it
  const below = !narrow && last !== d.so_far && !beside(place(named));
  if (!below && high[d.so_far]) elements.push(text(T, d.words.so_far, Math.min(g.left + step * (d.so_far + 0.5), W - wide(d.words.so_far, 11) / 2), y(high[d.so_far]) - 9, { align: "center", size: 11, halo: true, fill: T.muted }));
  if (!narrow && d.last >= 0) {
    const edge = g.left + step * (last + 0.5) + half, x = Math.min(W - g.right + 14, edge + 34);
    let at = 0;
    const marks = shown.map((a) => { const v = a.values[last] ?? 0, mid = y(at + v / 2); at += v; return mid; });
    const names = shown.map((a, i) => ({ key: a.key, name: a.name, total: a.total, y: marks[i], from: edge }));
    // what is taken out keeps its name, so that a click brings it back
    for (const a of d.actions) if (hidden.has(a.key)) names.push({ key: a.key, name: a.name, total: a.total, y: H, from: x });
    const ys = spread(names.map((n) => n.y), 17, 12, H - g.bottom - 9);
    if (known.length) {
      // the line has its name at its end
      names.push({ key: "ink", name: d.words.expected, y: y(known.at(-1)), from: W - g.right + 2, x: W - g.right + 14, weight: 600 });
      const free = ys.every((v) => Math.abs(v - y(known.at(-1))) >= 17);
      ys.push(free ? y(known.at(-1)) : Math.max(Math.min(...ys) - 17, 8));
    }
    const near = x, end = Math.min(W - 2, x + room + 50);
    names.forEach((n, i) => {
      const x = n.x ?? near;
      elements.push(line([[n.from, n.y], [x - 6, ys[i]], [x, ys[i]]], T[n.key], n.weight ? 1 : 1.5));
      const off = hidden.has(n.key) ? 0.45 : 1, toggle = n.key === "ink" ? {} : { silent: false, cursor: "pointer", onclick: () => hidden.toggle(n.key) };
      for (const words of [text(T, n.name, x + 5, ys[i], { width: room, weight: n.weight, halo: true }), text(T, n.x ? "" : f.whole(n.total), end, ys[i], { align: "right", fill: T.muted, halo: true })])
        elements.push({ ...words, ...toggle, style: { ...words.style, opacity: off } });
    });
  } else if (known.length) elements.push(text(T, d.words.expected, g.left + pw - 2, Math.max(y(known.at(-1)) - 9, 8), { align: "right", weight: 600 }));
  return {
    ...base(T), grid: g, tooltip: shadow(T), graphic: { elements },
    xAxis: categoryAxis(T, d.labels.map((l, i) => (narrow && i % 2 && d.labels.length > 6 ? "" : below && i === d.so_far ? `${l} (${d.words.so_far})` : l))), yAxis: valueAxis(T, f, s),
    series: shown.map((a) => ({ type: "bar", name: a.name, stack: "s", barWidth: 2 * half, data: a.values.map((value, i) => (i === d.so_far ? { value, itemStyle: unfinished(T, a.key) } : value)), itemStyle: { color: T[a.key], borderColor: T.bg, borderWidth: 0.6 }, emphasis: { disabled: true } })),
  };
}

// Bars over time or over places; parts on each other, what was expected as a step, the unknown hatched.
const PART = { measured: "acc2", estimated: "gold", unknown: "crit", so_far: "acc2" };
// of a day or month that has not ended: hollow, with its own label
const unfinished = (T, key) => ({ color: T.bg, borderColor: T[key], borderWidth: 1.2, borderType: "dashed" });
export function bars(d, T, W, H, f) {
  const sums = d.bars.map((b) => (b.parts ?? []).reduce((s, [, v]) => ({ up: s.up + Math.max(v, 0), down: s.down + Math.min(v, 0) }), { up: 0, down: 0 }));
  const wanted = d.bars.map((b) => b.expected ?? 0);
  const s = scale(Math.min(...sums.map((v) => v.down), ...wanted), Math.max(...sums.map((v) => v.up), ...wanted));
  const g = { left: left(f, s), right: 8, top: 22, bottom: 22 }, step = (W - g.left - g.right) / d.bars.length;
  const y = (v) => g.top + ((H - g.top - g.bottom) * (s.max - v)) / (s.max - s.min);
  const every = Math.ceil(24 / Math.max(step, 1));
  const elements = [text(T, d.unit, 0, 6, { fill: T.muted, size: 11 })];
  d.bars.forEach((b, i) => { if (b.expected !== null) elements.push(line([[g.left + step * i, y(b.expected)], [g.left + step * (i + 1), y(b.expected)]], T.ink, 1.5)); });
  const kinds = Object.keys(PART).filter((k) => d.bars.some((b) => b.parts?.some(([kind]) => kind === k)));
  const series = kinds.map((kind) => ({
    type: "bar", name: kind, stack: "s", barWidth: "74%", barMinHeight: 1, emphasis: { disabled: true }, cursor: d.bars.some((b) => b.href) ? "pointer" : "default",
    data: d.bars.map((b) => {
      const own = (b.parts ?? []).filter(([k]) => k === kind);
      if (!own.length) return null;
      const value = own.reduce((sum, [, v]) => sum + v, 0), short = b.expected !== null && value < b.expected;
      if (kind === "so_far") { const x = g.left + step * (d.bars.indexOf(b) + 0.13), end = x + wide(d.words.so_far, 11) > W; elements.push(text(T, d.words.so_far, end ? W - g.right : x, y(Math.max(value, 0)) - 9, { align: end ? "right" : "left", size: 11, halo: true, fill: T.muted })); }
      // below what was expected: hollow
      return { value, itemStyle: kind === "so_far" ? unfinished(T, PART[kind]) : short ? { color: T.acc3, borderColor: T[PART[kind]], borderWidth: step > 6 ? 1.2 : 0.4 } : { color: T[PART[kind]] } };
    }),
  }));
  const none = d.bars.map((b) => (b.parts === null ? s.max : null));
  if (none.some((v) => v !== null)) series.push({ type: "bar", name: "none", barGap: "-100%", barWidth: "74%", data: none, silent: true, itemStyle: { color: T.hair, opacity: 0.55 }, emphasis: { disabled: true } });
  // a chart without any value still has its axis
  if (!series.length) series.push({ type: "bar", data: d.bars.map(() => null) });
  const labels = d.bars.map((b, i) => b.label);
  const written = labels.filter(Boolean).length === labels.length ? labels.map((l, i) => (i % every ? "" : l)) : labels;
  return { ...base(T), grid: g, tooltip: shadow(T), graphic: { elements }, xAxis: categoryAxis(T, written), yAxis: valueAxis(T, f, s), series };
}

// Measured and expected, added up day by day.
export function cumulative(d, T, W, H, f) {
  const all = [...d.measured, ...d.expected].filter((v) => v !== null), s = scale(Math.min(...all, 0), Math.max(...all, 0));
  const names = [d.words.measured, d.words.expected], room = Math.min(Math.max(...names.map((name) => wide(name, 12)), 60), W < 420 ? 92 : 140);
  const g = { left: left(f, s), right: room + 10, top: 22, bottom: 22 }, two = names.some((name) => wide(name, 12) > room); // of a long name, two lines
  const y = (v) => g.top + ((H - g.top - g.bottom) * (s.max - v)) / (s.max - s.min), x = W - g.right + 6;
  const ends = [["measured", d.measured], ["expected", d.expected]].map(([of, values]) => [d.words[of], values.findLast((v) => v !== null)]).filter(([, v]) => v !== undefined);
  const ys = spread(ends.map(([, v]) => y(v) + 7), two ? 48 : 32, g.top + (two ? 24 : 8), H - g.bottom - 10);
  return {
    ...base(T), grid: g, tooltip: { trigger: "axis", axisPointer: { type: "line", lineStyle: { color: T.muted } } },
    xAxis: { ...categoryAxis(T, d.labels), boundaryGap: false, axisLabel: { color: T.muted, fontSize: 11, interval: (i) => i % Math.ceil(d.labels.length / 6) === 0 } },
    yAxis: valueAxis(T, f, s),
    graphic: { elements: [text(T, d.unit, 0, 6, { fill: T.muted, size: 11 }), ...ends.flatMap(([name, v], i) => [text(T, name, x, ys[i] - 1, { weight: 600, width: room + 2, overflow: "break", from: "bottom" }), text(T, f.amount(v, d.unit), x, ys[i] + 8)])] },
    series: [
      { type: "line", name: d.words.measured, data: d.measured, symbol: "none", lineStyle: { color: T.acc2, width: 3 }, itemStyle: { color: T.acc2 }, areaStyle: { color: T.acc2, opacity: 0.12 } },
      { type: "line", name: d.words.expected, data: d.expected, symbol: "none", lineStyle: { color: T.ink, width: 1.5, type: [5, 3] }, itemStyle: { color: T.ink } },
    ],
  };
}

// What the shades of a heat map mean: from zero to its largest value.
function shades(T, x, most) {
  const step = 14, begin = x - wide(most, 11) - 5 - 5 * step;
  const cells = [0, 1, 2, 3, 4].map((k) => ({ type: "rect", silent: true, shape: { x: begin + k * step, y: 1, width: step - 1, height: 10 }, style: { fill: k ? T.acc : T.hair, opacity: k ? 0.12 + 0.22 * k : 0.5 } }));
  return [text(T, "0", begin - 5, 6, { align: "right", fill: T.muted, size: 11 }), ...cells, text(T, most, x, 6, { align: "right", fill: T.muted, size: 11 })];
}

// Hours of days as a heat map: one hue by opacity, zero grey, nothing where nothing is known.
export function hours(d, T, W, H, f) {
  const g = { left: 44, right: 6, top: 22, bottom: 22 }, max = Math.max(...d.cells.map((c) => c[2]), 0) || 1;
  return {
    ...base(T), grid: g, tooltip: { trigger: "item" },
    xAxis: { ...categoryAxis(T, d.labels), axisLine: { show: false }, axisLabel: { color: T.muted, fontSize: 11, interval: (i) => i % Math.ceil(d.labels.length / 6) === 0 } },
    yAxis: { ...categoryAxis(T, d.hours), inverse: true, axisLine: { show: false }, axisLabel: { color: T.muted, fontSize: 11, interval: (i) => i % Math.ceil(d.hours.length / 6) === 0 } },
    graphic: { elements: [text(T, d.words.hour, 0, 6, { fill: T.muted, size: 11 }), ...shades(T, W - g.right, f.amount(max, d.unit))] },
    series: [{ type: "custom", data: d.cells, encode: { x: 0, y: 1 }, renderItem: (p, api) => {
      const [x, y] = api.coord([api.value(0), api.value(1)]), [w, h] = api.size([1, 1]), v = api.value(2);
      return { type: "rect", shape: { x: x - w / 2 + 0.5, y: y - h / 2 + 0.5, width: Math.max(1, w - 1), height: Math.max(1, h - 1) }, style: { fill: v > 0 ? T.acc : T.hair, opacity: v > 0 ? 0.12 + 0.88 * (v / max) : 0.5 } };
    } }],
  };
}

// Places: area by tonnes, ring by meters reporting.  A plain grid instead of ECharts' geo: 27 kB less.
export function map(d, T, W, H, f) {
  const cos = Math.cos((d.middle[1] * Math.PI) / 180), [w, south, e, north] = d.box, pad = Math.min(34, W / 8);
  const q = Math.min((W - 2 * pad) / ((e - w) * cos), (H - 2 * pad) / (north - south)), cx = (w + e) / 2, cy = (south + north) / 2;
  const px = ([lon, lat]) => [W / 2 + (lon - cx) * cos * q, H / 2 - (lat - cy) * q];
  const most = Math.max(...d.sites.map((s) => s.t), 0), k = Math.sqrt(most || 1) / Math.min(21, W / 18);
  const small = W < 240, least = small ? 2.5 : 4, out = small ? 2 : 3.5, radius = (t) => Math.max(least, Math.sqrt(Math.max(t, 0)) / k);
  // what lies far out stands at the edge towards it
  const at = d.sites.map((s) => { const [x, y] = px(s.at); const edge = Math.max(radius(s.t) + 6, 18); return [Math.min(Math.max(x, edge), W - edge), Math.min(Math.max(y, edge), H - edge)]; });
  const boxes = at.map(([x, y], i) => [x, y, x, y].map((v, n) => v + (n < 2 ? -1 : 1) * (radius(d.sites[i].t) + out + 1.5)));
  // what lies far out has its name first: nothing else says where it is
  const labels = [], order = d.sites.map((_, i) => i).sort((a, b) => Number(d.sites[b].far) - Number(d.sites[a].far));
  for (const i of order) labels[i] = ((s) => {
    const dark = s.up < s.of;
    if (!dark && !s.far && s.t < most / 12 && d.sites.length > 6) return null;
    const R = radius(s.t) + 8, note = small ? "" : s.note, low = note ? 15 : 8, width = Math.max(wide(s.short, 11.5), wide(note, 11)), [x, y] = at[i];
    for (const [dx, dy, align] of [[R, 0, "left"], [-R, 0, "right"], [0, R + 9, "center"], [0, -R - 9, "center"], [R * 0.8, R * 0.8, "left"], [-R * 0.8, R * 0.8, "right"], [R, -R * 0.7, "left"], [-R, -R * 0.7, "right"]]) {
      const x0 = x + dx - (align === "right" ? width : align === "center" ? width / 2 : 0), box = [x0, y + dy - low, x0 + width, y + dy + low];
      if (box[0] < 2 || box[1] < 2 || box[2] > W - 2 || box[3] > H - 2) continue;
      if (boxes.some((b, j) => j !== i && b[0] < box[2] && b[2] > box[0] && b[1] < box[3] && b[3] > box[1])) continue;
      boxes.push(box);
      return { x: x + dx, y: y + dy, align, dark, note };
    }
    return null;
  })(d.sites[i]);
  const land = d.land.map((ring) => ring.map(px)), areas = d.areas.map((ring) => ring.map(px)), water = d.water.map((one) => one.map(px));
  // names of the city's places, where they leave room to those of the sites
  const places = d.places.map(([name, at]) => [name, ...px(at)]).filter(([name, x, y]) => {
    const half = wide(name, 10.5) / 2, box = [x - half, y - 8, x + half, y + 8];
    if (box[0] < 2 || box[1] < 2 || box[2] > W - 2 || box[3] > H - 2 || boxes.some((b) => b[0] < box[2] && b[2] > box[0] && b[1] < box[3] && b[3] > box[1])) return false;
    return boxes.push(box);
  });
  const below = (rows, renderItem) => ({ type: "custom", silent: true, clip: true, data: rows.map(() => [0, 0]), renderItem: (p) => renderItem(rows[p.dataIndex]) });
  const arc = (x, y, r, a, b, stroke, width) => ({ type: "arc", shape: { cx: x, cy: y, r, startAngle: a, endAngle: b }, style: { stroke, lineWidth: width, fill: null } });
  const axis = (size) => ({ type: "value", show: false, min: 0, max: size });
  return {
    ...base(T), tooltip: { trigger: "item" }, grid: { left: 0, right: 0, top: 0, bottom: 0 }, xAxis: axis(W), yAxis: axis(H),
    series: [
      below(land, (points) => ({ type: "polygon", shape: { points }, style: { fill: T.land, stroke: T.coast, lineWidth: 0.8 } })),
      below(areas, (points) => ({ type: "polygon", shape: { points }, style: { fill: null, stroke: T.coast, lineWidth: 1, lineDash: [4, 3] } })),
      below(water, (points) => line(points, T.sea, 1.5)),
      below(places, ([words, x, y]) => ({ type: "text", style: { text: words, x, y, fill: T.muted, font: `400 10.5px ${FONT}`, align: "center", verticalAlign: "middle" } })),
      { type: "custom", cursor: "pointer", data: d.sites.map(() => [0, 0]), renderItem: (p) => {
        const i = p.dataIndex, s = d.sites[i], [x, y] = at[i], R = radius(s.t), top = -Math.PI / 2, share = s.of ? s.up / s.of : 1;
        const children = [{ type: "circle", shape: { cx: x, cy: y, r: R }, style: s.t > 0 ? { fill: T[s.key], opacity: 0.9 } : { fill: T.bg, stroke: T.muted, lineWidth: 1 } }];
        if (share === 1) children.push({ type: "circle", shape: { cx: x, cy: y, r: R + out }, style: { stroke: T.muted, lineWidth: 1.3, fill: null } });
        else if (share > 0) children.push(arc(x, y, R + out, top, top + 2 * Math.PI * share, T.muted, 1.3));
        if (share === 0) children.push({ type: "circle", shape: { cx: x, cy: y, r: R + out }, style: { stroke: T.crit, lineWidth: 3.4, fill: null } });
        else if (share < 1) children.push(arc(x, y, R + out, top + 2 * Math.PI * share, top + 2 * Math.PI, T.crit, 3.4));
        const l = labels[i];
        if (l) for (const [words, dy, font, fill] of [[s.short, l.note ? -6 : 0, `600 11.5px ${FONT}`, T.ink], [l.note, 8, `400 11px ${FONT}`, l.dark ? T.crit : T.muted]])
          children.push({ type: "text", style: { text: words, x: l.x, y: l.y + dy, fill, font, align: l.align, verticalAlign: "middle", stroke: T.land, lineWidth: 3 } });
        return { type: "group", children };
      } },
    ],
  };
}

// Flows between places: bands from givers on the left to receivers on the right, as wide as they are large.
export function flows(d, T, W, H, f) {
  const narrow = W < 520, room = narrow ? 8 : Math.min(250, W * 0.24), node = 10, gap = narrow ? 46 : 18, top = narrow ? 36 : 8;
  const sums = (end) => { const o = new Map(); for (const one of d.flows) o.set(one[end], (o.get(one[end]) ?? 0) + one.amount); return [...o]; };
  const sides = [sums("giver"), sums("receiver")], total = d.flows.reduce((s, one) => s + one.amount, 0);
  const high = H - 2 * top - gap * (Math.max(sides[0].length, sides[1].length) - 1), unit = high / total;
  const place = (side) => { const all = new Map(), free = H - 2 * top - total * unit; let y = top + (side.length === 1 ? free / 2 : 0); for (const [name, amount] of side) { all.set(name, y); y += amount * unit + (side.length > 1 ? free / (side.length - 1) : 0); } return all; };
  const begin = place(sides[0]), end = place(sides[1]), x0 = room, x1 = W - room - node, from = new Map(begin), to = new Map(end);
  const bands = [...d.flows].sort((a, b) => begin.get(a.giver) - begin.get(b.giver) || end.get(a.receiver) - end.get(b.receiver)).map((one) => {
    const thick = Math.max(one.amount * unit, 1), y = from.get(one.giver), z = to.get(one.receiver), mid = (x0 + node + x1) / 2;
    from.set(one.giver, y + one.amount * unit); to.set(one.receiver, z + one.amount * unit);
    return { one, d: `M${x0 + node} ${y}C${mid} ${y} ${mid} ${z} ${x1} ${z}V${z + thick}C${mid} ${z + thick} ${mid} ${y + thick} ${x0 + node} ${y + thick}Z` };
  });
  const elements = [];
  const key = (i) => `a${(i % 5) + 1}`;
  // on a narrow page both sides write into the middle: how wide the other one's names are at this height
  const beside = (n, y) => Math.max(0, ...sides[1 - n].filter(([name]) => Math.abs((n ? begin : end).get(name) - y) < 28).map(([name]) => wide(name, 11)));
  sides.forEach((side, n) => side.forEach(([name, amount]) => {
    const y = (n ? end : begin).get(name), h = Math.max(amount * unit, 1), x = n ? x1 : x0;
    elements.push({ type: "rect", silent: true, shape: { x, y, width: node, height: h }, style: { fill: T.ink } });
    const words = `${name}`, sum = f.amount(amount, d.unit);
    if (narrow) [[words, -21, T.ink], [sum, -8, T.muted]].forEach(([said, dy, fill]) => elements.push(text(T, said, n ? W - 8 : 8, y + dy, { align: n ? "right" : "left", size: 11, width: Math.max(W / 2 - 10, W - 24 - beside(n, y)), halo: true, fill })));
    else { const lx = n ? x1 + node + 6 : x0 - 6, align = n ? "left" : "right"; const ly = Math.min(Math.max(y + h / 2, 16), H - 18); elements.push(text(T, words, lx, ly - 7, { align, width: room - 10 }), text(T, sum, lx, ly + 8, { align, fill: T.muted })); }
  }));
  const givers = sides[0].map(([name]) => name);
  return {
    ...base(T), tooltip: { trigger: "item" }, grid: { left: 0, right: 0, top: 0, bottom: 0 }, graphic: { elements },
    xAxis: { type: "value", show: false, min: 0, max: W }, yAxis: { type: "value", show: false, min: 0, max: H },
    series: [{ type: "custom", data: bands.map(() => [0, 0]), renderItem: (p) => ({ type: "path", shape: { pathData: bands[p.dataIndex].d }, style: { fill: T[key(givers.indexOf(bands[p.dataIndex].one.giver))], opacity: 0.55 } }) }],
    bands: bands.map((b) => b.one),
  };
}

export const CHARTS = { months, bars, cumulative, hours, map, flows };
