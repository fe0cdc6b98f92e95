// The keyboard, and the row that has it: one row is a stop of the Tab key, the arrows
// go from row to row. Single keys act in a row, a few of them on the whole page; the
// settings turn them off.
export function ready(page) {
  const { table, root, values } = page;
  const help = root.querySelector("[data-keys]");
  let active;

  const shown = () => table.rows.filter((row) => !row.hidden);
  const stop = (row, tabIndex) => {
    for (const element of [row.element, row.link, ...(row.buttons ?? [])]) {
      element.tabIndex = element === row.element || tabIndex === 0 ? tabIndex : -1;
    }
  };

  function activate(row) {
    if (active === row || !row) return;
    if (active) stop(active, -1);
    active = row;
    row.dress(table.actions);
    stop(row, 0);
  }

  function settle() {
    if (!active || active.hidden || !active.element.isConnected) activate(shown()[0]);
  }

  function go(row) {
    if (!row) return;
    row.element.focus();
    row.element.scrollIntoView({ block: "nearest" });
  }

  // moves are where the arrows lead from a row.
  const moves = {
    ArrowDown: (all, at) => all[at + 1], ArrowUp: (all, at) => all[at - 1],
    Home: (all) => all[0], End: (all) => all.at(-1),
    PageDown: (all, at) => all[Math.min(at + 10, all.length - 1)], PageUp: (all, at) => all[Math.max(at - 10, 0)],
  };
  const letters = {
    r: (row) => values.toggle(row),
    c: (row) => values.copy(row),
    m: (row) => page.details?.open(row),
  };

  function inRow(event, row) {
    const onRow = event.target === row.element;
    if (moves[event.key]) {
      const all = shown();
      event.preventDefault();
      go(moves[event.key](all, all.indexOf(row)));
    } else if (event.key === "Enter" && onRow) {
      event.preventDefault();
      if (page.editor) page.editor.begin(row);
      else row.link.click();
    } else if (event.key === "Delete" && page.removal) {
      event.preventDefault();
      page.removal.remove(row);
    } else if (letters[event.key] && values.now.keys) {
      event.preventDefault();
      letters[event.key](row);
    }
  }

  const writes = (element) => element.matches("input, textarea, select, [contenteditable]");
  const everywhere = { "/": () => page.filter.focus(), n: () => page.adding?.open(), u: () => page.removal?.undo(), "?": () => help.showModal() };

  table.element.addEventListener("focusin", (event) => activate(table.at(event.target)));
  table.element.addEventListener("filtered", settle);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || writes(event.target)) return;
    if (document.querySelector("dialog[open]")) return;
    const row = table.at(event.target);
    if (row) inRow(event, row);
    if (!event.defaultPrevented && everywhere[event.key] && values.now.keys) {
      event.preventDefault();
      everywhere[event.key]();
    }
  });
  root.querySelector("[data-value-settings] [data-do=keys]").addEventListener("click", () => {
    root.querySelector("[data-value-settings]").hidePopover();
    help.showModal();
  });
  settle();
}
