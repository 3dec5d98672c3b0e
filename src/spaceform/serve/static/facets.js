// Facets: ticks, ranges and words. The server says which parts of the filter they stand for; a change swaps that part.
import { $, count, make } from "./dom.js";

const quoted = text => `'${text.replaceAll("'", "''")}'`;

export function drawFacets(answer, change) {
  const held = document.activeElement?.dataset?.key;
  const without = name => answer.parts.filter(part => part.facet !== name).map(part => part.text);
  const replace = (name, condition) => change([...without(name), ...(condition ? [condition] : [])].join(" AND "));
  $("facets").replaceChildren(...answer.facets.map(facet => drawers[facet.shape](facet, replace)));
  if (held) document.querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
}

const drawers = {
  values(facet, replace) {
    const most = Math.max(1, ...facet.values.map(value => value.count));
    const write = () => {
      const chosen = [...box.querySelectorAll("input:checked")].map(input => input.value);
      if (!chosen.length) return replace(facet.name, "");
      if (facet.kind === "list of texts")
        return replace(facet.name, chosen.length > 1 ? `${facet.written} CONTAINS ANY (${chosen.join(", ")})` : `${facet.written} CONTAINS ${chosen[0]}`);
      replace(facet.name, chosen.length > 1 ? `${facet.written} IN (${chosen.join(", ")})` : `${facet.written} = ${chosen[0]}`);
    };
    const rows = facet.values.map(value => make("label", { className: value.count ? "value" : "value none", title: value.value },
      make("i", { style: { width: `calc((100% - 26px) * ${value.count / most})` } }),
      make("input", { type: "checkbox", value: value.literal, checked: value.chosen, "data-key": `${facet.name}=${value.literal}`, on: { change: write } }),
      make("span", { text: value.value || "(empty)" }), make("small", { text: count(value.count) })));
    const more = facet.distinct - facet.values.filter(value => value.count).length;
    const box = make("fieldset", { className: "facet" }, make("legend", {}, make("span", { text: facet.name })), ...rows,
      rows.length ? null : make("div", { className: "nothing", text: "no value left" }),
      more > 0 ? make("div", { className: "rest", text: `and ${count(more)} more` }) : null);
    return box;
  },

  range(facet, replace) {
    const most = Math.max(1, ...facet.bars), [from, to] = facet.chosen, time = facet.kind !== "number";
    const number = end => time ? Date.parse(end) : Number(end);
    const low = number(facet.low), step = (number(facet.high) - low) / facet.bars.length;
    const bars = facet.bars.map((bar, i) => {
      const out = (from !== null && low + (i + 1) * step < number(from)) || (to !== null && low + i * step > number(to));
      return make("i", { className: out ? "out" : "", style: { height: `${100 * Math.sqrt(bar / most)}%` } });
    });
    const write = () => {
      const [a, b] = ends.map(input => input.value.trim()).map(value => value && (time ? quoted(value) : value));
      const name = facet.written;
      replace(facet.name, a && b ? `${name} BETWEEN ${a} AND ${b}` : a ? `${name} >= ${a}` : b ? `${name} <= ${b}` : "");
    };
    const type = facet.kind === "date" ? "date" : facet.kind === "number" ? "number" : "text";
    const rounded = end => typeof end === "number" ? Number(end.toPrecision(6)) : end;
    const ends = [["from", from, facet.low], ["to", to, facet.high]].map(([word, value, end]) => make("input", {
      type, step: "any", value, placeholder: rounded(end), "aria-label": `${facet.name} ${word}`,
      "data-key": `${facet.name} ${word}`, on: { change: write },
    }));
    return make("fieldset", { className: "facet" }, make("legend", {}, make("span", { text: facet.name })),
      make("div", { className: "bars", "aria-hidden": "true" }, ...bars),
      make("div", { className: "ends" }, ends[0], "–", ends[1]));
  },

  words(facet, replace) {
    const write = event => {
      const text = event.target.value.trim().replace(/[\\%_]/g, " ");
      replace(facet.name, text ? `${facet.written} ILIKE ${quoted(`%${text}%`)}` : "");
    };
    return make("fieldset", { className: "facet" }, make("legend", {}, make("span", { text: facet.name })),
      make("input", { className: "words", type: "search", placeholder: "contains…", value: facet.words,
        "aria-label": `${facet.name} contains`, "data-key": `${facet.name} contains`, on: { change: write } }));
  },
};
