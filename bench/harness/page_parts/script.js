"use strict";
// A click on a heading sorts by that column, another one the other way round.
const value = (row, column) => {
    const cell = row.cells[column];
    return "v" in cell.dataset ? parseFloat(cell.dataset.v) : cell.textContent.trim();
};
const compare = (a, b) => typeof a === "number" && typeof b === "number"
    ? (a === b ? 0 : a < b ? -1 : 1)
    : typeof a === "number" ? -1 : typeof b === "number" ? 1 : a.localeCompare(b);
for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach(other => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => compare(value(a, column), value(b, column)) * (up ? 1 : -1));
        table.tBodies[0].append(...rows);
    }));
}
// A box of a flame graph becomes as wide as the graph, with what it stands on and what it calls.
for (const flame of document.querySelectorAll(".flame")) {
    const told = flame.querySelector(".told");
    const boxes = [...flame.querySelectorAll(".graph > svg")].map(box => ({
        box, x: parseFloat(box.getAttribute("x")), w: parseFloat(box.getAttribute("width")),
        y: parseFloat(box.getAttribute("y")), told: box.querySelector("title").textContent,
    }));
    const zoom = to => {
        for (const one of boxes) {
            const below = one.y > to.y && one.x <= to.x + 1e-3 && one.x + one.w >= to.x + to.w - 1e-3;
            const above = one.y <= to.y && one.x >= to.x - 1e-3 && one.x + one.w <= to.x + to.w + 1e-3;
            one.box.style.display = below || above ? "" : "none";
            one.box.setAttribute("x", (below ? 0 : 100 * (one.x - to.x) / to.w) + "%");
            one.box.setAttribute("width", (below || one === to ? 100 : 100 * one.w / to.w) + "%");
        }
    };
    for (const one of boxes) {
        one.box.addEventListener("click", () => { zoom(one); told.textContent = one.told; });
        one.box.addEventListener("mouseover", () => { told.textContent = one.told; });
    }
}
