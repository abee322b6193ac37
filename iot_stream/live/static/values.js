// How a value of a document is written on the page.

// A text as it can be seen: an empty or blank one stands in quotation marks.
export function visible(text) {
  return String(text).trim() ? String(text) : JSON.stringify(String(text));
}

// Points as people write them, other objects as JSON; nothing for what is absent. An object's own text is "[object Object]".
export function written(value) {
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  const { lat, lon, ...rest } = value;
  const isPoint = lat !== undefined && lon !== undefined && !Object.keys(rest).length;
  return isPoint ? `${lat}, ${lon}` : JSON.stringify(value);
}
