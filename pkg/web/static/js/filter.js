// Rows that are hidden unless their key holds the text of a field. "/" goes to the
// field, Escape empties it.
export function filter(input, rows, { also = () => true, changed = () => {} } = {}) {
  const keys = rows.map((row) => row.dataset.key?.toLowerCase() ?? row.cells[0].firstChild.textContent.toLowerCase());
  const apply = () => {
    const text = input.value.trim().toLowerCase();
    let shown = 0;
    for (let i = 0; i < rows.length; i++) {
      const visible = keys[i].includes(text) && also(rows[i]);
      if (rows[i].hidden === visible) rows[i].hidden = !visible;
      if (visible) shown++;
    }
    changed(shown, text);
  };
  input.addEventListener("input", apply);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !input.value) return;
    event.preventDefault();
    input.value = "";
    apply();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    input.focus();
    input.select();
  });
  return apply;
}
