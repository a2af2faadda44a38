// The leaderboard: DataTables sorts and searches, the selects filter, the plots show the rows that are left.
"use strict";
const board = new DataTable("#board", {
  paging: points.length > 100, pageLength: 100, order: [], info: true, autoWidth: false,
  layout: { topStart: null, topEnd: "search", bottomStart: "info", bottomEnd: points.length > 100 ? "paging" : null },
  language: { search: "Search", zeroRecords: "No row fits these filters" },
});
const heads = [...document.querySelectorAll("#board thead th")].map((head) => head.textContent.trim());
const exactly = (text) => (text ? `^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$` : "");

for (const select of document.querySelectorAll("#filters select")) {
  select.addEventListener("change", () => {
    board.column(heads.indexOf(select.dataset.column)).search(exactly(select.value), true, false).draw();
  });
}

const methods = [...new Set(points.map((point) => point.method))];
const shown = () => board.rows({ search: "applied" }).indexes().toArray().map((i) => points[i]);

function front(rows, x) {
  const best = [];
  for (const point of [...rows].sort((a, b) => a[x] - b[x] || b.top1 - a.top1)) {
    if (!best.length || point.top1 > best.at(-1).top1) best.push(point);
  }
  return best;
}

function tradeOff(x, title, more) {
  const rows = shown().filter((point) => point[x] > 0);
  const traces = methods.flatMap((method, i) => {
    const mine = rows.filter((point) => point.method === method);
    if (!mine.length) return [];
    const { colour, symbol } = look(i);
    return [{
      name: method, type: "scatter", mode: "markers", x: mine.map((p) => p[x]), y: mine.map((p) => p.top1),
      error_y: { type: "data", array: mine.map((p) => p.sd ?? 0), visible: true, color: colour, thickness: 1.5 },
      marker: { color: colour, symbol, size: 10 }, customdata: mine.map((p) => p.page),
      text: mine.map((p) => `${p.method}, ${p.removed} ${p.kind}<br>${p.model}, ${p.data}<br>${p.track}, n = ${p.n}<br>${p.devices.join(", ")}`),
      hovertemplate: `%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>`,
    }];
  });
  const line = front(rows.filter((point) => !point.unlike), x);
  if (line.length > 1) {
    traces.unshift({
      name: "not beaten on both", type: "scatter", mode: "lines", x: line.map((p) => p[x]), y: line.map((p) => p.top1),
      line: { color: css("--quiet"), dash: "dash", width: 1.5 }, hoverinfo: "skip",
    });
  }
  return { traces, form: layout(title, "top-1 accuracy, %", more) };
}

const axes = { macs: ["MACs left, %", {}], hours: ["training hours, everything included", {}] };
function redraw() {
  document.getElementById("devices").textContent = [...new Set(shown().flatMap((point) => point.devices))].join("; ") || "none shown";
  for (const [x, [title, more]] of Object.entries(axes)) draw(document.getElementById(x), () => tradeOff(x, title, more));
}
redraw();
board.on("draw", redraw);
for (const x of Object.keys(axes)) {
  document.getElementById(x).on("plotly_click", (event) => {
    const page = event.points[0].customdata;
    if (page) location.href = page;
  });
}
