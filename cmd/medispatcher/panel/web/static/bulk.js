// Changes of many subscriptions at once: of those that are ticked, or of all that match.
import { el, say, tell } from './say.js';

const MOST = 500; // in one request
const NAMED = 8; // in a question

const parameter = () => document.querySelector('[data-bulk-name]');

// patchOf is a parameter and its value as the API takes them; an empty value is the default again.
function patchOf(name, kind, text) {
  let value = text;
  if (text === '') value = null;
  else if (kind === 'number' && Number.isFinite(Number(text))) value = Number(text);
  else if (kind === 'check' && (text === 'true' || text === 'false')) value = text === 'true';
  const [outer, inner] = name.split('.');
  return inner ? { [outer]: { [inner]: value } } : { [outer]: value };
}

// many finds the ids that a button is about, and what becomes of them. It returns null when that is not known.
export async function many(d, ticked) {
  let ids = ticked;
  if (d.all) {
    const r = await fetch(d.all, { cache: 'no-store' }).catch(() => null);
    if (!r || !r.ok) {
      say('The dispatcher does not say which subscriptions match. Try again.', true);
      return null;
    }
    ids = await r.json();
  }
  if (!ids.length) {
    say('No subscription matches any more.');
    return null;
  }
  const more = ids.length - NAMED;
  const which = more > 0 ? `${ids.slice(0, NAMED).join(', ')} and ${more.toLocaleString('en')} more` : ids.join(', ');
  let text = `${which}. ${d.text || ''}`;
  let patch;
  if ('form' in d) {
    const chosen = parameter().selectedOptions[0];
    const value = document.querySelector('[data-bulk-value]').value.trim();
    patch = patchOf(chosen.value, chosen.dataset.kind, value);
    text = `${chosen.value} becomes ${value || 'the default'}: ${text}`;
  }
  return {
    ids, text, left: ids, changed: 0, failed: [],
    body() {
      return JSON.stringify({ ids: this.left.slice(0, MOST), patch });
    },
    // took takes an answer, and reports whether there is more to do.
    took(a) {
      this.left = [...(a.remaining || []), ...this.left.slice(MOST)];
      this.changed += a.changed;
      this.failed.push(...(a.failed || []));
      return this.left.length > 0;
    },
  };
}

// refusals puts those that are unchanged into words.
export function refusals(failed) {
  const shown = failed.slice(0, 5).map((f) => `${f.id}: ${f.problem}.`);
  if (failed.length > shown.length) shown.push(`And ${(failed.length - shown.length).toLocaleString('en')} more are unchanged.`);
  return shown;
}

// bulk says what the chosen parameter may be.
export function bulk() {
  const name = parameter();
  if (!name) return;
  const help = document.getElementById('bulk-help');
  const values = document.getElementById('bulk-values');
  const show = () => {
    const d = name.selectedOptions[0].dataset;
    const choices = d.kind === 'check' ? ['true', 'false'] : (d.choices || '').split(' ').filter(Boolean);
    tell(help, `${choices.length ? `${choices.join(' or ')}. ` : ''}Empty: the default again${d.standard ? `, ${d.standard}` : ''}.`);
    values.replaceChildren(...choices.map((c) => el('option', { value: c })));
  };
  name.addEventListener('change', show);
  show();
}
