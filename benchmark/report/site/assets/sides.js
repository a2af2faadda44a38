// The side file of a run, as the store packs it: curves, journal, and the right answers as bits.
"use strict";
const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

async function unpack(content) {
  const stream = new Blob([bytesOf(window.sides[content])]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

// A page opened from disk may load scripts and nothing else.
function load(content) {
  return new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = `data/${content}.js`;
    script.onload = () => done(unpack(content));
    script.onerror = () => failed(new Error(`data/${content}.js is not there`));
    document.head.append(script);
  });
}
