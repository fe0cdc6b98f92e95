// Keeps the table in step with the server: takes what was saved here into it, and
// notices what others have changed when somebody comes back to the tab.
import { call } from "../api.js";
import { actorName } from "./table.js";

export class Fresh {
  constructor(page) {
    this.page = page;
    this.revision = Number(page.root.dataset.revision);
    this.box = page.root.querySelector("[data-changed]");
    this.box.querySelector("button").addEventListener("click", () => this.apply());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.check(); });
    addEventListener("focus", () => this.check());
  }

  // saved shows a secret that was saved here.
  saved(row, secret) {
    if (row && row.key !== secret.key) this.page.table.rename(row, secret);
    else this.page.table.put([secret]);
    this.at(secret.revision);
  }

  gone(rows) {
    this.page.values.cover(rows);
    this.page.table.remove(rows);
  }

  // at is told the environment's revision after a change of ours. If it is the next
  // one, nobody else has changed anything.
  at(revision) {
    if (revision === this.revision + 1) this.revision = revision;
  }

  // noticed is told what the server says of a secret, when it was asked for its value.
  noticed(row, secret) {
    if (secret.version === row.version && secret.revision === row.revision) return;
    row.take(secret, this.page.table.base);
    this.page.table.tell();
  }

  // check asks whether anything has changed, which is cheap if nothing has.
  async check() {
    if (this.asking || !this.page.table.whole) return;
    this.asking = true;
    try {
      const { body } = await call("GET", `${this.page.api}secrets/`, undefined, { "If-None-Match": `"${this.revision}"` });
      this.offer(body);
    } catch {
      // Nothing has changed, or the server is away; what is done next will tell.
    } finally {
      this.asking = false;
    }
  }

  // offer says what a list of the secrets has that the table has not.
  offer(list) {
    const changes = this.differences(list.results);
    this.list = list;
    if (changes.count === 0) {
      this.revision = list.revision;
      this.box.hidden = true;
      return;
    }
    const whose = changes.names.size === 1 ? [...changes.names][0] : "Others";
    const verb = changes.names.size === 1 ? "has" : "have";
    const what = changes.count === 1 ? "one secret" : `${changes.count} secrets`;
    this.box.querySelector("span").textContent = `${whose} ${verb} changed ${what} since this page was loaded.`;
    this.box.hidden = false;
  }

  differences(results) {
    const { byKey } = this.page.table;
    const names = new Set();
    let count = 0;
    for (const secret of results) {
      const row = byKey.get(secret.key);
      if (row && row.version === secret.version && row.revision === secret.revision) continue;
      count++;
      names.add(actorName(secret.updated_by));
    }
    const keys = new Set(results.map((secret) => secret.key));
    const lost = [...byKey.keys()].filter((key) => !keys.has(key)).length;
    if (lost > 0) names.add("Somebody");
    return { count: count + lost, names };
  }

  // apply takes the changes into the table. A row with an open editor only learns what
  // is true of it: saving then shows both values.
  apply() {
    const { table, values, editor } = this.page;
    const keys = new Set(this.list.results.map((secret) => secret.key));
    this.gone(table.rows.filter((row) => !keys.has(row.key) && !editor?.isOpen(row)));
    const changed = this.list.results.filter((secret) => {
      const row = table.byKey.get(secret.key);
      return !row || row.version !== secret.version || row.revision !== secret.revision;
    });
    values.cover(changed.map((secret) => table.byKey.get(secret.key)).filter(Boolean));
    for (const row of table.put(changed)) row.element.classList.add("new");
    this.revision = this.list.revision;
    this.box.hidden = true;
    table.rows.find((row) => !row.hidden)?.element.focus();
  }
}
