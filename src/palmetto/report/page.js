"use strict";
// Draws every figure from the JSON above, lets step axes switch to a log scale, and fits the page to paper:
// what is folded is printed, but for the figures' data tables, which are long and lie beside the page as CSV.
const plots = JSON.parse(document.getElementById("plots").textContent);
const settings = { displayModeBar: false, responsive: true };
for (const [id, plot] of Object.entries(plots)) {
  Plotly.newPlot(id, plot.data, plot.layout, settings);
}
for (const box of document.querySelectorAll("input[data-log]")) {
  box.addEventListener("change", () => {
    for (const id of box.dataset.log.split(" ")) {
      Plotly.relayout(id, { "xaxis.type": box.checked ? "log" : "linear", "xaxis.autorange": true });
    }
  });
}
const opened = [];
addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details:not([open]):not(.data)")) { part.open = true; opened.push(part); }
  for (const id of Object.keys(plots)) { Plotly.Plots.resize(id); }
});
addEventListener("afterprint", () => {
  while (opened.length) { opened.pop().open = false; }
  for (const id of Object.keys(plots)) { Plotly.Plots.resize(id); }
});
