// Shows, hides and copies values. A value is asked for when somebody wants to see or
// copy it, which the server records, and is in the page only while it is shown.
import { call } from "../api.js";
import { toast } from "../toast.js";
import { copyLater } from "./clipboard.js";
import { Hider, settings } from "./settings.js";

export class Values {
  constructor(page) {
    this.page = page;
    this.now = settings(page.root, () => this.hider.anew());
    this.hider = new Hider(this.now);
    this.shown = new Map(); // row -> what hides it
    this.all = page.root.querySelector("[data-reveal-all]");
    this.none = page.root.querySelector("[data-hide-all]");
    this.all.addEventListener("submit", (event) => { event.preventDefault(); this.showAll(); });
    this.none.addEventListener("click", (event) => { event.preventDefault(); this.hideAll(); });
    this.keep(page.table.rows.filter((row) => row.cell.firstElementChild)); // the server has shown all
  }

  // read asks for a secret with its value, and answers it with its entity tag.
  async read(key) {
    const { body, headers } = await call("GET", `${this.page.api}secrets/${key}/`);
    return { ...body, etag: headers.get("ETag") };
  }

  isShown(row) { return this.shown.has(row); }

  // valueOf is the value that a row shows.
  valueOf(row) { return row.cell.firstElementChild.textContent; }

  async toggle(row) {
    if (this.isShown(row)) {
      this.hide(row);
      return;
    }
    if (this.page.editor?.isOpen(row)) return;
    row.element.classList.add("busy");
    try {
      const secret = await this.read(row.key);
      this.page.fresh.noticed(row, secret);
      if (!this.page.editor?.isOpen(row) && !(document.hidden && this.now.away)) this.show([[row, secret.value]]);
    } catch (refusal) {
      toast(refusal.message);
    }
    row.element.classList.remove("busy");
  }

  // show puts values into their rows, and has them hidden together.
  show(pairs) {
    for (const [row, value] of pairs) {
      const code = document.createElement("code");
      code.textContent = value;
      row.cell.replaceChildren(code);
    }
    this.keep(pairs.map(([row]) => row));
  }

  keep(rows) {
    if (rows.length === 0) return;
    const hide = () => this.cover(rows.filter((row) => this.shown.get(row) === hide));
    for (const row of rows) {
      this.shown.set(row, hide);
      row.element.classList.add("shown");
      row.name();
    }
    this.hider.later(hide);
    this.tell();
  }

  hide(row) { this.cover([row]); }

  cover(rows) {
    for (const row of rows) {
      if (!this.shown.delete(row)) continue;
      row.element.classList.remove("shown");
      if (!this.page.editor?.isOpen(row)) row.cell.replaceChildren();
      row.name();
    }
    this.tell();
  }

  tell() {
    const { size } = this.shown;
    this.none.hidden = size === 0;
    this.all.querySelector("button").hidden = size > 0 && size === this.page.table.rows.length;
  }

  async showAll() {
    const button = this.all.querySelector("button");
    button.disabled = true;
    try {
      const { body } = await call("GET", `${this.page.api}secrets/?values=true`);
      if (document.hidden && this.now.away) return;
      const pairs = body.results.map((secret) => [this.page.table.byKey.get(secret.key), secret.value]);
      this.show(pairs.filter(([row]) => row && !this.page.editor?.isOpen(row)));
      toast(body.results.length === 1 ? "One value is shown." : `${body.results.length} values are shown.`);
      this.page.fresh.offer(body);
    } catch (refusal) {
      toast(refusal.message);
    } finally {
      button.disabled = false;
    }
    if (button.hidden) this.none.focus();
  }

  hideAll() {
    this.cover([...this.shown.keys()]);
    this.all.querySelector("button").focus();
  }

  copy(row) {
    const value = this.isShown(row) ? Promise.resolve(this.valueOf(row)) : this.read(row.key).then((secret) => secret.value);
    return copyLater(value, `The value of ${row.key} is copied.`);
  }
}
