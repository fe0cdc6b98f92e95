// The table of an environment's secrets. Each module of secrets/ does one thing, and
// finds the others in page.
import { ready as add } from "./secrets/add.js";
import { ready as details } from "./secrets/details.js";
import { Editor } from "./secrets/edit.js";
import { ready as filter } from "./secrets/filter.js";
import { Fresh } from "./secrets/fresh.js";
import { ready as keys } from "./secrets/keys.js";
import { ready as menu } from "./secrets/menu.js";
import { ready as paste } from "./secrets/paste.js";
import { ready as remove } from "./secrets/remove.js";
import { ready as sort } from "./secrets/sort.js";
import { Table } from "./secrets/table.js";
import { Values } from "./secrets/values.js";

export default function begin(root) {
  const page = { root, api: root.dataset.api };
  page.table = new Table(root);
  page.fresh = new Fresh(page);
  page.values = new Values(page);
  page.filter = filter(page);
  sort(page);
  if ("writable" in root.dataset) {
    page.editor = new Editor(page);
    page.adding = add(page);
    page.details = details(page);
    page.removal = remove(page);
    paste(page);
  }
  menu(page);
  keys(page);
}
