// The curves of one or several runs.
"use strict";
const place = document.getElementById("curves");
const runs = place.dataset.records.trim().split(/\s+/).filter(Boolean).map((pair) => pair.split(":"));

// Every kind of series a run may hold: title -> the points of one run.
function seriesOf(side) {
  const epochs = side.curves.map((point, i) => ({ ...point, epoch: i + 1 }));
  const take = (key, times = 1) => epochs.filter((p) => p[key] !== undefined).map((p) => [p.epoch, times * p[key]]);
  const found = { "accuracy on test, %": take("test"), "training loss": take("loss"), "removed, %": take("removed", 100), "MACs": take("macs"), "learning rate": take("lr") };
  for (const entry of side.journal) {
    if (entry.call !== "note") continue;
    for (const [name, value] of Object.entries(entry.result)) {
      if (typeof value === "number") (found[`noted: ${name}`] ??= []).push([entry.epoch, value]);
    }
  }
  return found;
}

// Words that were noted again and again, such as LAASP's criterion: how often each.
function choicesOf(side) {
  const counts = {};
  for (const entry of side.journal.filter((e) => e.call === "note")) {
    for (const [name, value] of Object.entries(entry.result)) {
      if (typeof value !== "string") continue;
      counts[name] ??= {};
      counts[name][value] = (counts[name][value] ?? 0) + 1;
    }
  }
  return counts;
}

const later = []; // drawn once all boxes stand: only then is their width what it will be

function figure(title, make) {
  const box = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const plot = document.createElement("div");
  caption.textContent = title;
  plot.className = "plot";
  plot.setAttribute("role", "img");
  plot.setAttribute("aria-label", title);
  box.append(caption, plot);
  place.append(box);
  later.push(() => draw(plot, make));
}

function bars(groups) {
  return groups.map(({ name, x, y }, i) => ({ type: "bar", name, x, y, marker: { color: look(i).colour } }));
}

async function show() {
  const sides = await Promise.all(runs.map(async ([content, seed]) => ({ seed, side: await unpack(content) })));
  const all = sides.map(({ seed, side }) => ({ seed, series: seriesOf(side), choices: choicesOf(side), side }));
  for (const title of new Set(all.flatMap((run) => Object.keys(run.series)))) {
    const mine = all.filter((run) => new Set((run.series[title] ?? []).map(([, y]) => y)).size > 1);
    if (!mine.length) continue;
    figure(title, () => ({
      traces: mine.map(({ seed, series }) => {
        const { colour, dash } = look(Number(seed));
        const [x, y] = [0, 1].map((part) => series[title].map((point) => point[part]));
        return { type: "scatter", mode: x.length > 1 ? "lines" : "markers", name: `seed ${seed}`, x, y, line: { color: colour, dash, width: 2 } };
      }),
      form: layout("epoch", title),
    }));
  }
  for (const name of new Set(all.flatMap((run) => Object.keys(run.choices)))) {
    const groups = all.filter((run) => run.choices[name]).map((run) => ({ name: `seed ${run.seed}`, x: Object.keys(run.choices[name]), y: Object.values(run.choices[name]) }));
    if (groups.every((group) => group.y.reduce((sum, n) => sum + n, 0) < 3)) continue;
    figure(`${name}, how often`, () => ({ traces: bars(groups), form: layout("", "times", { barmode: "group" }) }));
  }
  const cut = all.filter((run) => run.side.dense_widths);
  if (cut.length) {
    const names = Object.keys(cut[0].side.dense_widths);
    const groups = [{ name: "dense", x: names, y: names.map((name) => cut[0].side.dense_widths[name]) }];
    for (const run of cut) groups.push({ name: `seed ${run.seed}`, x: names, y: names.map((name) => run.side.kept[name]?.length ?? run.side.dense_widths[name]) });
    figure("channels left in each group", () => ({ traces: bars(groups), form: layout("", "channels", { barmode: "group" }) }));
  }
  await Promise.all(later.map((call) => call()));
  place.dataset.ready = "yes";
}
show();
