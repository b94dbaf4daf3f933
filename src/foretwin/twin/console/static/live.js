// Keeps an open page true: once something has happened at the server, its live pieces are fetched again.
const PAUSE = 4000; // ms between two looks: many events at once are one look
const EVERY = 30000; // ms after which it looks all the same, since a score alone is no event
const AGAIN = 5000; // ms until a lost connection is tried again
const sign = document.querySelector("[data-follows]");
const asset = sign.dataset.follows;
const texts = { live: sign.textContent, lost: sign.dataset.lost, over: sign.dataset.over };
const served = new Map(); // id of a piece -> as it came
let stream = null;
let due = 0;
let looked = Date.now();
let isWritten = false;

for (const piece of document.querySelectorAll("[data-live]")) served.set(piece.id, piece.outerHTML);
document.addEventListener("visibilitychange", () => (document.hidden ? pause() : follow()));
window.addEventListener("pagehide", pause);
document.addEventListener("input", () => (isWritten = true));
setInterval(() => document.hidden || soon(), EVERY);
follow();

// Only a page that is seen holds a connection: a browser has few of them for one server.
function pause() {
  stream?.abort();
  stream = null;
}

async function follow() {
  if (stream || document.hidden) return;
  stream = new AbortController();
  const { signal } = stream;
  let missed = Date.now() - looked > PAUSE;
  while (!signal.aborted) {
    try {
      const answer = await fetch("/events", { signal, headers: { accept: "text/event-stream" } });
      if (answer.redirected) return over();
      if (!answer.ok) throw new Error(String(answer.status));
      tell(texts.live);
      if (missed) soon();
      await read(answer.body.pipeThrough(new TextDecoderStream()).getReader());
    } catch {
      if (signal.aborted) return;
    }
    missed = true;
    tell(texts.lost);
    await new Promise((done) => setTimeout(done, AGAIN * (0.5 + Math.random())));
  }
}

async function read(reader) {
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    if (lines.some(concerns)) soon();
  }
}

function concerns(line) {
  if (!line.startsWith("data:")) return false;
  return !asset || decodeURIComponent(JSON.parse(line.slice(5)).source.split("/").pop()) === asset;
}

function tell(text) {
  sign.hidden = false;
  sign.classList.toggle("lost", text !== texts.live);
  if (sign.textContent !== text) sign.textContent = text;
}

// The session has ended: the page is asked for anew, which leads to where one signs in, unless somebody is writing.
function over() {
  if (isWritten) tell(texts.over);
  else location.reload();
}

function soon() {
  due ||= setTimeout(look, Math.max(0, looked + PAUSE - Date.now()));
}

async function look() {
  looked = Date.now();
  try {
    const answer = await fetch(present(), { headers: { accept: "text/html" } });
    if (answer.redirected) return over();
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const piece of document.querySelectorAll("[data-live]")) renew(piece, page.getElementById(piece.id));
    document.dispatchEvent(new Event("looked"));
  } catch {
    // The stream tells that the server is away.
  } finally {
    due = 0;
  }
}

// The address of the page without the questions that were asked on it: they are not asked again each time.
function present() {
  const address = new URL(location.href);
  for (const name of [...address.searchParams.keys()]) if (name === "why" || name.startsWith("set.")) address.searchParams.delete(name);
  return address;
}

// A piece in which somebody writes stays; the focus on a link goes over to the same link.
function renew(piece, fresh) {
  if (!fresh || served.get(piece.id) === fresh.outerHTML) return;
  const focused = piece.contains(document.activeElement) ? document.activeElement : null;
  if (focused && focused.tagName !== "A") return;
  served.set(piece.id, fresh.outerHTML);
  piece.replaceWith(document.adoptNode(fresh));
  if (focused) [...fresh.querySelectorAll("a")].find((one) => one.href === focused.href)?.focus({ preventScroll: true });
}
