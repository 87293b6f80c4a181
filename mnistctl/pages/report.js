// The report of the evaluation: accuracy, confusions, digits, calibration, training, recipe and record.

// A net of the page: what it computes, and its results in the evaluation.
class PageNet {
  constructor(report) {
    this.report = report;
    this.name = report.name;
    this.net = makeNet(report.net);
    this.temperature = report.net.temperature;
  }

  // What the net gives for pixels [784]. A drawing is turned and inverted as the training digits were; a test
  // digit is read as it is.
  read(pixels, asItIs) {
    const seen = asItIs ? pixels : this.net.see(pixels);
    return { seen, ...this.net.forward(seen) };
  }

  saliency(pixels, answer) {
    return this.net.saliency(pixels, answer);
  }

  // For each digit what the last linear layer adds up to its logit; null if the last layer is another one.
  lastSums({ layers, logits }) {
    const last = this.net.layers.at(-1);
    if (last.kind !== "linear") return null;
    const inputs = layers[last.inputs[0]].values,
      { weight, bias } = last.weights;
    return Array.from(logits, (logit, digit) => {
      let pro = 0,
        against = 0;
      inputs.forEach((value, n) => {
        const part = value * weight.values[digit * inputs.length + n];
        if (part > 0) pro += part;
        else against += part;
      });
      return { pro, against, bias: bias ? bias.values[digit] : 0, logit };
    });
  }

  // What a net of recurrent layers, a step and a linear layer would answer after each row: probabilities
  // [steps, 10]; null for another layer or another net.
  answersByStep(layer) {
    const { layers } = this.net,
      at = layers.findIndex((each) => each.name === layer.name);
    const last = layers.at(-1);
    if (at !== layers.length - 3 || layers[at + 1].kind !== "step" || last.kind !== "linear") return null;
    const [steps, size] = layer.shape,
      { weight, bias } = last.weights;
    const answers = [];
    for (let step = 0; step < steps; step++) {
      const logits = Array.from({ length: 10 }, (_, digit) => {
        let sum = bias ? bias.values[digit] : 0;
        for (let n = 0; n < size; n++) sum += layer.values[step * size + n] * weight.values[digit * size + n];
        return sum / this.temperature;
      });
      const top = Math.max(...logits),
        powers = logits.map((logit) => Math.exp(logit - top));
      const total = powers.reduce((sum, power) => sum + power, 0);
      answers.push(...powers.map((power) => power / total));
    }
    return answers;
  }
}

async function readDigits(digits) {
  const bytes = await inflate(bytesOf(digits.images));
  const images = digits.labels.map((_, n) => bytes.subarray(784 * n, 784 * (n + 1)));
  return { ...digits, images, disputed: new Set(digits.disputed) };
}

// The parts of the page of classifiers, each [id, title, nodes...].
async function classifierParts(data) {
  const nets = data.nets.map((report) => new PageNet(report));
  const digits = await readDigits(data.digits);
  const inside = new InsidePart(nets);
  const draw = new DrawPart(nets, digits, (reading) => inside.update(reading));
  const report = new ReportPart(data, nets, digits, draw);
  const use = (net) => {
    inside.use(net);
    report.use(net);
  };
  const chooser =
    nets.length === 1
      ? null
      : select(
          "net",
          nets.map((net, n) => [String(n), net.name]),
          (value) => use(nets[Number(value)]),
        );
  report.use(nets[0]);
  return {
    chooser,
    parts: [
      ["draw", "Draw", ...draw.parts()],
      ["inside", "Look inside", ...inside.parts()],
      ...report.parts(),
    ],
  };
}

function intervalText([low, high]) {
  return `${low.toFixed(2)} to ${high.toFixed(2)} %`;
}

class ReportPart {
  constructor(data, nets, digits, draw) {
    Object.assign(this, { data, nets, digits });
    this.gallery = new Gallery({ digits, nets }, draw);
    this.results = element("div", { class: "results" });
    this.training = element("div", {});
    addEventListener("beforeprint", () => this.gallery.printing(true));
    addEventListener("afterprint", () => this.gallery.printing(false));
  }

  parts() {
    const { data } = this;
    const warnings = data.warnings.map((message) => element("p", { class: "alert" }, message));
    return [
      [
        "results",
        "Results",
        ...warnings,
        this.nets.length > 1 ? this.comparison() : null,
        this.results,
      ].filter((part) => part !== null),
      ["digits", "Digits", ...this.gallery.parts()],
      ["training", "Training", this.training],
    ];
  }

  use(net) {
    this.gallery.use(net);
    this.results.replaceChildren(...this.resultsOf(net));
    this.training.replaceChildren(...trainingOf(net.report));
  }

  resultsOf(net) {
    const { report } = net,
      { data } = this;
    const facts = [
      [
        "accuracy",
        percent(report.accuracy / 100, 2),
        `95 % interval ${intervalText(report.accuracy_interval)}`,
      ],
      ["misread", report.wrong.toLocaleString("en"), `of ${count(data.digits.count, "digit")}`],
      ["loss", report.loss.toFixed(4), "mean cross entropy"],
      ["calibration error", `${report.ece.toFixed(2)} %`, "expected, over 15 bins"],
    ];
    if (report.accuracy_without_label_issues !== null) {
      facts.splice(1, 0, [
        "without disputed labels",
        percent(report.accuracy_without_label_issues / 100, 2),
        `${count(data.digits.disputed.length, "label")} left out`,
      ]);
    }
    const perDigit = table(
      ["digit", "images", "precision", "recall", "F1"],
      report.per_digit.map((row) => [
        String(row.digit),
        row.support.toLocaleString("en"),
        ...[row.precision, row.recall, row.f1].map((n) => `${n.toFixed(2)} %`),
      ]),
    );
    return [
      this.nets.length > 1 ? element("h3", {}, net.name) : null,
      element(
        "dl",
        { class: "facts" },
        ...facts.map(([name, value, note]) =>
          element(
            "div",
            {},
            element("dt", {}, name),
            element("dd", {}, element("strong", {}, value), element("span", {}, note)),
          ),
        ),
      ),
      element(
        "div",
        { class: "pair" },
        element(
          "article",
          {},
          element("h3", {}, "Confusions"),
          element(
            "p",
            { class: "note" },
            "Rows: label. Columns: what the net reads. A cell shows its digits.",
          ),
          this.confusion(report.confusion),
        ),
        element(
          "article",
          {},
          element("h3", {}, "Confidence"),
          calibrationChart(report.calibration, report.ece),
        ),
      ),
      element("details", {}, element("summary", {}, "Each digit"), perDigit),
    ].filter((node) => node !== null);
  }

  confusion(counts) {
    const most = Math.max(
      1,
      ...counts.flatMap((row, label) => row.filter((_, predicted) => predicted !== label)),
    );
    const cell = (number, label, predicted) => {
      if (!number) return element("td", {}, "");
      const right = label === predicted;
      const level = right ? "right" : `wrong${1 + Math.floor((4.99 * number) / (most + 1e-9))}`;
      const name = `label ${label}, read as ${predicted}: ${count(number, "digit")}`;
      return element(
        "td",
        {},
        button(String(number), () => this.gallery.select(label, predicted), {
          class: level,
          "aria-label": name,
        }),
      );
    };
    const digits = counts.map((_, n) => String(n));
    return element(
      "div",
      { class: "wide", tabindex: "0", role: "group", "aria-label": "confusion table" },
      element(
        "table",
        { class: "confusion" },
        element(
          "thead",
          {},
          element(
            "tr",
            {},
            element("td", {}, ""),
            ...digits.map((digit) => element("th", { scope: "col" }, digit)),
          ),
        ),
        element(
          "tbody",
          {},
          ...counts.map((row, label) =>
            element(
              "tr",
              {},
              element("th", { scope: "row" }, String(label)),
              ...row.map((number, predicted) => cell(number, label, predicted)),
            ),
          ),
        ),
      ),
    );
  }

  comparison() {
    const { ensemble, pairs } = this.data;
    const scores = (name, net) => [
      name,
      net.parameters ? net.parameters.toLocaleString("en") : "",
      percent(net.accuracy / 100, 2),
      intervalText(net.accuracy_interval),
      net.loss.toFixed(4),
      `${net.ece.toFixed(2)} %`,
    ];
    const rows = [
      ...this.nets.map((net) => scores(net.name, net.report)),
      scores("mean of the probabilities", ensemble),
    ];
    const tests = pairs.map((pair) => [
      `${pair.first}, ${pair.second}`,
      String(pair.only_first),
      String(pair.only_second),
      pair.p_adjusted.toPrecision(2),
      pair.p_adjusted < 0.05
        ? `${pair.only_first < pair.only_second ? pair.first : pair.second} is better`
        : "no significant difference",
    ]);
    return element(
      "div",
      {},
      element("h3", {}, "The nets compared"),
      table(["net", "parameters", "accuracy", "95 % interval", "loss", "calibration error"], rows),
      element(
        "details",
        {},
        element("summary", {}, "Tests of each pair (McNemar, p adjusted after Holm)"),
        table(["pair", "misread by the first alone", "by the second alone", "p", "conclusion"], tests),
      ),
    );
  }
}
