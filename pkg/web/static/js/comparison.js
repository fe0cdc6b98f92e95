// Selects rows of a comparison: all that are seen, ranges with the shift key, and says
// how many. What would be deleted is never selected with others.
import { filter } from "./filter.js";

export default function begin(section) {
  const form = section.querySelector("[data-selection]");
  const rows = [...form.querySelectorAll("tbody tr")];
  const apply = filter(section.querySelector("#filter"), rows, { changed: () => tell() });

  const all = form.querySelector("[data-all]");
  if (!all) {
    apply();
    return;
  }
  const count = form.querySelector("[data-count]");
  const boxes = [...form.querySelectorAll("tbody input")];
  const seen = (box) => box.name === "key" && !box.closest("tr").hidden;
  let last;

  all.addEventListener("change", () => {
    for (const box of boxes) if (seen(box)) box.checked = all.checked;
    tell();
  });
  form.addEventListener("click", (event) => {
    const at = boxes.indexOf(event.target);
    if (at < 0) return;
    if (event.shiftKey && last !== undefined) {
      for (let i = Math.min(at, last); i <= Math.max(at, last); i++) if (seen(boxes[i])) boxes[i].checked = event.target.checked;
    }
    last = at;
    tell();
  });

  function tell() {
    if (!all) return;
    const copied = boxes.filter((box) => box.checked && box.name === "key").length;
    const removed = boxes.filter((box) => box.checked && box.name === "remove").length;
    const some = boxes.filter(seen);
    const ticked = some.filter((box) => box.checked).length;
    all.checked = some.length > 0 && ticked === some.length;
    all.indeterminate = ticked > 0 && ticked < some.length;
    count.textContent = [copied && `${copied} to copy`, removed && `${removed} to delete`].filter(Boolean).join(", ");
  }
  apply(); // the browser may have kept what was typed
}
