// The page of one secret: shows, hides and copies its value without a new page. Saving
// is the form's own.
import { call } from "./api.js";
import { toast } from "./toast.js";
import { copyLater } from "./secrets/clipboard.js";
import { Hider, settings } from "./secrets/settings.js";

export default function begin(root) {
  const path = `${root.dataset.api}secrets/${root.dataset.key}/`;
  const now = settings(root, () => hider.anew());
  const hider = new Hider(now);
  const text = root.querySelector("textarea");
  const pre = root.querySelector("[data-value]");
  const reveal = root.querySelector("[data-reveal]");
  const cover = root.querySelector("[data-hide]");
  const masked = "••••••••";
  let start = text?.value ?? "";
  let sent = false;

  const dirty = () => text && text.value !== start;
  const read = () => call("GET", path).then(({ body, headers }) => ({ ...body, etag: headers.get("ETag") }));

  function show(secret) {
    if (text) {
      text.value = secret.value;
      start = text.value;
      root.querySelector("[name=state]").value = `${secret.version}-${secret.revision}`;
    } else {
      pre.textContent = secret.value;
    }
    keep();
  }

  // isShown tells the form whether an empty value is meant.
  function isShown(yes) {
    if (!text) return;
    text.required = !yes;
    root.querySelector("[name=shown]").value = yes ? "1" : "";
  }

  function keep() {
    reveal.querySelector("button").hidden = true;
    isShown(true);
    cover.hidden = false;
    hider.later(hide);
  }

  // hide takes the value out of the page, unless somebody is at work on it.
  function hide() {
    if (dirty()) {
      hider.later(hide);
      return;
    }
    if (text) text.value = start = "";
    else pre.textContent = masked;
    isShown(false);
    hider.done(hide);
    reveal.querySelector("button").hidden = false;
    cover.hidden = true;
  }

  reveal.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (dirty()) {
      toast("You have typed a new value. Save it first, or empty the field.");
      return;
    }
    try {
      const secret = await read();
      if (!(document.hidden && now.away)) show(secret);
      cover.focus();
    } catch (refusal) {
      toast(refusal.message);
    }
  });
  cover.addEventListener("click", (event) => {
    event.preventDefault();
    hide();
    reveal.querySelector("button").focus();
  });
  root.querySelector("[data-copy-value]").addEventListener("click", () => {
    copyLater(read().then((secret) => secret.value), `The value of ${root.dataset.key} is copied.`);
  });
  text?.form.addEventListener("submit", () => { sent = true; });
  text?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) text.form.requestSubmit();
  });
  addEventListener("beforeunload", (event) => { if (dirty() && !sent) event.preventDefault(); });
  if (!cover.hidden) keep(); // the server has shown it
}
