// The leaderboard: DataTables sorts within the blocks and filters, two ticks make a comparison, and the plots show
// one block at a time.
"use strict";
const named = (name) => `${name}:name`;
const board = new DataTable("#board", {
  paging: rows.length > 200, pageLength: 200, order: [], info: true, autoWidth: false,
  orderFixed: { pre: [[1, "asc"]] }, rowGroup: { dataSrc: 0 },
  columns: [...document.querySelectorAll("#board thead th")].map((head) => ({
    name: head.dataset.name ?? "", visible: !("hidden" in head.dataset), orderable: !("plain" in head.dataset),
  })),
  layout: { topStart: null, topEnd: "search", bottomStart: "info", bottomEnd: rows.length > 200 ? "paging" : null },
  language: { search: "Search", zeroRecords: "No row fits these filters" },
});
const exactly = (text) => (text ? `^${text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$` : "");
const shown = () => board.rows({ search: "applied" }).indexes().toArray().map((i) => rows[i]);

for (const select of document.querySelectorAll("#filters select")) {
  select.addEventListener("change", () => {
    board.column(named(select.dataset.column)).search(exactly(select.value), true, false).draw();
  });
}

// With an order of the blocks, DataTables tells a screen reader nothing of the column that was chosen.
function tellOrder() {
  const chosen = new Map(board.order());
  board.columns().every(function () {
    const way = { asc: "ascending", desc: "descending" }[chosen.get(this.index())];
    if (way) this.header().setAttribute("aria-sort", way); else this.header().removeAttribute("aria-sort");
  });
}

// ---- two ticked rows ------------------------------------------------------------------------------

const ticked = [];
const answer = document.getElementById("ticked");
board.on("change", "input[type=checkbox]", ({ target }) => {
  if (!target.checked) ticked.splice(ticked.indexOf(target), 1);
  else if (ticked.push(target) > 2) ticked.shift().checked = false; // the oldest tick goes
  const [a, b] = ticked.map((box) => rows[Number(box.value)]);
  const link = document.createElement("a");
  link.textContent = b ? `Compare ${a.title} with ${b.title}` : "";
  if (b) link.href = `compare.html?${new URLSearchParams({ a: a.page, b: b.page })}`;
  answer.replaceChildren(b ? link : a ? `${a.title} is ticked. Tick a second row.` : "Tick two rows to compare them.");
});
for (const box of document.querySelectorAll("#board input:checked")) box.checked = false; // as a browser may restore them

// ---- what accuracy costs --------------------------------------------------------------------------

const axes = {
  flops: { title: "FLOPs removed, %", better: 1 },
  hours: { title: "training hours, everything included", better: -1 },
};
const methods = [...new Set(rows.map((row) => row.method))];
const blocks = document.getElementById("block");

// The rows that no other row beats on both axes.
function front(points, x, better) {
  const best = [];
  for (const point of [...points].sort((a, b) => better * (b[x] - a[x]) || b.top1 - a.top1)) {
    if (!best.length || point.top1 > best.at(-1).top1) best.push(point);
  }
  return best;
}

function tradeOff(x, { title, better }) {
  const points = shown().filter((row) => row.block === blocks.value);
  const traces = methods.flatMap((method, i) => {
    const mine = points.filter((row) => row.method === method);
    const { colour, symbol } = look(i);
    const marker = { color: colour, symbol, size: 10 };
    const measured = {
      name: method, type: "scatter", mode: "markers", marker, x: mine.map((row) => row[x]), y: mine.map((row) => row.top1),
      error_y: { type: "data", array: mine.map((row) => row.sd ?? 0), visible: true, color: colour, thickness: 1.5 },
      customdata: mine.map((row) => row.page), hovertemplate: "%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
      text: mine.map((row) => `${row.title}, ${row.removed}, n = ${row.seeds.length}${row.shared ? ", hours shared" : ""}<br>${row.devices.join(", ")}`),
    };
    const papers = x === "flops" ? mine.flatMap((row) => row.reported.map((each) => ({ ...each, page: row.page }))) : [];
    const reported = {
      name: `${method}, reported`, type: "scatter", mode: "markers", marker: { ...marker, symbol: `${symbol}-open` },
      x: papers.map((each) => each.flops), y: papers.map((each) => each.top1), customdata: papers.map((each) => each.page),
      text: papers.map((each) => each.where), hovertemplate: "%{text}<br>%{y:.2f} % at %{x:.4g}<extra></extra>",
    };
    return [measured, reported].filter((trace) => trace.x.length);
  });
  const comparable = points.filter((row) => !row.unlike && !(x === "hours" && row.shared));
  const line = front(comparable, x, better);
  if (line.length > 1) {
    traces.unshift({
      name: "not beaten on both", type: "scatter", mode: "lines", x: line.map((row) => row[x]), y: line.map((row) => row.top1),
      line: { color: css("--quiet"), dash: "dash", width: 1.5 }, hoverinfo: "skip",
    });
  }
  return { traces, form: layout(title, "top-1 accuracy, %") };
}

// The blocks that the filters leave; the chosen one stays chosen if it is among them.
function offer() {
  const left = [...new Set(shown().map((row) => row.block))];
  const chosen = left.includes(blocks.value) ? blocks.value : left[0];
  blocks.replaceChildren(...left.map((block) => new Option(block, block, false, block === chosen)));
}

function redraw() {
  const machines = new Set(shown().filter((row) => row.block === blocks.value).flatMap((row) => row.devices));
  document.getElementById("devices").textContent = [...machines].join("; ") || "none shown";
  for (const [x, axis] of Object.entries(axes)) draw(document.getElementById(x), () => tradeOff(x, axis));
}

offer();
redraw();
board.on("draw", () => { tellOrder(); offer(); redraw(); });
blocks.addEventListener("change", redraw);
for (const x of Object.keys(axes)) {
  document.getElementById(x).on("plotly_click", (event) => {
    const page = event.points[0].customdata;
    if (page) location.href = page;
  });
}
