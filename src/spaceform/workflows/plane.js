// Points on a canvas that is dragged, zoomed and pointed at: the map of the reports and that of the server.
const NEAR = 14;

// panels stand side by side and move together; heard: paint(pen, size), point(x, y) and leave() for the pointer,
// pick(x, y) for a click. span is what the shorter side shows at scale 1, widest how far a wide panel stretches it.
export function makePlane(canvas, { span, widest, panels = 1, step = 40, faster = 1.4, heard }) {
  const pen = canvas.getContext("2d");
  let view = { x: 0, y: 0, scale: 1 }, size = { w: 1, h: 1 }, queued = false, drag = null;

  const panel = () => size.w / panels;
  // the two axes mean nothing by themselves, so a wide canvas may stretch the map
  const stretch = () => Math.max(1, Math.min(widest, panel() / size.h));
  const unit = () => Math.min(panel(), size.h) / span * view.scale;
  const screenX = (x, m = 0) => panel() * (m + .5) + (x - view.x) * unit() * stretch();
  const screenY = y => size.h / 2 - (y - view.y) * unit();
  const under = x => Math.max(0, Math.min(panels - 1, Math.floor(x / panel())));

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
    heard.paint(pen, size);
  }
  const redraw = () => { if (!queued) { queued = true; requestAnimationFrame(draw); } };

  function circle(x, y, radius) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 6.2832);
  }

  // The point of n nearest to a place on the screen, or -1; weight(i) shortens ways, 0 or false leaves a point out.
  function nearest(x, y, n, place, weight) {
    let best = -1, least = NEAR * NEAR;
    for (let i = 0; i < n; i++) {
      const share = Number(weight(i));
      if (!share) continue;
      const [px, py] = place(i), d = ((px - x) ** 2 + (py - y) ** 2) / share;
      if (d < least) { least = d; best = i; }
    }
    return best;
  }

  function beside(tip, x, y) {
    tip.style.left = `${Math.max(4, Math.min(x + 14, size.w - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 14 + tip.offsetHeight > size.h ? Math.max(4, y - tip.offsetHeight - 10) : y + 14}px`;
  }

  function zoom(factor, x, y) {
    const before = unit();
    view.scale = Math.min(200, Math.max(.5, view.scale * factor));
    view.x += (x - panel() * (under(x) + .5)) * (1 / before - 1 / unit()) / stretch();
    view.y -= (y - size.h / 2) * (1 / before - 1 / unit());
    redraw();
  }

  function look(x, y, scale) { view = { x, y, scale }; redraw(); }
  const whole = () => look(0, 0, 1);

  const at = event => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  canvas.addEventListener("pointerdown", event => { drag = { from: at(event), moved: false }; canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", event => {
    const [x, y] = at(event);
    if (!drag) return heard.point(x, y);
    if (!drag.moved && Math.hypot(x - drag.from[0], y - drag.from[1]) < 4) return;
    view.x -= (x - drag.from[0]) / unit() / stretch();
    view.y += (y - drag.from[1]) / unit();
    drag = { from: [x, y], moved: true };
    heard.leave();
    redraw();
  });
  canvas.addEventListener("pointerup", event => {
    const still = drag && !drag.moved;
    drag = null;
    if (still) heard.pick?.(...at(event));
  });
  canvas.addEventListener("pointercancel", () => { drag = null; });
  canvas.addEventListener("pointerleave", () => { if (!drag) heard.leave(); });
  canvas.addEventListener("wheel", event => { event.preventDefault(); zoom(Math.exp(-event.deltaY * .0015), ...at(event)); }, { passive: false });
  canvas.addEventListener("keydown", event => {
    const far = step / unit(), moves = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] };
    if (moves[event.key]) { view.x += moves[event.key][0]; view.y += moves[event.key][1]; redraw(); }
    else if (event.key === "+" || event.key === "=") zoom(faster, panel() / 2, size.h / 2);
    else if (event.key === "-") zoom(1 / faster, panel() / 2, size.h / 2);
    else if (event.key === "0") whole();
    else return;
    event.preventDefault();
  });
  new ResizeObserver(redraw).observe(canvas);

  return { pen, panel, under, screenX, screenY, circle, nearest, beside, redraw, look, whole, scale: () => view.scale };
}
