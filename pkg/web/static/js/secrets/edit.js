// Edits a value in its row. It is saved only if the secret is still as it was when
// the editor opened; else the person is shown both values.
import { call } from "../api.js";
import { toast } from "../toast.js";
import { conflict } from "./conflict.js";

export class Editor {
  constructor(page) {
    this.page = page;
    this.template = page.root.querySelector("template[data-editor]");
    this.open = new Map(); // row -> its draft
    addEventListener("beforeunload", (event) => { if (this.isDirty()) event.preventDefault(); });
    // What nobody has touched is no more than a revealed value.
    const leave = () => { for (const [row, draft] of [...this.open]) if (!changedBy(draft)) this.close(row); };
    document.addEventListener("visibilitychange", () => { if (document.hidden && page.values.now.away) leave(); });
    addEventListener("pagehide", leave);
  }

  isOpen(row) { return this.open.has(row); }

  isDirty() { return [...this.open.values()].some(changedBy); }

  async begin(row) {
    if (this.open.has(row)) {
      this.open.get(row).text.focus();
      return;
    }
    if (row.element.classList.contains("busy")) return;
    row.element.classList.add("busy");
    try {
      const secret = await this.page.values.read(row.key);
      this.page.fresh.noticed(row, secret);
      this.page.values.hide(row);
      this.show(row, secret);
    } catch (refusal) {
      toast(refusal.message);
    }
    row.element.classList.remove("busy");
  }

  show(row, secret) {
    const form = this.template.content.cloneNode(true).firstElementChild;
    const text = form.querySelector("textarea");
    const draft = { form, text, etag: secret.etag, original: secret.value, problem: form.querySelector(".problem") };
    text.ariaLabel = `Value of ${row.key}`;
    text.value = secret.value;
    draft.start = text.value; // line ends as the browser has them
    this.open.set(row, draft);
    row.element.classList.add("editing");
    row.cell.replaceChildren(form);
    form.addEventListener("submit", (event) => { event.preventDefault(); this.save(row); });
    form.querySelector("[data-cancel]").addEventListener("click", () => this.cancel(row));
    text.addEventListener("keydown", (event) => this.key(row, event));
    text.addEventListener("input", () => hint(draft));
    hint(draft);
    text.focus();
    text.setSelectionRange(text.value.length, text.value.length);
  }

  key(row, event) {
    const { text } = this.open.get(row);
    if (event.key === "Escape") {
      event.preventDefault();
      event.stopPropagation();
      this.cancel(row);
    } else if (event.key === "Enter" && !event.isComposing) {
      const always = event.ctrlKey || event.metaKey;
      if (!always && (event.shiftKey || text.value.includes("\n"))) return;
      event.preventDefault();
      this.save(row);
    }
  }

  cancel(row) {
    this.close(row);
    row.element.focus();
  }

  close(row) {
    this.open.delete(row);
    row.element.classList.remove("editing");
    row.cell.replaceChildren();
    const button = row.buttons?.find((b) => b.dataset.do === "edit");
    if (button) button.disabled = false;
  }

  async save(row) {
    const draft = this.open.get(row);
    if (draft.saving) return;
    if (!changedBy(draft)) {
      this.cancel(row);
      return;
    }
    draft.saving = true;
    draft.text.readOnly = true;
    try {
      await this.put(row, draft, withLineEnds(draft));
    } catch (refusal) {
      if (refusal.status === 412) await this.settle(row, draft);
      else complain(draft, refusal.message);
    } finally {
      draft.saving = false;
      draft.text.readOnly = false;
    }
  }

  async put(row, draft, value) {
    const condition = draft.etag ? { "If-Match": draft.etag } : { "If-None-Match": "*" };
    const { body } = await call("PUT", `${this.page.api}secrets/${row.key}/`, { value }, condition);
    this.close(row);
    this.page.fresh.saved(row, body);
    row.element.focus();
    toast([`${row.key} is saved.`, ...(body.warnings ?? [])].join(" "));
  }

  // settle asks what shall become of two values.
  async settle(row, draft) {
    let choice;
    try {
      choice = await conflict(this.page, row.key, draft.text.value);
    } catch (refusal) {
      complain(draft, refusal.message);
      return;
    }
    draft.etag = choice.etag; // seen, whatever comes of it
    draft.text.readOnly = false;
    if (choice.keep === "mine") {
      draft.text.value = choice.value;
      draft.start = undefined;
      draft.saving = false;
      await this.save(row);
    } else if (choice.keep === "theirs") {
      this.close(row);
      if (choice.theirs) this.page.fresh.saved(row, choice.theirs);
      else this.page.fresh.gone([row]);
    } else {
      draft.text.value = choice.value;
      draft.start = undefined;
      draft.text.focus();
    }
  }
}

const changedBy = (draft) => draft.text.value !== draft.start;

// withLineEnds gives a value the line ends back that it had before the browser made
// them its own.
function withLineEnds({ text, original }) {
  const all = /\r\n/.test(original) && !/(^|[^\r])\n/.test(original);
  return all ? text.value.replaceAll("\n", "\r\n") : text.value;
}

function hint({ form, text }) {
  const many = text.value.includes("\n");
  const key = /mac/i.test(navigator.platform) ? "⌘" : "Ctrl";
  form.querySelector("[data-hint]").textContent = many ? `${key}+Enter saves` : "Enter saves, Shift+Enter makes a new line";
}

function complain({ problem, text }, message) {
  problem.textContent = message;
  problem.hidden = false;
  text.ariaInvalid = "true";
  text.focus();
}
