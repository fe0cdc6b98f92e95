// Two people have changed one value: shows both, and asks what it shall be.
import { call } from "../api.js";
import { words } from "../times.js";
import { actorName } from "./table.js";

// conflict answers { keep, value, etag, theirs }: keep is "mine", "theirs" or "back";
// value is what the person's side holds by then, perhaps put together of both; etag
// names the present state, and is null if the secret is gone, as theirs is.
export async function conflict(page, key, mine) {
  const theirs = await present(page, key);
  const dialog = page.root.querySelector("[data-conflict]");
  const text = dialog.querySelector("textarea");
  say(dialog, key, theirs, await who(page, key, theirs));
  text.value = mine;
  dialog.showModal();
  text.focus();
  const keep = await chosen(dialog);
  const answer = { keep, value: text.value, etag: theirs?.etag ?? null, theirs };
  text.value = "";
  dialog.querySelector("[data-theirs]").textContent = "";
  return answer;
}

async function present(page, key) {
  try {
    return await page.values.read(key);
  } catch (refusal) {
    if (refusal.status === 404) return null;
    throw refusal;
  }
}

// who has changed it, and when: of a secret that is gone its versions tell.
async function who(page, key, theirs) {
  if (theirs) return theirs;
  try {
    const { body } = await call("GET", `${page.api}secrets/${key}/versions/?limit=1`);
    return body.results[0];
  } catch {
    return undefined; // it has got another key
  }
}

function say(dialog, key, theirs, by) {
  const name = by ? actorName(by.updated_by) : "Somebody";
  const when = by ? `, ${words(new Date(by.updated_at))}` : "";
  const verb = theirs ? "changed" : "deleted or renamed";
  dialog.querySelector("h2").textContent = `${key} was ${verb} meanwhile`;
  dialog.querySelector("#conflict-about").textContent = theirs
    ? `${name} has saved another value${when}, while you were editing. Nothing of yours is saved yet. Choose one, or put them together on your side.`
    : `${name} has ${verb} it${when}, while you were editing. Nothing of yours is saved yet.`;
  dialog.querySelector("[data-theirs-label]").textContent = `Saved by ${name}`;
  dialog.querySelector("[data-mine-label]").textContent = "Yours, not saved";
  const pre = dialog.querySelector("[data-theirs]");
  pre.textContent = theirs?.value ?? "";
  pre.parentElement.hidden = !theirs;
  dialog.querySelector("[data-choose=theirs]").textContent = theirs ? "Keep theirs" : "Leave it deleted";
  dialog.querySelector("[data-choose=mine]").textContent = theirs ? "Save mine" : "Save mine as a new secret";
}

function chosen(dialog) {
  return new Promise((resolve) => {
    let choice = "back";
    const choose = (event) => {
      const button = event.target.closest("[data-choose]");
      if (!button) return;
      choice = button.dataset.choose;
      dialog.close();
    };
    dialog.addEventListener("click", choose);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("click", choose);
      resolve(choice);
    }, { once: true });
  });
}
