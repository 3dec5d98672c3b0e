// The map: every row a point; those that fail the filter fade, those found are marked, the one under the pointer speaks.
import { $, make, picture } from "./dom.js";
import { makePlane } from "./plane.js";

const PALETTE = ["#2f6fde", "#e4572e", "#2a9d5c", "#b07d2b", "#8e44ad", "#17a2b8", "#d6336c", "#6c8f1f", "#5c6b8a", "#c0392b", "#e67e22"];
const SPAN = 21500, EASIER = 3;  // hits are easier to reach
const canvas = $("map"), tip = $("tip");
let data = null, space, places = new Map(), passing = null, hits = [], marked = null, hovered = -1, colour = null, listeners = {};

const plane = makePlane(canvas, { span: SPAN, widest: 1.6, heard: {
  paint,
  point: (x, y) => hover(nearest(x, y)),
  leave: () => hover(-1),
  pick: (x, y) => { const i = nearest(x, y); if (i >= 0) listeners.pick(data.rows[i]); },
} });
const place = i => [plane.screenX(data.x[i]), plane.screenY(data.y[i])];
const passes = i => passing === null || (passing[i >> 3] >> (i & 7)) & 1;
export const repaint = plane.redraw;

export function prepare(about, heard) {
  space = about;
  listeners = heard;
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

export function mark(rows) { hits = rows.map(row => row.row); repaint(); }
export function point(row) { marked = row; repaint(); }
export const drawn = () => data !== null;

export function sift(bits) {
  passing = bits === null ? null : Uint8Array.from(atob(bits), character => character.charCodeAt(0));
  repaint();
}

function paint(pen) {
  if (!data) return;
  const style = getComputedStyle(document.documentElement), [grey, ground, ink, accent] = ["--point", "--ground", "--ink", "--accent"].map(name => style.getPropertyValue(name));
  const n = data.rows.length, radius = Math.min(6, Math.max(1.3, 45 / Math.sqrt(n)) * Math.sqrt(plane.scale()));
  for (const bright of [false, true]) {
    pen.globalAlpha = bright ? (hits.length && hits.length < n ? .5 : .8) : .13;
    for (let i = 0; i < n; i++) {
      if (Boolean(passes(i)) !== bright) continue;
      pen.fillStyle = fill(i, grey);
      plane.circle(...place(i), radius);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  const ring = (row, wide, edge) => encircle(pen, places.get(row), { radius: radius + wide, ground, edge, grey });
  for (let h = hits.length - 1; h >= 0; h--) ring(hits[h], 2.2, ink);
  if (marked !== null) ring(marked, 5.5, accent);
  if (hovered >= 0) ring(data.rows[hovered], 3.5, accent);
}

function encircle(pen, i, { radius, ground, edge, grey }) {
  if (i === undefined) return;
  plane.circle(...place(i), radius);
  pen.fillStyle = fill(i, grey);
  pen.fill();
  for (const [width, colour] of [[3.5, ground], [1.6, edge]]) {
    pen.lineWidth = width;
    pen.strokeStyle = colour;
    pen.stroke();
  }
}

function fill(i, grey) {
  if (!colour) return PALETTE[0];
  return colour.codes[i] < 0 ? grey : PALETTE[colour.codes[i]];
}

function recolour() {
  colour = $("colour").value === "" ? null : data.colours[Number($("colour").value)];
  $("legend").replaceChildren(...(colour?.classes ?? []).map((name, i) => make("span", { title: name }, make("i", { style: { background: PALETTE[i] } }), name)));
  repaint();
}

function nearest(x, y) {
  const found = new Set(hits);
  return data ? plane.nearest(x, y, data.rows.length, place, i => passes(i) && (found.has(data.rows[i]) ? EASIER : 1)) : -1;
}

function hover(i) {
  if (i === hovered) return;
  hovered = i;
  tip.hidden = i < 0;
  canvas.style.cursor = i < 0 ? "crosshair" : "pointer";
  if (i >= 0) {
    tip.replaceChildren(...(space.pictures ? [picture(data.rows[i], space.fingerprint)] : []), make("span", { text: data.names[i] }));
    plane.beside(tip, ...place(i));
  }
  listeners.hover(i < 0 ? null : data.rows[i]);
  repaint();
}

function fit() {
  const inside = hits.map(row => places.get(row)).filter(i => i !== undefined);
  if (!inside.length || plane.scale() > 1.01) return plane.whole();
  const middle = values => values.sort((a, b) => a - b)[values.length >> 1];
  const x = middle(inside.map(i => data.x[i])), y = middle(inside.map(i => data.y[i]));
  const far = inside.map(i => Math.max(Math.abs(data.x[i] - x), Math.abs(data.y[i] - y))).sort((a, b) => a - b);
  plane.look(x, y, Math.min(30, Math.max(1.5, SPAN / 2.4 / Math.max(far[Math.floor(far.length * .8)], 1))));
}

$("colour").addEventListener("change", recolour);
$("zoom").addEventListener("click", fit);
