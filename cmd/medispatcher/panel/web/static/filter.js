// The part of a subscription's page that tries the filter in the form, saved or not, on a message.
import { base, problemOf, tell } from './say.js';

export function filtering() {
  const form = document.querySelector('form[data-try-filter]');
  if (!form) return;
  const said = form.querySelector('[data-said]');
  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    const v = (name) => form.elements[name].value;
    const headers = {};
    for (const line of v('headers').split('\n').filter((l) => l.trim())) {
      const colon = line.indexOf(':');
      if (colon < 1) return tell(said, `“${line.trim()}” is not Name: value`);
      headers[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
    }
    const filter = document.getElementById('f-filter').value.trim();
    if (!filter) return tell(said, 'There is no filter: the subscription gets every message of its topic.');
    try {
      const r = await fetch(`${base}/api/v1/filter`, {
        method: 'POST', headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ filter, topic: v('topic').trim(), key: v('key').trim(), sender: v('sender').trim(), headers, body: v('body') }),
      });
      if (!r.ok) {
        const p = await problemOf(r);
        return tell(said, p.errors?.length ? p.errors.map((err) => err.message).join('\n') : p.detail);
      }
      const tried = await r.json();
      tell(said, tried.error ? `It fails, so the message would be delivered: ${tried.error}` : tried.matches ? 'It matches: the message would be delivered.' : 'It does not match: the message would not be delivered.');
    } catch (err) {
      tell(said, `The dispatcher cannot be reached: ${err.message}`);
    }
  });
}
