// What all plots share: colours told apart with any colour vision (Okabe and Ito), and the page's own theme.
"use strict";
const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"];
const SYMBOLS = ["circle", "square", "diamond", "cross", "x", "triangle-up", "star", "triangle-down", "pentagon"];
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
const drawn = new Map(); // element -> the call that draws it, for a change of theme

const look = (i) => ({ colour: COLOURS[i % COLOURS.length], symbol: SYMBOLS[i % SYMBOLS.length], dash: DASHES[i % DASHES.length] });
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function layout(x, y, more = {}) {
  const axis = (title) => ({ title: { text: title }, gridcolor: css("--line"), zerolinecolor: css("--line"), automargin: true });
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: css("--text"), family: css("--font"), size: 13 },
    margin: { t: 20, r: 10, b: 50, l: 55 }, legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom" },
    hovermode: "closest", xaxis: axis(x), yaxis: axis(y), ...more,
  };
}

function draw(element, make) {
  drawn.set(element, make);
  const { traces, form } = make();
  return Plotly.react(element, traces, form, { responsive: true, displaylogo: false, modeBarButtons: [["toImage"]], toImageButtonOptions: { format: "svg" } });
}

addEventListener("theme", () => drawn.forEach((make, element) => draw(element, make)));
