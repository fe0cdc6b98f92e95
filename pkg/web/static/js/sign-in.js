// Signing in without a new page: what is wrong is said at once, and the code of a
// second factor is asked for without the password being typed again.
const token = () => document.cookie.split("; ").find((c) => c.startsWith("csrftoken="))?.slice("csrftoken=".length) ?? "";

async function ask(form) {
  const { email, password, code } = form.elements;
  const body = { email: email.value.trim(), password: password.value };
  if (code) body.code = code.value;
  const headers = { "Content-Type": "application/json" };
  if (token()) headers["X-CSRFToken"] = token(); // somebody has signed in in another tab
  const answer = await fetch("/api/v1/auth/login/", { method: "POST", headers, body: JSON.stringify(body), cache: "no-store" });
  return { ok: answer.ok, problem: answer.ok ? undefined : await answer.json() };
}

export default function begin(form) {
  const button = form.querySelector("button[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "yes";
    button.setAttribute("aria-disabled", "true");
    let result;
    try {
      result = await ask(form);
    } catch {
      HTMLFormElement.prototype.submit.call(form); // its page says what is wrong
      return;
    }
    if (result.ok) {
      location.assign(form.elements.next.value);
      return;
    }
    delete form.dataset.sent;
    button.removeAttribute("aria-disabled");
    refuse(form, result.problem);
  });
}

function refuse(form, problem) {
  const sent = form.elements.code;
  if (problem.second_factor && !sent) {
    say(form, "");
    askForCode(form);
    return;
  }
  if (problem.second_factor) {
    say(form, "This is not a code that serves now. Wait for the next one: each serves once.");
    sent.value = "";
    sent.focus();
    return;
  }
  say(form, problem.detail);
  form.elements.password.value = "";
  form.elements.password.focus();
}

// say puts what is wrong where the page would have it.
function say(form, words) {
  const card = form.closest(".card");
  card.querySelector("[role=alert]")?.remove();
  if (!words) return;
  const box = document.createElement("div");
  box.className = "callout bad";
  box.setAttribute("role", "alert");
  const icon = document.getElementById("alert-icon").content.cloneNode(true);
  const text = document.createElement("div");
  text.textContent = words;
  box.append(icon, text);
  form.before(box);
}

function askForCode(form) {
  const field = document.getElementById("code-field").content.cloneNode(true);
  form.querySelector("button[type=submit]").before(field);
  form.elements.code.focus();
}
