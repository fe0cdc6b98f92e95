// The heads of the columns sort without a new page.
export function ready({ table, root }) {
  const links = [...root.querySelectorAll("[data-sort]")];
  for (const link of links) {
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      table.sort(link.dataset.sort);
      for (const other of links) {
        const direction = other.dataset.sort === "key" ? "ascending" : "descending";
        other.closest("th").ariaSort = other === link ? direction : "none";
      }
    });
  }
}
