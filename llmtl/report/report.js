"use strict";
// Sorting and filtering; the page says the same without them.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const hint of table.querySelectorAll(".hint")) hint.hidden = false;
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const ascending = cell.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const order = (a, b) => (isNaN(key(a)) ? key(a).localeCompare(key(b)) : key(a) - key(b));
      body.append(...[...body.rows].sort((a, b) => (ascending ? order(a, b) : order(b, a))));
    });
  });
}
for (const form of document.querySelectorAll("form.filter")) {
  form.hidden = false;
  const list = document.getElementById(form.getAttribute("aria-controls"));
  const more = list.querySelector("details.more");
  const cards = [...list.querySelectorAll("li.example")];
  const apply = () => {
    const chosen = (name) => form.elements[name]?.value ?? "";
    const winner = chosen("winner"), reference = chosen("reference"), wanted = chosen("text").trim().toLowerCase();
    const active = winner !== "" || reference !== "" || wanted !== "";
    let shown = 0;
    for (const card of cards) {
      const fits = (winner === "" || card.dataset.winner === winner)
        && (reference === "" || card.dataset.reference === reference)
        && card.textContent.toLowerCase().includes(wanted);
      card.hidden = !fits;
      shown += fits;
    }
    if (more) more.open = active || more.open;
    form.querySelector("output").textContent = active ? `${shown} of ${cards.length}` : "";
  };
  form.addEventListener("input", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
}
// The cost of another volume and utilisation; the table beside has a few of them without this.
for (const form of document.querySelectorAll("form.money-sliders")) {
  const details = form.nextElementSibling, table = details.querySelector("table");
  const usd = (value) => value === 0 ? "$0" : value < 0.00995 ? "less than 1 cent"
    : "$" + (value >= 99.5 ? Math.round(value).toLocaleString("en-US") : value.toFixed(2));
  const shown = () => {
    const { value, defaultValue } = form.elements.volume;
    const volume = value === defaultValue ? Number(form.dataset.volume) : Number((10 ** value).toPrecision(2));
    const share = form.elements.utilisation.value / 100, scale = share / form.dataset.utilisation;
    form.elements["volume-said"].textContent = volume.toLocaleString("en-US");
    form.elements["utilisation-said"].textContent = Math.round(100 * share) + "%";
    for (const row of table.tBodies[0].rows) {
      const { request, machine, carries } = row.dataset;
      const machines = carries === "" ? 0
        : Math.max(1, carries === "inf" ? 1 : Math.ceil(volume / (carries * scale) * (1 - 1e-9)));
      row.querySelector(".chosen").textContent = usd(volume * request + machines * machine);
    }
  };
  form.hidden = false;
  details.open = true;
  for (const cell of table.querySelectorAll(".chosen")) cell.hidden = false;
  form.addEventListener("input", shown);
  form.addEventListener("submit", (event) => event.preventDefault());
  shown();
}
window.addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not(.more)")) details.open = true;
});
const reveal = () => {
  const part = document.getElementById(location.hash.slice(1))?.querySelector(":scope > details.part");
  if (part) part.open = true;
};
window.addEventListener("hashchange", reveal);
for (const link of document.querySelectorAll(".contents a")) link.addEventListener("click", () => setTimeout(reveal));
reveal();
