// The panels: the same specifications that OpenSearch Dashboards shows, embedded once and then given new data.

import { written } from "./values.js";

// What OpenSearch Dashboards sets under a specification for its light and dark themes.
const THEMES = {
  light: { text: "#343741", strong: "#17202a", lines: "#e3e8ee" },
  dark: { text: "#b9c4cf", strong: "#e6ebf0", lines: "#2c3640" },
};

function config(theme) {
  const { text, strong, lines } = THEMES[theme];
  const font = getComputedStyle(document.body).fontFamily;
  return {
    background: "transparent",
    font,
    title: { color: strong },
    style: {
      "guide-label": { fill: text, fontSize: 11 },
      "guide-title": { fill: strong, fontSize: 12 },
      "group-title": { fill: strong },
    },
    axis: { gridColor: lines, domainColor: lines, tickColor: lines },
  };
}

// Give each group of marks a name: screen readers meet it, and Vega-Lite has no place for one.
function named(node, title) {
  for (const mark of node.marks ?? []) {
    if (mark.type !== "group") mark.description ??= title;
    named(mark, title);
  }
  return node;
}

// Embed a specification in an element, for a theme (the page's own, unless it is given).
export async function embed(target, spec, title, theme = document.documentElement.dataset.theme, onFilter = () => null) {
  const result = await window.vegaEmbed(target, spec, {
    mode: "vega-lite",
    patch: (vega) => named(vega, title),
    ast: true, // expressions are interpreted, as in OpenSearch Dashboards: no eval, so a strict policy
    actions: false,
    defaultStyle: false,
    renderer: "svg",
    logLevel: 1, // errors; an empty axis is worth no warning
    config: config(theme),
    tooltip: showTip,
    expressionFunctions: { opensearchDashboardsAddFilter: onFilter },
  });
  result.view.cleanThreshold = 100; // how many of the replaced rows' ids Vega keeps before it forgets them
  return result;
}

export class Panels {
  #holder;
  #panels;
  #onFilter;
  #shown = [];
  #rows = {};
  #drawing = Promise.resolve();

  // `panels` is what /api/dashboard says; `onFilter(field, value)` is called when a mark is clicked.
  constructor(holder, panels, onFilter) {
    this.#holder = holder;
    this.#panels = panels;
    this.#onFilter = onFilter;
    for (const panel of panels) holder.append(figure(panel));
  }

  // Draw everything again for a theme, with the same data.
  draw(theme) {
    this.#drawing = this.#drawing.then(() => this.#draw(theme));
    return this.#drawing;
  }

  // Give each panel its response. Embedding again would take twice as long and leak.
  async update(responses) {
    await this.#drawing;
    this.#rows = responses;
    await Promise.all(this.#shown.map(({ panel, view }) => view.data(panel.data, [responses[panel.name]]).runAsync()));
    restoreTip();
  }

  view(name) {
    return this.#shown.find(({ panel }) => panel.name === name)?.view;
  }

  async #draw(theme) {
    for (const { result } of this.#shown) result.finalize();
    this.#shown = await Promise.all(
      this.#panels.map(async (panel) => {
        const { $schema: _, ...spec } = structuredClone(panel.spec); // Vega-Lite 6 would warn of v5
        Object.assign(spec, { width: "container", height: "container" });
        spec.autosize = { type: "fit", contains: "padding", resize: true }; // labels change with the data
        const rows = this.#rows[panel.name];
        if (rows) spec.data.values = [rows];
        const target = this.#holder.querySelector(`[data-name="${panel.name}"] .view`);
        try {
          const result = await embed(target, spec, panel.title, theme, (query) => this.#filter(query));
          if (spec.params?.some(({ name }) => name === "rows")) fitRows(target, result.view);
          return { panel, result, view: result.view };
        } catch (error) {
          target.textContent = `This panel can't be drawn: ${error.message}. \`iot-stream readings build\` says more.`;
          return null; // the others are
        }
      }),
    );
    this.#shown = this.#shown.filter(Boolean);
  }

  #filter(query) {
    const [[field, value]] = Object.entries(query.match_phrase);
    queueMicrotask(() => this.#onFilter(field, String(value))); // not inside Vega's own evaluation
    return null;
  }
}

// A panel that says how many rows it has is as high as they need. Vega measures its place again when the window resizes.
function fitRows(target, view) {
  const fit = (_, rows) => {
    target.style.setProperty("--rows", rows);
    dispatchEvent(new Event("resize"));
  };
  fit("rows", view.signal("rows"));
  view.addSignalListener("rows", fit);
}

function figure(panel) {
  const node = document.createElement("figure");
  node.className = "panel";
  node.dataset.name = panel.name;
  if (panel.grid.w >= 24) node.dataset.wide = "";
  for (const key of ["x", "w", "h"]) node.style.setProperty(`--${key}`, panel.grid[key]);
  const title = document.createElement("h2");
  title.textContent = panel.title;
  title.title = panel.description;
  const view = document.createElement("div");
  view.className = "view";
  node.append(title, view);
  node.setAttribute("aria-label", `${panel.title}. ${panel.description}`);
  return node;
}

let tip;
let pointer;

document.addEventListener("pointermove", (event) => event.isTrusted && (pointer = event), { passive: true });

// A refresh replaces the marks, also the one under the pointer: let Vega look again, so that a tooltip stays.
function restoreTip() {
  if (!pointer) return;
  const { clientX, clientY } = pointer;
  const mark = document.elementFromPoint(clientX, clientY);
  if (!mark?.closest(".view")) return;
  for (const type of ["pointermove", "mousemove"]) {
    mark.dispatchEvent(new PointerEvent(type, { clientX, clientY, bubbles: true, cancelable: true, view: window }));
  }
}

// A tooltip by text alone: nothing that a device sent becomes markup.
function showTip(_, event, __, value) {
  tip ??= document.body.appendChild(Object.assign(document.createElement("div"), { className: "tip" }));
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  if (typeof value === "object") {
    const table = document.createElement("table");
    for (const [name, text] of Object.entries(value)) {
      const row = table.insertRow();
      row.append(Object.assign(document.createElement("th"), { textContent: name }));
      row.insertCell().textContent = written(text);
    }
    tip.replaceChildren(table);
  } else {
    tip.textContent = value;
  }
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
  tip.style.top = `${Math.max(4, Math.min(event.clientY + 14, innerHeight - height - 8))}px`;
}
