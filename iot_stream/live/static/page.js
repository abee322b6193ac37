// The page: the choices, the refreshes, and where the responses go. The choices are kept in the address.

import { Fleet } from "./fleet.js";
import { Panels } from "./panels.js";
import { visible, written } from "./values.js";
import { filterFailures, makeStrip, showFailures, showReasons, troubleOf, updateStrip } from "./strip.js";

const element = (id) => document.getElementById(id);
const STRIP_MS = 1000;
const REFRESH = /^[1-9]\d{3,8}$/; // whole milliseconds, a second at least; the server and the timer take nine digits
const FAILURES = 100; // a page
const MOST_FAILURES = 1000;

const chosen = { from: "", refresh: 0, paused: false, filters: new Map() };
let dashboard;
let panels;
let fleet;
let timer;
let pending;
let latest = 0;

start().catch((error) => say("trouble", error.message));

async function start() {
  dashboard = await get("/api/dashboard");
  document.title = element("title").textContent = dashboard.title;
  readAddress();
  panels = new Panels(element("panels"), dashboard.panels, toggleFilter);
  fleet = new Fleet(get, () => chosen.from, dashboard);
  window.panels = panels; // for tests and the curious
  makeStrip(element("flow"));
  listen();
  await setTheme(localStorage.getItem("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
  await refresh();
  watchStrip();
  setInterval(showAge, 1000);
}

function readAddress() {
  const address = new URLSearchParams(location.search);
  chosen.from = address.get("from") || dashboard.time_from;
  chosen.refresh = REFRESH.test(address.get("refresh")) ? Number(address.get("refresh")) : dashboard.refresh_ms;
  for (const { field, is_text: isText } of dashboard.filters) {
    const values = address.getAll(field).filter((value) => isText || value.trim()); // only a text can be empty
    chosen.filters.set(field, new Set(values));
  }
  select(element("range"), chosen.from);
  select(element("refresh"), String(chosen.refresh));
}

function select(list, value) {
  if (![...list.options].some((option) => option.value === value)) list.add(new Option(value, value));
  list.value = value;
}

function query() {
  const parameters = new URLSearchParams({ from: chosen.from });
  for (const [field, values] of chosen.filters) for (const value of values) parameters.append(field, value);
  return parameters;
}

function listen() {
  element("range").addEventListener("change", ({ target }) => choose(() => (chosen.from = target.value)));
  element("refresh").addEventListener("change", ({ target }) => choose(() => (chosen.refresh = Number(target.value))));
  element("pause").addEventListener("click", () => {
    chosen.paused = !chosen.paused;
    element("pause").setAttribute("aria-pressed", chosen.paused);
    element("pause").textContent = chosen.paused ? "Resume" : "Pause";
    if (chosen.paused) {
      clearTimeout(timer);
      pending?.abort();
      say("paused", "Paused");
    } else {
      refresh();
    }
  });
  element("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    localStorage.setItem("theme", theme);
    setTheme(theme);
  });
  element("failed").addEventListener("click", async () => {
    element("failures").showModal();
    try {
      await listFailures(FAILURES);
    } catch (error) {
      element("failures-list").textContent = error.message;
    }
  });
  element("failures-more").addEventListener("click", () => listFailures(Number(element("failures-more").value)));
  element("failures-filter").addEventListener("input", narrowFailures);
  document.addEventListener("visibilitychange", () => !document.hidden && !chosen.paused && refresh());
}

async function listFailures(limit) {
  const { failures, reasons } = await get(`/api/failures?${new URLSearchParams({ limit })}`);
  showReasons(element("reasons"), reasons);
  showFailures(element("failures-list"), failures, payload);
  narrowFailures();
  element("failures-more").hidden = failures.length < limit || limit >= MOST_FAILURES;
  element("failures-more").value = limit + FAILURES;
}

function narrowFailures() {
  const command = filterFailures(element("failures-list"), element("failures-filter").value);
  element("failures-replay").textContent = command;
}

function choose(change) {
  change();
  const address = query();
  address.set("refresh", chosen.refresh);
  history.replaceState(null, "", `?${address}`);
  refresh();
}

function toggleFilter(field, value) {
  choose(() => {
    const values = chosen.filters.get(field);
    if (!values.delete(value)) values.add(value);
  });
}

async function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  element("theme").textContent = theme === "dark" ? "Light" : "Dark";
  await panels.draw(theme);
  await fleet.setTheme();
}

// One refresh at a time: a newer one cancels an older one.
async function refresh() {
  clearTimeout(timer);
  pending?.abort();
  const mine = (pending = new AbortController());
  try {
    const asked = query();
    asked.set("refresh", chosen.refresh); // what another viewer asked for within that time will do
    const response = await get(`/api/data?${asked}`, mine.signal);
    await panels.update(response.panels);
    showLatest(response.latest);
    showFilters(response.choices);
    showEmptiness(response);
    await fleet.update();
    latest = response.at;
    showAge();
    if (chosen.paused) say("paused", "Paused");
    else say("live", "Live");
  } catch (error) {
    if (error.name === "AbortError") return;
    say("trouble", "No response");
    notice(error.message);
  }
  if (!chosen.paused && mine === pending && !document.hidden) timer = setTimeout(refresh, chosen.refresh);
}

async function watchStrip() {
  if (!chosen.paused && !document.hidden) {
    try {
      const state = await get("/api/pipeline");
      updateStrip(element("flow"), element("failed"), state);
      const trouble = troubleOf(state);
      setText(element("trouble"), trouble === element("notice").textContent ? "" : trouble);
    } catch {
      // the page's own refresh shows what is wrong
    }
  }
  setTimeout(watchStrip, STRIP_MS);
}

async function get(path, signal) {
  let response;
  try {
    response = await fetch(path, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    const gone = new Error("The live page's server does not respond: is `iot-stream` still running?");
    throw Object.assign(gone, { name: "Gone" });
  }
  const content = await response.json();
  if (!response.ok) throw new Error(content.error ?? `${path}: HTTP ${response.status}`);
  return content;
}

async function payload({ key, line }) {
  return (await get(`/api/failures/payload?${new URLSearchParams({ key, line })}`)).payload;
}

function say(state, text) {
  if (element("state").dataset.state === state) return;
  element("state").dataset.state = state;
  element("state-text").textContent = text;
}

function showAge() {
  element("updated").textContent = latest ? `updated ${Math.round((Date.now() - latest) / 1000)} s ago` : "";
}

function notice(text, kind = "alert") {
  element("notice").dataset.kind = kind;
  setText(element("notice"), text && text === element("trouble").textContent ? "" : text); // not the same twice
}

function setText(line, text) {
  line.hidden = !text;
  if (line.textContent !== text) line.textContent = text;
}

function showEmptiness(response) {
  const filtered = [...chosen.filters.values()].some((values) => values.size);
  const none = "No readings yet (or every index is closed). Send some, for example: iot-stream send --rate 100";
  if (!response.has_index) notice(none, "calm");
  else if (!response.latest.length) notice(`No readings in this range${filtered ? " with these filters" : ""}.`, "calm");
  else notice("");
}

function showFilters(choices) {
  for (const { field, label } of dashboard.filters) {
    const values = chosen.filters.get(field);
    const options = choices[field].map(String).filter((value) => value && !values.has(value));
    const input = element(`choose-${field}`) ?? addChooser(field, label);
    input.placeholder = values.size ? "add one" : "all";
    const wanted = JSON.stringify(options);
    if (input.dataset.options === wanted) continue;
    input.dataset.options = wanted;
    input.list.replaceChildren(...options.map((value) => new Option(value, value)));
  }
  const chips = [...chosen.filters].flatMap(([field, values]) => [...values].map((value) => [field, value]));
  const wanted = JSON.stringify(chips);
  if (element("chips").dataset.shown === wanted) return; // the focus stays where it is
  element("chips").dataset.shown = wanted;
  element("chips").replaceChildren(...chips.map(([field, value]) => chip(field, value)));
}

// An input with suggestions, not a list: a closed list chooses at every arrow key.
function addChooser(field, label) {
  const wrapper = Object.assign(document.createElement("label"), { textContent: label });
  const list = Object.assign(document.createElement("datalist"), { id: `choices-${field}` });
  const input = Object.assign(document.createElement("input"), { id: `choose-${field}`, autocomplete: "off" });
  input.setAttribute("list", list.id);
  const isSuggested = () => JSON.parse(input.dataset.options).includes(input.value);
  const take = () => {
    toggleFilter(field, isSuggested() ? input.value : input.value.trim()); // a suggestion's own blanks count
    input.value = "";
  };
  const takeSuggestion = () => isSuggested() && take();
  input.addEventListener("change", takeSuggestion); // leaving the field
  input.addEventListener("input", ({ inputType }) => inputType === "insertReplacementText" && takeSuggestion());
  input.addEventListener("keydown", ({ key }) => key === "Enter" && (input.value.trim() || isSuggested()) && take()); // the suggestions are not all
  wrapper.append(input, list);
  element("choices").append(wrapper);
  return input;
}

function chip(field, value) {
  const label = dashboard.filters.find((entry) => entry.field === field).label;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${label} ${visible(value)} ×` });
  button.setAttribute("aria-label", `Remove filter ${label} ${visible(value)}`);
  button.addEventListener("click", () => toggleFilter(field, value));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function showLatest(readings) {
  const columns = Object.keys(dashboard.latest.headings);
  element("latest-title").textContent = dashboard.latest.title;
  if (!element("latest-head").rows.length) {
    const head = element("latest-head").insertRow();
    for (const [column, name] of Object.entries(dashboard.latest.headings)) {
      head.append(Object.assign(document.createElement("th"), { textContent: name, scope: "col", title: column }));
    }
  }
  element("latest-body").replaceChildren(
    ...readings.map((reading) => {
      const row = document.createElement("tr");
      for (const column of columns) row.insertCell().textContent = written(reading[column]);
      return row;
    }),
  );
}
