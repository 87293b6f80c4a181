// Elements, numbers and pictures. Text is only ever set as text, so that no name can become markup.

function element(tag, attributes, ...children) {
  const node = document.createElement(tag);
  setAttributes(node, attributes);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(node, attributes);
  node.append(...children);
  return node;
}

function setAttributes(node, attributes) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
}

function button(text, onClick, attributes) {
  return element("button", { type: "button", click: onClick, ...attributes }, text);
}

// A choice among a few values, as radio buttons in one box. `choices` are pairs of value and text.
let choicesMade = 0;
function choice(legend, choices, chosen, onChange, attributes) {
  const name = `choice${choicesMade++}`;
  const options = choices.map(([value, text]) => {
    const input = element("input", {
      type: "radio",
      name,
      value,
      checked: value === chosen,
      change: () => onChange(value),
    });
    return element("label", {}, input, element("span", {}, text));
  });
  return element("fieldset", { class: "choice", ...attributes }, element("legend", {}, legend), ...options);
}

function select(label, choices, onChange) {
  const options = choices.map(([value, text]) => element("option", { value }, text));
  const control = element("select", { change: () => onChange(control.value) }, ...options);
  return element("label", { class: "field" }, element("span", {}, label), control);
}

function checkbox(text, checked, onChange) {
  const input = element("input", { type: "checkbox", checked, change: () => onChange(input.checked) });
  return element("label", { class: "check" }, input, element("span", {}, text));
}

function slider(label, { min, max, step, value }, onInput, attributes) {
  const shown = element("output", {}, "");
  const input = element("input", { type: "range", min, max, step, value, ...attributes });
  const digits = Number(step) < 1 ? 2 : 0;
  const show = () => {
    shown.textContent = decimal(Number(input.value), digits);
  };
  input.addEventListener("input", () => {
    show();
    onInput(Number(input.value));
  });
  show();
  const field = element("label", { class: "slider" }, element("span", {}, label), input, shown);
  field.setValue = (next) => {
    input.value = next;
    show();
  };
  return field;
}

function table(head, rows, attributes) {
  const header = element("tr", {}, ...head.map((text) => element("th", { scope: "col" }, text)));
  const body = rows.map(([first, ...cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, first),
      ...cells.map((cell) => element("td", {}, cell)),
    ),
  );
  return element(
    "div",
    { class: "wide", tabindex: "0", role: "group", "aria-label": "table" },
    element("table", attributes, element("thead", {}, header), element("tbody", {}, ...body)),
  );
}

function percent(fraction, digits = 1) {
  const text = (100 * fraction).toFixed(digits);
  if (fraction < 1 && Number(text) === 100) return `> ${(100 - 10 ** -digits).toFixed(digits)} %`;
  return `${text} %`;
}

// A number with a minus sign, and without one if it is rounded to zero.
function decimal(value, digits) {
  const text = value.toFixed(digits);
  return Number(text) === 0 ? text.replace("-", "") : text.replace("-", "\u2212");
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The colours of maps. Those of the theme are read when they are needed, since the theme can change.
function themeColour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map((start) => parseInt(text.slice(start, start + 2), 16));
}

function mixed(from, to, share) {
  return from.map((value, channel) => value + (to[channel] - value) * share);
}

// Maps a value to a colour: 0 to `limit` from the paper to the ink, or -limit to limit from one hue to another.
function colourScale(limit, signed) {
  const low = themeColour("--map-low"),
    high = themeColour("--map-high");
  const against = themeColour("--against"),
    middle = themeColour("--map-middle"),
    pro = themeColour("--for");
  const bound = limit > 0 ? limit : 1;
  if (!signed) return (value) => mixed(low, high, Math.min(1, Math.max(0, value / bound)));
  return (value) => {
    const share = Math.max(-1, Math.min(1, value / bound));
    return share < 0 ? mixed(middle, against, -share) : mixed(middle, pro, share);
  };
}

const GREYS = (value) => [value, value, value];

// A canvas with one pixel for each value of `values` [rows, columns].
function picture(values, rows, columns, colour, label, canvas = element("canvas")) {
  canvas.width = columns;
  canvas.height = rows;
  setAttributes(canvas, { role: "img", "aria-label": label });
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  for (let n = 0; n < rows * columns; n++) {
    const [red, green, blue] = colour(values[n]);
    image.data.set([red, green, blue, 255], 4 * n);
  }
  context.putImageData(image, 0, 0);
  canvas.classList.add("pixels");
  return canvas;
}

function save(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = element("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function largest(values) {
  let best = 0;
  for (let n = 1; n < values.length; n++) if (values[n] > values[best]) best = n;
  return best;
}
