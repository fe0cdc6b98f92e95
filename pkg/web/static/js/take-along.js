// Buttons to download and to print a text that is shown once.
function download(text, name) {
  const address = URL.createObjectURL(new Blob([text + "\n"], { type: "text/plain" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

export default function begin(row) {
  row.addEventListener("click", (event) => {
    const what = event.target.closest("[data-take]")?.dataset.take;
    if (what === "print") print();
    if (what === "download") download(document.getElementById(row.dataset.from).textContent, row.dataset.file);
  });
}
