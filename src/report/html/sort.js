"use strict";
document.querySelectorAll("table.sortable").forEach((table) => {
  const body = table.tBodies[0];
  // Rows of single seeds stay below the row of their recipe.
  const groups = [];
  [...body.rows].forEach((row) => {
    if (row.classList.contains("seed")) groups[groups.length - 1].push(row);
    else groups.push([row]);
  });
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.key;
      const numbers = [...body.rows].every((row) => key(row) === "" || !Number.isNaN(Number(key(row))));
      const compare = (a, b) => {
        const [x, y] = [key(a), key(b)];
        // What is missing stays last.
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = numbers ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
        return down ? -order : order;
      };
      groups.forEach((group) => group.splice(1, group.length - 1, ...group.slice(1).sort(compare)));
      body.append(...groups.sort((a, b) => compare(a[0], b[0])).flat());
    });
  });
});
