"use strict";
// Everything shown is set as text or as a number: nothing of the data is ever read as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const total = Math.max(data.seconds, 1e-6);
const SVG = "http://www.w3.org/2000/svg";
const COLLAPSED_FROM = 16, ROWS_AT_FIRST = 60, TRACKS = 16;
const SHAPES = {hit: "◆", "asked again": "◈", miss: "◇", "": ""};

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "class") made.className = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}
function drawn(name, attributes, title) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (title) made.appendChild(document.createElementNS(SVG, "title")).textContent = title;
  return made;
}
function seconds(value) {
  if (value < 0.0995) return `${(1000 * value).toFixed(value < 0.00995 ? 1 : 0)} ms`;
  return value < 9.995 ? `${value.toFixed(2)} s` : value < 119.95 ? `${value.toFixed(1)} s`
    : `${Math.floor(value / 60)} min ${Math.floor(value % 60)} s`;
}
function bytes(value) {
  for (const unit of ["B", "kB", "MB"]) {
    if (value < 999.5) return `${unit === "B" || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${unit}`;
    value /= 1000;
  }
  return `${value.toFixed(1)} GB`;
}
const percent = (at) => `${(100 * at / total).toFixed(3)}%`;

const rows = data.rows.map((each, number) => {
  const [lane, name, began, ended, busy, size, outcome, words, host, waited, queued, after, failed, onPath, bars] = each;
  return {number, lane, name, began, ended, busy, size, outcome, words, host, waited, queued, after, failed, onPath, bars,
          text: `${name} ${data.lanes[lane]} ${host} ${outcome} ${words} ${failed ? "failed" : ""}`.toLowerCase()};
});

// Of a wheel's file name, its tags are the least.
function short(name) { return name.replace(/^([^-]+-[^-]+)-.*\.whl$/, "$1"); }
function rate(row) { return row.size && row.outcome === "miss" && row.busy > 0 ? row.size / row.busy : 0; }
function cacheWords(row) { return row.outcome ? `${row.outcome}: ${row.words}` : ""; }
function afterWords(row) {
  if (row.after < 0) return "";
  const other = rows[row.after];
  return `${data.lanes[other.lane]} of ${other.name}`;
}
function told(row) {
  const said = [`${data.lanes[row.lane]}: ${row.name}`, `took ${seconds(row.busy)}, from ${seconds(row.began)} to ${seconds(row.ended)}`];
  if (row.size) said.push(bytes(row.size) + (rate(row) ? ` at ${bytes(rate(row))}/s` : ""));
  if (row.outcome) said.push(cacheWords(row));
  if (row.host) said.push(row.host);
  if (row.waited > 0.0005) said.push(`pip waited ${seconds(row.waited)} for it`);
  if (row.queued > 0.0005) said.push(`it waited ${seconds(row.queued)} to begin`);
  if (row.after >= 0) said.push(`after ${afterWords(row)}`);
  if (row.onPath > 0) said.push(`on the critical path for ${seconds(row.onPath)}`);
  if (row.failed) said.push("it failed");
  return said.join(" · ");
}

// Bars: solid is work, hatched is what a cache had, crossed is what failed, a thin line is a wait before the beginning.
function bar(row, began, ended, y, height, kind, title) {
  const shape = {x: percent(began), width: `${Math.max(0.12, 100 * (ended - began) / total).toFixed(3)}%`};
  const hit = row.outcome === "hit";
  if (kind === 1) return drawn("rect", {...shape, y: y + height / 2 - 1, height: 2, fill: "currentColor", opacity: .45}, title);
  return drawn("rect", {...shape, y, height, rx: hit ? height / 2 : 1, stroke: "currentColor", "stroke-width": 1,
    fill: row.failed ? "url(#failed)" : hit ? "url(#hit)" : "currentColor", "fill-opacity": hit || row.failed ? 1 : .78}, title);
}
function plot(height, lane, ...shapes) {
  const svg = drawn("svg", {height, class: `c-${lane}`, "aria-hidden": "true", focusable: "false"});
  svg.append(...shapes);
  return element("div", {class: "plot"}, svg);
}
function rowPlot(row, lane) {
  const shapes = [];
  if (row.queued > 0.0005) shapes.push(bar(row, row.began - row.queued, row.began, 3, 10, 1));
  for (const [began, ended] of row.bars) shapes.push(bar(row, began, ended, 3, 10, 0, told(row)));
  for (const [began, ended, , , isQueue, number] of data.path) {
    if (number === row.number) shapes.push(drawn("rect", {x: percent(began), y: 15, height: 2, fill: "var(--ink)",
      width: `${Math.max(0.12, 100 * (ended - began) / total).toFixed(3)}%`, opacity: isQueue ? .45 : 1}));
  }
  return plot(18, lane, ...shapes);
}
function packed(found, lane) {
  const tracks = [], shapes = [], gap = total / 700;
  const bars = found.flatMap((row) => row.bars.map(([began, ended]) => [began, ended, row])).sort((a, b) => a[0] - b[0]);
  for (const [began, ended, row] of bars) {
    let track = tracks.findIndex((until) => until <= began);
    if (track < 0) track = tracks.length < TRACKS ? tracks.push(0) - 1 : tracks.indexOf(Math.min(...tracks));
    tracks[track] = Math.max(tracks[track], ended) + gap;
    shapes.push(bar(row, began, ended, 4 + 7 * track, 5, 0, told(row)));
  }
  return plot(Math.max(24, 8 + 7 * tracks.length), lane, ...shapes);
}

const fall = document.getElementById("fall"), detail = document.getElementById("detail");
const filter = document.getElementById("filter"), count = document.getElementById("count");
const open = new Map(), shown = new Map();

function tick() {
  const rough = total / Math.max(3, Math.min(10, fall.clientWidth / 110)), power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough);
}
function axis() {
  const step = tick(), ticks = element("div", {class: "ticks"});
  for (let at = 0; at <= total * 1.0001; at += step) {
    const label = element("span", {}, step >= 1 || at === 0 ? `${Math.round(at)} s` : step >= .1 ? `${at.toFixed(1)} s` : `${Math.round(1000 * at)} ms`);
    label.style.left = percent(at);
    if (at > total * .95) label.className = "end";
    ticks.append(label);
  }
  fall.style.setProperty("--tick", percent(step));
  return element("div", {class: "axis"}, element("div"), ticks);
}
function say(row, where) {
  detail.textContent = told(row);
  for (const each of fall.querySelectorAll(".near")) each.classList.remove("near");
  for (const each of fall.querySelectorAll(".row")) {
    const other = rows[each.dataset.row];
    if (other !== row && (other.number === row.after || other.after === row.number)) each.classList.add("near");
  }
  for (const each of fall.querySelectorAll(".row[tabindex='0']")) each.tabIndex = -1;
  if (where) where.tabIndex = 0;
}
function rowElement(row, lane) {
  const made = element("div", {class: "row", tabindex: "-1", role: "listitem", "data-row": row.number},
    element("div", {class: "label", title: row.name}, element("i", {}, row.failed ? "✕" : SHAPES[row.outcome]), short(row.name)), rowPlot(row, lane));
  made.setAttribute("aria-label", told(row));
  made.addEventListener("mouseenter", () => say(row));
  made.addEventListener("focus", () => say(row, made));
  return made;
}
function laneWords(found) {
  const words = [`${found.length}`], size = found.reduce((sum, row) => sum + (row.outcome === "miss" ? row.size : 0), 0);
  for (const outcome of ["hit", "asked again", "miss"]) {
    const number = found.filter((row) => row.outcome === outcome).length;
    if (number) words.push(`${SHAPES[outcome]} ${number} ${outcome}`);
  }
  if (size) words.push(bytes(size));
  return words.join(" · ");
}
function matching() {
  const wanted = filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  return rows.filter((row) => wanted.every((word) => row.text.includes(word)));
}
function pathPlot() {
  const shapes = data.path.map(([began, ended, lane, words, isQueue]) => drawn("rect", {
    x: percent(began), width: `${(100 * (ended - began) / total).toFixed(3)}%`, y: 5, height: 14, class: `c-${data.lanes[lane]}`,
    fill: isQueue ? "none" : "currentColor", stroke: isQueue ? "currentColor" : "var(--card)", "stroke-width": .5,
  }, `${words}, ${seconds(ended - began)}`));
  return plot(24, "pip", ...shapes);
}
function drawFall(found) {
  const parts = [axis(), element("div", {class: "head fixed"}, element("div", {class: "label"}, "critical path"), pathPlot())];
  data.lanes.forEach((lane, index) => {
    const own = found.filter((row) => row.lane === index);
    if (!own.length) return;
    const isOpen = open.get(lane) ?? (own.length <= COLLAPSED_FROM || (filter.value !== "" && own.length <= ROWS_AT_FIRST));
    const button = element("button", {type: "button", "aria-expanded": isOpen, onclick: () => { open.set(lane, !isOpen); draw(); focusLane(lane); }},
      element("b", {class: `lane c-${lane}`}, element("span", {}, lane)), element("small", {}, laneWords(own)));
    button.dataset.lane = lane;
    parts.push(element("div", {class: "head"}, button, isOpen ? element("div", {class: "plot"}) : packed(own, lane)));
    if (!isOpen) return;
    const most = shown.get(lane) ?? ROWS_AT_FIRST;
    const list = element("div", {role: "list", "aria-label": lane});
    for (const row of own.slice(0, most)) list.append(rowElement(row, lane));
    parts.push(list);
    if (own.length > most) parts.push(element("div", {class: "more"}, `${own.length - most} more `,
      element("button", {type: "button", onclick: () => { shown.set(lane, Infinity); draw(); focusLane(lane); }}, "show all")));
  });
  if (!found.length) parts.push(element("div", {class: "more"}, "Nothing has all of these words."));
  fall.replaceChildren(...parts);
  const first = fall.querySelector(".row");
  if (first) first.tabIndex = 0;
}
function focusLane(lane) { fall.querySelector(`button[data-lane="${lane}"]`)?.focus(); }
fall.addEventListener("keydown", (event) => {
  const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
  if (!step || !event.target.classList.contains("row")) return;
  const all = [...fall.querySelectorAll(".row")], next = all[all.indexOf(event.target) + step];
  if (next) { event.preventDefault(); next.focus(); }
});

const COLUMNS = [
  ["lane", (row) => row.lane, (row) => element("span", {class: `lane c-${data.lanes[row.lane]}`}, element("span", {}, data.lanes[row.lane]))],
  ["what", (row) => row.name.toLowerCase(), (row) => row.failed ? element("span", {}, row.name, " ", element("span", {class: "failed"}, "failed")) : row.name],
  ["began", (row) => row.began, (row) => seconds(row.began), 1],
  ["took", (row) => row.busy, (row) => seconds(row.busy), 1],
  ["bytes", (row) => row.size, (row) => row.size ? bytes(row.size) : "", 1],
  ["rate", rate, (row) => rate(row) ? `${bytes(rate(row))}/s` : "", 1],
  ["cache", (row) => `${row.outcome} ${row.words}`, (row) => row.outcome ? element("span", {}, element("i", {}, SHAPES[row.outcome]), cacheWords(row)) : ""],
  ...(new Set(rows.map((row) => row.host).filter(Boolean)).size > 1 ? [["server", (row) => row.host, (row) => row.host]] : []),
  ["pip waited", (row) => row.waited, (row) => row.waited > 0.0005 ? seconds(row.waited) : "", 1],
  ["queued", (row) => row.queued, (row) => row.queued > 0.0005 ? seconds(row.queued) : "", 1],
  ["on the path", (row) => row.onPath, (row) => row.onPath > 0.00005 ? seconds(row.onPath) : "", 1],
  ["waited for", afterWords, afterWords],
];
let sorted = 2, direction = 1;
const headers = COLUMNS.map(([name, , , isNumber], index) => element("th", {scope: "col", class: isNumber ? "n" : ""},
  element("button", {type: "button", onclick: () => { direction = sorted === index ? -direction : isNumber && index > 2 ? -1 : 1; sorted = index; draw(); }}, name)));
const body = element("tbody");
document.getElementById("table").append(element("thead", {}, element("tr", {}, ...headers)), body);
function drawTable(found) {
  headers.forEach((header, index) => header.setAttribute("aria-sort", index !== sorted ? "none" : direction > 0 ? "ascending" : "descending"));
  const value = COLUMNS[sorted][1], key = new Map(found.map((row) => [row, value(row)]));
  const order = [...found].sort((a, b) => direction * (key.get(a) < key.get(b) ? -1 : key.get(a) > key.get(b) ? 1 : 0) || a.number - b.number);
  body.replaceChildren(...order.map((row) => element("tr", {}, ...COLUMNS.map(([, , show, isNumber]) => element("td", {class: isNumber ? "n" : ""}, show(row))))));
}
function drawLevels() {
  const levels = document.getElementById("levels");
  for (const [name, unit, ...series] of data.levels) {
    const most = Math.max(1, ...series.flat().map(([, level]) => level)), svg = drawn("svg", {viewBox: "0 0 1000 50", preserveAspectRatio: "none", role: "img"});
    series.forEach((points, number) => {
      let path = `M0,49`, y = 49;
      for (const [at, level] of points) {
        const x = (1000 * at / total).toFixed(1);
        path += `L${x},${y}`;
        y = (49 - 46 * level / most).toFixed(1);
        path += `L${x},${y}`;
      }
      svg.append(drawn("path", {d: `${path}L1000,${y}${number ? "" : "L1000,49Z"}`, class: number ? "own" : ""}));
    });
    svg.setAttribute("aria-label", `${name}: ${unit}`);
    levels.append(element("div", {class: "level"}, element("div", {class: "label"}, name, element("small", {}, unit)), svg));
  }
}
function draw() {
  const found = matching();
  count.textContent = found.length === rows.length ? `${rows.length} rows` : `${found.length} of ${rows.length} rows`;
  drawFall(found);
  drawTable(found);
}
filter.addEventListener("input", () => { open.clear(); draw(); });
document.getElementById("expand").addEventListener("click", () => { for (const lane of data.lanes) open.set(lane, true); draw(); });
document.getElementById("collapse").addEventListener("click", () => { for (const lane of data.lanes) open.set(lane, false); draw(); });
document.getElementById("live").hidden = false;
drawLevels();
draw();
let width = fall.clientWidth;
addEventListener("resize", () => { if (Math.abs(fall.clientWidth - width) > 60) { width = fall.clientWidth; draw(); } });
