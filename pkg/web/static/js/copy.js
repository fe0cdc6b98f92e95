// Buttons with data-copy copy the text beside them, or what data-copy names.
import { toast } from "./toast.js";

export async function copyText(text, said = "Copied.") {
  try {
    await navigator.clipboard.writeText(text);
    toast(said);
    return true;
  } catch {
    toast("The browser does not let this page use the clipboard. Select the text and copy it.");
    return false;
  }
}

export function ready(root) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const from = button.dataset.copy
      ? document.getElementById(button.dataset.copy)
      : button.parentElement.querySelector("code, pre");
    copyText(from.textContent);
  });
}
