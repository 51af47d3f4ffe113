// Lets a script look after what changes on the page: once a frame at most, and once at the start.
(() => {
  if (window.whenChanged) return;

  /** Call work when parts come or go, or when one of these attributes of theirs changes; gives what calls it anyway. */
  window.whenChanged = (work, attributeFilter = []) => {
    let waiting = false;
    function later() {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        work();
      });
    }
    function start() {
      new MutationObserver(later).observe(document.body, { childList: true, subtree: true, attributeFilter });
      later();
    }
    if (document.body) start();
    else document.addEventListener("DOMContentLoaded", start);
    return later;
  };
})();
