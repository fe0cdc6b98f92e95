// A form whose work takes a moment: its button says so and can not be pressed twice.
// The server does the work once in any case.
export default function begin(form) {
  const button = form.querySelector("button[type=submit]");
  const words = button.textContent;
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    button.setAttribute("aria-disabled", "true");
    if (form.dataset.busy) button.textContent = form.dataset.busy;
  });
  addEventListener("pageshow", () => { // also when the browser has gone back to it
    delete form.dataset.sent;
    button.removeAttribute("aria-disabled");
    button.textContent = words;
  });
}
