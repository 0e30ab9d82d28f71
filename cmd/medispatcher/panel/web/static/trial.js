// The test of a subscription: the API pushes it, and this shows it as it went over the wire.
import { el, problemText, visible } from './say.js';

// shown keeps the line ends and tabs of a text, and shows by its code what else does not print.
const shown = (text) => text.split('\n').map((line) => line.replace(/\r$/, '').split('\t').map(visible).join('\t')).join('\n');

function part(title, first, headers, body) {
  const lines = [first, ...(headers || []).map((h) => `${h.name}: ${h.value}`)];
  const pre = el('pre', { class: 'body', tabindex: '0', 'aria-label': title });
  pre.textContent = shown([...lines, ...(body ? ['', body] : [])].join('\n'));
  return [el('h3', {}, title), pre];
}

const millis = (ms) => (ms < 10 ? `${Math.round(ms * 10) / 10} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 100) / 10} s`);

function show(place, t) {
  const verdict = t.accepted ? `Accepted in ${millis(t.took_ms)}.` : `Refused after ${millis(t.took_ms)}: ${t.problem}`;
  const notes = [];
  if (t.accepted && t.problem) notes.push(`Note: ${t.problem}.`);
  if (t.filtered) notes.push('Its filter does not match this message: published, it would not come here.');
  place.replaceChildren(el('h2', {}, 'What came of it'), el('p', { class: t.accepted ? 'banner ok' : 'banner bad' }, verdict),
    ...notes.map((n) => el('p', { class: 'banner warn' }, n)),
    ...(t.status ? part('Answer', `status ${t.status}`, t.headers, t.answer) : []),
    ...part('Request', `POST ${t.request.url}`, t.request.headers, t.body));
  place.hidden = false;
  place.focus({ preventScroll: true });
  place.scrollIntoView({ block: 'nearest' });
}

// headersOf reads Name: value, one a line, as the API takes headers of a message.
function headersOf(text) {
  const headers = {};
  for (const line of text.split('\n').filter((l) => l.trim())) {
    const colon = line.indexOf(':');
    if (colon < 1) throw new Error(`“${line.trim()}” is not Name: value`);
    headers[`Medis-Header-${line.slice(0, colon).trim()}`] = line.slice(colon + 1).trim();
  }
  return headers;
}

export function trial() {
  const form = document.getElementById('trial');
  form?.addEventListener('submit', async (e) => {
    e.preventDefault();
    const button = form.querySelector('[type=submit]');
    const problem = form.querySelector('[data-problem]');
    const value = (name) => form.elements[name].value.trim();
    problem.hidden = true;
    button.disabled = true;
    button.setAttribute('aria-busy', 'true');
    try {
      const headers = { ...headersOf(value('headers')), 'Content-Type': value('type') || 'application/json' };
      for (const name of ['key', 'sender']) if (value(name)) headers[`Medis-${name}`] = value(name);
      const topic = value('topic');
      const r = await fetch(form.dataset.url + (topic ? `?${new URLSearchParams({ topic })}` : ''), { method: 'POST', body: form.elements.body.value, headers });
      if (!r.ok) throw new Error(await problemText(r));
      show(document.getElementById('tried'), await r.json());
    } catch (err) {
      problem.textContent = visible(err instanceof TypeError ? 'The dispatcher cannot be reached. The message may have been pushed.' : err.message);
      problem.hidden = false;
    } finally {
      button.disabled = false;
      button.removeAttribute('aria-busy');
    }
  });
}
