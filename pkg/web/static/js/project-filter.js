// A field that leaves of the list of projects those that have all its words.
export default function begin(field) {
  const cards = [...document.querySelectorAll(".project-cards > li")].map((item) => ({ item, text: item.textContent.toLowerCase() }));
  const said = document.getElementById("project-found");
  const none = document.querySelector("[data-none]");
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const { item, text } of cards) {
      item.hidden = !words.every((word) => text.includes(word));
      if (!item.hidden) left += 1;
    }
    none.hidden = left > 0;
    said.textContent = left === 1 ? "1 project" : `${left} projects`;
  });
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    cards.find(({ item }) => !item.hidden)?.item.querySelector("a").click();
  });
}
