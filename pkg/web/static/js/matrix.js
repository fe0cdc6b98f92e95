// Filters the matrix without a round trip, where all of it is in the page.
import { filter } from "./filter.js";

export default function begin(section) {
  const form = section.querySelector("form");
  const count = section.querySelector("#filter-count");
  const none = section.querySelector("[data-none]");
  const table = section.querySelector("table");
  if ("partial" in count.dataset) {
    form.elements.only.addEventListener("change", () => form.requestSubmit());
    return;
  }
  const total = Number(count.dataset.total);
  const { q, only } = form.elements;
  form.querySelector("[data-send]").classList.add("idle");
  const apply = filter(q, [...table.tBodies[0].rows], {
    also: (row) => !only.checked || !("even" in row.dataset),
    changed: (shown, text) => {
      count.textContent = text || only.checked ? `${shown} of ${total}` : `${total} ${total === 1 ? "key" : "keys"}`;
      none.hidden = shown > 0;
      table.hidden = shown === 0;
    },
  });
  only.addEventListener("change", apply);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    apply();
  });
  apply(); // the browser may have kept what was typed
}
