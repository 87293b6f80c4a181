// What happens in a net for the picture that it sees: evidence in the pixels, sums of the last layer, layers.

const HIDDEN_KINDS = new Set(["pixels", "reshape", "step", "noise", "digit"]);
const FUNCTION_KINDS = new Set([
  "batch norm",
  "relu",
  "leaky relu",
  "sigmoid",
  "tanh",
  "gelu",
  "silu",
  "softmax",
  "log softmax",
]);
const MAP_SIDE = 60; // CSS pixels of a map, about

class InsidePart {
  constructor(nets) {
    Object.assign(this, {
      nets,
      net: nets[0],
      answer: "best",
      all: false,
      figures: new Map(),
      reading: null,
    });
    this.evidence = element("canvas", { class: "seen" });
    this.low = element("span", {}, "");
    this.high = element("span", {}, "");
    this.evidenceText = element("p", { class: "note" }, "");
    this.sums = element("div", { class: "sums" });
    this.layers = element("div", { class: "layers" });
    this.empty = element("p", { class: "note" }, "Draw a digit, and its way through the net appears here.");
    this.full = element("div", { hidden: true });
    new ResizeObserver(() => this.showLayers()).observe(this.layers);
  }

  parts() {
    const digits = [["best", "the answer"], ...Array.from({ length: 10 }, (_, n) => [String(n), String(n)])];
    const which = choice("for", digits, "best", (value) => {
      this.answer = value;
      this.show();
    });
    const legend = element(
      "p",
      { class: "legend" },
      "against",
      this.low,
      element("span", { class: "ramp", "aria-hidden": "true" }),
      this.high,
      "for",
    );
    this.full.append(
      element(
        "div",
        { class: "pair" },
        element(
          "article",
          {},
          element("h3", {}, "Pixels for and against"),
          this.evidence,
          legend,
          which,
          this.evidenceText,
        ),
        element("article", {}, element("h3", {}, "Sums of the last layer"), this.sums),
      ),
      element(
        "div",
        { class: "row between" },
        element("h3", {}, "Layer by layer"),
        checkbox("every layer", false, (value) => {
          this.all = value;
          this.rebuild();
        }),
      ),
      this.layers,
    );
    return [this.empty, this.full];
  }

  use(net) {
    this.net = net;
    this.rebuild();
  }

  // `reading` is what DrawPart read; while a stroke is drawn, slow nets wait for its end.
  update(reading) {
    const late =
      reading && !reading.settled && (this.cost > 60 || !reading.results[this.nets.indexOf(this.net)]);
    if (late) return;
    this.reading = reading;
    const began = performance.now();
    this.show();
    this.cost = performance.now() - began;
  }

  rebuild() {
    this.figures.clear();
    this.layers.replaceChildren();
    this.show();
  }

  show() {
    this.empty.hidden = Boolean(this.reading);
    this.full.hidden = !this.reading;
    if (!this.reading) return;
    this.result = this.reading.results[this.nets.indexOf(this.net)];
    this.showEvidence();
    this.showSums();
    this.showLayers();
  }

  showEvidence() {
    const answer = this.answer === "best" ? largest(this.result.probabilities) : Number(this.answer);
    const values = this.net.saliency(this.result.seen, answer);
    const limit = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    [this.low.textContent, this.high.textContent] = [decimal(-limit, 2), decimal(limit, 2)];
    let pro = 0,
      against = 0;
    for (const value of values)
      if (value > 0) pro += value;
      else against += value;
    picture(
      values,
      28,
      28,
      colourScale(limit, true),
      `pixels that speak for and against ${answer}`,
      this.evidence,
    );
    this.evidenceText.textContent = `For ${answer}: ink that speaks for it adds ${decimal(pro, 1)} to its logit, ink that speaks against it ${decimal(against, 1)}, to first order: each pixel is the gradient times its grey.`;
  }

  showSums() {
    const sums = this.net.lastSums(this.result);
    this.sums.parentElement.hidden = !sums;
    if (!sums) return;
    const limit = Math.max(
      ...sums.flatMap(({ pro, against, logit }) => [pro, -against, Math.abs(logit)]),
      1e-9,
    );
    const best = largest(this.result.logits);
    const bar = (name, from, to) => {
      const span = element("span", { class: name });
      span.style.left = `${50 + (50 * Math.min(from, to)) / limit}%`;
      span.style.width = `${(50 * Math.abs(to - from)) / limit}%`;
      return span;
    };
    const rows = sums.map(({ pro, against, bias, logit }, digit) =>
      element(
        "tr",
        { class: digit === best ? "best" : "" },
        element("th", { scope: "row" }, String(digit)),
        element(
          "td",
          {},
          element(
            "span",
            { class: "axisbar", "aria-hidden": "true" },
            bar("pro", 0, pro),
            bar("against", 0, against),
            bar("sum", 0, logit),
          ),
        ),
        ...[pro, against, bias, logit].map((value) => element("td", {}, decimal(value, 1))),
      ),
    );
    const head = ["digit", "", "for", "against", "bias", "logit"].map((text) =>
      element("th", { scope: "col" }, text || element("span", { class: "spoken" }, "bars")),
    );
    this.sums.replaceChildren(
      element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)),
      element(
        "p",
        { class: "note" },
        "The last layer adds what speaks for a digit, what speaks against it, and a bias. The largest logit wins.",
      ),
    );
  }

  showLayers() {
    if (!this.result || this.full.hidden) return;
    const { layers } = this.result;
    layers.forEach((layer, n) => {
      const inner = layers[n + 1] && FUNCTION_KINDS.has(layers[n + 1].kind) && layer.kind !== "lstm";
      if (HIDDEN_KINDS.has(layer.kind) || (inner && !this.all)) return;
      if (!this.figures.has(n)) {
        const figure = makeLayerFigure(layer);
        this.figures.set(n, figure);
        this.layers.append(figure.node);
      }
      this.figures.get(n).show(layer, this.result, this.net, this.layers.clientWidth);
    });
  }
}

function makeLayerFigure(layer) {
  const canvas = element("canvas", { class: "maps" });
  const range = element("span", { class: "range" }, "");
  const steps = layer.kind === "lstm" ? new StepFigure() : null;
  const node = element(
    "figure",
    { class: "layer" },
    element(
      "figcaption",
      {},
      element("strong", {}, layerWords(layer)),
      element("code", {}, `${layer.name}: ${layer.title}`),
      range,
    ),
    steps ? steps.node : canvas,
  );
  return {
    node,
    show(now, result, net, width) {
      const limit = now.values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const signed = now.values.some((value) => value < 0);
      range.textContent = `${signed ? `\u2212${limit.toPrecision(2)}` : "0"} to ${limit.toPrecision(2)}`;
      const colour = colourScale(limit, signed);
      if (steps) steps.show(now, result, net, colour);
      else paintMaps(canvas, now, colour, width);
    },
  };
}

function layerWords({ kind, shape }) {
  if (kind === "lstm") return `lstm: its state of ${shape[1]} numbers after each of ${shape[0]} rows`;
  const [channels, height, width] = shape;
  if (shape.length === 3 && height * width > 1)
    return `${kind}: ${count(channels, "map")} of ${height} × ${width}`;
  return `${kind}: ${count(
    shape.reduce((product, n) => product * n, 1),
    "number",
  )}`;
}

// All maps of a layer beside each other in one canvas; the numbers of a vector as single cells.
function paintMaps(canvas, { values, shape, kind }, colour, room) {
  const [height, width] = shape.length === 3 ? shape.slice(1) : [1, 1];
  const maps = values.length / (height * width);
  const single = height * width === 1;
  const scale = single ? (maps > 20 ? 10 : 24) : Math.max(1, Math.min(6, Math.round(MAP_SIDE / width)));
  const gap = single ? 0 : 1;
  const columns = Math.max(1, Math.min(maps, Math.floor((room / scale + gap) / (width + gap))));
  const rows = Math.ceil(maps / columns);
  canvas.width = columns * (width + gap) - gap;
  canvas.height = rows * (height + gap) - gap;
  canvas.style.width = `${canvas.width * scale}px`;
  canvas.classList.add("pixels");
  setAttributes(canvas, { role: "img", "aria-label": `outputs of ${kind}` });
  const context = canvas.getContext("2d"),
    image = context.createImageData(canvas.width, canvas.height);
  for (let n = 0; n < values.length; n++) {
    const map = Math.floor(n / (height * width)),
      inside = n % (height * width);
    const x = (map % columns) * (width + gap) + (inside % width);
    const y = Math.floor(map / columns) * (height + gap) + Math.floor(inside / width);
    const [red, green, blue] = colour(values[n]);
    image.data.set([red, green, blue, 255], 4 * (y * canvas.width + x));
  }
  context.putImageData(image, 0, 0);
}

// An LSTM that reads row by row: the rows, its state after each, and what the net would answer there.
class StepFigure {
  constructor() {
    this.rows = element("canvas");
    this.states = element("canvas");
    this.answers = element("canvas");
    const column = (title, canvas, name) =>
      element("div", { class: name }, canvas, element("span", { class: "note" }, title));
    this.answerColumn = column("answer so far: 0 to 9", this.answers, "answers");
    this.node = element(
      "div",
      { class: "steps" },
      column("rows", this.rows, "rows"),
      column("state", this.states, "states"),
      this.answerColumn,
    );
  }

  show(layer, result, net, colour) {
    const [steps, size] = layer.shape;
    picture(result.seen, 28, 28, GREYS, "the rows that the net reads", this.rows);
    picture(layer.values, steps, size, colour, "the state after each row", this.states);
    const answers = net.answersByStep(layer);
    this.answerColumn.hidden = !answers;
    if (answers)
      picture(
        answers,
        steps,
        10,
        colourScale(1, false),
        "probability of each digit after each row",
        this.answers,
      );
  }
}
