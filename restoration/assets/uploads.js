// Sends the files of a batch one by one, what a request may hold is bounded and what a batch may hold is not; and what
// the editor of masks draws once: Gradio sends it again with whatever happens on the page, which chokes slow lines.
(() => {
  if (window.filesOneByOne) return;
  window.filesOneByOne = true;

  const UPLOAD = /\/gradio_api\/upload(\?|$)/;
  const DRAWN = /^(background|composite|layer_\d+)\.png$/;
  const KEPT = 5 * 60_000; // ms, less than for which the server keeps a file
  const send = window.fetch.bind(window);
  const sent = new Map(); // answers by what was sent

  /** What tells a file from others of the editor: its name and size, and a hash of its bytes (FNV-1a). */
  async function key(file) {
    let hash = 0x811c9dc5;
    for (const byte of new Uint8Array(await file.arrayBuffer())) hash = Math.imul(hash ^ byte, 0x01000193);
    return `${file.name} ${file.size} ${hash}`;
  }

  async function sendOnce(file, where, what) {
    const name = await key(file);
    for (const [other, { at }] of sent) if (performance.now() - at > KEPT) sent.delete(other);
    if (!sent.has(name)) sent.set(name, { at: performance.now(), answer: send(where, what) });
    const { answer } = sent.get(name);
    try {
      const first = await answer;
      if (!first.ok) sent.delete(name);
      return first.clone();
    } catch (error) {
      sent.delete(name);
      throw error;
    }
  }

  window.fetch = async (where, what) => {
    const files = what?.body instanceof FormData && UPLOAD.test(String(where)) ? what.body.getAll("files") : [];
    if (files.length === 1 && DRAWN.test(files[0].name)) return sendOnce(files[0], where, what);
    if (files.length < 2) return send(where, what);
    const paths = [];
    for (const file of files) {
      const body = new FormData();
      body.append("files", file, file.name);
      const answer = await send(where, { ...what, body });
      if (!answer.ok) return answer;
      paths.push(...(await answer.json()));
    }
    return new Response(JSON.stringify(paths), { headers: { "Content-Type": "application/json" } });
  };
})();
