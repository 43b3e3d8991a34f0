// The map of the pool: one point per text, drawn by WebGL. Pointing at it fetches the text.
"use strict";

const PALETTE = ["#2563eb", "#d97706", "#059669", "#db2777", "#7c3aed", "#65a30d", "#0891b2", "#dc2626", "#a16207", "#4f46e5",
  "#0d9488", "#c026d3", "#ea580c", "#16a34a", "#9333ea", "#0284c7", "#e11d48", "#84cc16", "#b45309", "#6366f1"];
const UNKNOWN = "#8a94a6";
const STATES = ["open", "held out", "queue", "labeled", "skipped", "taken"];
const CONTROLS = { responsive: true, displaylogo: false, scrollZoom: true, showSendToCloud: false,
  modeBarButtonsToRemove: ["toImage", "zoom2d", "pan2d", "select2d", "lasso2d", "autoScale2d"] };
const SIZES = { open: 5, "held out": 5, queue: 9, labeled: 7, skipped: 5, taken: 5 };

const map = document.getElementById("map"), by = document.getElementById("by"), caption = document.getElementById("text");
const words = JSON.parse(map.dataset.words), texts = new Map();
let found = null, wanted = null, marked = null; // marked: the row that the buttons step to

// Plotly draws tags in names, links among them.
const plain = (name) => name.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function group(name, rows, color, sizes) {
  return {
    type: "scattergl", mode: "markers", name: name,
    x: rows.map((i) => found.x[i]), y: rows.map((i) => found.y[i]), customdata: rows.map((i) => found.tasks[i]),
    marker: { color: color, size: rows.map((i) => sizes[found.state[i]]), opacity: 0.75, line: { width: 0 } },
    hoverinfo: "none",
  };
}

function groups() {
  const all = found.tasks.map((_, i) => i);
  if (by.value === "uncertainty") {
    const known = all.filter((i) => found.uncertainty[i] !== null);
    const trace = group(words.uncertainty, known, known.map((i) => found.uncertainty[i]), SIZES);
    trace.marker = { ...trace.marker, colorscale: "Viridis", showscale: true, colorbar: { title: { text: words.uncertainty }, thickness: 12 } };
    return [group(words.unknown, all.filter((i) => found.uncertainty[i] === null), UNKNOWN, SIZES), trace];
  }
  if (by.value === "state") {
    return STATES.map((state, n) => group(words[state], all.filter((i) => found.state[i] === state), [UNKNOWN, "#7c3aed", "#d97706", "#2563eb", "#db2777", "#059669"][n], SIZES));
  }
  const classes = found[by.value];
  return [group(words.unknown, all.filter((i) => classes[i] < 0), UNKNOWN, SIZES),
    ...found.classes.map((name, n) => group(plain(name), all.filter((i) => classes[i] === n), PALETTE[n % PALETTE.length], SIZES))];
}

// A ring around the text that the buttons step to.
function mark() {
  return { type: "scattergl", mode: "markers", x: [found.x[marked]], y: [found.y[marked]], showlegend: false, hoverinfo: "skip",
    marker: { symbol: "circle-open", size: 18, color: color("--ink"), line: { width: 3 } } };
}

function draw() {
  const hidden = { showgrid: false, zeroline: false, showline: false, showticklabels: false, fixedrange: false };
  const layout = themed({ xaxis: hidden, yaxis: hidden, hovermode: "closest", dragmode: "pan", showlegend: by.value !== "uncertainty",
    legend: { itemsizing: "constant", orientation: "h", y: 0, yanchor: "top" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: color("--quiet"), activecolor: color("--first") }, margin: { l: 8, r: 8, t: 8, b: 8 } });
  const traces = groups().filter((each) => each.x.length);
  return Plotly.react(map, marked === null ? traces : [...traces, mark()], layout, CONTROLS);
}

function describe(task) {
  const line = (name, value) => (value ? `${name}: ${value}` : "");
  const predictions = Object.entries(task.says).map(([name, each]) => line(name, each.value && each.confidence !== null
    ? `${each.value} (${Math.round(100 * each.confidence)} %)` : each.value));
  const given = Object.entries(task.labels).map(([name, value]) => line(`${words.labeled}, ${name}`, value));
  caption.replaceChildren(task.text, document.createElement("br"), [...given, ...predictions].filter(Boolean).join(" · "));
}

async function show(task) {
  wanted = task;
  const link = document.getElementById("open");
  if (!texts.has(task)) {
    await new Promise((resolve) => setTimeout(resolve, 80)); // skip points that the pointer only crosses
    if (wanted !== task) return;
    try {
      const answer = await fetch(map.dataset.task.replace(/0$/, task));
      if (!answer.ok) throw new Error(answer.status);
      texts.set(task, await answer.json());
    } catch {
      caption.textContent = words.away;
      return;
    }
  }
  if (wanted !== task) return; // the pointer is at another point by now
  describe(texts.get(task));
  if (link) {
    link.href = map.dataset.open + task;
    link.hidden = false;
  }
}

// Steps through the texts with the buttons, least certain first.
function walk() {
  const order = found.tasks.map((_, i) => i).sort((a, b) => (found.uncertainty[b] ?? -1) - (found.uncertainty[a] ?? -1));
  let place = -1;
  const go = (by) => {
    place = Math.max(0, Math.min(order.length - 1, place + by));
    marked = order[place];
    draw();
    show(found.tasks[marked]);
  };
  document.getElementById("next").addEventListener("click", () => go(1));
  document.getElementById("previous").addEventListener("click", () => go(-1));
}

async function start() {
  const shown = document.getElementById("shown");
  try {
    const answer = await fetch(map.dataset.url);
    if (!answer.ok) throw new Error(answer.status);
    found = await answer.json();
  } catch {
    shown.textContent = words.away;
    return;
  }
  if (!found.tasks.length) {
    shown.textContent = words.none;
    return;
  }
  shown.textContent = (found.tasks.length < found.all ? words.shown : words.every).replace("{n}", found.tasks.length.toLocaleString()).replace("{all}", found.all.toLocaleString());
  if (found.predicted.every((each) => each < 0)) by.value = "state";
  await plotly;
  await draw();
  map.dataset.drawn = "1";
  map.on("plotly_hover", (event) => show(event.points[0].customdata));
  map.on("plotly_click", (event) => show(event.points[0].customdata)); // for touch screens
  walk();
  by.addEventListener("change", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
}

document.addEventListener("DOMContentLoaded", start);
