// To which click and picture a run belongs, told by the browser's clock: requests reach the server in any order.
(() => {
  if (window.turns) return;
  const visitor = Math.random().toString(36).slice(2);
  const now = () => performance.timeOrigin + performance.now();
  const pictures = {}; // folder and name of the file in hand, by tab
  const stem = (path) => path.split("/").pop().replace(/\.[^.]*$/, "");
  const converted = (path) => /\.tiff?$/i.test(path);
  const same = (one, other) =>
    one === other || ((converted(one) || converted(other)) && stem(one) === stem(other));

  let last = 0; // when the page was clicked last
  document.addEventListener("click", () => {
    last = now();
  }, true);

  window.turns = {
    now: () => `${visitor} ${now()}`,
    clicked: () => `${visitor} ${last}`,

    /** What a tab shows when a picture has come: nothing, unless it is the one that was there. */
    cleared(tab, file, nothing) {
      const [before, path] = [pictures[tab], file?.path.split(/[\\/]/).slice(-2).join("/") ?? ""];
      pictures[tab] = path;
      return before === path ? nothing.map(() => ({ __type__: "update" })) : nothing;
    },

    /** What a tab shows when a result has come: nothing, if another picture came first. */
    kept(tab, of, nothing) {
      const path = pictures[tab];
      return path === undefined || same(of, path) ? nothing.map(() => ({ __type__: "update" })) : nothing;
    },
  };
})();
