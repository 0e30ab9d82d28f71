// The parameters of a subscription. Only what somebody changed is sent, so what is left empty goes on following
// the default, and what others change meanwhile is not overwritten.
import { base, el, problemOf, say, tell } from './say.js';

const MASK = 'whsec_********';

// valueOf is a field's text as JSON; undefined is the default.
function valueOf(field) {
  const text = field.value;
  switch (field.dataset.kind) {
    case 'check': return field.checked;
    case 'number': return field.validity.badInput ? text || NaN : text.trim() === '' ? undefined : Number(text);
    case 'lines': { const list = text.split('\n').map((l) => l.trim()).filter(Boolean); return list.length ? list : undefined; }
    case 'headers': {
      const out = {};
      for (const line of text.split('\n').filter((l) => l.trim())) {
        const colon = line.indexOf(':');
        if (colon < 1) throw Object.assign(new Error(`“${line.trim()}” is not Name: value`), { field: field.dataset.field });
        out[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
      }
      return Object.keys(out).length ? out : undefined;
    }
    case 'choice': return text;
    default: return text.trim() === '' ? undefined : text.trim();
  }
}

const raw = (field) => (field.dataset.kind === 'check' ? String(field.checked) : field.value);
const initial = (field) => (field.dataset.kind === 'check' ? String(field.defaultChecked) : field.tagName === 'SELECT' ? [...field.options].find((o) => o.defaultSelected)?.value ?? field.options[0].value : field.defaultValue);
const get = (doc, name) => name.split('.').reduce((d, key) => d?.[key], doc);
function put(doc, name, value) {
  const [outer, inner] = name.split('.');
  if (inner) (doc[outer] ??= {})[inner] = value;
  else doc[outer] = value;
}

export function showProblems(form, errors, detail) {
  for (const field of form.querySelectorAll('.field')) {
    const mine = errors.filter((e) => (e.location || '').replace(/\[.*$/, '') === field.dataset.name);
    const error = field.querySelector('.error');
    const input = field.querySelector('input, select, textarea');
    error.textContent = mine.map((e) => (/\[\d+\]$/.test(e.location) ? `line ${Number(/\[(\d+)\]$/.exec(e.location)[1]) + 1}: ` : '') + e.message).join('; ');
    error.hidden = mine.length === 0;
    if (mine.length) {
      input.setAttribute('aria-invalid', 'true');
      const group = field.closest('details');
      if (group) group.open = true;
    } else input.removeAttribute('aria-invalid');
  }
  const summary = form.querySelector('[data-summary]');
  const known = (e) => form.querySelector(`.field[data-name="${CSS.escape((e.location || '').replace(/\[.*$/, ''))}"]`);
  if (!errors.length && !detail) {
    summary.hidden = true;
    return;
  }
  const list = el('ul');
  for (const e of errors) {
    const field = known(e);
    const text = `${e.location}: ${e.message.split('\n')[0]}`; // further lines mark a place
    const item = el('li', {}, field ? el('a', { href: `#${field.querySelector('input, select, textarea').id}` }, text) : text);
    list.append(item);
  }
  summary.replaceChildren(el('strong', {}, errors.length ? `${errors.length === 1 ? 'One field is' : `${errors.length} fields are`} wrong.` : detail), list);
  summary.hidden = false;
  summary.focus();
}

export function forms() {
  for (const b of document.querySelectorAll('[data-new-secret]')) {
    b.addEventListener('click', () => {
      const field = document.getElementById(b.dataset.newSecret);
      field.value = `whsec_${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))}`;
      field.dispatchEvent(new Event('input', { bubbles: true }));
      field.select();
    });
  }
  const form = document.querySelector('form.params');
  if (!form) return;
  const fields = [...form.querySelectorAll('[data-field]')];
  const fresh = form.dataset.form === 'new';
  let doc = fresh ? {} : JSON.parse(form.dataset.doc);
  let etag = fresh ? '' : `"${form.dataset.etag}"`;
  let seen = form.dataset.etag;
  const changed = () => fields.filter((f) => raw(f) !== initial(f));
  const dirty = form.querySelector('[data-dirty]');
  const mark = () => { if (dirty) dirty.hidden = changed().length === 0; };
  form.addEventListener('input', mark);
  form.addEventListener('reset', () => setTimeout(() => { showProblems(form, []); mark(); }));
  addEventListener('beforeunload', (e) => { if (changed().length && !form.dataset.leaving) e.preventDefault(); });

  // take makes what was written the state that later changes are compared with.
  function take(now, tag) {
    doc = now;
    etag = tag;
    seen = tag.replaceAll('"', '');
    const note = document.getElementById('changed');
    if (note) note.hidden = true;
    mark();
  }
  // settle is take for fields that were saved: their text is now the stored one.
  function settle() {
    for (const f of fields) {
      if (f.dataset.kind === 'check') f.defaultChecked = f.checked;
      else if (f.tagName === 'SELECT') for (const o of f.options) o.defaultSelected = o.selected;
      else {
        if (f.dataset.kind === 'secret') f.value = doc.secret || '';
        if (f.dataset.kind === 'lines') f.value = (get(doc, f.dataset.field) || []).join('\n'); // passwords are masked now
        if (f.dataset.kind === 'headers') {
          const headers = get(doc, f.dataset.field) || {};
          f.value = Object.keys(headers).sort().map((k) => `${k}: ${headers[k]}`).join('\n');
        }
        f.defaultValue = f.value;
      }
    }
    mark();
  }
  document.addEventListener('written', (e) => {
    const paused = fields.find((f) => f.dataset.field === 'paused'); // by the button of this page
    if (paused) paused.checked = paused.defaultChecked = e.detail.doc.paused;
    take(e.detail.doc, e.detail.etag);
  });
  document.addEventListener('updated', () => {
    const rev = document.querySelector('[data-rev]')?.dataset.rev;
    const note = document.getElementById('changed');
    if (note && rev && rev !== seen) note.hidden = false;
  });

  form.addEventListener('submit', async (e) => {
    e.preventDefault();
    showProblems(form, []);
    const patch = {};
    const problems = [];
    for (const f of fresh || 'whole' in form.dataset ? fields : changed()) {
      try {
        const value = valueOf(f);
        if (fresh || 'whole' in form.dataset) {
          if (value !== undefined && raw(f) !== initial(f) || f.required) put(patch, f.dataset.field, value);
        } else if (f.dataset.kind === 'headers') {
          const before = get(doc, f.dataset.field) || {};
          patch[f.dataset.field] = value === undefined ? null : { ...Object.fromEntries(Object.keys(before).filter((k) => !(k in value)).map((k) => [k, null])), ...value };
        } else put(patch, f.dataset.field, value === undefined ? null : value);
      } catch (err) {
        problems.push({ location: err.field, message: err.message });
      }
    }
    for (const f of fields) if (f.required && !f.value.trim()) problems.push({ location: f.dataset.field, message: 'is empty; give a value' });
    const button = form.querySelector('[type=submit]');
    let id = form.dataset.idOf;
    if (fresh) {
      id = form.querySelector('[data-id]').value.trim();
      if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(id)) problems.unshift({ location: 'id', message: id ? 'must start with a letter or digit and hold at most 64 of A-Z a-z 0-9 . _ -' : 'is empty; give a value' });
    }
    if (problems.length) return showProblems(form, problems);
    if (!fresh && Object.keys(patch).length === 0) return say('You have not changed anything.');
    button.disabled = true;
    const url = `${base}/api/v1/subscriptions/${encodeURIComponent(id)}`;
    try {
      if (fresh && (await fetch(url)).ok) return showProblems(form, [{ location: 'id', message: 'is taken by another subscription' }]);
      const whole = fresh || 'whole' in form.dataset;
      const r = await fetch(url, {
        method: whole ? 'PUT' : 'PATCH', body: JSON.stringify(patch),
        headers: { 'Content-Type': whole ? 'application/json' : 'application/merge-patch+json', ...(etag && !whole ? { 'If-Match': etag } : {}) },
      });
      if (r.status === 412) return await overtaken(url);
      if (!r.ok) {
        const p = await problemOf(r);
        return showProblems(form, p.errors || [], r.status === 401 ? 'Not saved: you are signed out. Sign in in another tab, then save again.' : `Not saved: ${p.detail}`);
      }
      const now = await r.json();
      if (fresh) {
        form.dataset.leaving = '1';
        sessionStorage.setItem('notice', `${id} is created. From now on it gets the messages of its topic.`);
        return location.assign(`${base}/subscriptions/${encodeURIComponent(id)}`);
      }
      const names = Object.keys(patch).join(', ');
      take(now, r.headers.get('ETag'));
      settle();
      say(`Saved: ${names}. In force within a second.`);
    } catch (err) {
      showProblems(form, [], err instanceof TypeError ? 'It is unknown whether this was saved: the dispatcher cannot be reached. Your input is still here; save again.' : `Not saved: ${err.message}`);
    } finally {
      button.disabled = false;
    }
  });

  // overtaken says what somebody else changed. The input stays; saving again lays it over theirs.
  async function overtaken(url) {
    const r = await fetch(url);
    if (!r.ok) return showProblems(form, [], `Not saved: ${(await problemOf(r)).detail}`);
    const now = await r.json();
    const theirs = [];
    const clash = [];
    const mine = new Set(changed().map((f) => f.dataset.field));
    const show = (v) => (v === undefined || v === '' ? '–' : typeof v === 'string' ? v : JSON.stringify(v));
    for (const f of fields) {
      const name = f.dataset.field;
      const was = get(doc, name), is = get(now, name);
      if (JSON.stringify(was) !== JSON.stringify(is)) (mine.has(name) ? clash : theirs).push(`${name}: ${show(was)} → ${show(is)}`);
    }
    take(now, r.headers.get('ETag'));
    const summary = form.querySelector('[data-summary]');
    const part = (title, list) => (list.length ? [el('p', {}, title), el('ul', {}, ...list.map((t) => el('li', {}, t)))] : []);
    summary.replaceChildren(
      el('strong', {}, 'Not saved: somebody else changed this subscription meanwhile.'),
      ...part('They changed these, and their values stay:', theirs),
      ...part('They changed these as well as you:', clash),
      el('p', {}, clash.length ? 'Save again to replace their values with yours, or undo your changes and reload.' : 'Your input is still here. Save again to add it to theirs.'));
    summary.hidden = false;
    summary.focus();
  }
  if (fields.some((f) => f.dataset.field === 'secret' && f.value === MASK)) tell(document.getElementById('f-secret-help'), 'The mask stands for the current secret; leave it to keep that secret. A new secret signs beside the old one for a while. Empty: pushes are not signed.');
}
