// A plot of lines over time. It is drawn as SVG to the width that there is, reads out the values at a time under the pointer or
// the arrow keys, and has them all in a table.
import { el, tell } from './say.js';
import { clock as time } from './zone.js';

const SVG = 'http://www.w3.org/2000/svg';
const LEFT = 52, RIGHT = 6, TOP = 10, BOTTOM = 24;

const svg = (name, attributes, text) => {
  const e = document.createElementNS(SVG, name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  if (text !== undefined) e.textContent = text;
  return e;
};
export const number = (n) => n.toLocaleString('en');
export const short = (n) => (n >= 1e6 ? `${+(n / 1e6).toFixed(1)}M` : n >= 1e4 ? `${+(n / 1e3).toFixed(1)}k` : number(n));
const clock = (s, step) => time(new Date(s * 1000), step < 60);

// niceTop is a round number not below n, of which half is round, too.
function niceTop(n, least) {
  const most = Math.max(n, least);
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 6, 8, 10].map((f) => +(f * power).toPrecision(3)).find((v) => v >= most) || most;
}

// switchOf makes a group of buttons, of which one is chosen: [value, label].
export function switchOf(label, choices, chosen, choose) {
  const buttons = choices.map(([value, text]) => {
    const b = el('button', { type: 'button', 'aria-pressed': String(value === chosen) }, text);
    b.addEventListener('click', () => {
      buttons.forEach((other, i) => other.setAttribute('aria-pressed', String(choices[i][0] === value)));
      choose(value);
    });
    return b;
  });
  return el('div', { class: 'switch', role: 'group', 'aria-label': label }, ...buttons);
}

// plotOf makes a plot, without data yet. show takes { step, end, lines: [{ name, label, values, area }], format, axis, least, partial, said, at }:
// null is no value; partial says that the last period is not over, so that its value is no fall; said puts all of it into
// words, and at one time.
export function plotOf(what, height) {
  let data = null;
  let cursor = -1;
  const legend = el('ul', { class: 'legend', 'aria-label': 'Lines' });
  const plot = el('div', { class: 'plot', tabindex: '0', role: 'img' });
  const readout = el('p', { class: 'readout', 'aria-live': 'off' });
  const head = el('tr');
  const body = el('tbody');
  const table = el('details', {}, el('summary', {}, 'The figures as a table'), el('div', { tabindex: '0' }, el('table', {}, el('thead', {}, head), body)));

  const count = () => data.lines[0].values.length;
  const moment = (i) => clock(data.end - (count() - 1 - i) * data.step, data.step) + (i === count() - 1 && data.partial ? ' so far' : '');
  const valueText = (v) => (v === null ? '–' : data.format(v));
  const valuesAt = (i) => data.lines.map((l) => `${l.label} ${valueText(l.values[i])}`).join(', ');

  // pathOf joins the values up to an index, with gaps where there is none.
  function pathOf(values, until, x, y) {
    let path = '', pen = 'M';
    for (let i = 0; i <= until; i++) {
      if (values[i] === null) {
        pen = 'M';
        continue;
      }
      path += `${pen}${x(i).toFixed(1)} ${y(values[i]).toFixed(1)}`;
      if (pen === 'M' && (i === until || values[i + 1] === null)) path += 'm-2 0h4'; // alone, it is a dash
      pen = 'L';
    }
    return path;
  }

  function draw() {
    if (!data) return;
    const width = Math.max(plot.clientWidth, 200);
    const n = count();
    const top = niceTop(Math.max(0, ...data.lines.flatMap((l) => l.values.map((v) => v || 0))), data.least);
    const x = (i) => LEFT + (i * (width - LEFT - RIGHT)) / (n - 1);
    const y = (v) => TOP + (1 - v / top) * (height - TOP - BOTTOM);
    const picture = svg('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': 'true' });
    for (const v of [0, top / 2, top]) {
      picture.append(svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(v), y2: y(v) }), svg('text', { x: LEFT - 8, y: y(v) + 4, 'text-anchor': 'end' }, data.axis(v)));
    }
    const marks = width < 480 ? 2 : 4;
    for (let m = 0; m <= marks; m++) {
      const i = Math.round((m * (n - 1)) / marks);
      picture.append(svg('text', { x: x(i), y: height - 6, 'text-anchor': m === 0 ? 'start' : m === marks ? 'end' : 'middle' }, clock(data.end - (n - 1 - i) * data.step, data.step)));
    }
    const whole = data.partial ? n - 2 : n - 1;
    if (data.partial) picture.append(svg('rect', { class: 'sofar', x: x(n - 2), y: TOP, width: x(n - 1) - x(n - 2) + RIGHT, height: height - TOP - BOTTOM }));
    for (const l of data.lines) {
      const path = pathOf(l.values, whole, x, y);
      if (l.area && path) picture.append(svg('path', { class: 'area', d: `${path}L${x(whole)} ${y(0)}L${LEFT} ${y(0)}Z` }));
      picture.append(svg('path', { class: l.name, d: path }));
      if (data.partial && l.values[n - 1] !== null) picture.append(svg('circle', { class: l.name, cx: x(n - 1), cy: y(l.values[n - 1]), r: 3 }));
    }
    if (cursor >= 0) picture.append(svg('line', { class: 'cursor', x1: x(cursor), x2: x(cursor), y1: TOP, y2: height - BOTTOM }));
    plot.replaceChildren(picture);
    const said = data.said();
    plot.setAttribute('aria-label', `${what}, ${moment(0)} to ${moment(n - 1)}. ${said}. Arrow keys read out values.`);
    tell(readout, cursor < 0 ? said : `${moment(cursor)}: ${data.at ? data.at(cursor) : valuesAt(cursor)}`);
    readout.setAttribute('aria-live', cursor < 0 ? 'off' : 'polite');
    const labels = data.lines.map((l) => `${l.name} ${l.label}`).join('\n');
    if (legend.dataset.lines !== labels) {
      legend.dataset.lines = labels;
      legend.replaceChildren(...data.lines.map((l) => el('li', { class: l.name }, l.label)));
    }
    if (table.open) fill();
  }
  function fill() {
    if (!data) return;
    head.replaceChildren(el('th', { scope: 'col' }, 'Time'), ...data.lines.map((l) => el('th', { scope: 'col', class: 'num' }, l.label)));
    const rows = [];
    for (let i = count() - 1; i >= 0; i--) rows.push(el('tr', {}, el('th', { scope: 'row' }, moment(i)), ...data.lines.map((l) => el('td', { class: 'num' }, valueText(l.values[i])))));
    body.replaceChildren(...rows);
  }
  const move = (i) => {
    cursor = i < 0 ? -1 : Math.min(i, count() - 1);
    draw();
  };
  plot.addEventListener('pointermove', (e) => {
    if (!data) return;
    const box = plot.getBoundingClientRect();
    move(Math.max(0, Math.round(((e.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT)) * (count() - 1))));
  });
  plot.addEventListener('pointerleave', () => data && move(-1));
  plot.addEventListener('blur', () => data && move(-1));
  plot.addEventListener('keydown', (e) => {
    if (!data) return;
    const by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[e.key];
    if (by) move(Math.max(0, (cursor < 0 ? count() : cursor) + by));
    else if (e.key === 'Home') move(0);
    else if (e.key === 'End') move(count() - 1);
    else if (e.key === 'Escape') move(-1);
    else return;
    e.preventDefault();
  });
  document.addEventListener('zone', draw);
  table.addEventListener('toggle', fill);
  new ResizeObserver(draw).observe(plot);
  return {
    legend, plot, readout, table,
    show(d) {
      if (data && data.step !== d.step) cursor = -1;
      data = d;
      draw();
    },
  };
}
