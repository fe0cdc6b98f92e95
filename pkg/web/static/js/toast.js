// toast says something at the edge of the page for a while. action, if there is
// one, is { label, do }: a button beside the text.
export function toast(text, action, life = 6000) {
  const place = document.querySelector("[data-toasts]");
  const box = document.createElement("div");
  box.className = "toast";
  const said = document.createElement("span");
  said.textContent = text;
  box.append(said);
  const end = () => box.remove();
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "button small";
    button.textContent = action.label;
    button.addEventListener("click", () => { end(); action.do(); });
    box.append(button);
    life = 20000;
  }
  place.append(box);
  setTimeout(end, life);
  return end;
}
