// A field for a new password: shows it on demand, and says while it is typed whether
// it can be taken. The server decides; it also knows the passwords that are guessed
// first.
const least = 8;
const enough = 15;

function judge(text, email) {
  const lower = text.toLowerCase();
  const local = email.split("@")[0];
  if (text === "") return ["", false];
  if ([...text].length < least) return [`${least - [...text].length} more to go.`, false];
  if (/^[0-9]+$/.test(text)) return ["It must not be all digits. Add words or letters.", false];
  if (/^(.)\1*$/su.test(lower)) return ["It must not be one character repeated.", false];
  if ((email && lower.includes(email)) || (local.length >= 4 && lower.includes(local)) || lower.includes("heartlock")) {
    return ["It must not contain your address or the word heartlock.", false];
  }
  if ([...text].length < enough) return ["Long enough. Longer is better.", true];
  return ["A good length.", true];
}

export default function begin(field) {
  const input = field.querySelector("input");
  const button = field.querySelector("button");
  const verdict = field.querySelector("[data-verdict]");
  const address = () => (field.dataset.email ?? input.form.elements.email?.value ?? "").trim().toLowerCase();
  button.addEventListener("click", () => {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    button.setAttribute("aria-pressed", String(!shown));
    button.querySelector("use").setAttribute("href", shown ? "#icon-eye" : "#icon-eye-off");
    input.focus();
  });
  input.addEventListener("input", () => {
    const [words, good] = judge(input.value, address());
    verdict.textContent = words;
    verdict.classList.toggle("good", good);
  });
  input.form.addEventListener("submit", () => { input.type = "password"; });
}
