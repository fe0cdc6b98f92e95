// Copies a value that the server is still to be asked for. Browsers let a page write
// to the clipboard only shortly after a click or a key, so they are given the promise.
import { toast } from "../toast.js";

export async function copyLater(promise, said) {
  try {
    if (window.ClipboardItem?.supports?.("text/plain")) {
      const blob = promise.then((text) => new Blob([text], { type: "text/plain" }));
      blob.catch(() => {}); // it is seen below
      await navigator.clipboard.write([new ClipboardItem({ "text/plain": blob })]);
    } else {
      await navigator.clipboard.writeText(await promise);
    }
    toast(said);
  } catch {
    // What went wrong with the question matters more than what did with the clipboard.
    await promise.then(
      () => toast("The browser does not let this page use the clipboard. Reveal the value, select it and copy it."),
      (refusal) => toast(refusal.message),
    );
  }
}
