// The API documentation: a filter over all entries, and entries that open when a
// link leads to them.
export default function begin(root) {
  const filter = root.querySelector("[data-filter]");
  const found = root.querySelector("[data-found]");
  const entries = [...root.querySelectorAll("[data-entry]")].map((element) => ({
    element, text: element.querySelector("summary").textContent.toLowerCase(),
  }));
  const groups = [...root.querySelectorAll("[data-group]")];

  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const { element, text } of entries) {
      element.hidden = !words.every((word) => text.includes(word));
      if (!element.hidden) shown += 1;
    }
    for (const group of groups) group.hidden = !group.querySelector("[data-entry]:not([hidden])");
    found.textContent = words.length ? `${shown} of ${entries.length}` : "";
  });

  const open = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target?.matches("details")) return;
    target.hidden = false;
    target.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
}
