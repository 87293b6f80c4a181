// The canvas to draw on, the picture that the nets see, and what each net reads.

const CANVAS_SIDE = 308; // pixels: 11 times 28
const SLOW = 80; // milliseconds: a net that takes longer waits while the pen moves
const REST = 150; // milliseconds without a movement after which the pen rests
const KEY_STEP = 11; // pixels that an arrow key moves the pen

// What is on the canvas: a list of strokes, test digits and clearings, of which the last can be undone.
class Drawing {
  constructor(onChange) {
    this.onChange = onChange;
    this.steps = [];
    this.width = 22;
    this.erasing = false;
    this.pointer = null; // the pointer that draws the stroke; null if it is the keyboard's pen
    this.pen = null; // where the keyboard's pen is, and whether it is down
    this.canvas = element("canvas", {
      width: CANVAS_SIDE,
      height: CANVAS_SIDE,
      class: "drawing",
      tabindex: 0,
      role: "application",
      "aria-label":
        "Canvas. Draw with the mouse, a pen or a finger; or move with the arrow keys, and lower and lift the pen with space.",
      pointerdown: (event) => this.begin(event),
      pointermove: (event) => this.move(event),
      pointerup: (event) => this.lift(event),
      pointercancel: (event) => this.lift(event),
      keydown: (event) => this.press(event),
      blur: () => this.hidePen(),
    });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.cross = element("span", { class: "cross", hidden: true });
    this.paint();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top].map((n) => (n * CANVAS_SIDE) / box.width);
  }

  begin(event) {
    if (event.button !== 0 || this.pointer !== null) return; // a second finger draws nothing
    event.preventDefault();
    this.canvas.focus({ preventScroll: true });
    this.hidePen();
    this.canvas.setPointerCapture(event.pointerId);
    this.pointer = event.pointerId;
    this.start(this.place(event));
  }

  start(point) {
    this.stroke = { kind: "stroke", points: [point], width: this.width, erasing: this.erasing };
    this.steps.push(this.stroke);
    this.extend(point);
  }

  move(event) {
    if (!this.stroke || event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents ? event.getCoalescedEvents() : [];
    for (const each of events.length ? events : [event]) this.extend(this.place(each));
  }

  extend(point) {
    const { points } = this.stroke;
    this.paintLine(this.stroke, points[points.length - 1], point);
    points.push(point);
    this.onChange(false);
  }

  lift(event) {
    if (event.pointerId === this.pointer) this.end(); // a second finger ends nothing
  }

  end() {
    this.pointer = null;
    if (!this.stroke) return;
    this.stroke = null;
    this.onChange(true);
  }

  press(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key === " ") {
      event.preventDefault();
      if (event.repeat) return;
      this.pen = this.pen || [CANVAS_SIDE / 2, CANVAS_SIDE / 2];
      if (this.stroke) this.end();
      else this.start(this.pen);
    } else if (event.key in moves && !event.ctrlKey && !event.altKey && !event.metaKey) {
      const from = this.pen || [CANVAS_SIDE / 2, CANVAS_SIDE / 2];
      this.pen = from.map((n, axis) =>
        Math.max(0, Math.min(CANVAS_SIDE, n + KEY_STEP * moves[event.key][axis])),
      );
      if (this.stroke) this.extend(this.pen);
    } else return;
    event.preventDefault();
    this.cross.hidden = false;
    this.cross.classList.toggle("down", Boolean(this.stroke));
    this.cross.style.left = `${(100 * this.pen[0]) / CANVAS_SIDE}%`;
    this.cross.style.top = `${(100 * this.pen[1]) / CANVAS_SIDE}%`;
  }

  hidePen() {
    this.cross.hidden = true;
    this.end();
  }

  add(step) {
    this.end();
    this.steps.push(step);
    this.paint();
    this.onChange(true);
  }

  clear() {
    if (this.shown().length) this.add({ kind: "clear" });
  }

  undo() {
    this.stroke = null;
    this.steps.pop();
    this.paint();
    this.onChange(true);
  }

  // The steps that can be seen: those since the last clearing, from the last test digit on.
  shown() {
    let first = this.steps.length;
    while (first > 0 && this.steps[first - 1].kind === "stroke") first--;
    const begins = first > 0 && this.steps[first - 1].kind === "digit";
    return this.steps.slice(begins ? first - 1 : first);
  }

  paint() {
    this.context.fillStyle = "#fff";
    this.context.fillRect(0, 0, CANVAS_SIDE, CANVAS_SIDE);
    for (const step of this.shown()) {
      if (step.kind === "digit") this.paintDigit(step);
      else step.points.forEach((point, n) => this.paintLine(step, step.points[Math.max(0, n - 1)], point));
    }
  }

  paintDigit({ pixels }) {
    const small = picture(pixels, 28, 28, (value) => GREYS(255 - value), "");
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(small, 0, 0, CANVAS_SIDE, CANVAS_SIDE);
  }

  paintLine({ width, erasing }, [fromX, fromY], [toX, toY]) {
    Object.assign(this.context, {
      lineCap: "round",
      lineJoin: "round",
      lineWidth: erasing ? width + 2 : width,
      strokeStyle: erasing ? "#fff" : "#000",
    });
    this.context.beginPath();
    this.context.moveTo(fromX, fromY);
    this.context.lineTo(toX, toY);
    this.context.stroke();
  }

  // The greys of the canvas, 255 for paper and 0 for ink.
  greys() {
    const { data } = this.context.getImageData(0, 0, CANVAS_SIDE, CANVAS_SIDE);
    return Uint8Array.from({ length: CANVAS_SIDE * CANVAS_SIDE }, (_, n) => data[4 * n]);
  }

  // The test digit on the canvas as long as nothing is drawn on it, else null.
  unchangedDigit() {
    const shown = this.shown();
    return shown.length === 1 && shown[0].kind === "digit" ? shown[0] : null;
  }
}

// The whole canvas at 28x28: each pixel is the mean of 11x11. This is what pages without the preparation do.
function shrunk(greys) {
  const side = CANVAS_SIDE / 28,
    pixels = new Float64Array(784);
  greys.forEach((grey, n) => {
    const row = Math.floor(n / CANVAS_SIDE / side),
      column = Math.floor((n % CANVAS_SIDE) / side);
    pixels[28 * row + column] += 255 - grey;
  });
  return Uint8Array.from(pixels, (sum) => Math.round(sum / side ** 2));
}

// The ten probabilities of a net as bars.
class Bars {
  constructor(net) {
    this.answer = element("p", { class: "answer" }, "");
    this.rows = Array.from({ length: 10 }, () => ({
      bar: element("span", { class: "bar" }),
      value: element("td", {}, ""),
    }));
    const body = this.rows.map(({ bar, value }, digit) =>
      element(
        "tr",
        {},
        element("th", { scope: "row" }, String(digit)),
        element("td", {}, element("span", { class: "track", "aria-hidden": "true" }, bar)),
        value,
      ),
    );
    const note =
      net.temperature === 1
        ? null
        : element(
            "p",
            { class: "note" },
            `Logits are divided by ${net.temperature}, so that the probabilities fit how often the net is right.`,
          );
    this.node = element(
      "article",
      { class: "reading" },
      element("h3", {}, net.name),
      this.answer,
      element("table", { "aria-label": `probabilities of ${net.name}` }, element("tbody", {}, ...body)),
      note,
    );
    this.show(null);
  }

  // The probabilities are those of an earlier moment.
  wait() {
    this.node.classList.add("waiting");
  }

  show(probabilities) {
    this.node.classList.remove("waiting");
    const best = probabilities && largest(probabilities);
    this.answer.replaceChildren(
      ...(probabilities
        ? [element("strong", {}, String(best)), element("span", {}, percent(probabilities[best]))]
        : [element("strong", {}, "–"), element("span", {}, "nothing drawn")]),
    );
    this.rows.forEach(({ bar, value }, digit) => {
      const share = probabilities ? probabilities[digit] : 0;
      bar.style.width = `${100 * share}%`;
      bar.classList.toggle("best", digit === best);
      value.textContent = probabilities ? percent(share) : "";
    });
  }
}

// The part of the page to draw on. `onRead(reading)` is called with what was read, or null for an empty canvas.
class DrawPart {
  constructor(nets, digits, onRead) {
    Object.assign(this, { nets, digits, onRead, prepared: true, cost: 0, waiting: false, rest: null });
    this.costs = nets.map(() => 0);
    this.drawing = new Drawing((settled) => this.schedule(settled));
    this.bars = nets.map((net) => new Bars(net));
    this.seen = element("canvas", { class: "seen" });
    this.caption = element("p", { class: "note" }, "");
    this.spoken = element("p", { class: "spoken", role: "status" }, "");
    this.read(true);
  }

  parts() {
    const pen = slider("pen", { min: 8, max: 44, step: 1, value: 22 }, (value) => {
      this.drawing.width = value;
    });
    const tool = choice(
      "tool",
      [
        ["draw", "pen"],
        ["erase", "eraser"],
      ],
      "draw",
      (value) => {
        this.drawing.erasing = value === "erase";
      },
    );
    const paper = element(
      "div",
      { class: "paper" },
      element("div", { class: "frame" }, this.drawing.canvas, this.drawing.cross),
      element(
        "div",
        { class: "row" },
        button("Clear", () => this.drawing.clear()),
        button("Undo", () => this.drawing.undo()),
        tool,
      ),
      pen,
    );
    const mode = choice(
      "picture",
      [
        ["mnist", "as MNIST was made"],
        ["shrunk", "only shrunk"],
      ],
      "mnist",
      (value) => {
        this.prepared = value === "mnist";
        this.read(true);
      },
    );
    const seen = element(
      "div",
      { class: "sees" },
      element("h3", {}, this.nets.length > 1 ? "What the nets see" : "What the net sees"),
      this.seen,
      this.caption,
      mode,
      this.testDigits(),
    );
    const readings = element(
      "div",
      { class: `readings${this.nets.length > 1 ? " several" : ""}` },
      ...this.bars.map((bars) => bars.node),
    );
    return [element("div", { class: "draw" }, paper, seen, readings), this.spoken];
  }

  testDigits() {
    const { digits } = this;
    const index = element("input", {
      type: "number",
      min: 0,
      value: digits.indices[0],
      "aria-label": `number of a ${digits.split} digit`,
      keydown: (event) => {
        if (event.key === "Enter") show();
      },
    });
    const put = (place) => {
      index.value = digits.indices[place];
      this.put(place);
    };
    const wrong = digits.images
      .map((_, place) => place)
      .filter((place) => this.nets.some((net) => net.report.predicted[place] !== digits.labels[place]));
    const any = (places) => put(places[Math.floor(Math.random() * places.length)]);
    const note = element("p", { class: "note", role: "status" }, "");
    const show = () => {
      const place = digits.indices.indexOf(index.valueAsNumber); // not a number if the field is empty
      note.textContent = place < 0 ? "This page does not have that digit." : "";
      if (place >= 0) put(place);
    };
    return element(
      "div",
      { class: "testdigits" },
      element("h3", {}, `Begin with a ${digits.split} digit`),
      element(
        "div",
        { class: "row" },
        button("Any", () => any(digits.images.map((_, place) => place))),
        wrong.length ? button("A misread one", () => any(wrong)) : null,
        element("label", { class: "field" }, element("span", {}, "number"), index),
        button("Show", show),
      ),
      note,
    );
  }

  put(place) {
    this.drawing.add({
      kind: "digit",
      pixels: this.digits.images[place],
      index: this.digits.indices[place],
      label: this.digits.labels[place],
    });
  }

  // Reads the canvas soon: at once if the nets are fast, else after a pause as long as the last reading took.
  schedule(settled) {
    clearTimeout(this.rest);
    this.rest = settled ? null : setTimeout(() => this.schedule(true), REST);
    this.settled = this.settled || settled;
    if (this.waiting) return;
    this.waiting = true;
    document.documentElement.dataset.busy = "true";
    setTimeout(
      () =>
        requestAnimationFrame(() => {
          this.waiting = false;
          const wasSettled = this.settled;
          this.settled = false;
          this.read(wasSettled);
        }),
      settled ? 0 : this.cost,
    );
  }

  // What the nets see now, [784] white on black, and where it came from; null if the canvas is empty.
  picture() {
    const digit = this.drawing.unchangedDigit();
    if (digit) return { pixels: digit.pixels, digit };
    const greys = this.drawing.greys();
    const pixels = this.prepared ? prepareDrawing(greys, CANVAS_SIDE, CANVAS_SIDE) : shrunk(greys);
    return pixels && pixels.some((value) => value > 0) ? { pixels, digit: null } : null;
  }

  // What a net gives for the picture; the milliseconds are kept.
  ask(n, { pixels, digit }) {
    const began = performance.now();
    const result = this.nets[n].read(pixels, Boolean(digit));
    this.costs[n] = performance.now() - began;
    return result;
  }

  // Reads the canvas. While the pen moves, slow nets wait until it rests or is lifted, then it is `settled`.
  read(settled) {
    const began = performance.now();
    const found = this.picture();
    const results =
      found && this.nets.map((net, n) => (settled || this.costs[n] < SLOW ? this.ask(n, found) : null));
    this.bars.forEach((bars, n) =>
      results && !results[n] ? bars.wait() : bars.show(results && results[n].probabilities),
    );
    picture(
      found ? found.pixels : new Uint8Array(784),
      28,
      28,
      GREYS,
      "the picture of 28 by 28 pixels that the net sees",
      this.seen,
    );
    this.caption.textContent = this.describe(found);
    this.cost = performance.now() - began;
    document.documentElement.dataset.milliseconds = this.cost.toFixed(1);
    if (settled)
      this.spoken.textContent = found
        ? this.nets
            .map((net, n) => {
              const best = largest(results[n].probabilities);
              return `${net.name} reads ${best}, ${percent(results[n].probabilities[best])}`;
            })
            .join("; ")
        : "";
    this.onRead(found && { ...found, results, settled });
    if (!this.waiting && this.rest === null) delete document.documentElement.dataset.busy;
  }

  describe(found) {
    if (!found) return "28 × 28 pixels, white on black";
    if (found.digit)
      return `Digit ${found.digit.index} of the ${this.digits.split} split, labelled ${found.digit.label}, pixel by pixel as in the data set. Draw on it to change it.`;
    return this.prepared
      ? "Cropped, scaled into a box of 20 × 20, and placed by its centre of mass, as MNIST was made."
      : "The whole canvas shrunk to 28 × 28. No digit of the training looked like this.";
  }
}
