// The filter: shows only the rows whose key or comment holds a text. Nothing is asked
// of the server.
export function ready({ table, root }) {
  const form = root.querySelector(".secret-filter");
  const input = form.elements.q;
  const count = root.querySelector("#filter-count");
  const none = root.querySelector("[data-none]");
  const clear = root.querySelector("[data-clear]");
  const height = 53; // of a row, about: the scroll bar's guess at what it has not laid out

  const secrets = (n) => (n === 1 ? "1 secret" : `${n} secrets`);

  function apply() {
    const text = elsewhere() ? "" : input.value.trim().toLowerCase();
    let shown = 0;
    const left = new Map(table.groups.map((group) => [group, 0]));
    for (const row of table.rows) {
      row.hidden = !row.text.includes(text);
      if (row.hidden) continue;
      shown++;
      left.set(row.element.parentElement, left.get(row.element.parentElement) + 1);
    }
    for (const row of table.rows) { // the rows of a group that is hidden as a whole may stay as they are
      if (row.element.hidden !== row.hidden && left.get(row.element.parentElement) > 0) row.element.hidden = row.hidden;
    }
    layOut(left, text !== "");
    say(text, shown);
    table.element.dispatchEvent(new Event("filtered"));
  }

  // layOut tells the browser how high the groups are, and has it lay out only those at
  // the top at once: many that are near while they hold a row or two would all be laid
  // out with fifty.
  function layOut(left, filtered) {
    let above = 0;
    for (const [group, rows] of left) {
      group.hidden = rows === 0;
      group.style.containIntrinsicBlockSize = filtered ? `${rows * height}px` : "";
      group.classList.toggle("far", table.long && above > 2 * innerHeight);
      above += rows * height;
    }
    requestAnimationFrame(() => setTimeout(() => {
      for (const group of left.keys()) group.classList.remove("far");
    }));
  }

  // toTop brings the first row into sight after the text has changed.
  function toTop() {
    if (table.card.getBoundingClientRect().top < 0) table.card.scrollIntoView({ block: "start" });
  }

  function say(text, shown) {
    if (elsewhere()) return; // the server has said it
    const words = text ? `${shown} of ${table.rows.length}` : secrets(table.rows.length);
    if (count.textContent !== words) count.textContent = words;
    none.hidden = shown > 0 || table.rows.length === 0;
    none.querySelector("[data-none-text]").textContent = input.value.trim();
    table.element.hidden = shown === 0;
  }

  // A page that the server has filtered holds only what it found.
  const elsewhere = () => !table.whole;

  form.addEventListener("submit", (event) => {
    if (elsewhere()) return;
    event.preventDefault();
    table.rows.find((row) => !row.hidden)?.element.focus();
  });
  input.addEventListener("input", () => {
    if (elsewhere()) {
      if (!input.value) form.submit();
      return;
    }
    apply();
    toTop();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && input.value && !elsewhere()) {
      event.preventDefault();
      input.value = "";
      apply();
    }
    if (event.key === "ArrowDown") {
      event.preventDefault();
      table.rows.find((row) => !row.hidden)?.element.focus();
    }
  });
  clear.addEventListener("click", (event) => {
    if (elsewhere()) return;
    event.preventDefault();
    input.value = "";
    apply();
    input.focus();
  });
  table.changed(apply);
  apply(); // the browser may have kept a text
  return { focus() { input.focus(); input.select(); } };
}
