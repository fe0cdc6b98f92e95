// Tabs that are wider than the screen begin where the present one is seen.
export default function begin(tabs) {
  const here = tabs.querySelector("[aria-current]");
  if (here) tabs.scrollLeft = here.offsetLeft - (tabs.clientWidth - here.offsetWidth) / 2;
}
