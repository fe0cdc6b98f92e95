// The test of single sign-on without a new page, so that a client secret that was
// typed is still there to be saved.
import { call } from "./api.js";

// changes are the fields that are not as they are in force.
function changes(form) {
  const body = {};
  for (const field of form.querySelectorAll("[data-now]")) {
    const text = field.value.trim();
    if (text === field.dataset.now) continue;
    body[field.name] = field.localName !== "select" ? text || null : text === "" ? null : text === "true";
  }
  const secret = form.elements.client_secret.value;
  if (secret) body.client_secret = secret;
  else if (form.elements.forget_secret?.checked) body.client_secret = null;
  return body;
}

function show(place, title, steps) {
  const box = document.createElement("div");
  box.className = "findings";
  const said = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = title;
  said.append(strong, " Nothing was saved.");
  const list = document.createElement("ul");
  for (const step of steps) {
    const item = document.getElementById(step.ok ? "sso-step-good" : "sso-step-bad").content.cloneNode(true);
    item.querySelector("strong").textContent = step.part.charAt(0).toUpperCase() + step.part.slice(1);
    item.querySelector("[data-message]").textContent = step.message;
    list.append(item);
  }
  box.append(said, list);
  place.replaceChildren(box);
  place.scrollIntoView({ block: "nearest" });
}

export default function begin(form) {
  const place = document.querySelector("[data-findings]");
  place.setAttribute("role", "status");
  const button = form.querySelector("[data-test]");
  button.addEventListener("click", async (event) => {
    if (!form.reportValidity()) return;
    event.preventDefault();
    button.disabled = true;
    try {
      const { body } = await call("POST", "/admin/oidc/test/", changes(form));
      show(place, body.ok ? "Everything that could be tried works." : "Something does not work yet.", body.steps);
    } catch (refusal) {
      show(place, "The test could not be made.", [{ ok: false, part: "settings", message: refusal.message }]);
    } finally {
      button.disabled = false;
    }
  });
}
