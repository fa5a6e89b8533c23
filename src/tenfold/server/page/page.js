// The page's script: the form becomes a request, what came back stands beside the fields, the ten answers stay live.
"use strict";
const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const facts = JSON.parse(find("#facts").textContent);
const base = location.pathname.replace(/\/+$/, ""); // relative to the page, so that it works behind a proxy's prefix, too
const fields = all(".field");
const form = find("#try");
const raw = find("#raw");
let typing = "form"; // or "json"
let language = "curl"; // or "python"

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// JSON as a tree of Maps, arrays and {literal}: a number keeps the digits that were typed, which a JavaScript number
// would not (64-bit ids).
function parse(text) {
  return JSON.parse(text, (key, value, context) => {
    if (Array.isArray(value)) return value;
    if (value !== null && typeof value === "object") return new Map(Object.entries(value));
    return { literal: (typeof value === "number" && context?.source) || JSON.stringify(value) };
  });
}

function write(node, words = {}, indent = "") {
  const deeper = indent + "  ";
  if (Array.isArray(node)) {
    const items = node.map((item) => write(item, words, deeper));
    return node.every((item) => "literal" in item) ? `[${items.join(", ")}]` : `[\n${deeper}${items.join(`,\n${deeper}`)}\n${indent}]`;
  }
  if (!(node instanceof Map)) return words[node.literal] ?? node.shown ?? node.literal;
  const lines = [...node].map(([key, value]) => `${deeper}${JSON.stringify(key)}: ${write(value, words, deeper)}`);
  return lines.length ? `{\n${lines.join(",\n")}\n${indent}}` : "{}";
}

const plain = (node) => (node?.literal === undefined ? write(node) : node.literal.startsWith('"') ? JSON.parse(node.literal) : node.literal);
const tokens = (pointer) => pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));

// ---- the form: one value per field, absent where it is empty
const NUMBER = /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/;
const number = (text) => (NUMBER.test(text) ? text : JSON.stringify(text));

function list(text, numbers) {
  if (text.startsWith("[")) {
    try { return parse(text); } catch { return { literal: JSON.stringify(text) }; }
  }
  const literal = (item) => (numbers && !["true", "false"].includes(item) ? number(item) : numbers ? item : JSON.stringify(item));
  return text.split(",").map((item) => ({ literal: literal(item.trim()) }));
}

function valueOf(field) {
  const input = find("input, select, textarea", field);
  const kind = field.dataset.kind;
  if (kind === "image") return field.picture && { literal: JSON.stringify(field.picture.base64), shown: `"(base64 of ${field.picture.name})"` };
  if (kind === "flag") return { literal: String(input.checked) };
  const text = input.value.trim();
  if (text === "") return undefined;
  if (kind === "number") return { literal: number(text) };
  if (kind === "choice") return { literal: text };
  if (kind === "numbers" || kind === "texts") return list(text, kind === "numbers");
  return { literal: JSON.stringify(input.value) };
}

function rowOf() {
  const row = new Map();
  for (const field of fields) {
    const value = valueOf(field);
    if (value === undefined) continue;
    const path = tokens(field.dataset.pointer);
    let place = row;
    for (const part of path.slice(0, -1)) {
      if (!place.has(part)) place.set(part, new Map());
      place = place.get(part);
    }
    place.set(path.at(-1), value);
  }
  return row;
}

function fill(row) {
  for (const field of fields) {
    let value = row;
    for (const part of tokens(field.dataset.pointer)) value = value instanceof Map ? value.get(part) : undefined;
    if (field.dataset.kind === "image") {
      if (value?.literal?.startsWith('"')) decoded(field, plain(value));
      continue;
    }
    const input = find("input, select, textarea", field);
    if (field.dataset.kind === "flag") input.checked = value?.literal === "true";
    else if (value === undefined || value.literal === "null") input.value = "";
    else input.value = field.dataset.kind === "choice" ? value.literal : plain(value);
  }
}

// ---- the request: the picture itself where the contract is one picture, JSON otherwise
function requestOf() {
  if (typing === "json") return { type: "application/json", body: raw.value, shown: raw.value };
  const picture = facts.picture && fields.find((field) => field.dataset.kind === "image").picture;
  if (picture && rowOf().size === 1) return { type: picture.blob.type || "application/octet-stream", body: picture.blob, file: picture.name };
  const row = rowOf();
  const shown = write(row);
  const exact = (node) => (node instanceof Map ? new Map([...node].map(([key, value]) => [key, exact(value)])) : Array.isArray(node) ? node : { literal: node.literal });
  return { type: "application/json", body: write(exact(row)), shown, row };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const address = () => location.origin + base + "/predict";

function curl(request) {
  const data = request.file ? `--data-binary ${quoted("@" + request.file)}` : `-d ${quoted(request.shown)}`;
  return `curl ${quoted(address())} \\\n  -H 'Content-Type: ${request.type}' \\\n  ${data}`;
}

function python(request) {
  let body = `open(${JSON.stringify(request.file ?? "")}, "rb").read()`;
  let row = "";
  if (!request.file) {
    let tree = request.row;
    try { tree ??= parse(request.shown); } catch { return "# the body is not valid JSON"; }
    row = `row = ${write(tree, { true: "True", false: "False", null: "None" })}\n`;
    body = "json.dumps(row).encode()";
  }
  return `import json
from urllib.error import HTTPError
from urllib.request import Request, urlopen

${row}request = Request(
    ${JSON.stringify(address())},
    data=${body},
    headers={"Content-Type": "${request.type}"},
)
try:
    with urlopen(request) as response:
        print(json.load(response))
except HTTPError as problem:  # every reason, by field
    print(json.load(problem))
`;
}

function refresh() {
  const request = requestOf();
  find("#snippet").textContent = language === "curl" ? curl(request) : python(request);
}

// ---- the answer
function clearNotes() {
  for (const field of fields) {
    delete field.dataset.note;
    find(".note", field).hidden = true;
    find("input, select, textarea", field).removeAttribute("aria-invalid");
  }
}

function fieldAt(pointer) {
  const fits = (field) => pointer === field.dataset.pointer || pointer?.startsWith(field.dataset.pointer + "/");
  return fields.find(fits);
}

function note(pointer, kind, text) {
  const field = fieldAt(pointer);
  if (!field || (field.dataset.note === "error" && kind !== "error")) return field;
  const line = find(".note", field);
  line.textContent = field.dataset.note === kind ? `${line.textContent}; ${text}` : text;
  line.hidden = false;
  field.dataset.note = kind;
  if (kind === "error") find("input, select, textarea", field).setAttribute("aria-invalid", "true");
  return field;
}

function remark(text, code, field) {
  const where = field ? make("a", { href: "#" + find("input, select, textarea", field).id, textContent: text }) : make("span", { textContent: text });
  if (field) where.addEventListener("click", (event) => { event.preventDefault(); show("form"); find("input, select, textarea", field).focus(); });
  return make("li", {}, where, make("code", { textContent: code }));
}

const named = (pointer) => tokens(pointer ?? "").join(".") || "the row";
const ofRow = (item, many) => (many ? `row ${item.get("row")?.literal}: ` : "");

function remarks(answer, many) {
  const groups = [];
  const add = (key, kind, line) => {
    const items = (answer.get(key) ?? []).map((item) => {
      const text = line(item);
      const pointer = item.has("pointer") ? plain(item.get("pointer")) : null;
      const field = many ? undefined : note(pointer === "null" ? null : pointer, kind, text);
      return remark(ofRow(item, many) + (kind === "error" ? text : `${named(pointer === "null" ? "" : pointer)}: ${text}`), plain(item.get("code")), field);
    });
    if (items.length) groups.push(make("ul", { className: "list" }, ...items));
  };
  add("errors", "error", (item) => plain(item.get("detail") ?? item.get("code")));
  add("changes", "change", (item) => `changed to ${plain(item.get("value"))} (${plain(item.get("action"))})`);
  add("flags", "flag", (item) => "answered, and flagged");
  return groups;
}

function ratio(value) {
  const short = Number(value.toPrecision(4));
  if (short === 1 && value < 1) return "> 0.9999"; // nearly certain is not certain
  return value > 0 && value < 0.0001 ? "< 0.0001" : String(short);
}

function outputs(output) {
  const list = make("dl", { className: "outputs" });
  [...output].forEach(([name, value], place) => {
    const known = facts.output.find((field) => field.wire === name);
    const shown = make("dd", { textContent: plain(value) + (known?.unit ? ` ${known.unit}` : "") });
    if (known?.ratio && NUMBER.test(value.literal)) {
      const bar = make("i");
      bar.style.width = `${Math.max(0, Math.min(1, Number(value.literal))) * 100}%`;
      shown.textContent = ratio(Number(value.literal));
      shown.title = value.literal;
      shown.append(make("div", { className: "meter", ariaHidden: "true" }, bar));
    }
    list.append(make("div", { className: place === 0 ? "first" : "" }, make("dt", { textContent: name }), shown));
  });
  return list;
}

function manyOutputs(answer) {
  const rows = answer.get("outputs").slice(0, 100).map((output, row) =>
    make("tr", {}, make("td", { textContent: row }), make("td", { textContent: output instanceof Map ? [...output].map(([name, value]) => `${name} ${plain(value)}`).join(", ") : "refused" })));
  const words = `${plain(answer.get("answered"))} answered, ${plain(answer.get("refused"))} refused`;
  return make("div", {}, make("p", { className: "verdict", textContent: words }), make("table", { className: "rows" }, make("tbody", {}, ...rows)));
}

const shortly = (ms) => `${ms < 0.1 ? ms.toFixed(3) : ms < 10 ? ms.toFixed(2) : ms.toFixed(0)} ms`;

function timing(header, took) {
  const stages = (header ?? "").split(",").map((part) => part.trim().match(/^([\w-]+).*?;\s*dur=([\d.]+)/)).filter(Boolean).map((match) => [match[1], Number(match[2])]);
  const box = make("div", { className: "timing" });
  const sum = stages.reduce((total, stage) => total + stage[1], 0);
  box.append(make("p", { textContent: (sum > 0 ? `${shortly(sum)} in the service, ` : "") + `${shortly(took)} there and back, seen from this browser` }));
  if (sum > 0) {
    const track = stages.map(([, ms], place) => { const bar = make("i", { className: `t${place % 6}` }); bar.style.flexGrow = ms / sum; return bar; });
    box.append(make("div", { className: "track", ariaHidden: "true" }, ...track));
    box.append(make("ul", {}, ...stages.map(([name, ms], place) => make("li", { className: `t${place % 6}`, textContent: `${name} ${shortly(ms)}` }))));
  }
  return box;
}

function headline(response, answer) {
  const status = find("#status");
  const fine = response.ok && !answer?.get?.("errors")?.length;
  const state = fine ? "met" : response.ok ? "open" : "broken";
  Object.assign(status, { hidden: false, textContent: response.status });
  status.dataset.state = state;
  return status;
}

function present(response, text, took) {
  const panel = find("#answer");
  let answer;
  try { answer = parse(text); } catch { answer = undefined; }
  const parts = [];
  headline(response, answer);
  if (answer instanceof Map) {
    if (answer.get("output") instanceof Map) parts.push(outputs(answer.get("output")));
    if (answer.has("outputs")) parts.push(manyOutputs(answer));
    if (!response.ok) parts.push(make("p", { className: "verdict", textContent: answer.has("title") ? plain(answer.get("title")) : "Refused" }));
    if (answer.has("fallback")) parts.push(make("p", { className: "soft", textContent: `The service's fallback answer, because ${plain(answer.get("fallback").get("because"))}.` }));
    const reasons = remarks(answer, answer.has("outputs") || raw.value.trim().startsWith("[") && typing === "json");
    if (!response.ok && !reasons.length && answer.has("detail")) parts.push(make("p", { className: "soft", textContent: plain(answer.get("detail")) }));
    parts.push(...reasons);
  }
  parts.push(timing(response.headers.get("Server-Timing"), took));
  parts.push(make("details", {}, make("summary", { textContent: "The whole answer" }), make("pre", { textContent: answer ? write(answer) : text, tabIndex: 0 })));
  panel.replaceChildren(...parts);
}

async function send() {
  const button = find("#send");
  clearNotes();
  button.setAttribute("aria-busy", "true");
  const request = requestOf();
  const start = performance.now();
  try {
    const response = await fetch(base + "/predict", { method: "POST", headers: { "Content-Type": request.type }, body: request.body });
    const text = await response.text();
    present(response, text, performance.now() - start);
  } catch {
    find("#status").hidden = true;
    find("#answer").replaceChildren(make("p", { textContent: "The service cannot be reached from here. Is it still running?" }));
  }
  button.removeAttribute("aria-busy");
}

// ---- buttons, pictures, keys
function show(which) {
  if (which === typing) return;
  if (which === "json") raw.value = write(rowOf());
  else {
    try { const tree = parse(raw.value); if (tree instanceof Map) fill(tree); } catch { /* the form keeps what it had */ }
  }
  typing = which;
  find("#fields").hidden = which === "json";
  raw.hidden = which !== "json";
  press("[data-typing]", "typing", which);
  refresh();
}

function press(selector, key, value) {
  for (const button of all(selector)) button.setAttribute("aria-pressed", String(button.dataset[key] === value));
}

const SIGNATURES = { iVBOR: "png", "/9j/": "jpeg", UklGR: "webp", R0lG: "gif", Qk: "bmp" }; // of formats, as base64

function decoded(field, base64) {
  const kind = SIGNATURES[Object.keys(SIGNATURES).find((start) => base64.startsWith(start))] ?? "png";
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  choose(field, new Blob([bytes], { type: `image/${kind}` }), `example.${kind}`);
}

async function choose(field, blob, name) {
  const bytes = new Uint8Array(await blob.arrayBuffer());
  let binary = "";
  for (let at = 0; at < bytes.length; at += 32768) binary += String.fromCharCode(...bytes.subarray(at, at + 32768));
  field.picture = { blob, name, base64: btoa(binary) };
  const image = find("img", field);
  image.onload = () => image.classList.toggle("tiny", image.naturalWidth < 96);
  image.onerror = () => { image.hidden = true; };
  image.hidden = false;
  image.src = `data:${blob.type || "image/png"};base64,${field.picture.base64}`;
  find(".name", field).textContent = `${name}, ${bytes.length.toLocaleString("en")} bytes`;
  refresh();
}

function example() {
  clearNotes();
  fill(parse(find("#example").textContent));
  if (typing === "json") raw.value = write(rowOf());
  refresh();
}

function empty() {
  clearNotes();
  for (const field of fields) {
    field.picture = undefined;
    const image = find("img", field);
    if (image) { image.hidden = true; find(".name", field).textContent = ""; }
  }
  fill(new Map());
  raw.value = "{}";
  refresh();
}

for (const field of fields.filter((each) => each.dataset.kind === "image")) {
  const drop = find(".drop", field);
  find("input", field).addEventListener("change", (event) => { const file = event.target.files[0]; if (file) choose(field, file, file.name); });
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) choose(field, file, file.name);
  });
}
form.addEventListener("submit", (event) => { event.preventDefault(); send(); });
form.addEventListener("input", refresh);
form.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.metaKey || event.ctrlKey)) { event.preventDefault(); send(); } });
find("#restore").addEventListener("click", example);
find("#clear").addEventListener("click", empty);
for (const button of all("[data-typing]")) button.addEventListener("click", () => show(button.dataset.typing));
for (const button of all("[data-language]")) button.addEventListener("click", () => { language = button.dataset.language; press("[data-language]", "language", language); refresh(); });
find("#copy").addEventListener("click", async (event) => {
  const button = event.currentTarget;
  try { await navigator.clipboard.writeText(find("#snippet").textContent); button.textContent = "Copied"; }
  catch { getSelection().selectAllChildren(find("#snippet")); button.textContent = "Selected"; }
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});

// ---- the ten answers, as they are now
function answered(answer) {
  for (const place of all(`[data-n="${answer.n}"]`)) place.dataset.state = answer.state;
  const row = find(`#answer-${answer.n}`);
  find(".measured", row).textContent = answer.measured.text ?? "";
  find(".live", row).textContent = answer.live.text ?? "";
  find(".state", row).textContent = answer.state;
  const why = find(".why", row);
  why.hidden = answer.state === "met";
  why.replaceChildren(answer.because, ...(answer.next ? [make("code", { textContent: answer.next })] : []));
}

async function live() {
  if (document.hidden) return;
  try {
    const response = await fetch(base + "/answers", { headers: { Accept: "application/json" } });
    const sheet = await response.json();
    sheet.answers.forEach(answered);
    const count = (state) => sheet.answers.filter((answer) => answer.state === state).length;
    find("#tally").replaceChildren(make("b", { textContent: `${count("met")} met` }), `, ${count("open")} open, ${count("broken")} broken`);
    find("#release").textContent = `Release ${sheet.release.slice(0, 7)}.`;
  } catch { find("#tally").textContent = "the answers cannot be reached"; }
}

document.documentElement.classList.add("js");
example();
live();
setInterval(live, 5000);
document.addEventListener("visibilitychange", live);
