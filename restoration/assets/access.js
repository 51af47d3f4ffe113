// For keyboards and screen readers: one stop for a row of tabs or tools, parts named by what they show, paste anywhere.
(() => {
  if (window.accessible) return;
  window.accessible = true;

  // Rows of which one member takes the Tab key; the arrow keys go to the others.  Where a picture comes from is told by
  // the area above it, which takes what is dropped, chosen or pasted, so that row is no stop by itself.
  const ROWS = [
    { row: "[role=tablist]", member: "[role=tab]", current: "[aria-selected=true]" },
    { row: ".source-selection", member: "button", passed: true },
    { row: ".icon-button-wrapper, .toolbar-wrap", member: "button, [role=button]" },
    { row: "fieldset .wrap:has(> label > input[type=radio])", member: "input[type=radio]", current: ":checked" },
  ];

  const shown = (node) => node.getClientRects().length > 0 && !node.disabled;
  const set = (node, name, value) => node.getAttribute(name) === value || node.setAttribute(name, value);

  function makeRow({ row, member, current, passed }) {
    for (const found of document.querySelectorAll(row)) {
      const members = [...found.querySelectorAll(member)].filter(shown);
      const held = members.find((node) => node === document.activeElement);
      const stop = held ?? members.find((node) => current && node.matches(current)) ?? members[0];
      for (const node of members) set(node, "tabindex", node === stop && (held || !passed) ? "0" : "-1");
      if ("row" in found.dataset) continue;
      found.dataset.row = "";
      found.addEventListener("keydown", (event) => walk(event, found, member));
      found.addEventListener("focusin", look);
    }
  }

  function walk(event, row, member) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const members = [...row.querySelectorAll(member)].filter(shown);
    const at = members.indexOf(document.activeElement);
    if (!by || at < 0 || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = members[(at + by + members.length) % members.length];
    next.focus();
    if (next.type === "radio") next.click();
  }

  function nameParts() {
    for (const area of document.querySelectorAll("button.upload-container[aria-label]")) area.removeAttribute("aria-label");
    for (const button of document.querySelectorAll(".thumbnail-item")) {
      const picture = button.querySelector("img");
      const caption = button.querySelector(".caption-label")?.textContent.trim();
      if (!picture || !caption) continue;
      set(button, "aria-label", caption);
      set(picture, "alt", "");
    }
    for (const picture of document.querySelectorAll(".clean .gallery-item img")) {
      const file = decodeURIComponent(new URL(picture.src, location.href).pathname).split("/").pop();
      set(picture.closest("button") ?? picture, "aria-label", file.replace(/\.\w+$/, "").replaceAll("_", " "));
    }
    for (const nothing of document.querySelectorAll(".empty[aria-label]")) set(nothing, "role", "img");
    for (const mark of document.querySelectorAll("svg [role=graphics-symbol]:not([aria-label])")) {
      set(mark, "aria-label", mark.getAttribute("aria-roledescription") ?? "marks");
    }
  }

  /** A picture that is pasted, wherever the keyboard is, goes where one is missing in the tab that is open. */
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    const area = [...document.querySelectorAll("button.upload-container")].find(shown);
    const input = area?.querySelector("input[type=file]");
    if (!files.length || !input || event.target.closest?.("input, textarea")) return;
    const chosen = new DataTransfer();
    chosen.items.add(files[0]);
    input.files = chosen.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  });

  const SHOWN = ["src", "disabled", "aria-selected", "aria-checked", "aria-label"];
  const look = window.whenChanged(() => {
    ROWS.forEach(makeRow);
    nameParts();
  }, SHOWN);
})();
