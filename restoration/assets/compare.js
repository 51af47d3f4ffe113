// Adds to every before/after slider of the page: arrow keys, a "Before" button to hold, and a view of the exact pixels.
(() => {
  if (window.compareSliders) return;
  window.compareSliders = true;

  const IMAGE = "[data-testid=imageslider-image]";
  const HANDLE = "[data-testid=slider]";
  const ZOOMS = [1, 2, 4, 8];
  const clamp = (value, low, high) => Math.min(Math.max(value, low), Math.max(low, high));
  const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

  const slider = (label) => ({
    ...{ role: "slider", "aria-label": label },
    ...{ "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": 50 },
  });

  function describe(node, attributes) {
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  }

  function element(tag, className, attributes = {}, ...children) {
    const made = document.createElement(tag);
    made.className = className;
    describe(made, attributes);
    made.append(...children);
    return made;
  }

  function button(text, title, press) {
    const made = element("button", "compare-button", { type: "button", title }, text);
    if (press) made.addEventListener("click", press);
    return made;
  }

  /** A "Before" button: show(true) while it is held by mouse, finger or key, then show(false). */
  function beforeButton(show) {
    const made = button("Before", "Hold to see the picture before everywhere");
    made.classList.add("compare-hold");
    const hold = (held) => {
      made.setAttribute("aria-pressed", held);
      show(held);
    };
    made.setAttribute("aria-pressed", false);
    made.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      made.setPointerCapture(event.pointerId);
      hold(true);
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture", "blur"]) {
      made.addEventListener(end, () => hold(false));
    }
    const key = (held) => (event) => {
      if (event.key !== " " && event.key !== "Enter") return;
      event.preventDefault();
      if (!event.repeat) hold(held);
    };
    made.addEventListener("keydown", key(true));
    made.addEventListener("keyup", key(false));
    made.addEventListener("contextmenu", (event) => event.preventDefault());
    return made;
  }

  // The slider on the page ------------------------------------------------------------------------------------------

  /** Left edge and width of the picture inside the slider, as the slider itself reckons them. */
  function pictureSpan(handle) {
    const image = handle.parentElement.querySelector(IMAGE);
    const box = image.parentElement.getBoundingClientRect();
    const width = Math.min(box.width, (box.height * image.naturalWidth) / image.naturalHeight);
    return { left: (box.width - width) / 2, width };
  }

  /** Where the handle stands, in percent of the picture; NaN while the slider is hidden. */
  function percent(handle) {
    const { left, width } = pictureSpan(handle);
    const x = Number.parseFloat(/translateX\((.*)px\)/.exec(handle.style.transform)?.[1]);
    return width > 0 ? clamp(((x - left) / width) * 100, 0, 100) : Number.NaN;
  }

  /** Move the handle by what its own drag code listens for. */
  function moveTo(handle, target) {
    const { left, width } = pictureSpan(handle);
    const clientX = handle.parentElement.getBoundingClientRect().left + left + (width * clamp(target, 0, 100)) / 100;
    // plain events: those of a mouse would round the position to whole pixels
    const mouse = (type) => Object.assign(new Event(type), { view: window, button: 0, clientX, clientY: 0 });
    handle.dispatchEvent(mouse("mousedown"));
    window.dispatchEvent(mouse("mouseup"));
  }

  function enhanceHandle(handle) {
    handle.dataset.compare = "";
    handle.tabIndex = 0;
    describe(handle, slider("Compare before and after"));
    const tell = () => {
      const now = percent(handle);
      if (!Number.isNaN(now)) handle.setAttribute("aria-valuenow", Math.round(now));
    };
    new MutationObserver(tell).observe(handle, { attributes: true, attributeFilter: ["style"] });
    tell();
    handle.addEventListener("focus", tell); // the pictures may have come later
    handle.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 1 : 5;
      const targets = { ArrowLeft: percent(handle) - step, ArrowRight: percent(handle) + step, Home: 0, End: 100 };
      if (!(event.key in targets) || !plain(event) || Number.isNaN(percent(handle))) return;
      event.preventDefault();
      moveTo(handle, targets[event.key]);
    });
  }

  function addToolbar(block) {
    const images = () => [...block.querySelectorAll(IMAGE)];
    const before = beforeButton((held) => block.toggleAttribute("data-compare-before", held));
    const exact = button("1:1", "Show the exact pixels", () => openDialog(images, exact));
    exact.setAttribute("aria-haspopup", "dialog");
    const hint = element("span", "compare-hint", {}, "Hold Before to flip");
    block.append(element("div", "compare-bar", { role: "group", "aria-label": "Compare" }, before, exact, hint));
  }

  // The exact pixels ------------------------------------------------------------------------------------------------

  let follow = null; // keeps the open dialog's pictures those of its slider

  function openDialog(images, opener) {
    const pictures = images().map(() => element("img", "", { alt: "", draggable: false }));
    if (pictures.length !== 2) return;
    const view = { zoom: 1, x: 0, y: 0, split: 0 }; // where the picture's corner and the split line are on the stage
    let [width, height] = [0, 0];

    const panes = pictures.map((picture) => element("div", "compare-pane", {}, picture));
    const sides = ["Before", "After"].map((side) => element("span", "", {}, side));
    const knob = element("div", "compare-knob", {}, ...sides);
    const split = element("div", "compare-split", { tabindex: 0, ...slider("Line between before and after") }, knob);
    const stage = element("div", "compare-stage", {}, ...panes, split);
    const level = element("span", "compare-zoom", { "aria-live": "polite" });
    const smaller = button("−", "Zoom out", () => zoom(-1));
    const larger = button("+", "Zoom in", () => zoom(1));
    for (const each of [smaller, larger]) each.setAttribute("aria-label", each.title);
    const before = beforeButton((held) => {
      dialog.toggleAttribute("data-compare-before", held);
      draw();
    });
    const hint = element("span", "compare-hint");
    const close = button("Close", "Close (Escape)", () => dialog.close());
    close.classList.add("compare-end");
    const bar = element("div", "compare-top", {}, before, smaller, level, larger, hint, close);
    const name = { role: "dialog", "aria-modal": "true", "aria-label": "Exact pixels before and after" };
    const dialog = element("dialog", "compare-dialog", name, bar, stage);

    function draw() {
      const [w, h] = [stage.clientWidth, stage.clientHeight];
      const place = (at, room, size) => Math.round(size <= room ? (room - size) / 2 : clamp(at, room - size, 0));
      view.x = place(view.x, w, width * view.zoom);
      view.y = place(view.y, h, height * view.zoom);
      const [left, right] = [Math.max(0, view.x), Math.min(w, view.x + width * view.zoom)];
      view.split = Math.round(clamp(view.split, left, right));
      for (const picture of pictures) {
        picture.style.width = `${width * view.zoom}px`;
        picture.style.height = `${height * view.zoom}px`;
        picture.style.transform = `translate(${view.x}px, ${view.y}px)`;
      }
      const cut = dialog.hasAttribute("data-compare-before") ? w : view.split;
      panes[0].style.clipPath = `inset(0 ${w - cut}px 0 0)`;
      panes[1].style.clipPath = `inset(0 0 0 ${cut}px)`;
      split.style.transform = `translateX(${view.split}px)`;
      split.setAttribute("aria-valuenow", Math.round(((view.split - left) / (right - left || 1)) * 100));
      level.textContent = `${view.zoom}×`;
      smaller.setAttribute("aria-disabled", view.zoom === ZOOMS[0]);
      larger.setAttribute("aria-disabled", view.zoom === ZOOMS.at(-1));
    }

    /** One step in or out around the middle of what is in view. */
    function zoom(step) {
      const next = ZOOMS[clamp(ZOOMS.indexOf(view.zoom) + step, 0, ZOOMS.length - 1)];
      const factor = next / view.zoom;
      view.x = stage.clientWidth / 2 - (stage.clientWidth / 2 - view.x) * factor;
      view.y = stage.clientHeight / 2 - (stage.clientHeight / 2 - view.y) * factor;
      view.zoom = next;
      draw();
    }

    function pan(x, y) {
      view.x += x;
      view.y += y;
      draw();
    }

    let drag = null;
    stage.addEventListener("pointerdown", (event) => {
      if (drag || event.button !== 0) return;
      const line = split.contains(event.target);
      drag = { id: event.pointerId, line, x: event.clientX, y: event.clientY, from: { ...view } };
      stage.setPointerCapture(event.pointerId);
      if (!line) event.preventDefault(); // the focus stays where it is
    });
    stage.addEventListener("pointermove", (event) => {
      if (drag?.id !== event.pointerId) return;
      const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
      if (drag.line) view.split = drag.from.split + x;
      else [view.x, view.y] = [drag.from.x + x, drag.from.y + y];
      draw();
    });
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      stage.addEventListener(end, (event) => {
        if (drag?.id === event.pointerId) drag = null;
      });
    }
    dialog.addEventListener("wheel", (event) => {
      if (event.ctrlKey) return;
      event.preventDefault(); // the page behind stays where it is
      const unit = event.deltaMode ? 32 : 1;
      pan(-event.deltaX * unit, -event.deltaY * unit);
    }, { passive: false });

    dialog.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the page behind has its own keys
      if (!plain(event)) return;
      const step = Math.round(stage.clientWidth / 20);
      const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
      if (by && event.shiftKey) pan(-by[0] * 64, -by[1] * 64);
      else if (by?.[0]) view.split += by[0] * step;
      else if (event.key === "Home") view.split = 0;
      else if (event.key === "End") view.split = stage.clientWidth;
      else if (event.key === "+" || event.key === "=") zoom(1);
      else if (event.key === "-") zoom(-1);
      else return;
      event.preventDefault();
      draw();
    });

    follow = () => {
      const sources = images().map((image) => image.src);
      if (sources.length !== 2) dialog.close();
      else for (const side of [0, 1]) if (pictures[side].src !== sources[side]) pictures[side].src = sources[side];
    };
    // the result gives the size; a picture before of another size is stretched to it
    pictures[1].addEventListener("load", () => {
      const { naturalWidth, naturalHeight } = pictures[1];
      if (naturalWidth === width && naturalHeight === height) return;
      [width, height] = [naturalWidth, naturalHeight];
      hint.textContent = `${width} × ${height} px. Drag the picture to move it, the line to compare.`;
      view.zoom = 1;
      view.x = (stage.clientWidth - width) / 2;
      view.y = (stage.clientHeight - height) / 2;
      view.split = stage.clientWidth / 2;
      draw();
    });
    const resized = new ResizeObserver(draw);
    resized.observe(stage);
    dialog.addEventListener("close", () => {
      resized.disconnect();
      follow = null;
      dialog.remove();
      opener.focus();
    });
    follow();
    document.body.append(dialog);
    dialog.showModal();
    split.focus();
  }

  // Following the page ----------------------------------------------------------------------------------------------

  function scan() {
    for (const handle of document.querySelectorAll(HANDLE)) {
      const block = handle.closest(".block");
      const images = block ? [...block.querySelectorAll(IMAGE)] : [];
      if (images.length !== 2 || !images.every((image) => image.getAttribute("src"))) continue;
      if (!("compare" in handle.dataset)) enhanceHandle(handle);
      if (!block.querySelector(":scope > .compare-bar")) addToolbar(block);
    }
    for (const bar of document.querySelectorAll(".compare-bar")) {
      if (!bar.parentElement.querySelector(HANDLE)) {
        bar.parentElement.removeAttribute("data-compare-before");
        bar.remove();
      }
    }
    follow?.();
  }

  window.whenChanged(scan, ["src"]);
})();
