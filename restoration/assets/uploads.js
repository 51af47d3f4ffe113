// Sends the files of a batch one by one: what a request may hold is bounded, what a batch may hold is not.
(() => {
  if (window.filesOneByOne) return;
  window.filesOneByOne = true;

  const UPLOAD = /\/gradio_api\/upload(\?|$)/;
  const send = window.fetch.bind(window);

  window.fetch = async (where, what) => {
    const files = what?.body instanceof FormData && UPLOAD.test(String(where)) ? what.body.getAll("files") : [];
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
