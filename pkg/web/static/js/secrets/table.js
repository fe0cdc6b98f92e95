// The table of an environment's secrets: its rows, their order, and what a row shows.
// A long table is in groups (tbody), which the browser lays out when they come near
// the screen; only then do their rows get buttons.
import { words } from "../times.js";

const groupSize = 50;
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" }); // to make one takes longer than to use it

export class Row {
  constructor(element) {
    this.element = element;
    element.tabIndex = -1;
    this.hidden = false; // by the filter
    [this.head, this.cell, this.changed] = element.cells;
    this.link = this.head.firstElementChild;
    this.link.tabIndex = -1; // one row at a time is a stop of the Tab key
    this.key = this.link.textContent;
    this.comment = this.head.children[1]?.textContent ?? "";
    [this.version, this.revision] = (element.dataset.v ?? "0-0").split("-").map(Number);
    this.index();
  }

  // etag is the condition that the secret is still as this row has it.
  get etag() { return `"v${this.version}-${this.revision}"`; }

  // index keeps what the filter looks at.
  index() { this.text = `${this.key}\n${this.comment}`.toLowerCase(); }

  // take shows the secret that the API answered with.
  take(secret, base) {
    this.key = secret.key;
    this.comment = secret.comment;
    this.version = secret.version;
    this.revision = secret.revision;
    this.element.dataset.v = `${secret.version}-${secret.revision}`;
    this.index();
    this.link.textContent = secret.key;
    this.link.href = `${base}secrets/${secret.key}/`;
    this.head.replaceChildren(this.link);
    if (secret.comment) this.head.append(Object.assign(document.createElement("p"), { textContent: secret.comment }));
    const time = Object.assign(document.createElement("time"), { dateTime: secret.updated_at });
    this.changed.replaceChildren(time, ` by ${actorName(secret.updated_by)}`);
    this.showTime();
    if (this.dressed) this.name();
    return this;
  }

  // dress gives the row its buttons, and its time in the reader's own words.
  dress(actions) {
    if (this.dressed) return;
    this.dressed = true;
    this.element.append(actions.content.cloneNode(true));
    this.buttons = [...this.element.querySelectorAll("[data-do]")];
    this.name();
    this.showTime();
  }

  // name says what the row and its buttons are for: what has the focus is read by it.
  name() {
    this.element.ariaLabel = this.key;
    const names = {
      reveal: this.element.classList.contains("shown") ? "Hide" : "Reveal",
      copy: "Copy", edit: "Edit", more: "More for",
    };
    for (const button of this.buttons ?? []) {
      button.ariaLabel = `${names[button.dataset.do]} ${this.key}`;
      button.title = names[button.dataset.do].replace(" for", "");
    }
  }

  showTime() {
    const time = this.changed.querySelector("time");
    const date = new Date((time.dateTime || time.textContent).replace(" ", "T"));
    if (Number.isNaN(date.getTime())) return;
    time.dateTime = date.toISOString();
    time.textContent = words(date);
    this.changed.title = `${exact.format(date)}${time.nextSibling?.textContent ?? ""}`;
  }
}

export const actorName = (actor) =>
  actor.kind === "system" ? "the server" : actor.kind === "service_token" ? `token ${actor.name}` : actor.name || "nobody known";

export class Table {
  constructor(root) {
    this.root = root;
    this.element = root.querySelector("table");
    this.card = root.querySelector("[data-card]");
    this.start = root.querySelector("[data-start]");
    this.actions = root.querySelector("template[data-actions]");
    this.blank = root.querySelector("template[data-row]");
    this.base = root.dataset.base;
    this.groups = [...this.element.tBodies];
    this.rows = this.groups.flatMap((group) => [...group.rows].map((element) => new Row(element)));
    this.of = new Map(this.rows.map((row) => [row.element, row]));
    this.byKey = new Map(this.rows.map((row) => [row.key, row]));
    this.order = root.querySelector('[aria-sort="descending"]') ? "change" : "key";
    this.listeners = [];
    this.whole = this.rows.length === Number(root.dataset.total); // not filtered by the server
    this.near = new Set(); // the groups that are laid out
    this.element.addEventListener("contentvisibilityautostatechange", ({ target, skipped }) => {
      if (skipped) this.near.delete(target);
      else this.near.add(target);
      this.dressSoon();
    });
    this.element.addEventListener("filtered", () => this.dressSoon());
    this.element.addEventListener("pointerover", (event) => this.at(event.target)?.dress(this.actions));
    if (!this.long || !("ContentVisibilityAutoStateChangeEvent" in window)) this.near = new Set(this.groups);
    this.dressSoon(0);
  }

  get long() { return this.element.classList.contains("long"); }

  // dressSoon gives buttons to the rows that can be seen, or will be soon: a few at a
  // time, after what somebody types has been answered.
  dressSoon(wait = 50) {
    this.dressing ??= setTimeout(() => {
      this.dressing = undefined;
      if (!this.dressSome(performance.now() + 8)) this.dressSoon(0);
    }, wait);
  }

  dressSome(end) {
    for (const group of this.near) {
      for (const element of group.rows) {
        const row = this.of.get(element);
        if (element.hidden || !row || row.dressed) continue;
        if (performance.now() > end) return false;
        row.dress(this.actions);
      }
    }
    return true;
  }

  // at is the row that an element is in.
  at(element) { return this.of.get(element?.closest?.("tbody > tr")); }

  // changed calls back after rows came, went, or got another text.
  changed(listener) { this.listeners.push(listener); }

  tell() {
    this.card.hidden = this.rows.length === 0;
    if (this.start) this.start.hidden = this.rows.length > 0;
    for (const listener of this.listeners) listener();
  }

  // put shows secrets in their rows, or in new ones, and answers the rows.
  put(secrets) {
    const fresh = [];
    const rows = secrets.map((secret) => {
      const present = this.byKey.get(secret.key);
      if (present) return present.take(secret, this.base);
      const row = new Row(this.blank.content.cloneNode(true).firstElementChild).take(secret, this.base);
      this.rows.push(row);
      this.of.set(row.element, row);
      this.byKey.set(row.key, row);
      fresh.push(row);
      return row;
    });
    if (fresh.length > 0 || this.order === "change") this.arrange();
    for (const { element } of fresh) element.classList.add("new");
    this.tell();
    return rows;
  }

  rename(row, secret) {
    this.byKey.delete(row.key);
    row.take(secret, this.base);
    this.byKey.set(row.key, row);
    this.arrange();
    this.tell();
  }

  remove(rows) {
    const gone = new Set(rows);
    this.rows = this.rows.filter((row) => !gone.has(row));
    for (const row of rows) {
      this.of.delete(row.element);
      this.byKey.delete(row.key);
      row.element.remove();
    }
    this.tell();
  }

  // sort orders the rows by "key" or by "change", the latest first.
  sort(order) {
    this.order = order;
    this.arrange();
    this.tell();
  }

  // arrange puts the rows into their order. Elements that are where they belong are
  // not touched, so that an editor that is open in one stays as it is.
  arrange() {
    const byKey = (a, b) => (a.key < b.key ? -1 : 1);
    this.rows.sort(this.order === "key" ? byKey : (a, b) => b.revision - a.revision || byKey(a, b));
    const size = this.long ? groupSize : Infinity;
    const wanted = Math.max(1, this.long ? Math.ceil(this.rows.length / groupSize) : 1);
    while (this.groups.length < wanted) {
      const group = this.element.createTBody();
      group.setAttribute("role", "rowgroup");
      this.groups.push(group);
      if (!this.long) this.near.add(group);
    }
    const active = document.activeElement;
    this.groups.forEach((group, n) => {
      const part = this.rows.slice(n * size, (n + 1) * size);
      let next = group.firstElementChild;
      for (const { element } of part) {
        if (element === next) next = next.nextElementSibling;
        else group.insertBefore(element, next);
      }
      group.hidden = part.length === 0;
    });
    if (active !== document.activeElement) active.focus({ preventScroll: true }); // moving it lost it
  }
}
