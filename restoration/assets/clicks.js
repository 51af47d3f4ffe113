// Keeps clicks from being lost: one that starts a run while a picture is still on its way waits for it, and for the
// canvas that comes with it: what Gradio's page is told of a result before that would be undone by it.  An example that
// is tapped meanwhile is the picture then: the upload is given up, and so is the click that waited for it.
(() => {
  if (window.clicksKept) return;
  window.clicksKept = true;

  const SOON = 1500; // ms after a file was chosen in which its upload begins
  const SETTLED = 150; // ms after an upload in which the page has taken the picture
  const BROUGHT = 20_000; // ms after which nobody waits any more for a picture that the server was to bring
  const SCROLLED = 1000; // ms in which the page has scrolled to where it was told to
  let uploads = 0;
  let expected = 0; // until when an upload may begin
  let settled = 0; // from when on the last upload is known to the page
  let brought = false; // whether that is one of the server's, which brings settings too
  let waiting = null; // the button that was clicked meanwhile
  let scrolling = 0; // until when the page scrolls of its own
  const choices = new Map(); // the file that was chosen last for every part of the page, and what stops its upload

  const now = () => performance.now();
  const drawing = (button) => document.querySelector(`#${button.id.slice(0, -4)}-coming.kept[data-on]`);
  const busy = (button) => uploads > 0 || now() < expected || now() < settled || drawing(button);

  /** What brings a picture from the server has done so; see `brings` in the page's parts. */
  window.pictureBrought = () => {
    expected = 0;
    settled = now() + SETTLED;
  };

  /** What stops an upload, if it is of a file that was chosen here. */
  function stopOf(request) {
    const file = request?.body instanceof FormData ? request.body.get("files") : null;
    const choice = [...choices.values()].find(({ name, size, begun }) => !begun && file?.name === name && file.size === size);
    if (choice) choice.begun = true;
    return choice?.stop.signal;
  }

  /** An answer to an upload; once that was stopped, that there are no files, of which Gradio makes nothing. */
  async function unlessStopped(answer, signal) {
    try {
      return await answer;
    } catch (error) {
      if (!signal?.aborted) throw error;
      return new Response("[]", { headers: { "Content-Type": "application/json" } });
    }
  }

  const fetched = window.fetch;
  window.fetch = function (input, request, ...rest) {
    if (!/\/upload(\?|$)/.test(String(input?.url ?? input))) return fetched.call(this, input, request, ...rest);
    const signal = stopOf(request);
    const answer = fetched.call(this, input, signal ? { ...request, signal } : request, ...rest);
    uploads += 1;
    if (!brought) expected = 0;
    const ended = (came) => {
      uploads -= 1;
      settled = now() + SETTLED;
      if (!came?.ok && !signal?.aborted) window.canvasForgotten();
    };
    answer.then(ended, ended);
    return unlessStopped(answer, signal);
  };

  const chosen = (event) => {
    const files = event.target?.files ?? event.dataTransfer?.files ?? event.clipboardData?.files;
    if (!files?.length) return;
    [expected, brought] = [now() + SOON, false];
    const part = event.target.closest?.(".block[id]")?.id;
    choices.delete(part);
    if (files.length === 1) choices.set(part, { name: files[0].name, size: files[0].size, stop: new AbortController() });
  };
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, chosen, true);

  /** Scroll as little as shows a part of the page and what is right below it, or not at all where it is seen. */
  function inSight(id) {
    const part = document.getElementById(id);
    const top = part?.getBoundingClientRect().top;
    if (!part || (top >= 0 && top <= window.innerHeight * 0.6)) return;
    scrolling = now() + SCROLLED;
    part.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  /** Who points at something is not carried away from it. */
  document.addEventListener(
    "pointerdown",
    () => {
      if (now() < scrolling) window.scrollTo({ top: window.scrollY, behavior: "instant" });
      scrolling = 0;
    },
    true,
  );

  /** The button that waited, which does so no longer. */
  function released() {
    const button = waiting;
    waiting = null;
    button?.removeAttribute("aria-busy");
    return button;
  }

  /** An example comes instead of the picture that was to come, and the click that waited for that is over. */
  function insteadOf(tab) {
    choices.get(`${tab}-input`)?.stop.abort();
    if (waiting?.id !== `${tab}-run`) return;
    released();
    window.turns.forget(tab);
  }

  function later() {
    if (!waiting) return;
    if (busy(waiting)) setTimeout(later, 50);
    else {
      const button = released();
      if (button.isConnected) button.click();
    }
  }

  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest?.("button[id$=-run]");
      if (button && event.isTrusted) inSight(`${button.id.slice(0, -4)}-status`); // one that waited has done so
      const example = event.target.closest?.(".examples");
      if (example) inSight(`${example.id.slice(0, -9)}-input`);
      if (event.target.closest?.(".examples button")) insteadOf(example.id.slice(0, -9));
      if (event.target.closest?.(".brings, .examples button")) [expected, brought] = [now() + BROUGHT, true];
      const cancel = event.target.closest?.("button[id$=-cancel]");
      if (cancel && waiting?.id === cancel.id.replace(/cancel$/, "run")) {
        released();
        window.turns.clicked(cancel.id.slice(0, -7)); // there is one to be cancelled, which has not begun
      }
      if (!button || !busy(button)) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const first = waiting === null;
      waiting = button;
      if (!brought) document.getElementById(button.id.replace(/run$/, "keep"))?.click();
      button.setAttribute("aria-busy", "true");
      if (first) later();
    },
    true,
  );
})();
