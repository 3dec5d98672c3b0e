// Elements are made here and nowhere else: text is always text, never markup.
export const $ = id => document.getElementById(id);

export function make(tag, options = {}, ...children) {
  const { className, text, on = {}, style = {}, ...attributes } = options;
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, value);
  for (const [name, heard] of Object.entries(on)) element.addEventListener(name, heard);
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

export const count = n => n.toLocaleString("en");

export const milliseconds = ms => ms < .01 ? "0.01 ms" : ms < 10 ? `${ms.toPrecision(2)} ms` : `${Math.round(ms)} ms`;

export function shown(value) {
  if (value === null || value === undefined) return "–";
  if (Array.isArray(value)) return value.join(", ");
  if (value === true || value === false) return value ? "yes" : "no";
  return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(4))) : String(value);
}

export function picture(row, version, alt = "") {
  const image = make("img", { src: `/api/pictures/${row}?v=${version}`, alt, loading: "lazy", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(make("span", { className: "lost", text: "no picture" })));
  return image;
}
