// Keeps clicks from being lost: one that starts a run while a picture is still on its way waits for it.
(() => {
  if (window.clicksKept) return;
  window.clicksKept = true;

  const SOON = 1500; // ms after a file was chosen in which its upload begins
  const SETTLED = 150; // ms after an upload in which the page has taken the picture
  const BROUGHT = 20_000; // ms after which nobody waits any more for a picture that the server was to bring
  let uploads = 0;
  let expected = 0; // until when an upload may begin
  let settled = 0; // from when on the last upload is known to the page
  let brought = false; // whether that is one of the server's, which brings settings too
  let waiting = null; // the button that was clicked meanwhile

  const now = () => performance.now();
  const busy = () => uploads > 0 || now() < expected || now() < settled;

  /** What brings a picture from the server has done so; see `brings` in the page's parts. */
  window.pictureBrought = () => {
    expected = 0;
    settled = now() + SETTLED;
  };

  const fetched = window.fetch;
  window.fetch = function (input, ...rest) {
    const answer = fetched.call(this, input, ...rest);
    const address = String(input?.url ?? input);
    if (/\/upload(\?|$)/.test(address)) {
      uploads += 1;
      expected = 0;
      const ended = () => {
        uploads -= 1;
        settled = now() + SETTLED;
      };
      answer.then(ended, ended);
    }
    return answer;
  };

  const chosen = (event) => {
    const files = event.target?.files ?? event.dataTransfer?.files ?? event.clipboardData?.files;
    if (files?.length) [expected, brought] = [now() + SOON, false];
  };
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, chosen, true);

  /** Scroll as little as shows a part of the page and what is right below it, or not at all where it is seen. */
  function inSight(id) {
    const part = document.getElementById(id);
    const top = part?.getBoundingClientRect().top;
    if (part && (top < 0 || top > window.innerHeight * 0.6)) part.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  /** The button that waited, which does so no longer. */
  function released() {
    const button = waiting;
    waiting = null;
    button?.removeAttribute("aria-busy");
    return button;
  }

  function later() {
    if (!waiting) return;
    if (busy()) setTimeout(later, 50);
    else {
      const button = released();
      if (button.isConnected) button.click();
    }
  }

  document.addEventListener(
    "click",
    (event) => {
      const button = event.target.closest?.("button[id$=-run]");
      if (button) inSight(`${button.id.slice(0, -4)}-status`);
      const example = event.target.closest?.(".examples");
      if (example) inSight(`${example.id.slice(0, -9)}-input`);
      if (event.target.closest?.(".brings, .examples button")) [expected, brought] = [now() + BROUGHT, true];
      const cancel = event.target.closest?.("button[id$=-cancel]");
      if (cancel && waiting?.id === cancel.id.replace(/cancel$/, "run")) {
        released();
        window.turns.clicked(cancel.id.slice(0, -7)); // there is one to be cancelled, which has not begun
      }
      if (!button || !busy()) return;
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
