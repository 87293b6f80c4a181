// The start of the page: its data, its heading and its parts.

async function start() {
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = element("main", {});
  const { parts, chooser } = data.kind === "generator" ? generatorParts(data) : await classifierParts(data);
  const links = parts.map(([id, title]) => element("a", { href: `#${id}` }, title));
  document.body.append(
    element(
      "header",
      {},
      element("div", {}, element("h1", {}, data.title), element("p", {}, data.subtitle)),
      element("nav", { "aria-label": "parts of the page" }, ...links),
      chooser,
    ),
    main,
    element(
      "footer",
      {},
      element(
        "p",
        {},
        `Written by mnistctl ${data.version}. The nets run in this page; nothing that you draw leaves it.`,
      ),
    ),
  );
  for (const [id, title, ...children] of parts) {
    main.append(
      element(
        "section",
        { id, "aria-labelledby": `${id}-title` },
        element("h2", { id: `${id}-title` }, title),
        ...children,
      ),
    );
  }
  document.documentElement.dataset.ready = "true";
}

start().catch((error) => {
  document.body.append(
    element("p", { role: "alert", class: "alert" }, `This page cannot run here: ${error.message}`),
  );
  throw error;
});
