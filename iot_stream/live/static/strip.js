// The pipeline in flow order, and what failed in it.

const number = new Intl.NumberFormat("en");
const rate = (value) => (value === undefined ? "–" : value < 10 ? value.toFixed(1) : number.format(Math.round(value)));
const span = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : ms < 60000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60000)} min`);
const total = (value, word) => (value === undefined || value === null ? "" : `${number.format(value)} ${word}`);

// One step of the flow: its name, and from the pipeline's state its figure, unit and second line.
const STEPS = [
  ["Send", ({ counts, per_second }) => [rate(per_second.sent), "/s", total(counts.sent, "sent")]],
  ["Ingest", ({ counts }) => [known(counts.pending), "waiting", typeof counts.lag_ms !== "number" ? "" : `oldest ${span(counts.lag_ms)}`]],
  ["Transform", ({ counts, per_second }) => [rate(per_second.transformed), "/s", total(counts.transformed, "transformed")]],
  ["Deliver", ({ counts, per_second }) => [rate(per_second.delivered), "/s", total(counts.delivered, "delivered")]],
  ["Index", ({ counts }) => [known(counts.searchable), "", "searchable"]],
  ["Watch", ({ delay }) => [delay ? span(delay.p50_ms) : "–", "p50", delay ? `p99 ${span(delay.p99_ms)}` : "nothing new"]],
];
const WAITS_MS = 5000;
const HINTS = {
  Ingest: "Records taken from the stream that are not yet indexed, and the age of the oldest",
  Watch: "Median time from a reading's device time until it is searchable, over the last minute",
};

function utc(ms) {
  const at = new Date(ms ?? NaN);
  return Number.isNaN(at.getTime()) ? "" : at.toISOString().slice(0, 19).replace("T", " ");
}

function known(value) {
  return value === undefined || value === null ? "–" : number.format(value);
}

export function makeStrip(list) {
  for (const [name] of STEPS) {
    const step = document.createElement("li");
    step.className = "step";
    step.dataset.step = name;
    if (HINTS[name]) step.title = HINTS[name];
    step.innerHTML = '<span class="name"></span><span class="value"><b></b> <span></span></span><span class="more"></span>';
    step.querySelector(".name").textContent = name;
    list.append(step);
  }
}

// Return what blocks the pipeline, or an empty text.
export function troubleOf({ counts, trouble }) {
  if (trouble) return trouble;
  if (counts.delivering === false) return "The delivery worker is not running: records wait in the stream.";
  const waits = counts.pending > 0 && counts.lag_ms > WAITS_MS;
  return waits && counts.last_error ? `Delivery is waiting. Last error: ${counts.last_error}` : "";
}

export function updateStrip(list, failedButton, state) {
  for (const [name, figures] of STEPS) {
    const step = list.querySelector(`[data-step="${name}"]`);
    const [value, unit, more] = figures(state);
    step.querySelector("b").textContent = value;
    step.querySelector(".value span").textContent = unit;
    step.querySelector(".more").textContent = more;
  }
  const failed = state.counts.failed; // undefined until it is known
  const resolved = failed > 0 && state.counts.unresolved === false;
  failedButton.toggleAttribute("data-some", failed > 0 && !resolved);
  failedButton.querySelector("[data-value]").textContent = failed === undefined ? "–" : number.format(failed);
  const more = resolved ? "all resolved" : failed ? "see why" : failed === 0 ? "none" : "";
  failedButton.querySelector("[data-more]").textContent = more;
}

// Show why the function failed records in the last hour.
export function showReasons(holder, reasons) {
  holder.hidden = !reasons.length;
  const parts = reasons.map(({ reason, field, records }) => `${reason}${field ? ` (${field})` : ""}: ${number.format(records)}`);
  holder.textContent = `Reasons given by the function in the last hour: ${parts.join(" · ")}`;
}

// Show only the failures whose row has a text; return the command that replays those, as far as their code tells.
export function filterFailures(holder, text) {
  const codes = new Set();
  const rows = [...holder.querySelectorAll("tbody tr")];
  for (const row of rows) {
    row.hidden = !row.textContent.toLowerCase().includes(text.trim().toLowerCase());
    if (!row.hidden) codes.add(row.dataset.code);
  }
  const all = rows.every((row) => !row.hidden) || codes.size !== 1;
  return `iot-stream failures replay${all ? "" : ` --code ${quoted([...codes][0])}`}`;
}

// A code is what stands in the bucket: quoted for a shell unless it is as AWS's are.
function quoted(text) {
  return /^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

// Fill the dialog with the newest failures; a record is fetched when its button is pressed.
export function showFailures(holder, failures, fetchPayload) {
  if (!failures.length) {
    holder.replaceChildren(Object.assign(document.createElement("p"), { textContent: "Nothing has failed." }));
    return;
  }
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  for (const title of ["Arrived (UTC)", "At", "Why", "Tries", "Record"]) {
    head.append(Object.assign(document.createElement("th"), { textContent: title, scope: "col" }));
  }
  const body = table.createTBody();
  for (const failure of failures) {
    const row = body.insertRow();
    row.dataset.code = failure.code;
    row.insertCell().textContent = utc(failure.arrived_ms);
    row.insertCell().textContent = failure.step;
    const why = row.insertCell();
    why.append(Object.assign(document.createElement("strong"), { textContent: failure.code }), ` ${failure.message}`);
    row.insertCell().textContent = failure.attempts ?? "";
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Show" });
    button.addEventListener("click", async () => {
      const text = await fetchPayload(failure).catch((error) => error.message);
      button.replaceWith(Object.assign(document.createElement("pre"), { textContent: text }));
    });
    row.insertCell().append(button);
  }
  holder.replaceChildren(table);
}
