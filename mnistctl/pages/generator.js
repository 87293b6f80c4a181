// The page of a generator: pictures from one noise, sliders through the noise, and a morph between two points.

const NOISE_SIZE = 100;
const MORPH_STEPS = 11; // pictures in the strip of a morph
const SAVED_SCALE = 4; // pixels of a saved file for each pixel of a picture
const MORPH_SECONDS = 4;

function randomNoise() {
  return Float64Array.from({ length: NOISE_SIZE }, () => {
    const radius = Math.sqrt(-2 * Math.log(1 - Math.random())); // Box and Muller, 1958
    return radius * Math.cos(2 * Math.PI * Math.random());
  });
}

function lengthOf(vector) {
  return Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
}

// The point at `share` of the arc from one noise to another: on the straight line the noise would be shorter
// than any in training (Shoemake, Animating rotation with quaternion curves, 1985).
function onArc(from, to, share) {
  const dot = from.reduce((sum, value, n) => sum + value * to[n], 0);
  const angle = Math.acos(Math.max(-1, Math.min(1, dot / (lengthOf(from) * lengthOf(to) || 1))));
  const [a, b] =
    angle < 1e-4
      ? [1 - share, share]
      : [Math.sin((1 - share) * angle) / Math.sin(angle), Math.sin(share * angle) / Math.sin(angle)];
  return from.map((value, n) => a * value + b * to[n]);
}

// Pictures that are computed one after the other, each from the newest inputs, so that the page stays usable.
class Pictures {
  constructor(generate, labels, attributes) {
    this.generate = generate;
    this.canvases = labels.map((label) => picture(new Uint8Array(784), 28, 28, GREYS, label));
    this.labels = labels;
    this.stale = new Set();
    this.next = 0;
    this.node = element("div", attributes, ...this.canvases);
  }

  update() {
    const idle = this.stale.size === 0;
    if (idle) Pictures.working(1);
    this.canvases.forEach((_, n) => this.stale.add(n));
    if (idle) setTimeout(() => this.step());
  }

  step() {
    const began = performance.now();
    while (this.stale.size && performance.now() - began < 12) {
      while (!this.stale.has(this.next)) this.next = (this.next + 1) % this.canvases.length;
      this.stale.delete(this.next);
      picture(this.generate(this.next), 28, 28, GREYS, this.labels[this.next], this.canvases[this.next]);
    }
    if (this.stale.size) setTimeout(() => this.step());
    else Pictures.working(-1);
  }

  // Counts the rows of pictures that are being computed; the page is marked as busy meanwhile.
  static working(change) {
    Pictures.busy = (Pictures.busy || 0) + change;
    if (Pictures.busy) document.documentElement.dataset.busy = "true";
    else delete document.documentElement.dataset.busy;
  }

  // Saves the pictures beside each other as PNG, after the last of them is computed.
  save(name) {
    if (this.stale.size) {
      setTimeout(() => this.save(name), 20);
      return;
    }
    const cell = 28 * SAVED_SCALE,
      gap = SAVED_SCALE;
    const canvas = element("canvas", { width: this.canvases.length * (cell + gap) - gap, height: cell });
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    this.canvases.forEach((each, n) => context.drawImage(each, n * (cell + gap), 0, cell, cell));
    canvas.toBlob((blob) => save(blob, name), "image/png");
  }
}

function generatorParts(data) {
  const net = makeNet(data.net);
  const noise = new NoisePart(data, net),
    morph = new MorphPart(data, net, () => noise.noise);
  return {
    chooser: null,
    parts: [
      ["generate", "Generate", ...noise.parts()],
      ["morph", "Morph", ...morph.parts()],
      ["training", "Training", ...trainingOf(data)],
    ],
  };
}

class NoisePart {
  constructor(data, net) {
    Object.assign(this, { data, noise: randomNoise() });
    const labels = data.conditional
      ? Array.from({ length: 10 }, (_, digit) => `a generated ${digit}`)
      : ["a generated digit"];
    this.pictures = new Pictures((digit) => net.generate(this.noise, digit), labels, {
      class: `generated${data.conditional ? "" : " one"}`,
    });
  }

  parts() {
    const { directions, conditional, name } = this.data;
    const range = { min: -4, max: 4, step: 0.05, value: 0 };
    this.directions = directions.map((direction, n) =>
      slider(`direction ${n + 1}`, range, (value) => this.move(direction, value)),
    );
    this.components = Array.from({ length: NOISE_SIZE }, (_, n) =>
      slider(`number ${n + 1}`, range, (value) => {
        this.noise[n] = value;
        this.show();
      }),
    );
    this.distance = slider("distance from 0", { min: 0, max: 20, step: 0.1, value: 0 }, (value) => {
      const scale = value / (lengthOf(this.noise) || 1);
      this.noise = this.noise.map((each) => each * scale);
      this.show();
    });
    this.show();
    return [
      this.pictures.node,
      element(
        "p",
        { class: "note" },
        conditional
          ? "Ten digits from one noise: the noise is the handwriting."
          : "One picture from the noise. Which digit it is, the noise decides.",
      ),
      element(
        "div",
        { class: "row" },
        button(
          "New noise",
          () => {
            this.noise = randomNoise();
            this.show();
          },
          { class: "main" },
        ),
        button("Save as PNG", () => this.pictures.save(`${name}.png`)),
      ),
      element("h3", {}, "Through the noise"),
      element(
        "p",
        { class: "note" },
        "The noise is a point of 100 dimensions. These are the directions in which the pictures change the most, strongest first. In training each number had a mean of 0 and a standard deviation of 1, so the distance from 0 was about 10.",
      ),
      element("div", { class: "sliders" }, ...this.directions, this.distance),
      element(
        "details",
        {},
        element("summary", {}, "All 100 numbers"),
        element("div", { class: "sliders" }, ...this.components),
      ),
    ];
  }

  along(direction) {
    return direction.reduce((sum, value, n) => sum + value * this.noise[n], 0);
  }

  move(direction, value) {
    const step = value - this.along(direction);
    this.noise = this.noise.map((each, n) => each + step * direction[n]);
    this.show();
  }

  show() {
    this.data.directions.forEach((direction, n) => this.directions[n].setValue(this.along(direction)));
    this.noise.forEach((value, n) => this.components[n].setValue(value));
    this.distance.setValue(lengthOf(this.noise));
    this.pictures.update();
  }
}

class MorphPart {
  constructor(data, net, currentNoise) {
    Object.assign(this, {
      data,
      net,
      currentNoise,
      ends: [randomNoise(), randomNoise()],
      digits: [3, 8],
      share: 0,
    });
    const steps = Array.from({ length: MORPH_STEPS }, (_, n) => `step ${n + 1} of ${MORPH_STEPS}`);
    this.strip = new Pictures((n) => this.at(n / (MORPH_STEPS - 1)), steps, { class: "strip" });
    this.single = new Pictures(() => this.at(this.share), ["the picture at this point of the morph"], {
      class: "generated one",
    });
  }

  at(share) {
    const [from, to] = this.digits,
      mixture = new Float64Array(10);
    mixture[from] += 1 - share;
    mixture[to] += share;
    return this.net.generate(onArc(...this.ends, share), mixture);
  }

  parts() {
    const { conditional, name } = this.data;
    this.position = slider("position", { min: 0, max: 1, step: 0.01, value: 0 }, (value) => {
      this.stop();
      this.go(value);
    });
    this.position.classList.add("position");
    this.play = button("Play", () => (this.timer ? this.stop() : this.start()), { class: "main" });
    const set = (end, noise) => {
      this.ends[end] = noise;
      this.show();
    };
    const digit = (label, end) =>
      select(
        label,
        Array.from({ length: 10 }, (_, n) => [String(n), String(n)]),
        (value) => {
          this.digits[end] = Number(value);
          this.show();
        },
      );
    const digits = conditional ? [digit("from digit", 0), digit("to digit", 1)] : [];
    digits.forEach((label, end) => {
      label.querySelector("select").value = String(this.digits[end]);
    });
    this.show();
    return [
      this.single.node,
      this.position,
      element(
        "div",
        { class: "row" },
        this.play,
        ...digits,
        button("Start at the noise above", () => set(0, this.currentNoise().slice())),
        button("End at the noise above", () => set(1, this.currentNoise().slice())),
        button("New start and end", () => {
          this.ends = [randomNoise(), randomNoise()];
          this.show();
        }),
      ),
      this.strip.node,
      element(
        "div",
        { class: "row" },
        button("Save as PNG", () => this.strip.save(`${name}-morph.png`)),
      ),
    ];
  }

  go(share) {
    this.share = share;
    this.single.update();
  }

  start() {
    const began = performance.now() - 1000 * MORPH_SECONDS * (this.share < 1 ? this.share : 0);
    const frame = () => {
      const share = Math.min(1, (performance.now() - began) / 1000 / MORPH_SECONDS);
      this.position.setValue(share);
      this.go(share);
      if (share === 1) this.stop();
      else this.timer = setTimeout(frame, 40);
    };
    this.play.textContent = "Pause";
    frame();
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = null;
    this.play.textContent = "Play";
  }

  show() {
    this.strip.update();
    this.single.update();
  }
}
