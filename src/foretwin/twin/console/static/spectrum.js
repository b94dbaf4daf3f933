// Draws the spectra of a machine's newest kept snapshot of waveforms.
import { axesOf, colour, keepTrue, numbersOf } from "./charts.js";

const place = document.querySelector("[data-spectrum]");
if (place) start();

function start() {
  const texts = JSON.parse(place.dataset.texts);
  const said = place.querySelector("[data-said]");
  const grid = place.querySelector("[data-spectra]");
  let drawn = [];
  const put = ({ waveforms }) => {
    for (const chart of drawn) chart.destroy();
    grid.replaceChildren();
    drawn = Object.entries(waveforms).map(([name, wave]) => chartOf(grid, name, wave, texts));
  };
  keepTrue(place.dataset.spectrum, put, (spectra) => {
    said.textContent = spectra ? (Object.keys(spectra.waveforms).length ? "" : texts.none) : texts.failed;
  });
}

function chartOf(grid, name, wave, texts) {
  const box = document.createElement("div");
  box.className = "chart";
  const head = document.createElement("h4");
  head.textContent = `${name.replaceAll("_", " ")}, ${wave.unit}`;
  box.append(head);
  grid.append(box);
  const shown = numbersOf(texts.lang);
  return new uPlot(
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
