// The page: one state, held in the address, from which everything shown follows.
import { ask, path } from "./api.js";
import { $, count, make, picture } from "./dom.js";
import { drawFacets } from "./facets.js";
import * as map from "./map.js";
import * as results from "./results.js";

const FIRST = 36, TYPING = 140;
const state = { q: "", row: "", where: "", k: FIRST, file: null };
let space, typing = 0, lastPush = "", facetsDrawn = false;

async function start() {
  paint(saved("theme"));
  try {
    space = (await ask("space", "/api/space")).body;
  } catch (error) {
    return complain(error);
  }
  document.title = `${space.name} · spaceform`;
  $("name").textContent = space.name;
  $("size").textContent = `${count(space.rows)} rows, ${count(space.dim)} dimensions`;
  $("q").placeholder = space.by_text === "none" ? `the id of a row, such as ${space.example}` : "Search by words, or a row’s id";
  $("pick").hidden = !space.by_picture;
  $("advice").textContent = space.advice.join(" ");
  results.prepare(space, {
    search: row => go({ q: "", row: row.id, file: null }), hover: row => map.point(row?.row ?? results.current()?.row ?? null),
    select: row => map.point(row?.row ?? null), narrow, clear: () => go({ where: "" }),
  });
  map.prepare(space, { hover: results.light, pick: pickPoint });
  listen();
  read();
  update();
  fetchMap();
}

function read() {
  const address = new URLSearchParams(location.search);
  Object.assign(state, { q: address.get("q") ?? "", row: address.get("row") ?? "", where: address.get("where") ?? "", k: Number(address.get("k")) || FIRST, file: null });
  $("q").value = state.q;
  $("where").value = state.where;
}

function go(change, { how = "push" } = {}) {
  Object.assign(state, { k: FIRST }, change);
  if (!("k" in change)) window.scrollTo({ top: 0 });
  const address = path("/", { q: state.q, row: state.row, where: state.where, k: state.k === FIRST ? "" : state.k });
  const push = how === "push" || lastPush !== how;  // a word that is being typed is one step back, not ten
  if (address !== location.pathname + location.search) history[push ? "pushState" : "replaceState"](null, "", address);
  lastPush = how;
  if ($("q").value.trim() !== state.q) $("q").value = state.q;
  if ($("where").value !== state.where) $("where").value = state.where;
  update({ keep: "k" in change });
}

async function update({ keep = false } = {}) {
  showQuery();
  document.body.classList.add("busy");
  $("clear").hidden = !state.where;
  const where = state.where;
  const counted = ask("facets", path("/api/facets", { where })).then(answer => {
    if (!answer) return;
    facetsDrawn = true;
    drawFacets(answer.body, condition => go({ where: condition }));
    $("matches").textContent = where ? `${count(answer.body.matches)} of ${count(space.rows)} pass` : "";
    map.sift(where ? answer.body.map_bits : null);
  });
  counted.catch(() => { if (!facetsDrawn) unfiltered(); });  // it is awaited below, when the search has been answered
  try {
    const answer = await search();
    if (!answer) return;  // another question has been asked since
    document.body.classList.remove("busy");
    results.draw(answer.body, { keep });
    results.explain(answer.body, answer.elapsed);
    map.mark(answer.body.plan ? answer.body.rows : []);
    const most = Math.min(space.max_k, answer.body.matches - (state.row ? 1 : 0));
    $("more").hidden = answer.body.rows.length < state.k || state.k >= most;
    complain(null);
    await counted;
  } catch (error) {
    document.body.classList.remove("busy");
    complain(error);
    if (results.found().length && error?.name === "where") return;  // while the filter is mended, what was found stays
    results.fail(error);
    map.mark([]);
    $("more").hidden = true;
  }
}

// A page opened with a filter that can't be read still shows what there is to choose from.
async function unfiltered() {
  const answer = await ask("facets", "/api/facets").catch(() => null);
  if (answer) drawFacets(answer.body, condition => go({ where: condition }));
}

function search() {
  const k = Math.min(state.k, space.max_k);
  if (!state.file) return ask("search", path("/api/search", { text: state.row ? "" : state.q, row: state.row, where: state.where, k }));
  const body = new FormData();
  body.set("picture", state.file);
  body.set("k", k);
  if (state.where) body.set("where", state.where);
  return ask("search", "/api/search/picture", { method: "POST", body });
}

async function showQuery() {
  $("near").hidden = !state.row && !state.file;
  if (state.file) {
    const image = make("img", { alt: "", src: URL.createObjectURL(state.file) });
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    $("near-face").replaceChildren(image);
    $("near-name").textContent = state.file.name || "picture";
  } else if (state.row) {
    $("near-name").textContent = `near ${state.row}`;
    $("near-face").replaceChildren();
    if (!space.pictures) return;
    const row = (await ask("row", path("/api/rows", { id: state.row })).catch(() => null))?.body;
    if (row && row.id === state.row) $("near-face").replaceChildren(picture(row.row, space.fingerprint));
  }
}

function complain(error) {
  const mine = error?.name === "where";
  $("where").setAttribute("aria-invalid", String(Boolean(mine)));
  $("problem").hidden = !error;
  if (!error) return;
  if (!(error.message && "status" in error)) throw error;
  const [first, ...rest] = error.message.split("\n");
  $("problem").replaceChildren(first, ...(rest.length ? [make("pre", { text: rest.map(line => line.replace(/^ {4}/, "")).join("\n") })] : []));
}

function narrow(condition) {
  if (state.where.includes(condition)) return;
  go({ where: state.where ? `${/\bor\b/i.test(state.where) ? `(${state.where})` : state.where} AND ${condition}` : condition });
}

async function pickPoint(row) {
  const answer = await ask("picked", `/api/rows/${row}`).catch(complain);
  if (answer) results.showDetails(answer.body);
  map.point(row);
}

async function fetchMap() {
  for (let tries = 0; tries < 600; tries++) {
    const answer = await ask("map", "/api/map").catch(() => null);
    if (answer?.body.ready) {
      map.give(answer.body);
      if (state.where) update({ keep: true });
      return;
    }
    await new Promise(done => setTimeout(done, 1000));
  }
}

function takePicture(file) {
  if (!file || !file.type.startsWith("image/")) return;
  if (file.size > space.max_body - 4096) return complain(Object.assign(new Error(`The picture has ${count(file.size)} bytes; at most ${count(space.max_body)} are taken.`), { status: 413 }));
  go({ q: "", row: "", file });
}

function listen() {
  $("ask").addEventListener("submit", event => { event.preventDefault(); clearTimeout(typing); typed("push"); });
  $("q").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(typed, TYPING, "typing"); });
  $("q").addEventListener("keydown", event => {
    if (event.key === "ArrowDown" && results.enter()) event.preventDefault();
    if (event.key === "Backspace" && !$("q").value && (state.row || state.file)) go({ row: "", file: null });
  });
  $("where").addEventListener("change", () => go({ where: $("where").value.trim() }));
  $("where").addEventListener("keydown", event => { if (event.key === "Enter") go({ where: $("where").value.trim() }); });
  $("clear").addEventListener("click", () => go({ where: "" }));
  $("near-off").addEventListener("click", () => { go({ row: "", file: null }); $("q").focus(); });
  $("more").addEventListener("click", () => go({ k: Math.min(space.max_k, state.k * 2) }));
  $("brand").addEventListener("click", event => { event.preventDefault(); go({ q: "", row: "", where: "", file: null }); $("q").focus(); });
  $("pick").addEventListener("click", () => $("file").click());
  $("file").addEventListener("change", () => { takePicture($("file").files[0]); $("file").value = ""; });
  $("help").addEventListener("click", () => $("keys").showModal());
  $("drawer").addEventListener("click", () => $("drawer").setAttribute("aria-expanded", String(document.body.classList.toggle("drawn"))));
  $("theme").addEventListener("click", () => paint(document.documentElement.dataset.theme === "dark" ? "light" : "dark", { keep: true }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint(saved("theme")));
  addEventListener("popstate", () => { lastPush = ""; read(); update(); });
  addEventListener("keydown", keys);
  if (!space.by_picture) return;
  addEventListener("paste", event => takePicture([...event.clipboardData.files].find(file => file.type.startsWith("image/"))));
  addEventListener("dragover", event => { if (event.dataTransfer.types.includes("Files")) { event.preventDefault(); $("drop").hidden = false; } });
  addEventListener("dragleave", event => { if (!event.relatedTarget) $("drop").hidden = true; });
  addEventListener("drop", event => { event.preventDefault(); $("drop").hidden = true; takePicture(event.dataTransfer.files[0]); });
}

function typed(how) {
  const q = $("q").value.trim();
  if (q !== state.q || (how === "push" && (state.row || state.file) && q)) go({ q, row: "", file: null }, { how });
}

function keys(event) {
  if (event.key === "Escape" && !$("keys").open) {
    clearTimeout(typing);
    $("q").value = "";
    if (state.q || state.row || state.file) go({ q: "", row: "", file: null });
    else if (state.where || $("where").value) go({ where: "" });
    $("q").focus();
    return;
  }
  const writes = event.target.matches("input:not([type=checkbox]), select, textarea");
  if (writes || event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const act = { "/": () => { $("q").focus(); $("q").select(); }, f: () => { $("where").focus(); $("where").select(); }, "?": () => $("keys").showModal() }[event.key];
  if (act) { event.preventDefault(); act(); }
}

function saved(name) {
  try { return localStorage.getItem(name); } catch { return null; }
}

function paint(theme, { keep = false } = {}) {
  document.documentElement.dataset.theme = theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  if (keep) try { localStorage.setItem("theme", theme); } catch { /* then it lasts until the page is closed */ }
  map.repaint();
}

start();
