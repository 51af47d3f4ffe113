// The size of the brush below the canvas that is painted on: a slider, and the keys [ and ].
(() => {
  if (window.brushes) return;
  window.brushes = true;

  const [LEAST, MOST, FACTOR] = [1, 100, 1.25];
  const frame = () => new Promise(requestAnimationFrame);

  /** The editor's own slider of the tool in hand, which is there while its button is pressed. */
  async function ownSlider(block) {
    const find = () => block.querySelector(".toolbar-wrap input[type=range]");
    if (!find()) block.querySelector("[aria-label='Brush Size'], [aria-label='Eraser Size']")?.click();
    for (let tries = 0; tries < 10 && !find(); tries += 1) await frame();
    return find();
  }

  async function setSize(block, size) {
    const own = await ownSlider(block);
    if (!own) return;
    own.value = size;
    for (const type of ["input", "change"]) own.dispatchEvent(new Event(type, { bubbles: true }));
  }

  function addBar(block) {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: LEAST, max: MOST, value: 24 });
    const [label, text, size, hint] = ["label", "span", "output", "span"].map((tag) => document.createElement(tag));
    text.textContent = "Brush size";
    size.textContent = slider.value;
    hint.className = "paint-hint";
    hint.textContent = "keys [ and ]";
    label.append(text, slider, size);
    const bar = document.createElement("div");
    bar.className = "paint-bar";
    bar.append(label, hint);
    block.append(bar);
    const resized = () => {
      size.textContent = slider.value;
      setSize(block, slider.value);
    };
    slider.addEventListener("input", resized);
    block.resize = (factor) => {
      const next = Math.round(slider.value * factor);
      slider.value = next === Number(slider.value) ? next + Math.sign(factor - 1) : next;
      resized();
    };
    // the other tool has a size of its own, which is to be the same
    block.addEventListener("click", (event) => {
      if (event.target.closest("[aria-label=Brush], [aria-label=Erase]")) frame().then(() => setSize(block, slider.value));
    });
  }

  document.addEventListener("keydown", (event) => {
    const factor = { "[": 1 / FACTOR, "]": FACTOR }[event.key];
    const block = [...document.querySelectorAll(".paint")].find((each) => each.getClientRects().length > 0);
    const typing = event.target.closest?.("textarea, input:not([type=range]):not([type=radio]):not([type=checkbox])");
    if (!factor || !block?.resize || typing || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    block.resize(factor);
  });

  window.whenChanged(() => {
    for (const block of document.querySelectorAll(".paint")) {
      if (!block.querySelector(":scope > .paint-bar") && block.querySelector(".toolbar-wrap")) addBar(block);
    }
  });
})();
