
"use strict";
// Sorts and filters the table of owners. Everything is there without it; what it knows it reads from #data.
// The address keeps what is shown: report.html#sort=files&order=ascending&filter=orphan
(() => {
  const owners = JSON.parse(document.getElementById("data").textContent).owners;
  const body = document.querySelector("#owners tbody");
  const headings = [...document.querySelectorAll("#owners thead th")];
  const input = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const tiles = [...document.querySelectorAll(".tile[data-owner]")];

  const disk = (owner, status) => owner.statuses[status]?.disk ?? 0;
  const shared = (owner) => owner.shared?.disk ?? 0;
  const notFresh = (owner) => owner.disk - disk(owner, "fresh");
  const keys = {
    owner: { of: (row) => row.name, first: "ascending" },
    kind: { of: (row) => row.owner.kind + (row.owner.gone ? " gone" : ""), first: "ascending" },
    size: { of: (row) => row.owner.disk + shared(row.owner), first: "descending" },
    share: { of: (row) => row.owner.disk, first: "descending" },
    shared: { of: (row) => shared(row.owner), first: "descending" },
    files: { of: (row) => row.owner.files, first: "descending" },
    reclaimable: { of: (row) => row.owner.reclaimable.disk, first: "descending" },
    status: { of: (row) => notFresh(row.owner), first: "descending" },
    tags: { of: (row) => row.owner.tags.join(" "), first: "ascending" },
    used: { of: (row) => Date.parse(row.owner.last_used ?? 0), first: "descending" },
  };
  const rows = owners.map((owner, index) => {
    const element = document.getElementById(`owner-${index}`);
    const name = element.cells[0].textContent;
    const words = [name, owner.root, owner.kind, owner.gone ? "gone" : "", ...owner.tags, ...Object.keys(owner.statuses)];
    return { index, owner, element, name, text: words.join("\n").toLowerCase() };
  });
  const names = new Intl.Collator("en", { numeric: true });
  let state = { sort: "size", order: "descending", filter: "" };

  function size(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let unit = 0;
    while (bytes >= 1024 && unit < units.length - 1) {
      bytes /= 1024;
      unit += 1;
    }
    return `${Number.isInteger(bytes) ? bytes : bytes.toFixed(2)} ${units[unit]}`;
  }
  const count = (number) => String(number).replace(/\B(?=(\d{3})+$)/g, " ");

  function sort() {
    const { of } = keys[state.sort];
    const sign = state.order === "ascending" ? 1 : -1;
    const compared = rows.map((row) => ({ row, key: of(row) }));
    compared.sort((one, other) => {
      const order = typeof one.key === "string" ? names.compare(one.key, other.key) : one.key - other.key;
      return order * sign || one.row.index - other.row.index;
    });
    body.append(...compared.map(({ row }) => row.element));
    for (const heading of headings) {
      if (heading.dataset.key === state.sort) heading.setAttribute("aria-sort", state.order);
      else heading.removeAttribute("aria-sort");
    }
  }

  function filter() {
    const terms = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
    let [matching, bytes, files] = [0, 0, 0];
    for (const row of rows) {
      const matches = terms.every((term) => row.text.includes(term));
      row.element.hidden = !matches;
      if (matches) {
        matching += 1;
        bytes += row.owner.disk;
        files += row.owner.files;
      }
    }
    for (const tile of tiles) tile.classList.toggle("filtered", rows[tile.dataset.owner].element.hidden);
    const of = terms.length === 0 ? "" : ` of ${count(rows.length)}`;
    const noun = rows.length === 1 ? "owner" : "owners";
    shown.textContent = `${count(matching)}${of} ${noun}: ${size(bytes)} in ${count(files)} ${files === 1 ? "file" : "files"}`;
  }

  function remember() {
    const parts = new URLSearchParams();
    if (state.sort !== "size" || state.order !== "descending") {
      parts.set("sort", state.sort);
      parts.set("order", state.order);
    }
    if (state.filter) parts.set("filter", state.filter);
    history.replaceState(null, "", `#${parts}`);
  }

  function recall() {
    const fragment = location.hash.slice(1);
    if (/^owner-\d+$/.test(fragment)) {
      // A tile leads to its row, which may be filtered out.
      if (rows[Number(fragment.slice(6))]?.element.hidden) {
        state.filter = input.value = "";
        filter();
      }
      document.getElementById(fragment)?.scrollIntoView({ block: "center" });
      return;
    }
    const parts = new URLSearchParams(fragment);
    const wanted = parts.get("sort");
    const sort_by = Object.hasOwn(keys, wanted ?? "") ? wanted : "size";
    const order = parts.get("order");
    const is_order = order === "ascending" || order === "descending";
    state = { sort: sort_by, order: is_order ? order : keys[sort_by].first, filter: parts.get("filter") ?? "" };
    input.value = state.filter;
    sort();
    filter();
  }

  for (const heading of headings) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const key = heading.dataset.key;
      const other = state.order === "ascending" ? "descending" : "ascending";
      state = { ...state, sort: key, order: state.sort === key ? other : keys[key].first };
      sort();
      remember();
    });
  }
  input.addEventListener("input", () => {
    state.filter = input.value;
    filter();
    remember();
  });
  addEventListener("hashchange", recall);
  document.getElementById("controls").hidden = false;
  recall();
})();
