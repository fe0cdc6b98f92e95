// Recognises a .env text that is pasted where it is no value, and offers to import it:
// it goes to the import page as the form there would send it.
import { toast } from "../toast.js";

const line = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=(.*)$/;

// keys lists the keys that a text assigns, if it looks like a .env text.
export function keys(text) {
  const lines = text.split(/\r\n|\r|\n/).filter((l) => l.trim() && !l.trim().startsWith("#"));
  const found = lines.map((l) => line.exec(l)?.[1]).filter(Boolean);
  return lines.length > 0 && line.test(lines[0]) ? found : [];
}

export function ready({ root, table, adding }) {
  const keyField = root.querySelector("[data-add-form] [name=key]");

  function send(text) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = `${table.base}import/`;
    form.hidden = true;
    const area = document.createElement("textarea");
    area.name = "text";
    area.value = text;
    form.append(root.querySelector("[data-reveal-all] input[type=hidden]").cloneNode(), area);
    document.body.append(form);
    form.submit();
  }

  document.addEventListener("paste", (event) => {
    const writes = event.target.closest?.("input, textarea, select, dialog");
    if (writes && event.target !== keyField) return;
    const text = event.clipboardData?.getData("text/plain") ?? "";
    const found = keys(text);
    if (found.length === 0) return;
    event.preventDefault();
    const single = text.trim();
    if (found.length === 1 && !single.includes("\n")) {
      const [, name, value] = line.exec(single);
      adding.open();
      adding.fill(name, unquoted(value.trim()));
      return;
    }
    const what = found.length === 1 ? "one secret" : `${found.length} secrets`;
    toast(`This looks like a .env text with ${what}. You see what it would change before anything happens.`, { label: "Import it", do: () => send(text) });
  });
}

// unquoted takes the quotes off a value that has no escapes in it.
function unquoted(value) {
  const quoted = /^(["'])([^\\]*)\1$/.exec(value);
  return quoted && !quoted[2].includes(quoted[1]) ? quoted[2] : value;
}
