// To which click and picture a run belongs, told by the browser's clock: requests reach the server in any order.
(() => {
  if (window.turns) return;
  const visitor = Math.random().toString(36).slice(2);
  const now = () => performance.timeOrigin + performance.now();
  const pictures = {}; // folder and name of the file in hand, by tab
  const settings = {}; // of a click that waits for its picture, by tab
  const going = {}; // runs that were clicked and are not over, by tab
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
    clicked(tab) {
      going[tab] = (going[tab] ?? 0) + 1;
      return `${visitor} ${last}`;
    },

    /** Note that a run has ended. */
    over(tab) {
      going[tab] = Math.max(0, (going[tab] ?? 0) - 1);
    },

    /** What a tab shows on Cancel: that a run is cancelled, if there was one; a click that waited is forgotten. */
    cancelled(tab, shown) {
      const any = going[tab] > 0;
      going[tab] = 0;
      this.forget(tab);
      return any ? shown : shown.map(() => ({ __type__: "update" }));
    },

    /** Keep the settings of a click that waits for its picture. */
    keep(tab, values) {
      settings[tab] = [, ...values];
    },

    /** Forget them: the picture does not come. */
    forget(tab) {
      delete settings[tab];
    },

    /** The values of a run, which begin with the picture, with the settings that its click had. */
    asClicked(tab, values) {
      const kept = settings[tab] ?? [];
      delete settings[tab];
      return values.map((value, place) => (place in kept ? kept[place] : value));
    },

    /** What a tab shows when a picture has come: nothing, unless it is the one that was there. */
    cleared(tab, file, nothing) {
      const [before, path] = [pictures[tab], file?.path.split(/[\\/]/).slice(-2).join("/") ?? ""];
      pictures[tab] = path;
      return before === path ? nothing.map(() => ({ __type__: "update" })) : nothing;
    },

    /** What a tab shows when a result has come: nothing, if another picture came first. */
    kept(tab, of, nothing) {
      this.over(tab);
      const path = pictures[tab];
      return path === undefined || same(of, path) ? nothing.map(() => ({ __type__: "update" })) : nothing;
    },
  };
})();
