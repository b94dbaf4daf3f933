// Draws the spectra of a machine's newest kept snapshot of waveforms.
import { axesOf, colour, numbersOf } from "./charts.js";

const place = document.querySelector("[data-spectrum]");
if (place) {
  start();
  document.addEventListener("looked", start);
}

async function start() {
  const answer = await fetch(place.dataset.spectrum, { headers: { accept: "application/json" } });
  if (!answer.ok) return;
  const { waveforms } = await answer.json();
  const texts = JSON.parse(place.dataset.texts);
  place.querySelector("[data-said]").textContent = Object.keys(waveforms).length ? "" : texts.none;
  const grid = place.querySelector("[data-spectra]");
  grid.replaceChildren();
  for (const [name, wave] of Object.entries(waveforms)) draw(grid, name, wave, texts);
}

function draw(grid, name, wave, texts) {
  const box = document.createElement("div");
  box.className = "chart";
  const head = document.createElement("h4");
  head.textContent = `${name.replaceAll("_", " ")}, ${wave.unit}`;
  box.append(head);
  grid.append(box);
  const shown = numbersOf(texts.lang);
  new uPlot(
    {
      width: Math.max(box.clientWidth, 200),
      height: 220,
      axes: axesOf(shown, "Hz"),
      scales: { x: { time: false } },
      legend: { show: false },
      cursor: { drag: { x: true, y: false } },
      series: [{}, { stroke: colour("bar"), width: 1.2, points: { show: false } }],
    },
    [wave.frequency, wave.amplitude],
    box,
  );
}
