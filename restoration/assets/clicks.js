// Keeps clicks from being lost: one that starts a run while a picture is still on its way to the server waits for it.
(() => {
  if (window.clicksKept) return;
  window.clicksKept = true;

  const SOON = 1500; // ms after a file was chosen in which its upload begins
  const SETTLED = 150; // ms after an upload in which the page has taken the picture
  let uploads = 0;
  let expected = 0; // until when an upload may begin
  let settled = 0; // from when on the last upload is known to the page
  let waiting = null; // the button that was clicked meanwhile

  const now = () => performance.now();
  const busy = () => uploads > 0 || now() < expected || now() < settled;

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
    if (files?.length) expected = now() + SOON;
  };
  for (const type of ["change", "drop", "paste"]) document.addEventListener(type, chosen, true);

  /** Scroll as little as shows a part of the page and what is right below it, or not at all where it is seen. */
  function inSight(id) {
    const part = document.getElementById(id);
    const top = part?.getBoundingClientRect().top;
    if (part && (top < 0 || top > window.innerHeight * 0.6)) part.scrollIntoView({ behavior: "smooth", block: "start" });
  }

  function later() {
    if (busy()) setTimeout(later, 50);
    else {
      const button = waiting;
      waiting = null;
      button.removeAttribute("aria-busy");
      if (button.isConnected) button.click();
    }
  }

  document.addEventListener(
    "click",
    (event) => {
      window.clickedAt = performance.timeOrigin + now();
      const button = event.target.closest?.("button[id$=-run]");
      if (button) inSight(`${button.id.slice(0, -4)}-status`);
      const example = event.target.closest?.(".examples");
      if (example) inSight(`${example.id.slice(0, -9)}-input`);
      if (!button || !busy()) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const first = waiting === null;
      waiting = button;
      button.setAttribute("aria-busy", "true");
      if (first) later();
    },
    true,
  );
})();
