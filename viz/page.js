"use strict";
const SVG = "http://www.w3.org/2000/svg";
const HTML = "http://www.w3.org/1999/xhtml";
const PAD = 14; // around the cards of a scope
const [ROOM, ASIDE] = [44, 90]; // what stays of a gap that opens between cards, and between columns
const TIGHT = 40; // between things of the same column
const PERCENT = 75; // of a picture that is drawn at one pixel for each of its points
const PAUSE = 1100;

const find = (id) => document.getElementById(id);
const data = JSON.parse(find("data").textContent);
const stage = find("stage");
const svg = stage.querySelector("svg");
const layer = svg.querySelector("g.graph");
const part = (name) => find(`${svg.id}-${name}`);
const panel = find("panel");

function element(space, tag, attributes, children) {
  const made = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Part of a picture; its colours are attributes too, for saved files, whose classes are dark. */
function draw(tag, attributes = {}, ...children) {
  const made = element(SVG, tag, attributes, children);
  for (const [, paint, role] of (attributes.class || "").matchAll(/\b([fs])-([\w-]+)/g)) {
    const colour = data.colours[role];
    if (colour) made.setAttribute(paint === "f" ? "fill" : "stroke", colour);
  }
  return made;
}
const make = (tag, attributes = {}, ...children) => element(HTML, tag, attributes, children);

// A box is where something was laid out at first; moved(box) is where it is now.
function boxOf(shape) {
  const { x, y, width, height } = shape.getBBox();
  return { x, y, width, height };
}
const frame = (group) => boxOf(group.querySelector("polygon, path"));
const contains = (box, x, y) =>
  box.x <= x && x <= box.x + box.width && box.y <= y && y <= box.y + box.height;
const across = (box) => [box.x, box.x + box.width];
const along = (box) => [box.y, box.y + box.height];

const cards = new Map();
for (const card of data.cards) {
  const group = part(`n${card.id}`);
  const behind = part(`b${card.id}`);
  const boxes = [group, behind].filter(Boolean).map((g) => ({ group: g, box: frame(g) }));
  cards.set(card.id, { ...card, group, behind, boxes });
  for (const { group: g } of boxes) {
    g.dataset.card = card.id;
    g.setAttribute("role", "button");
  }
}
const links = data.links.map(([source, target], i) => ({
  source, target, data: part(`e${i}`), lane: part(`g${i}`),
}));
for (const { lane } of links) if (lane) lane.classList.add("lane");
const lanes = links.some((link) => link.lane);

// A scope has a frame in every column that it reaches into: c1, c1x2, …
const scopes = data.scopes.map((scope, i) => {
  const own = new RegExp(`^${svg.id}-c${i}(x\\d+)?$`);
  const groups = [...layer.querySelectorAll("g.cluster")].filter((group) => own.test(group.id));
  const frames = groups.map((group) => {
    const shape = group.querySelector("path, polygon");
    return { group, shape, box: boxOf(shape) };
  });
  return { ...scope, i, frames, closed: false, inside: new Set(scope.cards) };
});
const frames = scopes.flatMap((scope) => scope.frames.map((f) => Object.assign(f, { scope })));

// Collapsing.

function nameFrames() {
  const area = ({ box }) => box.width * box.height;
  const texts = [...layer.children].filter((child) => child.matches("text.halo"));
  for (const own of frames) {
    own.heading = draw("g", { class: "heading", tabindex: 0, role: "button" });
    own.heading.setAttribute("aria-label", `Collapse the scope ${own.scope.name}`);
    own.heading.setAttribute("aria-expanded", true);
    own.heading.dataset.scope = own.scope.i;
    layer.append(own.heading);
  }
  for (const text of texts) {
    const around = frames.filter(({ box }) =>
      contains(box, Number(text.getAttribute("x")), Number(text.getAttribute("y"))));
    const inner = around.reduce((a, b) => (area(b) < area(a) ? b : a), around[0]);
    if (inner) inner.heading.append(text);
  }
  for (const own of frames) own.title = boxOf(own.heading);
}

/** Stretches of x that hold everything, with nothing in between. */
const columns = [];
for (const [from, to] of [...cards.values()].flatMap((card) => card.boxes).concat(frames)
  .map(({ box }) => across(box)).sort((a, b) => a[0] - b[0])) {
  const last = columns[columns.length - 1];
  if (last && from < last[1] + TIGHT) last[1] = Math.max(last[1], to);
  else columns.push([from, to]);
}
const columnOf = (box) => columns.findIndex(([, to]) => box.x <= to);

/** The closed scope, the outermost, that stands for a card. */
const cover = (id) => scopes.find((scope) => scope.closed && scope.inside.has(id));

function isCovered(scope) {
  for (let up = scopes[scope.parent]; up; up = scopes[up.parent]) if (up.closed) return true;
  return false;
}

/** Where the card of a closed scope lies before anything moves: at the top of its place. */
function smallBox(scope) {
  const first = scope.frames[0].box;
  const inner = scope.cards.map((id) => cards.get(id).boxes[0].box)
    .filter((box) => contains(first, box.x, box.y));
  const widest = inner.reduce((a, b) => (b.width > a.width ? b : a));
  const lines = 2 + Boolean(scope.norms) + Boolean(scope.alarm);
  const width = Math.max(widest.width, 150);
  const height = Math.min(24 * lines, first.height - PAD);
  return { x: widest.x, y: first.y + PAD, width, height };
}

/** A map of one axis that narrows the gaps in which something is gone, and never swaps things. */
function squeeze(kept, gone, room) {
  const all = [...kept, ...gone].flat();
  let last = Math.min(...all), shift = 0;
  const end = Math.max(...all);
  const knots = [[last, last]];
  for (const [start, stop] of [...kept].sort((a, b) => a[0] - b[0]).concat([[end, end]])) {
    if (start > last) {
      const freed = gone.some(([a, b]) => a < start && b > last);
      if (freed) shift += Math.max(start - last - room, 0);
      knots.push([start, start - shift]);
    }
    last = Math.max(last, stop);
    knots.push([last, last - shift]);
  }
  return (value) => {
    const i = knots.findIndex(([from]) => from >= value);
    if (i < 1) return i === 0 ? knots[0][1] + value - knots[0][0] : value - shift;
    const [[a, fa], [b, fb]] = [knots[i - 1], knots[i]];
    return b === a ? fb : fa + ((value - a) * (fb - fa)) / (b - a);
  };
}

let marks = [], wires = []; // what is seen now, with the cards and links that it stands for
let drawn = []; // what was drawn instead of something
let seen = []; // where cards are now
let moved = (box) => box;

function layout() {
  for (const old of drawn) old.remove();
  drawn = [];
  const gone = [], kept = [], wide = [], high = [];
  for (const card of cards.values()) {
    (cover(card.id) ? gone : kept).push(...card.boxes.map(({ box }) => box));
  }
  for (const scope of scopes) {
    scope.covered = isCovered(scope);
    if (scope.closed && !scope.covered) kept.push((scope.small = smallBox(scope)));
  }
  for (const { scope, box, title } of frames) {
    const { x, y, width, height } = box;
    if (scope.covered || scope.closed) {
      gone.push(box);
      continue;
    }
    kept.push(title);
    wide.push({ ...box, width: PAD }, { ...box, x: x + width - PAD, width: PAD });
    high.push({ ...box, height: PAD }, { ...box, y: y + height - PAD, height: PAD });
  }
  const fx = squeeze([...kept, ...wide].map(across), gone.map(across), ASIDE);
  const fys = columns.map((_, k) => {
    const [stay, leave] = [[...kept, ...high], gone].map((boxes) =>
      boxes.filter((box) => columnOf(box) === k).map(along));
    return squeeze(stay, leave, ROOM);
  });
  moved = (box) => {
    const fy = fys[columnOf(box)];
    const [x, y] = [fx(box.x), fy(box.y)];
    return { x, y, width: fx(box.x + box.width) - x, height: fy(box.y + box.height) - y };
  };
  marks = [];
  seen = [];
  for (const card of cards.values()) {
    for (const { group, box } of card.boxes) {
      group.classList.toggle("gone", Boolean(cover(card.id)));
      shift(group, box);
      if (cover(card.id)) continue;
      marks.push({ group, ids: [card.id], back: group === card.behind });
      seen.push(moved(box));
    }
  }
  for (const own of frames) placeFrame(own);
  for (const scope of scopes) if (scope.closed && !scope.covered) placeSummary(scope);
  placeLinks();
  paint();
}

function shift(group, box) {
  const to = moved(box);
  const [dx, dy] = [to.x - box.x, to.y - box.y].map((d) => Math.round(d * 100) / 100);
  if (dx || dy) group.setAttribute("transform", `translate(${dx} ${dy})`);
  else group.removeAttribute("transform");
}

function placeFrame({ scope, group, shape, heading, box, title }) {
  const shown = !scope.covered && !scope.closed;
  const to = moved(box);
  const same = ["x", "y", "width", "height"].every((k) => Math.abs(to[k] - box[k]) < 0.01);
  group.classList.toggle("gone", !shown);
  heading.classList.toggle("gone", !shown);
  shape.classList.toggle("gone", !same);
  shift(heading, title);
  if (same || !shown) return;
  const rect = draw("rect", { ...to, rx: 12, class: "f-cluster s-border" });
  group.append(rect);
  drawn.push(rect);
}

function placeSummary(scope) {
  const group = summary(scope, moved(scope.small));
  layer.insertBefore(group, frames[0].heading);
  drawn.push(group);
  marks.push({ group, ids: scope.cards, back: false });
  seen.push(moved(scope.small));
}

/** The card of a closed scope. */
function summary(scope, box) {
  const said = [scope.told, scope.norms, scope.alarm].filter(Boolean);
  const group = draw("g", {
    class: "node summary", tabindex: 0, role: "button", "aria-expanded": false,
    "aria-label": [`scope ${scope.name}, collapsed`, ...said].join(", "),
  });
  group.dataset.scope = scope.i;
  const { x, y, width } = box;
  const line = box.height / (said.length + 1);
  const text = (words, i, attributes) => group.append(draw("text", {
    x: x + 8, y: y + line * (i + 0.5) + 4, "font-size": 11, "font-family": "Arial, sans-serif",
    ...attributes,
  }, words));
  group.append(
    draw("rect", { x: x + 4, y: y + 4, width, height: box.height, class: "f-foot s-border" }),
    draw("rect", { ...box, class: "f-card s-other" }),
    draw("rect", { x, y, width, height: line, class: "f-other" }),
  );
  text(scope.name, 0, { class: "f-on-header", "font-weight": "bold", "font-size": 13 });
  text("+", 0, { x: x + width - 8, class: "f-on-header", "text-anchor": "end", "font-size": 15 });
  said.forEach((words, i) => {
    const alarm = words === scope.alarm;
    if (alarm) {
      const place = { x: x + 1, y: y + line * (i + 1), width: width - 2, height: line - 1 };
      group.append(draw("rect", { ...place, class: "f-alarm-back" }));
    }
    text(words, i + 1, alarm ? { class: "f-alarm", "font-weight": "bold" } : { class: "f-ink" });
    if (words === scope.norms) group.lastChild.classList.add("measure");
  });
  return group;
}

// Links.

/** What stands for an end of a link now. */
function endOf(id, back) {
  const scope = cover(id);
  if (scope) {
    const [box, column] = [moved(scope.small), columnOf(scope.small)];
    return { key: `c${scope.i}`, name: scope.name, scope, box, column };
  }
  const card = cards.get(id);
  const at = back && card.behind ? card.boxes[1] : card.boxes[0];
  const box = moved(at.box);
  const by = [box.x - at.box.x, box.y - at.box.y];
  const behind = at.group === card.behind;
  return { key: at.group.id, name: card.title, box, by, behind, column: columnOf(at.box) };
}

function placeLinks() {
  wires = [];
  const bundles = new Map();
  links.forEach((link, i) => {
    for (const kind of ["data", "lane"]) {
      const group = link[kind];
      if (!group) continue;
      const [from, to] = [endOf(link.source, kind === "lane"), endOf(link.target, kind === "lane")];
      const still = !from.scope && !to.scope
        && from.by.every((d, k) => Math.abs(d - to.by[k]) < 0.01);
      group.classList.toggle("gone", !still);
      if (still && (from.by[0] || from.by[1])) {
        group.setAttribute("transform", `translate(${from.by.join(" ")})`);
      } else group.removeAttribute("transform");
      if (still) wires.push({ group, kind, links: [i] });
      else if (from.key !== to.key) {
        const single = from.scope || to.scope ? "" : i;
        const key = `${kind} ${from.key} ${to.key} ${single}`;
        if (!bundles.has(key)) bundles.set(key, { kind, from, to, links: [] });
        bundles.get(key).links.push(i);
      }
    }
  });
  for (const card of cards.values()) {
    const tie = part(`t${card.id}`);
    if (!tie) continue;
    const [there, back] = [endOf(card.id, false), endOf(card.id, true)];
    const still = !there.scope && there.by.every((d, k) => Math.abs(d - back.by[k]) < 0.01);
    tie.classList.toggle("gone", !still);
    if (still) tie.setAttribute("transform", `translate(${there.by.join(" ")})`);
  }
  for (const bundle of bundles.values()) {
    const group = wire(bundle);
    layer.insertBefore(group, frames[0].heading);
    drawn.push(group);
    wires.push({ group, kind: bundle.kind, links: bundle.links });
  }
}

/** Whether nothing lies between two boxes, one below the other. */
function isFree(a, b, share) {
  const xs = [a.x + a.width * share, b.x + b.width * share];
  return !seen.some((box) => box.y >= a.y + a.height - 1 && box.y + box.height <= b.y + 1
    && box.x < Math.max(...xs) && box.x + box.width > Math.min(...xs));
}

/** One line for some links between the same two ends, as wide as the widest of them. */
function wire({ kind, from, to, links: which }) {
  const widthOf = (path) => Number(path.getAttribute("stroke-width") || 1);
  const paths = which.map((i) => links[i][kind].querySelector("path"));
  const model = paths.reduce((a, b) => (widthOf(b) > widthOf(a) ? b : a));
  const [a, b, width] = [from.box, to.box, widthOf(model)];
  const share = lanes ? (kind === "data" ? 0.3 : 0.7) : 0.5;
  const at = (box, sx, sy) => [box.x + box.width * sx, box.y + box.height * sy];
  let [start, end, out, into] = [at(a, 1, share), at(b, 1, share), [1, 0], [-1, 0]];
  if (from.column === to.column && b.y >= a.y + a.height - 1 && isFree(a, b, share)) {
    [start, end, out, into] = [at(a, share, 1), at(b, share, 0), [0, 1], [0, 1]];
  } else if (b.x >= a.x + a.width && to.behind) {
    [end, into] = [at(b, 0.5, 0), [0, 1]];
  } else if (b.x >= a.x + a.width) {
    [end, into] = [at(b, 0, share), [1, 0]];
  } else if (a.x >= b.x + b.width) {
    [start, out, into] = [at(a, 0, share), [-1, 0], [-1, 0]];
  }
  const [length, half] = kind === "lane" ? [6 + width, 0.4 * width + 3.2] : [6, 2.1];
  const step = (point, way, by) => [point[0] + way[0] * by, point[1] + way[1] * by];
  const [tip, back] = kind === "lane" ? [start, out] : [end, into.map((v) => -v)];
  const base = step(tip, back, length);
  if (kind === "lane") start = base;
  else end = base;
  const straight = out[0] === into[0];
  const bend = (way) =>
    Math.max(straight ? 0 : ROOM, 0.5 * Math.abs(way[0] ? end[0] - start[0] : end[1] - start[1]));
  const say = (points) => points.map((p) => p.map((v) => v.toFixed(2)).join(",")).join(" ");
  const side = [-back[1], back[0]];
  const [, role] = /s-([\w-]+)/.exec(model.getAttribute("class"));
  const name = kind === "lane" ? `${to.name} → ${from.name}` : `${from.name} → ${to.name}`;
  const said = which.length === 1
    ? links[which[0]][kind].querySelector("title").textContent
    : `${kind === "lane" ? "gradient" : "data"}: ${name}, ${which.length} links`;
  const bends = [step(start, out, bend(out)), step(end, into, -bend(into))];
  const line = `M${say([start])}C${say([...bends, end])}`;
  return draw("g", { class: kind === "lane" ? "edge lane" : "edge" },
    draw("title", {}, said),
    draw("path", {
      d: line, fill: "none", class: `s-${role}`, "stroke-width": width,
    }),
    draw("polygon", {
      points: say([step(base, side, half), tip, step(base, side, -half)]), class: `f-${role}`,
    }));
}

function fold(scope, closed) {
  scope.closed = closed;
  layout();
  tell(`${scope.name} ${closed ? "collapsed" : "expanded"}`);
  const now = closed ? svg.querySelector(`.summary[data-scope="${scope.i}"]`)
    : scope.frames[0].heading;
  now.focus({ preventScroll: true });
}

function foldAll(closed) {
  for (const scope of scopes) scope.closed = closed;
  layout();
  fit();
  tell(closed ? "All scopes collapsed" : "All scopes expanded");
}

/** Open what hides a card. */
function uncover(id) {
  if (!cover(id)) return;
  for (const scope of scopes) if (scope.inside.has(id)) scope.closed = false;
  layout();
}

// What stands out: the way through a card, what a search found, the steps so far.

let hovered = null, focused = null, chosen = null, found = null, hits = null;
let step = 0, timer = null;

/** The cards that some cards depend on, and those that depend on them. */
function way(ids) {
  const all = new Set(ids);
  for (const [from, to] of [["target", "source"], ["source", "target"]]) {
    const next = new Map();
    for (const link of links) {
      next.set(link[from], [...(next.get(link[from]) || []), link[to]]);
    }
    const stack = [...ids], walked = new Set(ids);
    while (stack.length) {
      for (const id of next.get(stack.pop()) || []) {
        if (!walked.has(id)) stack.push(id);
        walked.add(id);
        all.add(id);
      }
    }
  }
  return all;
}

/** The cards that are computed, and those that sent their gradient on, after the steps so far. */
function progress() {
  const there = new Set(), back = new Set();
  const forward = data.steps.filter((s) => !s.back).length;
  data.steps.slice(0, Math.max(step, 1)).forEach((s) => (s.back ? back : there).add(s.card));
  for (const { source, target } of links) {
    const leaf = !data.steps.some((s) => s.card === source);
    if (leaf && (step > forward || there.has(target))) there.add(source);
  }
  return [there, back];
}

function paint() {
  const lit = hovered || focused;
  const through = lit && way(lit);
  const current = data.steps[step - 1];
  const [there, back] = current ? progress() : [];
  const any = (set, ids) => ids.some((id) => set.has(id));
  for (const mark of marks) {
    const own = (id) => id !== null && mark.ids.includes(id);
    const now = current && own(current.card)
      && (!cards.get(current.card).behind || mark.ids.length > 1 || mark.back === current.back);
    const set = (name, on) => mark.group.classList.toggle(name, Boolean(on));
    set("faded", through && !any(through, mark.ids));
    set("missed", hits && !any(hits, mark.ids));
    set("off", current && !any(mark.back ? back : there, mark.ids));
    set("now", now);
    set("chosen", own(chosen));
    set("found", own(found));
  }
  for (const { group, kind, links: which } of wires) {
    const set = (name, off) => group.classList.toggle(name, which.every((i) => off(links[i])));
    set("faded", ({ source, target }) => through && !(through.has(source) && through.has(target)));
    set("missed", (link) => hits && !hits.has(link.source) && !hits.has(link.target));
    set("off", (link) => current && !(kind === "lane" ? back : there).has(link.target));
  }
}

function tell(words) {
  find("aloud").textContent = words;
}

function go(wanted) {
  step = Math.min(Math.max(wanted, 0), data.steps.length);
  const current = data.steps[step - 1];
  const words = current ? current.text : "The whole graph";
  find("step").value = step;
  find("step").setAttribute("aria-valuetext", words);
  find("said").textContent = words;
  find("back").disabled = step === 0;
  find("next").disabled = step === data.steps.length;
  tell(words);
  paint();
  if (current) reveal(current.card);
}

function pause() {
  clearInterval(timer);
  timer = null;
  find("play").textContent = "Play";
}

function play() {
  if (timer !== null) return pause();
  if (step === data.steps.length) go(0);
  find("play").textContent = "Pause";
  timer = setInterval(() => {
    go(step + 1);
    if (step === data.steps.length) pause();
  }, PAUSE);
  go(step + 1);
}

function search(words) {
  const wanted = words.trim().toLowerCase();
  const about = (card) =>
    [card.title, ...card.rows.map(([, text]) => text)].join(" ").toLowerCase();
  hits = wanted ? new Set(data.cards.filter((c) => about(c).includes(wanted)).map((c) => c.id))
    : null;
  found = null;
  find("matches").textContent = hits ? `${hits.size} of ${cards.size}` : "";
  if (hits) tell(`${hits.size} of ${cards.size} cards match`);
  paint();
}

function nextMatch(by) {
  const list = hits ? [...hits] : [];
  if (!list.length) return;
  const at = list.indexOf(found);
  found = list[at < 0 ? (by > 0 ? 0 : list.length - 1) : (at + by + list.length) % list.length];
  uncover(found);
  paint();
  reveal(found);
  find("matches").textContent = `${list.indexOf(found) + 1} of ${list.length}`;
  tell(`${cards.get(found).title}, match ${list.indexOf(found) + 1} of ${list.length}`);
}

// The panel.

function table(rows) {
  return make("dl", {}, ...rows.flatMap(([name, text]) => [
    make("dt", {}, name), make("dd", {}, text),
  ]));
}

function bars(sample) {
  const [width, height] = [320, 52];
  const most = Math.max(...sample.bins);
  const each = width / sample.bins.length;
  const said = `Histogram from ${sample.ends.join(" to ")}: ${sample.bins.join(", ")}`;
  const made = draw("svg", { class: "bars", viewBox: "0 0 320 74", role: "img" });
  made.setAttribute("aria-label", said);
  sample.bins.forEach((n, i) => {
    const tall = n && Math.max((n / most) * height, 1);
    made.append(draw("rect", {
      x: i * each + 0.5, y: height - tall, width: each - 1, height: tall, class: "f-linear",
    }, draw("title", {}, n.toLocaleString("en"))));
  });
  made.append(
    draw("rect", { x: 0, y: height, width, height: 1, class: "f-muted" }),
    draw("text", { x: 0, y: height + 16, class: "f-muted" }, sample.ends[0]),
    draw("text", { x: width, y: height + 16, class: "f-muted", "text-anchor": "end" },
      sample.ends[1]),
    draw("text", { x: width / 2, y: height + 16, class: "f-muted", "text-anchor": "middle" },
      `highest bar: ${most.toLocaleString("en")}`),
  );
  return made;
}

function told(sample) {
  const made = make("section", {}, make("h3", {}, sample.name));
  if (sample.facts) made.append(table(sample.facts));
  if (sample.note) made.append(make("p", { class: "note" }, sample.note));
  if (sample.bins) made.append(bars(sample));
  if (sample.numbers) {
    const rows = sample.numbers.map((row) =>
      make("tr", {}, ...row.map((text) => make("td", {}, text))));
    made.append(make("div", { class: "numbers", tabindex: 0, role: "region",
      "aria-label": `${sample.name}, each number` }, make("table", {}, ...rows)));
  }
  return made;
}

function near(name, ids) {
  const buttons = [...new Set(ids)].map((id) => {
    const button = make("button", {}, cards.get(id).title);
    button.onclick = () => {
      uncover(id);
      open(id);
      panel.querySelector("h2").focus();
    };
    return button;
  });
  return make("section", {}, make("h3", {}, name), make("div", { class: "near" }, ...buttons));
}

function open(id) {
  const card = cards.get(id);
  chosen = id;
  const shut = make("button", { "aria-label": "Close the details" }, "×");
  shut.onclick = close;
  const reads = links.filter((link) => link.target === id).map((link) => link.source);
  const readers = links.filter((link) => link.source === id).map((link) => link.target);
  const samples = [...card.values, card.gradient, ...card.parameters];
  panel.replaceChildren(
    make("header", {}, make("h2", { tabindex: -1 }, card.title), shut),
    ...(card.formula ? [make("p", { class: "formula" }, card.formula)] : []),
    ...card.alarms.map((alarm) => make("p", { class: "alarm" }, alarm)),
    table(card.rows),
    ...samples.filter(Boolean).map(told),
    ...(reads.length ? [near("Reads", reads)] : []),
    ...(readers.length ? [near("Read by", readers)] : []),
  );
  panel.hidden = false;
  panel.scrollTop = 0;
  paint();
  reveal(id);
}

function close() {
  const group = cards.get(chosen).group;
  panel.hidden = true;
  chosen = null;
  paint();
  if (!group.classList.contains("gone")) group.focus({ preventScroll: true });
}

// The view: what part of the picture is seen, and how large.

const view = { x: 0, y: 0, scale: 1 };
const origin = layer.transform.baseVal.consolidate()?.matrix || { e: 0, f: 0 };

function look() {
  const [width, height] = [stage.clientWidth / view.scale, stage.clientHeight / view.scale];
  svg.setAttribute("viewBox", `${view.x} ${view.y} ${width} ${height}`);
  find("zoom").textContent = `${Math.round(PERCENT * view.scale)} %`;
}

/** All that is seen, in the coordinates of the picture. */
function bounds() {
  const boxes = [heading];
  for (const card of cards.values()) {
    if (!cover(card.id)) boxes.push(...card.boxes.map(({ box }) => moved(box)));
  }
  for (const { scope, box } of frames) {
    if (!scope.covered) boxes.push(moved(scope.closed ? scope.small : box));
  }
  const { x, y, width, height } = hull(boxes);
  return { x: x + origin.e - 18, y: y + origin.f - 18, width: width + 36, height: height + 36 };
}

function fit() {
  const box = bounds();
  const [width, height] = [stage.clientWidth, stage.clientHeight];
  view.scale = Math.min(width / box.width, height / box.height, 4 / 3);
  view.x = box.x - (width / view.scale - box.width) / 2;
  view.y = box.y;
  look();
}

/** Zoom so that a point of the stage stays where it is. */
function zoom(factor, px = stage.clientWidth / 2, py = stage.clientHeight / 2) {
  const scale = Math.min(Math.max(view.scale * factor, 0.02), 8);
  view.x += px / view.scale - px / scale;
  view.y += py / view.scale - py / scale;
  view.scale = scale;
  look();
}

function pan(dx, dy) {
  view.x += dx / view.scale;
  view.y += dy / view.scale;
  look();
}

/** Move the picture so that a card, or what stands for it, is seen. */
function reveal(id) {
  see(endOf(id, Boolean(step && data.steps[step - 1].back)).box);
}

function see(box) {
  const [width, height] = [stage.clientWidth / view.scale, stage.clientHeight / view.scale];
  const covered = panel.hidden ? 0 : Math.max(stage.getBoundingClientRect().right
    - panel.getBoundingClientRect().left, 0) / view.scale;
  const [x, y] = [box.x + origin.e, box.y + origin.f];
  if (x < view.x || x + box.width > view.x + width - covered) {
    view.x = x - Math.max((width - covered - box.width) / 2, 0);
  }
  if (y < view.y || y + box.height > view.y + height) view.y = y + box.height / 2 - height / 2;
  look();
}

// What the gradient's overlay consists of, and the heading, which stays where it is.

let heading = null;

/** Rows that speak of the gradient alone. */
const WHOLE_ROWS =
  /^(backward gain|mean slope|inputs with gradient|lost in the sum|from |‖∂W?‖ inside)/;

function sortParts() {
  const measure = (shape) => shape.classList.add("measure");
  const own = [...layer.children].filter((child) => child.matches("polygon, text, path"));
  const legend = own.findIndex((child) => child.textContent.includes("‖∂L/∂·‖"));
  own.forEach((child, i) => {
    const isLegend = legend >= 0 && i >= legend && child.matches(":not(.halo)");
    if (isLegend || child.textContent.startsWith("the gradient ")) measure(child);
  });
  const heads = own.slice(1).filter((child) => !child.matches(".halo")).map(boxOf);
  heading = hull(heads.length ? heads : [boxOf(layer)]);
  for (const { group, behind } of cards.values()) {
    const texts = [...group.querySelectorAll("text:not(.f-on-header)")];
    const shapes = [...group.querySelectorAll("polygon")].map((shape) => [shape, boxOf(shape)]);
    for (const text of texts.filter((t) => /‖|^no gradient$/.test(t.textContent)
      || WHOLE_ROWS.test(t.textContent))) {
      const y = Number(text.getAttribute("y"));
      const row = WHOLE_ROWS.test(text.textContent);
      measure(text);
      for (const other of texts) {
        const near = Math.abs(Number(other.getAttribute("y")) - y) < 4;
        if (near && row) measure(other);
      }
      for (const [shape, box] of shapes) {
        const bar = /f-(ramp|ratio|track|off|pool)/.test(shape.getAttribute("class") || "");
        const level = Math.abs(box.y + box.height / 2 - (y - 4)) < 9;
        if (bar && level && box.height < 14) measure(shape);
      }
    }
    if (behind) behind.classList.add("lane");
  }
  for (const card of cards.values()) {
    const tie = part(`t${card.id}`);
    if (tie) tie.classList.add("lane");
  }
}

function hull(boxes) {
  const x = Math.min(...boxes.map((b) => b.x)), y = Math.min(...boxes.map((b) => b.y));
  return {
    x, y,
    width: Math.max(...boxes.map((b) => b.x + b.width)) - x,
    height: Math.max(...boxes.map((b) => b.y + b.height)) - y,
  };
}

function toggleGradient() {
  const off = svg.classList.toggle("plain");
  find("gradient").setAttribute("aria-pressed", !off);
  tell(off ? "Gradient hidden" : "Gradient shown");
}

const LOOKS = ["auto", "light", "dark"];
function toggleLook() {
  const root = document.documentElement;
  const next = LOOKS[(LOOKS.indexOf(root.dataset.look || "auto") + 1) % LOOKS.length];
  root.dataset.look = next;
  find("look").textContent = `Look: ${next}`;
  tell(`Look: ${next}`);
}

/** The picture as it is now, as a file of its own. */
function svgText() {
  const copy = svg.cloneNode(true);
  const hidden = svg.classList.contains("plain") ? ".gone, .lane, .measure" : ".gone";
  for (const old of copy.querySelectorAll(hidden)) old.remove();
  for (const group of copy.querySelectorAll(".node, .edge, .heading")) {
    group.classList.remove("faded", "missed", "off", "now", "chosen", "found");
    for (const name of ["role", "tabindex", "aria-expanded"]) group.removeAttribute(name);
    if (group.matches(".node")) group.setAttribute("role", "img");
    if (group.matches(".heading")) group.removeAttribute("aria-label");
  }
  const [x, y, width, height] = Object.values(bounds()).map((v) => Number(v.toFixed(2)));
  copy.removeAttribute("class");
  copy.setAttribute("viewBox", `${x} ${y} ${width} ${height}`);
  copy.setAttribute("width", `${width}pt`);
  copy.setAttribute("height", `${height}pt`);
  const chosenLook = document.documentElement.dataset.look;
  const media = { dark: "@media all", light: "@media not all" }[chosenLook];
  const auto = "@media (prefers-color-scheme:dark)";
  const sheet = data.sheet.replace(auto, media || auto);
  const text = new XMLSerializer().serializeToString(copy);
  return text.replace("</desc>", () => `</desc><style>${sheet}</style>`)
    .replace("<svg ", '<svg style="max-width:100%;height:auto" ');
}

function save() {
  const url = URL.createObjectURL(new Blob([svgText()], { type: "image/svg+xml" }));
  const name = document.title.replace(/[^\p{L}\p{N}]+/gu, "_").slice(0, 60) || "graph";
  make("a", { href: url, download: `${name}.svg` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  tell("SVG saved");
}

// Pointer and keys.

function act(group) {
  if (group.dataset.scope !== undefined) {
    const scope = scopes[group.dataset.scope];
    fold(scope, group.matches(".heading"));
  } else open(Number(group.dataset.card));
}

const groupAt = (target) => target.closest?.(".node, .heading");

function idsOf(group) {
  if (!group || group.matches(".heading")) return null;
  return group.dataset.scope === undefined ? [Number(group.dataset.card)]
    : scopes[group.dataset.scope].cards;
}

let drag = null;
stage.addEventListener("pointerdown", (event) => {
  if (event.button === 0) drag = { x: event.clientX, y: event.clientY, far: false };
});
stage.addEventListener("pointermove", (event) => {
  if (!drag || !event.buttons) return;
  const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
  if (!drag.far && Math.hypot(dx, dy) < 4) return;
  if (!drag.far) stage.setPointerCapture(event.pointerId);
  stage.classList.add("dragged");
  pan(-dx, -dy);
  drag = { x: event.clientX, y: event.clientY, far: true };
});
stage.addEventListener("pointerup", () => stage.classList.remove("dragged"));
stage.addEventListener("click", (event) => {
  const dragged = drag && drag.far; // not every browser sends the click of a drag to the stage
  drag = null;
  const group = groupAt(event.target);
  if (group && !dragged) act(group);
});
stage.addEventListener("pointerover", (event) => {
  hovered = event.buttons ? null : idsOf(groupAt(event.target));
  paint();
});
stage.addEventListener("pointerleave", () => {
  hovered = null;
  paint();
});
stage.addEventListener("focusin", (event) => {
  if (!event.target.matches(":focus-visible")) return;
  const group = groupAt(event.target);
  focused = idsOf(group);
  paint();
  if (focused) see(endOf(focused[0], group === cards.get(focused[0]).behind).box);
  else see(moved(frames.find((own) => own.heading === group).title));
});
stage.addEventListener("focusout", () => {
  focused = null;
  paint();
});
stage.addEventListener("scroll", () => stage.scrollTo(0, 0)); // a browser's way to show the focus
stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { left: x, top: y } = stage.getBoundingClientRect();
  const lines = event.deltaMode === 1 ? 16 : 1;
  zoom(Math.exp(-0.0015 * lines * event.deltaY), event.clientX - x, event.clientY - y);
}, { passive: false });

function escape() {
  const field = find("search");
  if (hits) {
    const at = found;
    field.value = "";
    search("");
    field.blur();
    if (at !== null) cards.get(at).group.focus({ preventScroll: true });
  } else if (chosen !== null) close();
  else if (step) {
    pause();
    go(0);
  } else document.activeElement.blur();
}

function collapseHere() {
  const group = groupAt(document.activeElement);
  if (!group) return;
  if (group.dataset.scope !== undefined) return act(group);
  const around = scopes.filter((scope) => scope.inside.has(Number(group.dataset.card)));
  if (around.length) fold(around[around.length - 1], true);
}

const KEYS = {
  "/": () => find("search").focus(),
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  0: fit,
  ArrowLeft: () => pan(-60, 0),
  ArrowRight: () => pan(60, 0),
  ArrowUp: () => pan(0, -60),
  ArrowDown: () => pan(0, 60),
  c: collapseHere,
  ",": () => stepBy(-1),
  ".": () => stepBy(1),
  p: play,
  g: () => data.flows && toggleGradient(),
  d: toggleLook,
  s: save,
  "?": () => find("help").showModal(),
};

function stepBy(by) {
  pause();
  go(step + by);
}

document.addEventListener("keydown", (event) => {
  const at = event.target;
  if (event.altKey || event.ctrlKey || event.metaKey || find("help").open) return;
  if (event.key === "Escape") escape();
  else if (at.id === "search") {
    if (event.key !== "Enter") return;
    nextMatch(event.shiftKey ? -1 : 1);
  } else if (event.key.startsWith("Arrow") && (at.id === "step" || panel.contains(at))) return;
  else if ((event.key === "Enter" || event.key === " ") && groupAt(at)) {
    act(groupAt(at));
    if (chosen !== null && at.dataset.card) panel.querySelector("h2").focus();
  } else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
});

find("search").oninput = (event) => search(event.target.value);
find("in").onclick = () => zoom(1.25);
find("out").onclick = () => zoom(0.8);
find("fit").onclick = fit;
find("collapse").onclick = () => foldAll(true);
find("expand").onclick = () => foldAll(false);
find("gradient").onclick = toggleGradient;
find("look").onclick = toggleLook;
find("save").onclick = save;
find("keys").onclick = () => find("help").showModal();
find("back").onclick = () => stepBy(-1);
find("next").onclick = () => stepBy(1);
find("play").onclick = play;
find("step").oninput = (event) => {
  pause();
  go(Number(event.target.value));
};

nameFrames();
sortParts();
find("bar").hidden = find("steps").hidden = false;
find("folding").hidden = !scopes.length;
find("gradient").hidden = !data.flows;
layout();
go(0);
fit();
new ResizeObserver(look).observe(stage);
