// A page whose values were revealed goes back to the one without them after a while,
// and when the person leaves it: see hiding.js.
export default function begin(element) {
  const back = () => location.replace(element.dataset.back);
  setTimeout(back, 60000);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) back();
  });
}
