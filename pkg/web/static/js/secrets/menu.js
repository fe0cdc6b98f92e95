// The buttons of the rows, and the one menu that all rows share.
export function ready(page) {
  const { table, root, values } = page;
  const menu = root.querySelector("[data-row-menu]");
  let chosen;

  const actions = {
    reveal: (row) => values.toggle(row),
    copy: (row) => values.copy(row),
    edit: (row) => page.editor.begin(row),
    details: (row) => page.details.open(row),
    delete: (row) => page.removal.remove(row),
  };

  table.element.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    const row = button && table.at(button);
    if (!row) return;
    if (button.dataset.do === "more") choose(row);
    else actions[button.dataset.do](row);
  });

  function choose(row) {
    chosen = row;
    menu.querySelector("[data-do=open]").href = row.link.href;
    menu.querySelector("[data-do=history]").href = `${row.link.href}history/`;
    menu.ariaLabel = row.key;
  }

  menu.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    if (!button) return;
    menu.hidePopover();
    actions[button.dataset.do](chosen);
  });
  menu.addEventListener("toggle", (event) => {
    const open = event.newState === "open";
    chosen?.element.classList.toggle("open", open);
    if (open) menu.querySelector("a, button").focus();
  });
  menu.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const items = [...menu.querySelectorAll("a, button")];
    items.at((items.indexOf(document.activeElement) + step) % items.length).focus();
  });
}
