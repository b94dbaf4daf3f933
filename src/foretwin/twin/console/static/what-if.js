// Gives each setting of the what-if form a slider, and shows the answer for where it is let go without a new page.
const form = document.querySelector("#what-if form");
let asked = 0;
if (form) for (const field of form.querySelectorAll("[data-slide]")) slide(field);

function slide(field) {
  const { min, max, now, lang } = field.dataset;
  const slider = document.createElement("input");
  Object.assign(slider, { type: "range", min, max, step: (max - min) / 200 });
  slider.setAttribute("aria-label", field.closest("label").firstChild.textContent.trim());
  const place = () => {
    const wanted = Number(field.value.replace(",", "."));
    slider.value = field.value && Number.isFinite(wanted) ? wanted : now || (Number(min) + Number(max)) / 2;
  };
  place();
  field.addEventListener("change", place);
  slider.addEventListener("input", () => {
    field.value = Number(slider.value).toLocaleString(lang, { maximumSignificantDigits: 4, useGrouping: false });
  });
  slider.addEventListener("change", ask);
  field.closest("label").after(slider);
}

async function ask() {
  const address = new URL(form.action);
  address.search = new URLSearchParams(new FormData(form));
  const number = (asked += 1);
  document.getElementById("outlook").setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.getElementById("outlook");
    if (!fresh) throw new Error("no answer");
    if (number !== asked) return; // it was moved again
    document.getElementById("outlook").replaceWith(document.adoptNode(fresh));
    history.replaceState(null, "", address);
  } catch {
    form.submit(); // the server says what is wrong
  }
}
