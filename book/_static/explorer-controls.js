/* The controls of the path explorer: a slider a bucket, a row of the varied bucket's instances, the address. */
(function () {
  "use strict";

  const root = document.getElementById("explorer");
  const model = window.RPGAN_MODEL;
  if (!root || !model || !window.RpganEngine) return; // the static picture stays
  const engine = window.RpganEngine.prepare(model);
  const [channels, height, width] = model.imageShape;
  const sizes = model.bucketSizes;
  const plural = sizes.flatMap((size, bucket) => (size > 1 ? [bucket] : []));
  const nPaths = sizes.reduce((product, size) => product * size, 1);
  let path = model.start.slice();
  let varied = plural[0];
  let row = 0; // counts the rows begun; an older one that is still being filled stops

  /** Makes an element with attributes and children. */
  function element(name, attributes, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function picture(attributes) {
    return element("canvas", { width, height, ...attributes });
  }

  function draw(canvas, levels) {
    const pixels = new ImageData(width, height);
    const area = width * height;
    for (let i = 0; i < area; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = levels[(c % channels) * area + i];
      pixels.data[4 * i + 3] = 255;
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  }

  // What the page shows.
  const image = picture({ class: "explorer-image", role: "img" });
  const status = element("p", { class: "explorer-status", role: "status" });
  const sliders = sizes.map((size, bucket) => {
    const slider = element("input", {
      id: `explorer-bucket-${bucket + 1}`, type: "range", min: 0, max: size - 1, step: 1,
    });
    slider.disabled = size === 1;
    slider.addEventListener("input", () => choose(replaced(bucket, Number(slider.value)), null));
    slider.addEventListener("change", () => remember("replaceState")); // where a drag ends
    return slider;
  });
  const numbers = sliders.map(() => element("span", { class: "explorer-number", "aria-hidden": "true" }));
  const radios = plural.map((bucket) => {
    const radio = element("input", { type: "radio", name: "explorer-vary", value: bucket + 1 });
    radio.addEventListener("change", () => vary(bucket));
    return radio;
  });
  const heading = element("p", { id: "explorer-row-label", class: "explorer-row-label" });
  const thumbs = element("div", { class: "explorer-row", role: "group", "aria-labelledby": heading.id });
  const random = element("button", { type: "button", class: "explorer-random" }, "Random path");
  random.addEventListener("click", () => {
    choose(sizes.map((size) => Math.floor(Math.random() * size)), "pushState");
  });

  function side(bucket) {
    return Math.min(height, 4 << bucket);
  }

  const lines = sizes.map((size, bucket) => {
    const resolution = element("small", {}, ` ${side(bucket)}×${side(bucket)}`);
    const label = element("label", { for: sliders[bucket].id }, `Bucket ${bucket + 1}`, resolution);
    const last = plural.includes(bucket)
      ? element("label", { class: "explorer-vary" }, radios[plural.indexOf(bucket)], "vary",
          element("span", { class: "explorer-unseen" }, ` bucket ${bucket + 1}`))
      : element("span", { class: "explorer-vary" }, "one instance");
    return element("div", { class: "explorer-bucket" }, label, sliders[bucket], numbers[bucket], last);
  });
  const legend = element("legend", {}, "Path: the instance of each bucket");
  const figure = element("div", { class: "explorer-picture" }, image, status);
  const controls = element("div", { class: "explorer-controls" },
    element("fieldset", {}, legend, ...lines), random);
  root.append(element("div", { class: "explorer-panes" }, figure, controls), heading, thumbs);

  function replaced(bucket, instance) {
    return path.map((old, b) => (b === bucket ? instance : old));
  }

  /** Takes another path; `how` says how the address follows: pushState, replaceState or not at all. */
  function choose(next, how) {
    const sameRow = next.every((instance, b) => b === varied || instance === path[b]) && thumbs.children.length > 0;
    path = next;
    show();
    if (sameRow) markRow();
    else fillRow();
    if (how) remember(how);
  }

  function vary(bucket) {
    varied = bucket;
    show();
    fillRow();
    remember("replaceState");
  }

  function show() {
    const name = path.join(", ");
    draw(image, engine.levels(path));
    image.setAttribute("aria-label", `Generated image of the path ${name}`);
    status.textContent = `Path ${name}, one of ${nPaths.toLocaleString("en")}`;
    path.forEach((instance, bucket) => {
      sliders[bucket].value = instance;
      sliders[bucket].setAttribute("aria-valuetext", `instance ${instance}`);
      numbers[bucket].textContent = instance;
    });
    radios.forEach((radio, k) => (radio.checked = plural[k] === varied));
  }

  /** Lays out a button for each instance of the varied bucket and fills them one after another. */
  function fillRow() {
    const mine = ++row;
    const others = path.slice();
    const hadFocus = thumbs.contains(document.activeElement);
    heading.textContent = `Bucket ${varied + 1} varied, the rest of the path kept: choose one to take it`;
    thumbs.replaceChildren(...Array.from({ length: sizes[varied] }, (_, instance) => thumb(instance)));
    markRow();
    if (hadFocus) thumbs.children[path[varied]].focus();
    const fill = (instance) => {
      if (mine !== row || instance === sizes[varied]) return;
      const levels = engine.levels(others.map((old, b) => (b === varied ? instance : old)));
      draw(thumbs.children[instance].firstChild, levels);
      setTimeout(fill, 0, instance + 1); // the page stays responsive between two images
    };
    setTimeout(fill, 0, 0);
  }

  function thumb(instance) {
    const label = `Bucket ${varied + 1}, instance ${instance}`;
    const button = element("button", { type: "button", "aria-label": label },
      picture({ "aria-hidden": "true" }), element("span", {}, instance));
    button.addEventListener("click", () => choose(replaced(varied, instance), "pushState"));
    return button;
  }

  /** Marks the path's own instance; it is the one that the tab key reaches, arrows lead to the others. */
  function markRow() {
    [...thumbs.children].forEach((button, instance) => {
      button.setAttribute("aria-pressed", String(instance === path[varied]));
      button.tabIndex = instance === path[varied] ? 0 : -1;
    });
  }

  thumbs.addEventListener("keydown", (event) => {
    const buttons = [...thumbs.children];
    const at = buttons.indexOf(document.activeElement);
    const places = {
      ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1,
    };
    if (at < 0 || !(event.key in places)) return;
    event.preventDefault();
    buttons[(places[event.key] + buttons.length) % buttons.length].focus();
  });

  // The address: #p=3.1.7.0.2&v=4&m=359e09ed, instances counted from 0, the varied bucket from 1, the model's key.
  function address() {
    return `#p=${path.join(".")}&v=${varied + 1}&m=${model.key}`;
  }

  /** Writes the state into the address where that has another, which may fail without harm. */
  function remember(how) {
    if (location.hash === address()) return;
    try {
      history[how](null, "", address());
    } catch {
      // Safari refuses more than 100 calls in 30 seconds; the next change brings the address up to date.
    }
  }

  /** Takes the state from the address, as far as this model has it; says what it has not, and puts it right. */
  function restore() {
    const anchor = document.getElementById(location.hash.slice(1)); // a heading's address stays
    const given = new URLSearchParams((anchor || !location.hash ? address() : location.hash).slice(1));
    const text = given.get("p") || "";
    const wanted = /^\d+(\.\d+)*$/.test(text) ? text.split(".").map(Number) : [];
    const fits = wanted.length === sizes.length && wanted.every((instance, b) => instance < sizes[b]);
    const bucket = Number(given.get("v")) - 1;
    const varies = plural.includes(bucket);
    if (varies && bucket !== varied) {
      varied = bucket;
      thumbs.replaceChildren(); // another bucket's row
    }
    choose(fits ? wanted : path, anchor ? null : "replaceState"); // also where there was none, so that Back returns to it
    const wrong = [];
    if (given.has("m") && given.get("m") !== model.key) wrong.push("is of another model");
    if (!fits) wrong.push("names no path of this model");
    if (!varies) wrong.push("names no bucket that can be varied");
    if (wrong.length > 0) {
      const shown = `path ${path.join(", ")} of this model, bucket ${varied + 1} varied`;
      status.textContent = `The address ${wrong.join(" and ")}; shown instead: ${shown}`;
    }
  }

  window.addEventListener("hashchange", restore);
  restore();
  root.hidden = false;
  document.documentElement.classList.add("explorer-live"); // hides the static picture
})();
