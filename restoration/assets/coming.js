// Keeps the place of a canvas, and says that its picture is on its way, until the editor has drawn it: from the tap on an
// example or the choice of a file on, so that nothing moves later.
(() => {
  if (window.canvasCame) return;

  const LONGEST = 20_000; // ms for which a place is kept for a picture that does not come
  const MOUNTED = 3000; // ms after which an editor is there, if it comes at all
  const DRAWN = 15_000; // ms after which a canvas is shown as it is: all its marks can be those of an empty one
  const now = () => performance.now();
  const of = (part, name) => part.closest(".picture").querySelector(name);

  /** Whether what is to be painted on has yet to appear. */
  function isOn(coming) {
    const [canvas, picture] = [of(coming, ".paint"), of(coming, ".image-frame img")];
    if (!canvas) return now() < (coming.until ?? 0) || (coming.classList.contains("kept") && picture && picture.src !== coming.without);
    coming.until = 0;
    if (canvas.querySelector("[aria-label=Undo]:not(:disabled)")) canvas.drawn = true;
    if (canvas.drawn === undefined) {
      canvas.drawn = false;
      setTimeout(() => look((canvas.drawn = true)), DRAWN);
    }
    return !canvas.drawn;
  }

  function showAll() {
    for (const coming of document.querySelectorAll(".block.coming")) {
      const picture = of(coming, ".image-frame img");
      const shown = picture ? `url("${picture.src}")` : "none";
      if (coming.style.getPropertyValue("--picture") !== shown) coming.style.setProperty("--picture", shown);
      coming.toggleAttribute("data-on", Boolean(isOn(coming)));
    }
  }

  /** A picture was asked for in a tab. */
  function expect(tab) {
    const coming = document.querySelector(`#${tab}-coming.kept`);
    if (!coming || of(coming, ".paint")) return;
    coming.until = now() + LONGEST;
    setTimeout(look, LONGEST + 50);
    look();
  }

  /** The server has answered a tab's new picture: if there is no canvas soon, there will be none, it cannot be read. */
  window.canvasCame = (tab) => {
    const coming = document.getElementById(`${tab}-coming`);
    const picture = of(coming, ".image-frame img")?.src;
    setTimeout(() => {
      [coming.until, coming.without] = [0, picture];
      look();
    }, MOUNTED);
  };

  /** An upload failed: no picture comes. */
  window.canvasForgotten = () => {
    for (const coming of document.querySelectorAll(".block.coming.kept")) coming.until = 0;
    look();
  };

  const look = window.whenChanged(showAll, ["src", "disabled"]);
  document.addEventListener("click", ({ target }) => {
    if (target.closest?.(".examples button")) expect(target.closest(".examples").id.slice(0, -9));
  }, true);
  for (const type of ["change", "drop"]) {
    document.addEventListener(type, ({ target, dataTransfer }) => {
      const files = target.files ?? dataTransfer?.files;
      const area = target.closest?.("[id$=-input]");
      if (area && files?.[0]?.type.startsWith("image/")) expect(area.id.slice(0, -6));
    }, true);
  }
})();
