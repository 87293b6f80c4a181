// Digits of the evaluation: which ones are shown, how they are sorted, and each with its probabilities.

const GALLERY_PAGE = 120; // digits that are shown before "more" is asked for

class Gallery {
  constructor(report, draw) {
    Object.assign(this, {
      report,
      draw,
      wanted: GALLERY_PAGE,
      filter: { label: "any", predicted: "any", disputed: "all", order: "confidence", wrong: true },
    });
    this.list = element("ul", { class: "cards" });
    this.summary = element("p", { class: "note", role: "status" }, "");
    this.more = button("More", () => {
      this.wanted += GALLERY_PAGE;
      this.show();
    });
    this.dialog = element("dialog", {
      "aria-label": "a digit",
      click: (event) => {
        if (event.target === this.dialog) this.dialog.close();
      },
    });
    this.title = element("h3", { tabindex: -1 }, "");
    const digits = [["any", "any"], ...Array.from({ length: 10 }, (_, n) => [String(n), String(n)])];
    this.controls = {
      label: select("label", digits, (value) => this.set({ label: value })),
      predicted: select("read as", digits, (value) => this.set({ predicted: value })),
      wrong: select(
        "show",
        [
          ["wrong", "misread"],
          ["all", "all in this page"],
        ],
        (value) => this.set({ wrong: value === "wrong" }),
      ),
      order: select(
        "sort by",
        [
          ["confidence", "most confident first"],
          ["doubt", "least confident first"],
          ["label", "label"],
          ["index", "number"],
        ],
        (value) => this.set({ order: value }),
      ),
    };
    if (report.digits.disputed.size) {
      this.controls.disputed = select(
        "labels",
        [
          ["all", "all"],
          ["only", "disputed only"],
          ["without", "undisputed only"],
        ],
        (value) => this.set({ disputed: value }),
      );
    }
  }

  parts() {
    return [
      this.title,
      element("div", { class: "row filters" }, ...Object.values(this.controls)),
      this.summary,
      this.list,
      this.more,
      this.dialog,
    ];
  }

  set(changes) {
    Object.assign(this.filter, changes);
    this.wanted = GALLERY_PAGE;
    this.show();
  }

  // Shows the digits with this label that were read as `predicted`, for a cell of the confusion table.
  select(label, predicted) {
    const { controls } = this;
    const wanted = {
      label: String(label),
      predicted: String(predicted),
      wrong: label !== predicted,
      disputed: "all",
    };
    for (const name of ["label", "predicted"]) controls[name].querySelector("select").value = wanted[name];
    controls.wrong.querySelector("select").value = wanted.wrong ? "wrong" : "all";
    if (controls.disputed) controls.disputed.querySelector("select").value = "all";
    this.set(wanted);
    this.title.focus();
    this.title.scrollIntoView({ block: "start" });
  }

  // On paper there is no button for more digits.
  printing(begins) {
    this.wanted = begins ? Infinity : GALLERY_PAGE;
    this.show();
  }

  use(net) {
    this.net = net;
    this.show();
  }

  places() {
    const { labels, disputed, indices } = this.report.digits,
      { predicted, confidence } = this.net.report,
      { filter } = this;
    const orders = {
      confidence: (a, b) => confidence[b] - confidence[a],
      doubt: (a, b) => confidence[a] - confidence[b],
      label: (a, b) => labels[a] - labels[b] || predicted[a] - predicted[b],
      index: (a, b) => indices[a] - indices[b],
    };
    const fits = (place) =>
      (!filter.wrong || labels[place] !== predicted[place]) &&
      (filter.label === "any" || labels[place] === Number(filter.label)) &&
      (filter.predicted === "any" || predicted[place] === Number(filter.predicted)) &&
      (filter.disputed === "all" || disputed.has(indices[place]) === (filter.disputed === "only"));
    return labels
      .map((_, place) => place)
      .filter(fits)
      .sort(orders[filter.order]);
  }

  show() {
    const places = this.places(),
      shown = places.slice(0, this.wanted);
    const { digits } = this.report,
      misread = this.net.report.wrong;
    this.title.textContent = `Digits that ${this.net.name} ${this.filter.wrong ? "misreads" : "reads"}`;
    const missing = digits.count - digits.images.length;
    const inPage = missing
      ? ` This page has ${digits.images.length.toLocaleString("en")} of the ${digits.count.toLocaleString("en")} digits${digits.all_misread ? ", every misread one among them" : ", not every misread one"}.`
      : "";
    const all = `${misread.toLocaleString("en")} of ${count(digits.count, "digit")} ${misread === 1 ? "is" : "are"} misread`;
    const some =
      this.filter.wrong && places.length === misread
        ? `${all}.`
        : `${count(places.length, "digit")} with this choice; ${all}.`;
    const scaled =
      this.net.temperature === 1
        ? ""
        : " Their probabilities are those of the evaluation: logits are not divided here.";
    this.summary.textContent =
      some + inPage + (digits.disputed.size ? " * marks a disputed label." : "") + scaled;
    this.list.replaceChildren(...shown.map((place) => this.card(place)));
    this.more.hidden = shown.length === places.length;
    this.more.textContent = `Show more of the ${places.length.toLocaleString("en")}`;
  }

  card(place) {
    const { digits } = this.report,
      { predicted, confidence, probabilities } = this.net.report;
    const disputed = digits.disputed.has(digits.indices[place]);
    const words = `${digits.labels[place]} read as ${predicted[place]}, ${percent(confidence[place], 0)}`;
    const image = picture(digits.images[place], 28, 28, GREYS, "");
    image.setAttribute("aria-hidden", "true");
    const bars = probabilities[place] ? smallBars(probabilities[place], digits.labels[place]) : null;
    const attributes = {
      type: "button",
      class: `card${disputed ? " disputed" : ""}`,
      click: () => this.open(place),
      "aria-label": `${words}${disputed ? ", disputed label" : ""}, number ${digits.indices[place]}`,
    };
    return element(
      "li",
      {},
      element(
        "button",
        attributes,
        image,
        element("span", { class: "words" }, `${digits.labels[place]} → ${predicted[place]}`),
        element("span", { class: "note" }, `${percent(confidence[place], 0)}${disputed ? " *" : ""}`),
        bars,
      ),
    );
  }

  open(place) {
    const { digits, nets } = this.report,
      index = digits.indices[place];
    const image = picture(digits.images[place], 28, 28, GREYS, `digit ${index}`);
    image.classList.add("seen");
    const rows = nets.map((net) => {
      const values =
        net.report.probabilities[place] || Array.from(net.read(digits.images[place], true).probabilities);
      return [net.name, ...values.map((value) => percent(value))];
    });
    const disputed = digits.disputed.has(index) ? element("p", {}, digits.dispute) : null;
    this.dialog.replaceChildren(
      element("h3", {}, `Digit ${index}, labelled ${digits.labels[place]}`),
      disputed,
      image,
      table(["net", ...Array.from({ length: 10 }, (_, n) => String(n))], rows),
      element(
        "div",
        { class: "row" },
        button(
          "Put it on the canvas",
          () => {
            this.dialog.close();
            this.draw.put(place);
            document.getElementById("draw").scrollIntoView();
            this.draw.drawing.canvas.focus({ preventScroll: true });
          },
          { class: "main" },
        ),
        button("Close", () => this.dialog.close()),
      ),
    );
    this.dialog.showModal();
  }
}

function smallBars(values, label) {
  const bars = svg("svg", { viewBox: "0 0 60 18", class: "small", "aria-hidden": "true" });
  values.forEach((value, digit) =>
    bars.append(
      svg("rect", {
        x: 6 * digit + 0.5,
        width: 5,
        y: 17 - 16 * value,
        height: 1 + 16 * value,
        class: digit === label ? "label" : "other",
      }),
    ),
  );
  return bars;
}
