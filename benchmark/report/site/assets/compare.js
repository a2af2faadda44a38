// Two rows side by side: what `prunebench compare` says, computed here from the runs of both.
"use strict";
const place = document.getElementById("comparison");
const asked = new URLSearchParams(location.search);
const sides = ["a", "b"].map((side) => rows.find((row) => row.page === asked.get(side)));
const signed = (value) => `${value < 0 ? "-" : "+"}${Math.abs(value).toFixed(2)}`;
const short = (value) => (value >= 0.001 ? value.toPrecision(2) : value.toExponential(1));

function add(tag, text, where = place) {
  const element = document.createElement(tag);
  element.textContent = text;
  where.append(element);
  return element;
}

function reason(a, b) {
  for (const [what, of] of [["data set", "data"], ["model", "model"], ["target", "target"], ["recipe", "recipe"]]) {
    if (a[of] !== b[of]) return `another ${what}`;
  }
  const differs = CONDITIONS.filter((_, i) => a.conditions[i] !== b.conditions[i]);
  return differs.length ? `other ${differs.join(", ")}` : "";
}

function overSeeds(a, b) {
  const of = new Map(b.seeds.map(([seed, top1]) => [seed, top1]));
  const both = a.seeds.filter(([seed]) => of.has(seed));
  if (both.length > 1) {
    const found = statistics.paired(both.map(([, top1]) => top1), both.map(([seed]) => of.get(seed)));
    return { ...found, how: "paired by seed", n: [both.length, both.length] };
  }
  const [left, right] = [a, b].map((row) => row.seeds.map(([, top1]) => top1));
  const n = [left.length, right.length];
  if (Math.min(...n) > 1) return { ...statistics.welch(left, right), how: "Welch, seeds not paired", n };
  return { difference: statistics.mean(left) - statistics.mean(right), how: "one seed has no spread", n };
}

function difference(a, b) {
  const { difference, low, high, p, spread, how, n } = overSeeds(a, b);
  const interval = low === undefined ? "" : ` (${signed(low)} to ${signed(high)})`;
  const chance = p === undefined || Number.isNaN(p) ? "" : `, p = ${short(p)}`;
  const big = add("p", `${signed(difference)} points${interval}${chance}`);
  big.className = "big";
  big.id = "difference";
  big.dataset.values = JSON.stringify({ difference, low, high, p });
  add("p", `${a.title} minus ${b.title}, top-1 accuracy, 95 % interval; ${how}, ${n[0]} and ${n[1]} seeds.`);
  const more = p >= 0.05 ? statistics.wanted(difference, spread) - Math.min(...n) : 0;
  if (more > 0) add("p", `About ${more} more seeds of each would decide a difference of this size.`);
}

function costs(a, b) {
  const box = add("div", "");
  box.className = "scroll";
  const table = add("table", "", box), head = add("tr", "", add("thead", "", table)), body = add("tbody", "", table);
  for (const text of ["", "Top-1 %", "FLOPs ↓ %", "Params ↓ %", "Train", "MACs to train, × dense", "Flags"]) add("th", text, head);
  for (const row of [a, b]) {
    const line = add("tr", "", body), link = add("a", row.title, add("td", "", line));
    link.href = row.page;
    for (const text of [row.accuracy, row.flops.toFixed(1), row.params.toFixed(1), row.train, row.timesMacs?.toFixed(2) ?? "", row.flags]) add("td", text, line);
  }
}

async function images(a, b) {
  const of = new Map(b.seeds.map(([seed, , content]) => [seed, content]));
  const both = a.seeds.filter(([seed]) => of.has(seed));
  const counts = { both: 0, onlyA: 0, onlyB: 0, neither: 0 };
  for (const [seed, , content] of both) {
    const found = await Promise.all([load(content), load(of.get(seed))]);
    if (!found.every((side) => side.bits)) return add("p", "These runs kept no answers image by image.");
    const [one, other] = found.map((side) => bytesOf(side.bits));
    for (let i = 0; i < a.images; i++) {
      const [x, y] = [one, other].map((bits) => (bits[i >> 3] >> (7 - (i & 7))) & 1);
      counts[x ? (y ? "both" : "onlyA") : y ? "onlyB" : "neither"] += 1;
    }
  }
  if (!both.length) return add("p", "They share no seed, so their answers are not compared image by image.");
  const p = statistics.mcnemar(counts.onlyA, counts.onlyB);
  const said = add("p", `Test images: both right ${counts.both}, only ${a.title} ${counts.onlyA}, only ${b.title} ${counts.onlyB}, neither ${counts.neither}; McNemar's p = ${short(p)} (over images of these seeds, not over trainings).`);
  said.id = "images";
  said.dataset.values = JSON.stringify({ ...counts, p });
}

async function show() {
  const [a, b] = sides;
  if (!a || !b || a === b) {
    add("p", "Tick two rows on the leaderboard to compare them here.");
  } else {
    document.getElementById("names").textContent = `${a.title} against ${b.title}`;
    add("p", `${a.model} on ${a.data}, ${a.removed} removed; ${a.track}.`);
    const why = reason(a, b);
    if (why) add("p", `They cannot be compared: ${why}.`).className = "flags";
    else {
      difference(a, b);
      costs(a, b);
      await images(a, b);
    }
  }
  place.dataset.ready = "yes";
}
show();
