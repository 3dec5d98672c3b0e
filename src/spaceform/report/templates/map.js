// The map of a report, on the plane of the script before this one.
const data = JSON.parse(document.getElementById("points").textContent);
const tip = document.getElementById("tip"), legend = document.getElementById("legend");
const select = document.getElementById("colour"), find = document.getElementById("find");
const found = document.getElementById("found");
const maps = data.maps, n = maps[0].x.length, GREY = "#8d96a6";
const texts = data.names.map((name, i) =>
  [name, ...Object.values(data.texts).map(column => column[i])].join(" ").toLowerCase());
const PICTURES_FROM = 5;
const sheet = new Image(), side = 48;
if (data.cells.length) {
  sheet.onload = () => plane.redraw();
  sheet.src = getComputedStyle(tip.querySelector(".pic")).backgroundImage.slice(5, -2);
}
let hovered = -1, alone = null, matches = null;

const colouring = () => data.colours[select ? select.value : ""];
const colourOf = code => code < 0 ? GREY : data.palette[code % data.palette.length];
const plane = makePlane(document.getElementById("canvas"), {
  span: 21000, widest: 1.7, panels: maps.length, step: 60, faster: 1.3,
  heard: { paint, point: (x, y) => show(nearest(x, y), plane.under(x)), leave: () => show(-1) },
});
const screenX = (i, m) => plane.screenX(maps[m].x[i], m), screenY = (i, m) => plane.screenY(maps[m].y[i]);
const lit = i => (alone === null || colouring().codes[i] === alone) && (matches === null || matches.has(i));

function paint(pen, size) {
  const codes = colouring() ? colouring().codes : null;
  const radius = Math.min(7, Math.max(1.6, 60 / Math.sqrt(n)) * Math.sqrt(plane.scale()));
  const pictured = plane.scale() >= PICTURES_FROM && sheet.complete && sheet.naturalWidth > 0;
  const shown = Math.min(side, 10 + 2.2 * plane.scale());
  for (let m = 0; m < maps.length; m++) {
    pen.save();
    pen.beginPath();
    pen.rect(plane.panel() * m, 0, plane.panel(), size.h);
    pen.clip();
    for (const bright of [false, true]) {
      pen.globalAlpha = bright ? .85 : .1;
      for (let i = 0; i < n; i++) {
        if (lit(i) !== bright) continue;
        const x = screenX(i, m), y = screenY(i, m);
        if (x < -side || y < -side || x > size.w + side || y > size.h + side) continue;
        const cell = data.cells[i];
        if (pictured && bright && cell) {
          pen.drawImage(sheet, cell[0], cell[1], side, side, x - shown / 2, y - shown / 2, shown, shown);
          continue;
        }
        pen.fillStyle = codes ? colourOf(codes[i]) : data.palette[0];
        plane.circle(x, y, radius);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = pen.fillStyle = getComputedStyle(document.body).color;
    if (hovered >= 0) {
      pen.lineWidth = 2;
      plane.circle(screenX(hovered, m), screenY(hovered, m), radius + 3);
      pen.stroke();
    }
    if (maps[m].title) {
      pen.font = "600 15px system-ui, sans-serif";
      pen.fillText(maps[m].title, plane.panel() * m + 14, 26);
      if (m) pen.fillRect(plane.panel() * m, 0, .5, size.h);
    }
    pen.restore();
  }
}

function nearest(x, y) {
  const m = plane.under(x);
  return plane.nearest(x, y, n, i => [screenX(i, m), screenY(i, m)], lit);
}

function show(i, m) {
  hovered = i;
  tip.hidden = i < 0;
  if (i >= 0) {
    const picture = tip.querySelector(".pic"), words = tip.querySelector("div"), cell = data.cells[i];
    picture.hidden = !cell;
    if (cell) picture.style.backgroundPosition = `-${cell[0]}px -${cell[1]}px`;
    words.replaceChildren(Object.assign(document.createElement("strong"), { textContent: data.names[i] }));
    for (const [name, column] of Object.entries(data.texts)) {
      if (column[i]) words.append(Object.assign(document.createElement("div"), { textContent: `${name}: ${column[i]}` }));
    }
    plane.beside(tip, screenX(i, m), screenY(i, m));
  }
  plane.redraw();
}

function fillLegend() {
  legend.replaceChildren();
  const colours = colouring();
  if (!colours) return;
  colours.classes.forEach((name, code) => {
    const button = document.createElement("button"), dot = document.createElement("i");
    button.type = "button";
    dot.style.background = colourOf(code);
    button.setAttribute("aria-pressed", String(alone === code));
    button.append(dot, name, Object.assign(document.createElement("small"), { textContent: colours.counts[code] }));
    button.onclick = () => { alone = alone === code ? null : code; fillLegend(); plane.redraw(); };
    const item = document.createElement("li");
    item.append(button);
    legend.append(item);
  });
}

if (select) select.onchange = () => { alone = null; fillLegend(); plane.redraw(); };
find.oninput = () => {
  const word = find.value.trim().toLowerCase();
  matches = word ? new Set(texts.flatMap((text, i) => text.includes(word) ? [i] : [])) : null;
  found.textContent = word ? `${matches.size.toLocaleString()} found` : "";
  plane.redraw();
};
document.getElementById("reset").onclick = () => {
  alone = null; matches = null; find.value = ""; found.textContent = "";
  fillLegend();
  plane.whole();
};
fillLegend();

