/* The server draws every window of the map; here its links are followed without a new page, and
   dragging and the wheel ask for the window that they lead to. */
const named = (root) => root.querySelector("#sewers");
let coming; // the request that is on its way
let wheel;

function sides(svg) {
  return svg.dataset.window.split(",").map(Number);
}

async function go(address, remember = true) {
  const place = document.activeElement?.dataset?.way;
  coming?.abort();
  coming = new AbortController();
  let answer;
  try {
    answer = await fetch(address, { signal: coming.signal });
  } catch (error) {
    if (error.name !== "AbortError") location.assign(address);
    return;
  }
  const found = answer.ok ? named(new DOMParser().parseFromString(await answer.text(), "text/html")) : null;
  if (!found) return location.assign(address);
  named(document).replaceWith(found);
  if (remember) history.pushState(null, "", address);
  found.querySelector(`[data-way="${place}"]`)?.focus();
}

function ask([west, south, east, north]) {
  const section = named(document);
  const [w, s, e, n] = [Math.max(west, -180), Math.max(south, -90), Math.min(east, 180), Math.min(north, 90)];
  const chosen = section.dataset.asset ? `&asset=${encodeURIComponent(section.dataset.asset)}` : "";
  return go(`${section.dataset.map}?bbox=${[w, s, e, n].map((v) => v.toFixed(6)).join(",")}${chosen}`);
}

/* What the picture shows of the window that is asked for, until it comes. */
function preview(svg, x, y, wide, high) {
  svg.setAttribute("viewBox", `${x} ${y} ${wide} ${high}`);
  const [west, south, east, north] = sides(svg);
  const [px, py] = [(east - west) / svg.full.width, (north - south) / svg.full.height];
  return [west + x * px, north - (y + high) * py, west + (x + wide) * px, north - y * py];
}

function ready(svg) {
  svg.full ??= { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
  return svg.viewBox.baseVal;
}

addEventListener("click", (event) => {
  const link = event.target.closest?.("#sewers a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  if (!link.closest("svg")?.dragged) go(new URL(link.getAttribute("href"), location.href).href);
});

addEventListener("wheel", (event) => {
  const svg = event.target.closest?.("svg.sewer");
  if (!svg) return;
  event.preventDefault();
  const view = ready(svg);
  const frame = svg.getBoundingClientRect();
  const by = event.deltaY > 0 ? 1.25 : 0.8;
  const [fx, fy] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
  const next = preview(
    svg, view.x + view.width * fx * (1 - by), view.y + view.height * fy * (1 - by), view.width * by, view.height * by,
  );
  clearTimeout(wheel);
  wheel = setTimeout(() => ask(next), 180);
}, { passive: false });

addEventListener("pointerdown", (event) => {
  const svg = event.target.closest?.("svg.sewer");
  if (!svg || event.button || event.pointerType === "touch") return; // a finger scrolls the page
  const view = ready(svg);
  const [left, top, scale] = [view.x, view.y, view.width / svg.getBoundingClientRect().width];
  svg.dragged = false;
  let next;
  const moved = (to) => {
    const [dx, dy] = [to.clientX - event.clientX, to.clientY - event.clientY];
    svg.dragged ||= Math.hypot(dx, dy) > 4;
    if (svg.dragged) next = preview(svg, left - dx * scale, top - dy * scale, view.width, view.height);
  };
  const ended = () => {
    removeEventListener("pointermove", moved);
    removeEventListener("pointerup", ended);
    if (next) ask(next);
  };
  addEventListener("pointermove", moved);
  addEventListener("pointerup", ended);
});
addEventListener("dragstart", (event) => {
  if (event.target.closest?.("svg.sewer")) event.preventDefault();
});
addEventListener("popstate", () => go(location.href, false));
