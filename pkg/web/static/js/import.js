// A file is read here and put into the field, so that its text goes the same way as
// what is pasted. The format follows from the file's name.
import { toast } from "./toast.js";

const largest = 3 << 20; // what a form can carry, escaped
const formats = { json: "json", yaml: "yaml", yml: "yaml", env: "dotenv" };

export default function begin(form) {
  const { text, format } = form.elements;
  const file = form.querySelector("#file");
  const preview = document.querySelector('button[form="import"]');

  form.querySelector("[data-choose]").addEventListener("click", () => file.click());
  file.addEventListener("change", () => take(file.files[0]));
  form.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    text.classList.add("drop");
  });
  form.addEventListener("dragleave", () => text.classList.remove("drop"));
  form.addEventListener("drop", (event) => {
    text.classList.remove("drop");
    if (event.dataTransfer.files.length === 0) return;
    event.preventDefault();
    take(event.dataTransfer.files[0]);
  });
  form.addEventListener("input", stale);
  form.addEventListener("change", stale);

  async function take(chosen) {
    file.value = "";
    if (!chosen) return;
    if (chosen.size > largest) {
      toast("The file is too large for a page. Use heartlock import.");
      return;
    }
    try {
      text.value = new TextDecoder("utf-8", { fatal: true }).decode(await chosen.arrayBuffer());
    } catch {
      toast(`${chosen.name} is not UTF-8 text.`);
      return;
    }
    const end = chosen.name.toLowerCase().split(".").pop();
    format.value = formats[end] ?? "auto";
    toast(`${chosen.name} is in the field. Preview it next.`);
    stale();
    text.focus();
    text.setSelectionRange(0, 0);
  }

  // What a preview does not show is not imported: the server would preview again.
  function stale() {
    if (!preview || preview.disabled) return;
    preview.disabled = true;
    form.querySelector('button[type="submit"]').classList.add("primary");
  }
}
