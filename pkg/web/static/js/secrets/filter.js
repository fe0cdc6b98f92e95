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
      const hide = !row.text.includes(text);
      if (row.element.hidden !== hide) row.element.hidden = hide;
      if (hide) continue;
      shown++;
      left.set(row.element.parentElement, left.get(row.element.parentElement) + 1);
    }
    for (const [group, rows] of left) {
      group.hidden = rows === 0;
      group.style.containIntrinsicBlockSize = text ? `${rows * height}px` : "";
    }
    say(text, shown);
    table.element.dispatchEvent(new Event("filtered"));
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
    table.rows.find((row) => !row.element.hidden)?.element.focus();
  });
  input.addEventListener("input", () => {
    if (elsewhere()) {
      if (!input.value) form.submit();
      return;
    }
    apply();
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && input.value && !elsewhere()) {
      event.preventDefault();
      input.value = "";
      apply();
    }
    if (event.key === "ArrowDown") {
      event.preventDefault();
      table.rows.find((row) => !row.element.hidden)?.element.focus();
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
