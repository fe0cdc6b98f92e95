// The code of a second factor is asked for without a new page, so that the password
// need not be typed again.
export default function begin(form) {
  form.addEventListener("submit", async (event) => {
    if (form.elements.code) return;
    event.preventDefault();
    const { email, password, next } = form.elements;
    const answer = await fetch("/api/v1/auth/login/", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email: email.value.trim(), password: password.value }),
    }).catch(() => undefined);
    if (answer?.ok) {
      location.assign(next.value);
      return;
    }
    const problem = await answer?.json().catch(() => undefined);
    if (!problem?.second_factor) {
      HTMLFormElement.prototype.submit.call(form); // its page says what was wrong
      return;
    }
    askForCode(form);
  });
}

function askForCode(form) {
  const field = document.createElement("div");
  field.className = "field";
  const label = document.createElement("label");
  label.htmlFor = "field-code";
  label.textContent = "Code of your authenticator app, or a recovery code";
  const input = Object.assign(document.createElement("input"), {
    id: "field-code", name: "code", required: true, autocomplete: "one-time-code", className: "mono",
  });
  field.append(label, input);
  form.querySelector("button").before(field);
  input.focus();
}
