// Results: a grid of pictures or a list of texts that the arrow keys move over, and the details of the row one is on.
import { $, count, make, milliseconds, picture, shown } from "./dom.js";

const listeners = {};
let space, rows = [], selected = -1;

export function prepare(about, heard) {
  space = about;
  Object.assign(listeners, heard);
  $("results").className = about.pictures ? "grid" : "list";
  $("results").addEventListener("keydown", move);
}

export const current = () => rows[selected] ?? null;
export const found = () => rows;

export function draw(answer, { keep = false } = {}) {
  const before = keep ? selected : -1;
  rows = answer.rows;
  const scores = rows.map(row => row.closeness).filter(score => score !== null);
  const top = Math.max(...scores), bottom = Math.min(...scores);
  const share = score => top > bottom ? .15 + .85 * (score - bottom) / (top - bottom) : 1;
  $("results").replaceChildren(...(rows.length ? rows.map((row, i) => card(row, i, share)) : [nothing(answer)]));
  selected = -1;
  if (before >= 0 && before < rows.length) select(before);
  else { $("details").hidden = true; listeners.select(null); }
}

function card(row, i, share) {
  const near = row.closeness === null ? null : make("span", { className: "meter", title: `${space.metric} ${row.closeness.toFixed(4)}` },
    make("i", { style: { width: `${100 * share(row.closeness)}%` } }));
  const others = Object.entries(row.attributes).filter(([, value]) => value !== null && !isTitle(shown(value), row.title) && shown(value) !== "");
  const parts = space.pictures
    ? [make("span", { className: "face" }, picture(row.row, space.fingerprint)), make("span", { className: "title", text: row.title }),
       make("span", { className: "note", text: note(row, others) }), near]
    : [make("span", { className: "title", text: row.title }),
       make("span", { className: "chips" }, ...others.slice(0, 5).map(([name, value]) => make("span", { text: `${name}: ${shown(value)}` }))), near];
  return make("button", {
    type: "button", className: "card", role: "option", id: `row-${i}`, tabindex: i ? -1 : 0, "aria-selected": "false",
    "aria-label": `${row.rank}: ${row.title}`, title: row.title,
    on: {
      click: () => select(i), dblclick: () => listeners.search(row), focus: () => select(i),
      pointerenter: () => listeners.hover(row), pointerleave: () => listeners.hover(null),
    },
  }, ...parts);
}

// a title is cut where it is very long
const isTitle = (text, title) => text === title || (title.length >= 200 && text.startsWith(title));

function note(row, others) {
  const short = others.find(([name, value]) => typeof value === "string" && name !== "keywords" && value.length < 40);
  return short ? short[1] : row.id === row.title ? "" : row.id;
}

export function fail(error) {
  rows = [];
  selected = -1;
  $("details").hidden = true;
  const what = { where: "The filter can’t be read", query: "Nothing matches the words", server: "No answer" }[error.name] ?? "This can’t be looked up";
  $("how").replaceChildren();
  $("results").replaceChildren(empty(what, "What is wrong stands above.", error.name === "where"));
}

function nothing(answer) {
  return empty(answer.matches ? "Nothing else passes the filter" : "No row passes the filter", "Loosen it, or take it away.", true);
}

function empty(what, then, filtered) {
  return make("div", { className: "empty" }, make("strong", { text: what }), then, !filtered ? null : make("div", {}, make("button", { type: "button", className: "plain", text: "Clear the filter", on: { click: listeners.clear } })));
}

export function select(i) {
  if (i === selected) return;
  const cards = $("results").children;
  cards[selected]?.setAttribute("aria-selected", "false");
  for (const other of cards) other.tabIndex = -1;
  selected = i;
  cards[i].setAttribute("aria-selected", "true");
  cards[i].tabIndex = 0;
  showDetails(rows[i]);
  listeners.select(rows[i]);
}

export function light(row) {
  rows.forEach((one, i) => $("results").children[i]?.classList.toggle("lit", row !== null && one.row === row));
}

export function enter() {
  const first = $("results").querySelector(".card");
  first?.focus();
  return first !== null;
}

function move(event) {
  const cards = [...$("results").querySelectorAll(".card")], i = cards.indexOf(document.activeElement);
  if (i < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
  const columns = cards.filter(card => card.offsetTop === cards[0].offsetTop).length;
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -i, End: cards.length - 1 - i };
  if (event.key === "Enter") {
    event.preventDefault();
    listeners.search(rows[i]);
  } else if (event.key in steps) {
    event.preventDefault();
    const target = i + steps[event.key];
    if (target < 0 && event.key === "ArrowUp") $("q").focus();
    else {
      const there = cards[Math.max(0, Math.min(cards.length - 1, target))];
      there.focus({ preventScroll: true });
      there.scrollIntoView({ block: "nearest" });
    }
  }
}

export function showDetails(row) {
  const kinds = Object.fromEntries(space.columns.map(column => [column.name, column]));
  const quoted = text => `'${text.replaceAll("'", "''")}'`;
  const condition = (column, value) => column.kind === "list of texts" ? `${column.written} CONTAINS ${quoted(value)}`
    : `${column.written} = ${typeof value === "string" ? quoted(value) : typeof value === "boolean" ? String(value).toUpperCase() : value}`;
  const lines = Object.entries(row.attributes).filter(([, value]) => value !== null).map(([name, value]) => {
    const some = Array.isArray(value) ? value.filter(one => one !== null) : [value];
    const narrow = kinds[name].kind !== "other" && !some.some(one => typeof one === "string" && one.length > 80);
    return make("div", {}, make("dt", { text: name }), make("dd", {}, ...(narrow
      ? some.map(one => make("button", { type: "button", title: "Only rows like this", text: shown(one), on: { click: () => listeners.narrow(condition(kinds[name], one)) } }))
      : [shown(value)])));
  });
  if (row.closeness !== null) lines.push(make("div", {}, make("dt", { text: space.metric }), make("dd", { text: row.closeness.toFixed(4) })));
  lines.push(make("div", {}, make("dt", { text: "id" }), make("dd", { text: row.id })));
  $("details").replaceChildren(
    make("button", { type: "button", className: "icon close", "aria-label": "Close", text: "×", on: { click: () => { $("details").hidden = true; } } }),
    make("div", { className: "top" }, space.pictures ? picture(row.row, space.fingerprint, row.title) : null,
      make("div", {}, make("h2", { text: row.title }), make("button", { type: "button", className: "primary", text: "Find similar", on: { click: () => listeners.search(row) } }))),
    make("dl", {}, ...lines));
  $("details").hidden = false;
}

const WAYS = {
  id: answer => [`to the row ${answer.anchors[0]}`],
  encoder: () => ["to the text’s own vector"],
  picture: () => ["to the picture’s own vector"],
  vector: () => ["to the vector"],
  words: answer => [answer.anchors.length > 1 ? `to the middle of ${answer.anchors.length} rows that match the words: ` : "to the row that matches the words: ",
    ...answer.anchors.slice(0, 3).flatMap((id, i) => [i ? ", " : "", make("button", { type: "button", className: "link", text: id, on: { click: () => listeners.search({ id }) } })]),
    answer.anchors.length > 3 ? ", …" : ""],
};

export function explain(answer, elapsed) {
  const many = answer.rows.length === 1 ? "row" : "rows";
  if (!answer.plan) {
    const all = answer.matches === answer.rows.length;
    $("how").replaceChildren(make("b", { text: !answer.rows.length ? "No rows" : all ? `All ${count(answer.rows.length)} ${many}` : `${count(answer.rows.length)} of ${count(answer.matches)} rows` }),
      all ? "" : ", from all over the space", ` · ${milliseconds(elapsed)}`);
    return;
  }
  const plan = answer.plan, predicted = plan.predicted_ms[plan.name];
  const took = predicted === undefined ? `took ${milliseconds(plan.measured_ms)}` : `predicted ${milliseconds(predicted)}, took ${milliseconds(plan.measured_ms)}`;
  const summary = make("summary", {}, make("b", { text: `${count(answer.rows.length)} nearest of ${count(plan.matches)}` }), " ", ...WAYS[answer.way](answer),
    ` · ${plan.words} · ${took} · `, make("b", { text: milliseconds(elapsed) }), " in all");
  const most = Math.max(...Object.values(plan.predicted_ms), 1e-9);
  const plans = Object.entries(plan.predicted_ms).map(([name, ms]) => bar(`plan ${name}`, ms, ms / most, name === plan.name));
  const { place_ms, find_ms, read_ms, total_ms } = answer.timing, rest = Math.max(0, elapsed - total_ms), whole = Math.max(elapsed, total_ms);
  const times = [["place the query", place_ms], ["filter and search", find_ms], ["read the rows", read_ms], ["queue and network", rest]];
  const open = $("how").querySelector("details")?.open;
  $("how").replaceChildren(make("details", { open }, summary, make("div", { className: "plan" },
    plans.length ? table("What each plan would take", plans) : null,
    table("Where the time went", times.map(([name, ms]) => bar(name, ms, ms / whole, false))),
    make("div", { text: `${count(plan.matches)} rows pass the filter, counted in ${milliseconds(plan.filter_ms)}. ${count(plan.screened)} were compared by their codes, ${count(plan.scored)} exactly.` }))));
}

const table = (caption, lines) => make("table", {}, make("caption", { text: caption }), ...lines);
const bar = (name, ms, share, taken) => make("tr", { className: taken ? "taken" : "" }, make("td", { text: name }), make("td", { text: milliseconds(ms) }),
  make("td", {}, make("i", { style: { width: `${100 * Math.min(1, share)}%` } })));
