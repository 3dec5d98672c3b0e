// The map: every row a point; those that fail the filter fade, those found are marked, the one under the pointer speaks.
import { $, make, picture } from "./dom.js";

const PALETTE = ["#2f6fde", "#e4572e", "#2a9d5c", "#b07d2b", "#8e44ad", "#17a2b8", "#d6336c", "#6c8f1f", "#5c6b8a", "#c0392b", "#e67e22"];
const NEAR = 14, SPAN = 21500;
const canvas = $("map"), pen = canvas.getContext("2d"), tip = $("tip");
let data = null, space, places = new Map(), passing = null, hits = [], marked = null, hovered = -1, colour = null;
let view = { x: 0, y: 0, scale: 1 }, size = { w: 1, h: 1 }, queued = false, drag = null, listeners = {};

export function prepare(about, heard) {
  space = about;
  listeners = heard;
  new ResizeObserver(redraw).observe(canvas);
}

export function give(map) {
  data = map;
  places = new Map(map.rows.map((row, i) => [row, i]));
  $("drawing").hidden = true;
  $("tools").hidden = false;
  $("colour").replaceChildren(make("option", { value: "", text: "one colour" }), ...map.colours.map((one, i) => make("option", { value: i, text: `by ${one.column}` })));
  $("colour").value = map.colours.length ? "0" : "";
  $("colour").hidden = !map.colours.length;
  recolour();
}

export function mark(rows) { hits = rows.map(row => row.row); redraw(); }
export function point(row) { marked = row; redraw(); }
export const drawn = () => data !== null;

export function sift(bits) {
  passing = bits === null ? null : Uint8Array.from(atob(bits), character => character.charCodeAt(0));
  redraw();
}

const passes = i => passing === null || (passing[i >> 3] >> (i & 7)) & 1;
const unit = () => Math.min(size.w, size.h) / SPAN * view.scale;
const stretch = () => Math.max(1, Math.min(1.6, size.w / size.h));
const screenX = i => size.w / 2 + (data.x[i] - view.x) * unit() * stretch();
const screenY = i => size.h / 2 - (data.y[i] - view.y) * unit();

function redraw() {
  if (!queued) { queued = true; requestAnimationFrame(draw); }
}

function draw() {
  queued = false;
  const ratio = window.devicePixelRatio || 1, box = canvas.getBoundingClientRect();
  size = { w: box.width, h: box.height };
  if (canvas.width !== Math.round(size.w * ratio) || canvas.height !== Math.round(size.h * ratio)) {
    canvas.width = Math.round(size.w * ratio);
    canvas.height = Math.round(size.h * ratio);
  }
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, size.w, size.h);
  if (!data) return;
  const style = getComputedStyle(document.documentElement), grey = style.getPropertyValue("--point"), ground = style.getPropertyValue("--ground");
  const ink = style.getPropertyValue("--ink"), n = data.rows.length;
  const radius = Math.min(6, Math.max(1.3, 45 / Math.sqrt(n)) * Math.sqrt(view.scale));
  for (const bright of [false, true]) {
    pen.globalAlpha = bright ? (hits.length && hits.length < n ? .5 : .8) : .13;
    for (let i = 0; i < n; i++) {
      if (Boolean(passes(i)) !== bright) continue;
      pen.fillStyle = fill(i, grey);
      pen.beginPath();
      pen.arc(screenX(i), screenY(i), radius, 0, 6.2832);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  for (let h = hits.length - 1; h >= 0; h--) ring(hits[h], radius + 2.2, ground, ink, grey);
  if (marked !== null) ring(marked, radius + 5.5, ground, style.getPropertyValue("--accent"), grey);
  if (hovered >= 0) ring(data.rows[hovered], radius + 3.5, ground, style.getPropertyValue("--accent"), grey);
}

function ring(row, radius, ground, edge, grey) {
  const i = places.get(row);
  if (i === undefined) return;
  pen.beginPath();
  pen.arc(screenX(i), screenY(i), radius, 0, 6.2832);
  pen.fillStyle = fill(i, grey);
  pen.fill();
  pen.lineWidth = 3.5;
  pen.strokeStyle = ground;
  pen.stroke();
  pen.lineWidth = 1.6;
  pen.strokeStyle = edge;
  pen.stroke();
}

function fill(i, grey) {
  if (!colour) return PALETTE[0];
  return colour.codes[i] < 0 ? grey : PALETTE[colour.codes[i]];
}

function recolour() {
  colour = $("colour").value === "" ? null : data.colours[Number($("colour").value)];
  $("legend").replaceChildren(...(colour?.classes ?? []).map((name, i) => make("span", {}, make("i", { style: { background: PALETTE[i] } }), name)));
  redraw();
}

function nearest(x, y) {
  let best = -1, least = NEAR * NEAR;
  if (!data) return best;
  const found = new Set(hits);
  for (let i = 0; i < data.rows.length; i++) {
    if (!passes(i)) continue;
    const d = ((screenX(i) - x) ** 2 + (screenY(i) - y) ** 2) * (found.has(data.rows[i]) ? .3 : 1);  // hits are easier to reach
    if (d < least) { least = d; best = i; }
  }
  return best;
}

function hover(i) {
  if (i === hovered) return;
  hovered = i;
  tip.hidden = i < 0;
  canvas.style.cursor = i < 0 ? "crosshair" : "pointer";
  if (i >= 0) {
    tip.replaceChildren(...(space.pictures ? [picture(data.rows[i], space.fingerprint)] : []), make("span", { text: data.names[i] }));
    const x = screenX(i), y = screenY(i);
    tip.style.left = `${Math.max(4, Math.min(x + 14, size.w - tip.offsetWidth - 6))}px`;
    tip.style.top = `${y + 14 + tip.offsetHeight > size.h ? Math.max(4, y - tip.offsetHeight - 10) : y + 14}px`;
  }
  listeners.hover(i < 0 ? null : data.rows[i]);
  redraw();
}

function zoom(factor, x, y) {
  const before = unit();
  view.scale = Math.min(200, Math.max(.6, view.scale * factor));
  view.x += (x - size.w / 2) * (1 / before - 1 / unit()) / stretch();
  view.y -= (y - size.h / 2) * (1 / before - 1 / unit());
  redraw();
}

function whole() { view = { x: 0, y: 0, scale: 1 }; redraw(); }

function fit() {
  const inside = hits.map(row => places.get(row)).filter(i => i !== undefined);
  if (!inside.length || view.scale > 1.01) return whole();
  const middle = values => values.sort((a, b) => a - b)[values.length >> 1];
  view.x = middle(inside.map(i => data.x[i]));
  view.y = middle(inside.map(i => data.y[i]));
  const far = inside.map(i => Math.max(Math.abs(data.x[i] - view.x), Math.abs(data.y[i] - view.y))).sort((a, b) => a - b);
  view.scale = Math.min(30, Math.max(1.5, SPAN / 2.4 / Math.max(far[Math.floor(far.length * .8)], 1)));
  redraw();
}

const at = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
canvas.addEventListener("pointerdown", event => { drag = { from: at(event), moved: false }; canvas.setPointerCapture(event.pointerId); });
canvas.addEventListener("pointermove", event => {
  const [x, y] = at(event);
  if (!drag) return hover(nearest(x, y));
  if (!drag.moved && Math.hypot(x - drag.from[0], y - drag.from[1]) < 4) return;
  view.x -= (x - drag.from[0]) / unit() / stretch();
  view.y += (y - drag.from[1]) / unit();
  drag = { from: [x, y], moved: true };
  hover(-1);
  redraw();
});
canvas.addEventListener("pointerup", event => {
  const still = drag && !drag.moved;
  drag = null;
  if (!still) return;
  const i = nearest(...at(event));
  if (i >= 0) listeners.pick(data.rows[i]);
});
canvas.addEventListener("pointercancel", () => { drag = null; });
canvas.addEventListener("pointerleave", () => { if (!drag) hover(-1); });
canvas.addEventListener("wheel", event => { event.preventDefault(); zoom(Math.exp(-event.deltaY * .0015), ...at(event)); }, { passive: false });
canvas.addEventListener("keydown", event => {
  const step = 40 / unit(), moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
  if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; redraw(); }
  else if (event.key === "+" || event.key === "=") zoom(1.4, size.w / 2, size.h / 2);
  else if (event.key === "-") zoom(1 / 1.4, size.w / 2, size.h / 2);
  else if (event.key === "0") whole();
  else return;
  event.preventDefault();
});
$("colour").addEventListener("change", recolour);
$("zoom").addEventListener("click", fit);
export const repaint = redraw;
