// Draws the charts, which the page holds as JSON, in the colours of the style sheet. Redraws when the scheme changes.
"use strict";

// Plotly is large: load it after the page is rendered and usable.
const plotly = new Promise((resolve, reject) => {
  document.addEventListener("DOMContentLoaded", () => requestAnimationFrame(() => setTimeout(() => {
    const script = document.createElement("script");
    script.src = document.getElementById("plotly").href;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  })));
});

const CONFIG = { displayModeBar: false, responsive: true };

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// Replaces each "var(--name)" in a chart by that colour of the style sheet.
function painted(value) {
  if (typeof value === "string") return value.replace(/^var\((--[\w-]+)\)$/, (_, name) => color(name));
  if (Array.isArray(value)) return value.map(painted);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v)]));
  return value;
}

function themed(layout) {
  const axis = { gridcolor: color("--line"), zerolinecolor: color("--line"), linecolor: color("--line"), fixedrange: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: color("--ink"), family: "system-ui, sans-serif", size: 13 },
    hoverlabel: { bgcolor: color("--card"), font: { color: color("--ink") }, bordercolor: color("--line") },
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

function forget(within) {
  within.querySelectorAll(".plot").forEach((each) => window.Plotly?.purge(each));
}

async function drawAll(within) {
  await plotly;
  for (const figure of within.querySelectorAll("figure.chart > script")) {
    const spec = painted(JSON.parse(figure.textContent));
    Plotly.react(figure.parentElement.querySelector(".plot"), spec.data, themed(spec.layout), CONFIG);
  }
}

document.addEventListener("DOMContentLoaded", () => drawAll(document));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll(document));
