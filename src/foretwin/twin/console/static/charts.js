// Draws the course of a machine's life: RUL with its interval, and each channel, on one axis of time.
const FAILED = "run_ended";
const TONES = { case: "bad", maintenance: "care", event: "warn" };
const card = document.querySelector("[data-series]");
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
if (card) start();

async function start() {
  const texts = JSON.parse(card.dataset.texts);
  const said = card.querySelector("[data-said]");
  const put = charts(texts);
  await keepTrue(card.dataset.series, (series) => series.time.length && put(series), (series) => {
    said.textContent = series ? (series.time.length ? "" : texts.none) : texts.failed;
  });
}

// Draws what an address answers, again where a look at the server finds that it has changed; `tell` hears of each
// answer, and of none.
export async function keepTrue(address, draw, tell) {
  let before = "";
  let shown = null;
  const load = async () => {
    try {
      const answer = await fetch(address, { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const text = await answer.text();
      if (text !== before) draw((shown = JSON.parse(text)));
      before = text;
      tell(shown);
    } catch {
      tell(null);
    }
  };
  await load();
  document.addEventListener("looked", load);
}

// What draws series in place of those before; the part of the time that somebody chose stays chosen.
function charts(texts) {
  let drawn = [];
  let series = null;
  let width = card.clientWidth;
  const draw = () => {
    const chosen = drawn.length ? chosenTime(drawn[0]) : null;
    for (const chart of drawn) chart.destroy();
    drawn = [];
    const place = card.querySelector("[data-rul]");
    place.hidden = !series.rul;
    if (series.rul) drawn.push(rulChart(place, series, texts));
    const grid = card.querySelector("[data-channels]");
    grid?.replaceChildren();
    if (grid) for (const [name, channel] of Object.entries(series.channels)) drawn.push(channelChart(grid, name, channel, series, texts));
    if (chosen) for (const chart of drawn) chart.setScale("x", chosen);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => series && draw());
  new ResizeObserver(() => {
    if (series && Math.abs(card.clientWidth - width) > 8) {
      width = card.clientWidth;
      draw();
    }
  }).observe(card);
  return (fresh) => {
    series = fresh;
    draw();
  };
}

function chosenTime({ scales, data }) {
  const { min, max } = scales.x;
  return min > data[0][0] || max < data[0].at(-1) ? { min, max } : null;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

// A piece without a score but with readings was only not scored: the line goes on. Without readings it is a gap.
function joined(values, channels) {
  const some = Object.values(channels);
  return values.map((value, i) => (value === null && some.some((one) => one.last[i] !== null) ? undefined : value));
}

export function numbersOf(lang) {
  return (value) => (value == null ? "–" : value.toLocaleString(lang, { maximumSignificantDigits: 4 }));
}

export function axesOf(shown, unit) {
  const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
  return [{ ...axis, values: (u, all) => all.map((at) => `${shown(at)} ${unit}`), space: 70 }, { ...axis, size: 58, values: (u, all) => all.map(shown) }];
}

function common(place, height, series, texts) {
  const shown = numbersOf(texts.lang);
  return {
    width: Math.max(place.clientWidth, 200),
    height,
    shown,
    axes: axesOf(shown, series.unit),
    cursor: { sync: { key: "life" }, drag: { x: true, y: false } },
    scales: { x: { time: false } },
    hooks: { draw: [(u) => drawMarks(u, series.marks)] },
  };
}

function rulChart(place, series, texts) {
  const base = common(place, 280, series, texts);
  const value = (u, number) => `${base.shown(number)} ${series.unit}`;
  const hidden = { stroke: "transparent", width: 0, points: { show: false }, value };
  const below = series.limits.open_below;
  const newest = series.rul.value.findLastIndex((value) => value !== null);
  const failed = series.marks.find((mark) => mark.what === FAILED);
  const options = {
    ...base,
    series: [
      { label: texts.age, value },
      { ...hidden, label: texts.low },
      { ...hidden, label: texts.high },
      { label: texts.rul, stroke: colour("bar"), width: 2.5, value },
      ...(failed ? [{ label: texts.truth, stroke: colour("ink"), width: 1.5, dash: [7, 5], points: { show: false }, value }] : []),
    ],
    bands: [{ series: [2, 1], fill: colour("band") }],
    scales: { ...base.scales, y: { range: (u, low, high) => [0, Math.max(high || 1, below || 0) * 1.06] } },
    hooks: {
      draw: [...base.hooks.draw, (u) => below && drawLimit(u, below, `${texts.open} ${base.shown(below)} ${series.unit}`)],
      ready: [(u) => newest < 0 || u.setLegend({ idx: newest })], // what it says until a pointer asks for another time
    },
  };
  const data = [series.time, ...["low", "high", "value"].map((name) => joined(series.rul[name], series.channels))];
  if (failed) data.push(series.time.map((at) => Math.min(Math.max(failed.time - at, 0), series.limits.cap))); // above it none are told apart
  return new uPlot(options, data, place);
}

function channelChart(grid, name, channel, series, texts) {
  const place = document.createElement("div");
  place.className = "chart";
  const head = document.createElement("h4");
  const more = document.createElement("span");
  more.textContent = ` ${texts.units[channel.unit] ?? channel.unit}, ${texts.limits} ${channel.limits[0]} – ${channel.limits[1]}`;
  if (channel.trained) more.textContent += `, ${texts.trained} ${channel.trained[0]} – ${channel.trained[1]}`;
  head.append(name.replaceAll("_", " "), more);
  place.append(head);
  grid.append(place);
  const base = common(place, 150, series, texts);
  const options = {
    ...base,
    legend: { show: false },
    series: [
      {},
      { stroke: "transparent", points: { show: false } },
      { stroke: "transparent", points: { show: false } },
      { stroke: colour("bar"), width: 1.5, points: { show: false } },
    ],
    bands: [{ series: [2, 1], fill: colour("band") }],
    hooks: {
      draw: [
        ...base.hooks.draw,
        (u) => channel.limits.forEach((limit) => drawLimit(u, limit, "")),
        (u) => channel.trained?.forEach((end) => drawLimit(u, end, "", "faint")),
      ],
    },
  };
  return new uPlot(options, [series.time, channel.min, channel.max, channel.last], place);
}

function drawLimit(u, value, said, tone = "limit") {
  if (value < u.scales.y.min || value > u.scales.y.max) return;
  const y = u.valToPos(value, "y", true);
  line(u, [u.bbox.left, y], [u.bbox.left + u.bbox.width, y], colour(tone), [6, 5]);
  label(u, said, u.bbox.left + 8, y - 6, colour(tone));
}

function drawMarks(u, marks) {
  for (const mark of marks) {
    const x = u.valToPos(mark.time, "x", true);
    if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
    const tone = colour(TONES[mark.kind]);
    line(u, [x, u.bbox.top], [x, u.bbox.top + u.bbox.height], tone, mark.kind === "case" ? [] : [2, 3]);
    if (u.height > 200) label(u, signOf(mark), x + 4, u.bbox.top + 14 * devicePixelRatio, tone);
  }
}

function signOf(mark) {
  if (mark.kind === "case") return `▲ ${mark.case}`;
  if (mark.kind === "event") return `! ${mark.what}`;
  return mark.what === FAILED ? "✕" : "◆";
}

function line(u, from, to, stroke, dash) {
  const pen = u.ctx;
  pen.save();
  pen.strokeStyle = stroke;
  pen.lineWidth = devicePixelRatio;
  pen.setLineDash(dash.map((one) => one * devicePixelRatio));
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
  pen.restore();
}

function label(u, text, x, y, fill) {
  const pen = u.ctx;
  pen.save();
  pen.fillStyle = fill;
  pen.textAlign = "left";
  pen.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
  pen.fillText(text, x, y);
  pen.restore();
}
