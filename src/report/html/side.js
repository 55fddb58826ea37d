document.querySelectorAll(".side").forEach((side) => {
  const form = side.querySelector("form.controls");
  const table = side.querySelector("table");
  const [norm, epsilon] = [form.elements.norm, form.elements.epsilon];
  const all = [...epsilon.options];
  const heads = [...table.tHead.rows[0].cells];
  const filters = table.tHead.insertRow();
  filters.className = "filters";
  heads.forEach((head) => {
    const cell = filters.insertCell();
    Object.assign(cell.dataset, head.dataset);
    const input = document.createElement("input");
    const unit = head.dataset.unit;
    input.placeholder = { "": "text", "%": "≥ 50, 20..80", "s": "≤ 3 (s)" }[unit] || "≤ 5000";
    input.title = unit ? "in " + unit + ": ≥ 50, < 3, 20..80 or a least number" : "part of the text";
    input.setAttribute("aria-label", "keep rows by " + head.textContent.trim() + (unit ? ", in " + unit : ""));
    input.addEventListener("input", rows);
    cell.append(input);
  });
  // "≥ 50", "<= 3", "20..80" or a bare number, which is a least one; null for text.
  function range(text) {
    const number = "(-?\\d+(?:\\.\\d+)?)\\s*(?:%|s|bytes)?";
    const between = text.match(new RegExp("^" + number + "\\s*(?:\\.\\.|–|to)\\s*" + number + "$"));
    if (between) return (value) => value >= Number(between[1]) && value <= Number(between[2]);
    const bound = text.match(new RegExp("^(>=|<=|≥|≤|>|<|=)?\\s*" + number + "$"));
    if (!bound) return null;
    const limit = Number(bound[2]);
    const tests = { "<": (v) => v < limit, "<=": (v) => v <= limit, "≤": (v) => v <= limit, ">": (v) => v > limit, "=": (v) => v === limit };
    return tests[bound[1]] || ((value) => value >= limit);
  }
  function keeps(cell, text) {
    if (cell.hidden || text === "") return true;
    const within = cell.classList.contains("n") ? range(text) : null;
    if (within) return cell.dataset.key !== "" && within(Number(cell.dataset.key));
    return cell.textContent.toLowerCase().includes(text);
  }
  function rows() {
    const wanted = [...filters.cells].map((cell) => cell.firstChild.value.trim().toLowerCase());
    const find = form.elements.find.value.trim().toLowerCase();
    const seeds = form.elements.seeds && form.elements.seeds.checked;
    let shown = 0;
    const body = [...table.tBodies[0].rows].filter((row) => !row.classList.contains("seed") || seeds);
    [...table.tBodies[0].rows].forEach((row) => { row.hidden = true; });
    body.forEach((row) => {
      const text = [...row.cells].filter((cell) => !cell.classList.contains("n") && !cell.hidden).map((cell) => cell.textContent).join(" ");
      row.hidden = !(text.toLowerCase().includes(find) && [...row.cells].every((cell, column) => keeps(cell, wanted[column])));
      shown += row.hidden ? 0 : 1;
    });
    form.querySelector(".count").textContent = shown + " of " + body.length + " rows";
  }
  function columns() {
    const chosen = new Set(["defence", ...[...form.elements.column].filter((box) => box.checked).map((box) => box.value)]);
    const here = (element) => !element.dataset.norm || (element.dataset.norm === norm.value && element.dataset.epsilon === epsilon.value);
    side.querySelectorAll("[data-column]").forEach((cell) => { cell.hidden = !(here(cell) && chosen.has(cell.dataset.column)); });
    side.querySelector(".here").textContent = norm.selectedOptions[0].text + ", ε " + epsilon.selectedOptions[0].text + ". ";
    side.querySelectorAll("p[data-norm], figure[data-norm]").forEach((element) => { element.hidden = !here(element); });
    rows();
  }
  function epsilons() {
    epsilon.replaceChildren(...all.filter((option) => option.dataset.norm === norm.value));
    epsilon.selectedIndex = Math.max(0, [...epsilon.options].findIndex((option) => "opens" in option.dataset));
    columns();
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  norm.addEventListener("change", epsilons);
  epsilon.addEventListener("change", columns);
  form.elements.find.addEventListener("input", rows);
  if (form.elements.seeds) form.elements.seeds.addEventListener("change", rows);
  form.elements.column.forEach((box) => box.addEventListener("change", columns));
  form.hidden = false;
  epsilons();
});
