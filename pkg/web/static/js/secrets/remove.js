// Deletes a secret, and takes it back: its versions are kept, and the last one with a
// value is made the present one again.
import { call } from "../api.js";
import { toast } from "../toast.js";

export function ready(page) {
  const { table, fresh } = page;
  let last; // takes the last deletion back

  async function remove(row) {
    const { key, version } = row;
    const next = neighbour(row);
    row.element.classList.add("busy");
    try {
      await call("DELETE", `${page.api}secrets/${key}/`, undefined, { "If-Match": row.etag });
    } catch (refusal) {
      row.element.classList.remove("busy");
      if (refusal.status === 412) {
        toast(`${key} was changed meanwhile, so it is not deleted. Look at it, and delete it then.`);
        fresh.check();
      } else if (refusal.status === 404) {
        toast(`${key} is deleted or renamed already.`);
        fresh.check();
      } else {
        toast(refusal.message);
      }
      return;
    }
    fresh.gone([row]);
    fresh.at(fresh.revision + 1); // others' changes show at the next look
    (next?.element ?? document.querySelector("[data-add]"))?.focus();
    let done = false;
    const back = () => {
      if (!done) undo(key, version);
      done = true;
    };
    last = back;
    toast(`${key} is deleted.`, { label: "Undo", do: back });
  }

  async function undo(key, version) {
    try {
      const { body } = await call("POST", `${page.api}secrets/${key}/rollback/`, { version }, { "If-None-Match": "*" });
      fresh.saved(undefined, body);
      table.byKey.get(key)?.element.focus();
      toast(`${key} is back.`);
    } catch (refusal) {
      toast(refusal.status === 412 ? `There is a new secret ${key} by now. The deleted one is in its history.` : refusal.message);
    }
  }

  function neighbour(row) {
    const shown = table.rows.filter((other) => !other.hidden);
    const at = shown.indexOf(row);
    return shown[at + 1] ?? shown[at - 1];
  }

  return { remove, undo: () => last?.() };
}
