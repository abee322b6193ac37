// What is wrong with devices, the table of all of them, and one or two of them over time.

import { embed } from "./panels.js";
import { visible, written } from "./values.js";

const number = new Intl.NumberFormat("en");
const RULES = { too_high: "too high", too_low: "too low", silent: "silent", clock_wrong: "clock wrong", pipeline_late: "delivery late" };
const MOST_CHOSEN = 2;
// As in the panels: a date at midnight, else the time.
const MOMENT =
  "utcFormat(datum.value, utcseconds(datum.value) > 0 ? '%H:%M:%S' : utchours(datum.value) + utcminutes(datum.value) > 0 ? '%H:%M' : '%b %d')";
const element = (id) => document.getElementById(id);
const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);
const readable = (text) => text.replace(/(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?Z/g, "$1 $2 UTC");
const clock = (text) => text.slice(5, 19).replace("T", " ");

export class Fleet {
  #get;
  #dashboard;
  #range;
  #order = { sort: "", order: "desc" };
  #pages = [""]; // the cursors that led here; the domain does the paging
  #chosen = [];
  #charts = [];
  #asked = 0;

  // `get(path)` fetches JSON, `range()` says what the page shows, `dashboard` is what /api/dashboard says.
  constructor(get, range, dashboard) {
    this.#get = get;
    this.#range = range;
    this.#dashboard = dashboard;
    this.#makeHead();
    element("fleet-search").addEventListener("input", () => this.#turn([""]));
    element("fleet-next").addEventListener("click", ({ target }) => this.#turn([...this.#pages, target.value]));
    element("fleet-back").addEventListener("click", () => this.#turn(this.#pages.slice(0, -1)));
  }

  // Ask for everything once; a failure is shown here and leaves the rest of the page alone. The page itself says that its
  // server is gone, as it is at the end of a run, and the table keeps what it has.
  async update() {
    try {
      await Promise.all([this.#updateAlerts(), this.#updateTable(), this.#updateCharts()]);
    } catch (error) {
      if (error.name === "Gone") throw error;
      this.#explain(error.message);
    }
  }

  async setTheme() {
    this.#forgetCharts();
    await this.#updateCharts().catch(() => {});
  }

  #turn(pages) {
    this.#pages = pages;
    return this.#updateTable().catch((error) => this.#explain(error.message));
  }

  // ---- alerts

  async #updateAlerts() {
    const { open, counts, closed, closed_total: total } = await this.#get("/api/alerts");
    const said = Object.entries(counts).map(([rule, count]) => `${number.format(count)} ${RULES[rule] ?? rule}`);
    element("alerts").hidden = !open.length && !closed.length;
    element("alerts").toggleAttribute("data-some", open.length > 0);
    element("alerts-summary").textContent = said.length ? `▲ Alerts: ${said.join(", ")}` : "No open alerts";
    if (total) element("alerts-summary").append(make("span", { className: "hint", textContent: ` · ${number.format(total)} closed` }));
    const hidden = Object.values(counts).reduce((sum, count) => sum + count, 0) - open.length;
    fill(element("alerts-open"), [...open.map(({ text }) => readable(text)), ...(hidden > 0 ? [`and ${number.format(hidden)} more`] : [])]);
    fill(element("alerts-closed"), closed.map(({ text, closed_at: at }) => `${readable(text)} (closed ${clock(at)} UTC)`));
  }

  // ---- the table

  #makeHead() {
    const { device, measures } = this.#dashboard;
    const columns = [["State", ""], [device.label, device.field], ["Last seen (UTC)", "last_seen"]];
    for (const { name, label, unit } of measures) columns.push([unit ? `${label} (${unit})` : label, name, "number"]);
    for (const [label, sort, className = ""] of columns) {
      const cell = make("th", { scope: "col", className });
      const button = make("button", { type: "button", textContent: label, className: "sort" });
      button.addEventListener("click", () => {
        const again = this.#order.sort === sort && this.#order.order === "desc";
        this.#order = { sort, order: again ? "asc" : "desc" };
        this.#turn([""]);
      });
      cell.dataset.sort = sort;
      cell.append(button);
      element("fleet-head").append(cell);
    }
  }

  async #updateTable() {
    const mine = ++this.#asked; // a response that a newer question has overtaken is dropped
    const parameters = { ...this.#order, search: element("fleet-search").value, after: this.#pages.at(-1) };
    const { rows, total, states, next } = await this.#get(`/api/fleet?${new URLSearchParams(parameters)}`);
    if (mine !== this.#asked) return;
    for (const cell of element("fleet-head").cells) {
      const sorted = cell.dataset.sort === this.#order.sort;
      if (sorted) cell.setAttribute("aria-sort", this.#order.order === "desc" ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    const counts = Object.entries(states).map(([state, count]) => `${number.format(count)} ${state}`);
    element("fleet-states").textContent = total ? `${number.format(total)}: ${counts.join(", ")}` : "";
    this.#showRows(rows);
    const searched = element("fleet-search").value;
    this.#explain(rows.length ? "" : searched ? "No device has this id." : "No devices yet: the alerts function looks once a minute.");
    element("fleet-back").disabled = this.#pages.length === 1;
    element("fleet-next").disabled = next === null;
    element("fleet-next").value = next ?? "";
  }

  #showRows(rows) {
    const columns = this.#dashboard.measures.map((measure) => [measure, formatOf(measure, rows)]);
    const focused = document.activeElement?.closest?.("#fleet-body button")?.value;
    element("fleet-body").replaceChildren(
      ...rows.map(({ device, state, last_seen: seen, values }) => {
        const row = make("tr");
        row.insertCell().append(make("span", { className: "badge", textContent: state === "ok" ? "ok" : `▲ ${state}` }));
        row.dataset.state = state;
        const button = make("button", { type: "button", value: device, textContent: visible(device), className: "device" });
        button.setAttribute("aria-pressed", this.#chosen.includes(String(device)));
        button.addEventListener("click", () => this.#choose(String(device)));
        row.insertCell().append(button);
        row.insertCell().textContent = clock(seen);
        for (const [measure, format] of columns) row.append(valueCell(measure, format, values[measure.name]));
        return row;
      }),
    );
    if (focused !== undefined) element("fleet-body").querySelector(`button[value="${CSS.escape(focused)}"]`)?.focus();
  }

  #explain(text) {
    element("fleet-empty").hidden = !text;
    element("fleet-empty").textContent = text;
  }

  // ---- one or two devices over time

  async #choose(device) {
    const others = this.#chosen.filter((each) => each !== device);
    this.#chosen = others.length < this.#chosen.length ? others : [...others, device].slice(-MOST_CHOSEN);
    for (const button of element("fleet-body").querySelectorAll("button")) {
      button.setAttribute("aria-pressed", this.#chosen.includes(button.value));
    }
    this.#forgetCharts();
    await this.#updateCharts().catch((error) => this.#explain(error.message));
  }

  #forgetCharts() {
    for (const { result } of this.#charts) result.finalize();
    this.#charts = [];
    element("fleet-charts").replaceChildren();
  }

  async #updateCharts() {
    if (!this.#chosen.length) return;
    const chosen = this.#chosen;
    const parameters = new URLSearchParams({ from: this.#range() });
    for (const device of chosen) parameters.append("device", device);
    const { from, to, rows } = await this.#get(`/api/devices?${parameters}`);
    if (chosen !== this.#chosen) return;
    if (!this.#charts.length) {
      this.#charts = await Promise.all(this.#dashboard.measures.map((measure) => this.#makeChart(measure, chosen)));
    }
    await Promise.all(
      this.#charts.map(({ measure, title, caption, result }) => {
        const { view } = result;
        const shown = rows.filter((row) => row.measure === measure.name);
        caption.textContent = shown.length ? title : `${title}: no readings in this range`;
        view.data("ends", [{ at: Date.parse(from) }, { at: Date.parse(to) }]);
        return view.data("series", shown).runAsync();
      }),
    );
  }

  async #makeChart(measure, chosen) {
    const holder = make("figure", { className: "chart" });
    const title = `${measure.label} of ${this.#dashboard.device.label.toLowerCase()}${chosen.length > 1 ? "s" : ""} ${chosen.map(visible).join(" and ")}`;
    const target = make("div", { className: "view" });
    const caption = make("figcaption", { textContent: title });
    holder.append(caption, target);
    element("fleet-charts").append(holder);
    const drawn = await embed(target, lines(measure, chosen, this.#dashboard.device.label), title);
    return { measure, title, caption, result: drawn };
  }
}

// As many decimals in each row as the most of them needs, so that the points stand below each other.
function formatOf({ name, decimals }, rows) {
  const most = new Intl.NumberFormat("en", { maximumFractionDigits: decimals + 1 });
  const needed = rows.map(({ values }) => most.format(values[name] ?? 0).split(".")[1]?.length ?? 0);
  const digits = Math.max(0, ...needed);
  return new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

// A value beyond its threshold is marked at once; the state is that of alerts, which open when it has lasted.
function valueCell({ above, below, unit }, format, value) {
  const text = typeof value === "number" ? format.format(value) : written(value);
  const cell = make("td", { className: "number", textContent: text });
  const known = typeof value === "number"; // null is below any threshold above 0
  const beyond = known && above !== null && value > above ? `above ${above}` : known && below !== null && value < below ? `below ${below}` : "";
  if (beyond) Object.assign(cell, { textContent: `▲ ${text}`, title: `${beyond}${unit ? ` ${unit}` : ""}` }).classList.add("beyond");
  return cell;
}

function fill(list, texts) {
  list.replaceChildren(...(texts.length ? texts : ["none"]).map((textContent) => make("li", { textContent })));
}

function lines(measure, chosen, label) {
  const axis = { labelExpr: MOMENT, labelSeparation: 8, labelOverlap: true, grid: false };
  const x = { field: "at", type: "temporal", title: null, scale: { type: "utc" }, axis };
  const thresholds = [measure.above, measure.below].filter((value) => value !== null).map((value) => ({ value }));
  return {
    width: "container",
    height: "container",
    autosize: { type: "fit", contains: "padding", resize: true },
    view: { stroke: null },
    data: { name: "series", values: [] },
    layer: [
      { data: { name: "ends", values: [] }, mark: { type: "point", opacity: 0 }, encoding: { x } },
      {
        transform: [{ calculate: "utcFormat(datum.at, '%b %d, %H:%M:%S')", as: "moment" }],
        mark: { type: "line", point: { size: 18 }, strokeWidth: 2 },
        encoding: {
          x,
          y: { field: "value", type: "quantitative", title: measure.unit ?? measure.label, scale: { zero: false, padding: 8 }, axis: { titleFontWeight: "normal" } },
          color: { field: "device", type: "nominal", title: null, scale: { domain: chosen, range: ["#4477AA", "#EE8866"] } },
          tooltip: [
            { field: "device", type: "nominal", title: label },
            { field: "value", type: "quantitative", title: measure.label, format: `,.${measure.decimals + 1}f` },
            { field: "moment", type: "nominal", title: "At (UTC)" },
          ],
        },
      },
      {
        data: { name: "thresholds", values: thresholds },
        mark: { type: "rule", color: "#D5472E", strokeDash: [6, 4] },
        encoding: { y: { field: "value", type: "quantitative" } },
      },
    ],
  };
}
