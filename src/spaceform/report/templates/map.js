"use strict";
(() => {
  const data = JSON.parse(document.getElementById("points").textContent);
  const canvas = document.getElementById("canvas"), pen = canvas.getContext("2d");
  const tip = document.getElementById("tip"), legend = document.getElementById("legend");
  const select = document.getElementById("colour"), find = document.getElementById("find");
  const found = document.getElementById("found");
  const maps = data.maps, n = maps[0].x.length, GREY = "#8d96a6", NEAR = 14;
  const texts = data.names.map((name, i) =>
    [name, ...Object.values(data.texts).map(column => column[i])].join(" ").toLowerCase());
  const PICTURES_FROM = 5;
  const sheet = new Image(), side = 48;
  if (data.cells.length) {
    sheet.onload = () => redraw();
    sheet.src = getComputedStyle(tip.querySelector(".pic")).backgroundImage.slice(5, -2);
  }
  let view = { x: 0, y: 0, scale: 1 }, hovered = -1, alone = null, matches = null, size = { w: 1, h: 1 }, queued = false;

  const colouring = () => data.colours[select ? select.value : ""];
  const colourOf = code => code < 0 ? GREY : data.palette[code % data.palette.length];
  // the two axes mean nothing by themselves, so a wide canvas may stretch the map
  const panel = () => size.w / maps.length;  // maps stand side by side, and move together
  const stretch = () => Math.max(1, Math.min(1.7, panel() / size.h));
  const unit = () => Math.min(panel(), size.h) / 21000 * view.scale;
  const screenX = (i, m) => panel() * (m + .5) + (maps[m].x[i] - view.x) * unit() * stretch();
  const screenY = (i, m) => size.h / 2 - (maps[m].y[i] - view.y) * unit();
  const lit = i => (alone === null || colouring().codes[i] === alone) && (matches === null || matches.has(i));

  function draw() {
    queued = false;
    const ratio = window.devicePixelRatio || 1;
    const box = canvas.getBoundingClientRect();
    size = { w: box.width, h: box.height };
    if (canvas.width !== Math.round(size.w * ratio) || canvas.height !== Math.round(size.h * ratio)) {
      canvas.width = Math.round(size.w * ratio);
      canvas.height = Math.round(size.h * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, size.w, size.h);
    const codes = colouring() ? colouring().codes : null;
    const radius = Math.min(7, Math.max(1.6, 60 / Math.sqrt(n)) * Math.sqrt(view.scale));
    const pictured = view.scale >= PICTURES_FROM && sheet.complete && sheet.naturalWidth > 0;
    const shown = Math.min(side, 10 + 2.2 * view.scale);
    for (let m = 0; m < maps.length; m++) {
    pen.save();
    pen.beginPath();
    pen.rect(panel() * m, 0, panel(), size.h);
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
        pen.beginPath();
        pen.arc(x, y, radius, 0, 6.2832);
        pen.fill();
      }
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = pen.fillStyle = getComputedStyle(document.body).color;
    if (hovered >= 0) {
      pen.lineWidth = 2;
      pen.beginPath();
      pen.arc(screenX(hovered, m), screenY(hovered, m), radius + 3, 0, 6.2832);
      pen.stroke();
    }
    if (maps[m].title) {
      pen.font = "600 15px system-ui, sans-serif";
      pen.fillText(maps[m].title, panel() * m + 14, 26);
      if (m) pen.fillRect(panel() * m, 0, .5, size.h);
    }
    pen.restore();
    }
  }
  const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };

  const under = x => Math.max(0, Math.min(maps.length - 1, Math.floor(x / panel())));

  function nearest(x, y) {
    let best = -1, least = NEAR * NEAR;
    const m = under(x);
    for (let i = 0; i < n; i++) {
      if (!lit(i)) continue;
      const d = (screenX(i, m) - x) ** 2 + (screenY(i, m) - y) ** 2;
      if (d < least) { least = d; best = i; }
    }
    return best;
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
      const x = screenX(i, m), y = screenY(i, m);
      tip.style.left = `${Math.max(4, Math.min(x + 16, size.w - tip.offsetWidth - 8))}px`;
      tip.style.top = `${Math.max(4, Math.min(y + 16, size.h - tip.offsetHeight - 8))}px`;
    }
    redraw();
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
      button.onclick = () => { alone = alone === code ? null : code; fillLegend(); redraw(); };
      const item = document.createElement("li");
      item.append(button);
      legend.append(item);
    });
  }

  function zoom(factor, x, y) {
    const before = unit(), scale = Math.min(200, Math.max(.5, view.scale * factor));
    view.scale = scale;
    const after = unit();
    view.x += (x - panel() * (under(x) + .5)) * (1 / before - 1 / after) / stretch();
    view.y -= (y - size.h / 2) * (1 / before - 1 / after);
    redraw();
  }

  let drag = null;
  const at = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", event => { drag = at(event); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointerup", () => { drag = null; });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { if (!drag) show(-1); });
  canvas.addEventListener("pointermove", event => {
    const [x, y] = at(event);
    if (drag) {
      view.x -= (x - drag[0]) / unit() / stretch();
      view.y += (y - drag[1]) / unit();
      drag = [x, y];
      show(-1);
    } else show(nearest(x, y), under(x));
  });
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * .0015), ...at(event));
  }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const step = 60 / unit(), moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] };
    if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; redraw(); }
    else if (event.key === "+" || event.key === "=") zoom(1.3, panel() / 2, size.h / 2);
    else if (event.key === "-") zoom(1 / 1.3, panel() / 2, size.h / 2);
    else return;
    event.preventDefault();
  });
  if (select) select.onchange = () => { alone = null; fillLegend(); redraw(); };
  find.oninput = () => {
    const word = find.value.trim().toLowerCase();
    matches = word ? new Set(texts.flatMap((text, i) => text.includes(word) ? [i] : [])) : null;
    found.textContent = word ? `${matches.size.toLocaleString()} found` : "";
    redraw();
  };
  document.getElementById("reset").onclick = () => {
    view = { x: 0, y: 0, scale: 1 }; alone = null; matches = null; find.value = ""; found.textContent = "";
    fillLegend(); redraw();
  };
  new ResizeObserver(redraw).observe(canvas);
  fillLegend();
  redraw();
})();
