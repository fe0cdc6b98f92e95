// Renames a secret and changes its comment.
import { call } from "../api.js";
import { toast } from "../toast.js";
import { actorName } from "./table.js";

export function ready(page) {
  const dialog = page.root.querySelector("[data-details]");
  const form = dialog.querySelector("form");
  const problem = dialog.querySelector(".callout");
  const { key, comment } = form.elements;
  let row;
  let start; // what the person has begun from

  function say(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  function open(chosen) {
    row = chosen;
    start = { key: row.key, comment: row.comment, etag: row.etag };
    key.value = row.key;
    comment.value = row.comment;
    say("");
    dialog.showModal();
    comment.focus();
  }

  async function save(retried) {
    const wanted = {};
    if (key.value.trim() !== start.key) wanted.key = key.value.trim();
    if (comment.value.trim() !== start.comment) wanted.comment = comment.value.trim();
    if (Object.keys(wanted).length === 0) {
      dialog.close();
      return;
    }
    try {
      const { body } = await call("PATCH", `${page.api}secrets/${start.key}/`, wanted, { "If-Match": start.etag });
      const shown = page.values.isShown(row) ? page.values.valueOf(row) : undefined;
      page.fresh.saved(row, body);
      if (shown !== undefined) page.values.show([[row, shown]]);
      dialog.close();
      toast([`${body.key} is saved.`, ...(body.warnings ?? [])].join(" "));
    } catch (refusal) {
      if (refusal.status === 412 && !retried) await again();
      else say(refusal.status === 404 ? "Somebody has deleted or renamed this secret meanwhile." : refusal.message);
    }
  }

  // again looks at what has changed meanwhile. If it was only the value, there is
  // nothing to ask; else the person sees the other comment, and saving again
  // replaces it.
  async function again() {
    try {
      const { body } = await call("GET", `${page.api}secrets/`);
      const theirs = body.results.find((secret) => secret.key === start.key);
      if (!theirs) {
        say("Somebody has deleted or renamed this secret meanwhile.");
        return;
      }
      const same = theirs.comment === start.comment;
      page.fresh.noticed(row, theirs);
      start.etag = row.etag;
      if (same) await save(true);
      else say(`${actorName(theirs.updated_by)} has changed the comment meanwhile to “${theirs.comment}”. Save again to replace it.`);
    } catch (refusal) {
      say(refusal.message);
    }
  }

  form.addEventListener("submit", (event) => { event.preventDefault(); save(false); });
  dialog.querySelector("[data-cancel]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("close", () => row?.element.focus());
  return { open };
}
