// What every page does with scripts. Features of single pages are modules of their
// own: an element with data-module="name" has js/name.js loaded, whose default
// export is called with the element.
import { ready as copy } from "./copy.js";
import { ready as times } from "./times.js";

document.documentElement.classList.add("scripted");
copy(document);
times(document);

// A row of tabs that is wider than the screen begins with the one that is open in sight.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  const row = tab.parentElement;
  row.scrollLeft += tab.getBoundingClientRect().left - row.getBoundingClientRect().left - (row.clientWidth - tab.offsetWidth) / 2;
}

for (const element of document.querySelectorAll("[data-module]")) {
  const { default: begin } = await import(`./${element.dataset.module}.js`);
  begin(element);
}
