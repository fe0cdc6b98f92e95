// Adds secrets at the top of the table, one after the other.
import { call } from "../api.js";
import { toast } from "../toast.js";

export function ready(page) {
  const { root, table, fresh } = page;
  const form = root.querySelector("[data-add-form]");
  const { key, value, comment } = form.elements;
  const submit = form.querySelector("[type=submit]");
  const problem = document.createElement("div");
  problem.className = "problem";
  problem.setAttribute("role", "alert");
  key.after(problem);

  // start hides what an empty table says, which offers the same once more.
  function start(hidden) {
    if (table.start) table.start.hidden = hidden || table.rows.length > 0;
  }

  function open() {
    form.hidden = false;
    start(true);
    key.focus();
  }

  function close() {
    form.hidden = true;
    start(false);
    form.reset();
    complain("");
  }

  function complain(text) {
    problem.textContent = text;
    if (text) key.setAttribute("aria-invalid", "true");
    else key.removeAttribute("aria-invalid");
  }

  async function save() {
    submit.disabled = true;
    complain("");
    const name = key.value.trim();
    try {
      const { body } = await call("PUT", `${page.api}secrets/${encodeURIComponent(name)}/`,
        { value: value.value, comment: comment.value.trim() }, { "If-None-Match": "*" });
      fresh.saved(undefined, body);
      form.reset();
      key.focus();
      toast([`${name} is added.`, ...(body.warnings ?? [])].join(" "), table.byKey.has(name) ? { label: "Show it", do: () => table.byKey.get(name)?.element.focus() } : undefined);
    } catch (refusal) {
      complain(refusal.status === 412 ? "There is a secret with this key already. Edit it in the table." : refusal.message);
      key.focus();
    } finally {
      submit.disabled = false;
    }
  }

  for (const link of document.querySelectorAll("[data-add]")) {
    link.addEventListener("click", (event) => { event.preventDefault(); open(); });
  }
  form.addEventListener("submit", (event) => { event.preventDefault(); save(); });
  form.querySelector("[data-cancel]").addEventListener("click", (event) => {
    event.preventDefault();
    close();
    document.querySelector("[data-add]").focus();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      close();
      document.querySelector("[data-add]").focus();
    }
    if (event.key === "Enter" && event.target === value && !event.isComposing) {
      const always = event.ctrlKey || event.metaKey;
      if (!always && (event.shiftKey || value.value.includes("\n"))) return;
      event.preventDefault();
      form.requestSubmit();
    }
  });
  addEventListener("beforeunload", (event) => {
    if (!form.hidden && value.value) event.preventDefault();
  });
  return { open, fill(name, text) { key.value = name; value.value = text; value.focus(); } };
}
