// A page that the server has made with values loses them when their time has come, as
// the table of secrets does. Then it offers again to reveal them.
import { toast } from "./toast.js";
import { Hider, read } from "./secrets/settings.js";

export default function begin(element) {
  new Hider(read()).later(() => {
    for (const value of element.querySelectorAll("[data-value]")) {
      value.textContent = "••••••••";
      value.classList.add("muted");
    }
    for (const button of element.querySelectorAll("[data-copy]")) button.remove();
    for (const form of document.querySelectorAll("[data-reveals]")) form.hidden = false;
    for (const link of document.querySelectorAll("[data-hides]")) link.hidden = true;
    toast("The values are hidden again.");
  });
}
