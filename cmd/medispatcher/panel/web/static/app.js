// What every page does: it updates itself, asks before it changes something, and says how that went.
import { chart } from './chart.js';
import { times } from './times.js';
import { story } from './story.js';
import { forms } from './form.js';
import { filtering } from './filter.js';
import { bulk, many, refusals } from './bulk.js';
import { publishing } from './publish.js';
import { replaying } from './replay.js';
import { trial } from './trial.js';
import { base, problemText, say, tell } from './say.js';
import { morph } from './morph.js';
import { localize, zones } from './zone.js';

const EVERY = 2000;
const $ = (id) => document.getElementById(id);
const charts = [...[...document.querySelectorAll('[data-chart]')].map(chart), ...[...document.querySelectorAll('[data-times]')].map(times)];

// --- Updates -------------------------------------------------------------------------------

let running = true; // the operator may stop the updates
let last = Date.now(); // of the last update that came
let trouble = ''; // why there is none
let timer = 0;
let fetching = null;
let address = () => location.href;

// update asks for this page anew and changes what is different in its live parts.
async function update() {
  if (fetching) return fetching;
  fetching = (async () => {
    const abort = new AbortController();
    const cut = setTimeout(() => abort.abort(), 8000);
    try {
      const r = await fetch(address(), { headers: { Accept: 'text/html', 'Medis-Live': '1' }, cache: 'no-store', signal: abort.signal, redirect: 'manual' });
      if (r.type === 'opaqueredirect' || r.status === 401) throw Object.assign(new Error('You are signed out.'), { signIn: true });
      const page = new DOMParser().parseFromString(await r.text(), 'text/html');
      const wrong = page.querySelector('[data-trouble]');
      const here = $('trouble');
      if (here) {
        if (r.ok) location.reload();
      } else if (!r.ok || wrong) {
        throw new Error(wrong ? wrong.dataset.trouble : `The dispatcher answered ${r.status}.`);
      } else {
        localize(page);
        for (const part of document.querySelectorAll('[data-live]')) {
          const fresh = page.getElementById(part.id);
          if (fresh) morph(part, fresh);
        }
        document.dispatchEvent(new Event('updated'));
      }
      last = Date.now();
      trouble = '';
    } catch (e) {
      trouble = e.signIn ? e.message : e.name === 'AbortError' ? 'The dispatcher does not answer.' : e instanceof TypeError ? 'The dispatcher cannot be reached.' : e.message;
      $('stale').dataset.signIn = e.signIn ? '1' : '';
    } finally {
      clearTimeout(cut);
      fetching = null;
    }
    showLive();
  })();
  return fetching;
}

function seconds(ms) {
  const s = Math.round(ms / 1000);
  return s < 120 ? `${s} s` : s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

function showLive() {
  const button = $('live');
  if (!button) return;
  button.hidden = false;
  const age = Date.now() - last;
  const late = running && Boolean(trouble);
  button.classList.toggle('off', !running);
  button.classList.toggle('late', late);
  button.setAttribute('aria-pressed', String(running));
  tell($('live-text'), !running ? `Stopped ${seconds(age)} ago` : late ? `Stale, ${seconds(age)}` : 'Live');
  const stale = $('stale');
  document.body.classList.toggle('stale', late && !$('trouble'));
  if (!late || $('trouble')) {
    stale.hidden = true;
    return;
  }
  const text = `${trouble} What you see is ${seconds(Math.max(age, 1000))} old.`;
  if (stale.hidden || stale.dataset.trouble !== trouble) { // announced once, not every second
    stale.dataset.trouble = trouble;
    stale.replaceChildren(Object.assign(document.createElement('span'), { textContent: text }));
    if (stale.dataset.signIn) {
      stale.append(' ', Object.assign(document.createElement('a'), { href: `${base}/signin?next=${encodeURIComponent(location.pathname.slice(base.length) + location.search)}`, textContent: 'Sign in' }));
    }
    stale.hidden = false;
  }
  tell(stale.firstChild, text);
}

const tick = async () => {
  clearTimeout(timer);
  if (running && !document.hidden) await Promise.all([update(), ...charts.map((c) => c.update())]);
  else showLive();
  clearTimeout(timer);
  timer = setTimeout(tick, document.hidden ? 60000 : EVERY);
};

if (document.querySelector('[data-live]')) {
  showLive();
  $('live')?.addEventListener('click', () => {
    running = !running;
    tick();
  });
  document.addEventListener('visibilitychange', tick);
  addEventListener('pageshow', (e) => e.persisted && tick());
  setInterval(() => (trouble || !running) && showLive(), 1000);
  timer = setTimeout(tick, EVERY);
}
for (const c of charts) c.update();

// --- Asking and doing ----------------------------------------------------------------------

// ask opens the dialog and answers whether the operator said yes.
function ask({ title, text, yes, danger, word }) {
  const dialog = $('ask');
  $('ask-title').textContent = title;
  $('ask-text').textContent = text;
  const button = $('ask-yes');
  button.textContent = yes;
  button.className = danger ? 'danger' : 'primary';
  const input = $('ask-input');
  $('ask-type').hidden = !word;
  $('ask-word').textContent = word || '';
  input.value = '';
  const check = () => { button.disabled = Boolean(word) && input.value.trim() !== word; };
  check();
  input.oninput = check;
  // Enter in the field means yes where that is possible, never the first button of the form.
  input.onkeydown = (e) => {
    if (e.key !== 'Enter') return;
    e.preventDefault();
    if (!button.disabled) dialog.close('yes');
  };
  dialog.returnValue = 'no';
  dialog.showModal();
  (word ? input : danger ? $('ask-no') : button).focus();
  return new Promise((done) => dialog.addEventListener('close', () => done(dialog.returnValue === 'yes'), { once: true }));
}

const selected = () => [...document.querySelectorAll('[data-letter]:checked')].map((b) => b.dataset.letter);
const count = (n, what) => `${n.toLocaleString('en')} ${what}${n === 1 ? '' : 's'}`;

// outcome puts an answer of the API into words.
function outcome(a, done, what) {
  const parts = [];
  if (a.ready !== undefined && a.buried !== undefined) parts.push(`${a.ready.toLocaleString('en')} READY and ${a.buried.toLocaleString('en')} BURIED messages.`);
  if (a.kicked !== undefined) {
    const one = a.kicked === 1;
    const until = a.kicked > 0 && { breaker_open: 'a probe of the open breaker succeeds', paused: 'it is resumed' }[a.held];
    parts.push(`${count(a.kicked, 'message')} ${one ? 'is' : 'are'} due${until ? ` and wait${one ? 's' : ''} until ${until}` : ' now'}.`);
  }
  for (const name of ['replayed', 'purged', 'changed']) if (a[name] !== undefined) parts.push(`${count(a[name], what)}.`);
  if (a.unwanted) parts.push(`No subscription wants ${a.unwanted.toLocaleString('en')} of them now: they are kept as unrouted.`);
  if (a.refused) parts.push(`${count(a.refused, what)} stay${a.refused === 1 ? 's' : ''}: ${a.refusals[0].problem}.`);
  parts.push(...refusals(a.failed || []));
  for (const r of a.receivers || []) parts.push(`${r.receiver}: ${r.sent ? 'has it' : r.error}.`);
  if (a.missing) parts.push(`${count(a.missing, what)} ${a.missing === 1 ? 'was' : 'were'} no longer there.`);
  return [done, ...parts].join(' ');
}

// countMatching counts the messages that match, in as many requests as it takes.
async function countMatching(d) {
  const sum = { matching: 0, searched: 0, until: '' };
  for (let after = ''; ;) {
    const r = await fetch(`${d.count}?${new URLSearchParams({ q: d.match, ...(sum.until && { until: sum.until }), ...(after && { after }) })}`, { cache: 'no-store' });
    if (!r.ok) throw new Error(await problemText(r));
    const a = await r.json();
    sum.matching += a.matching;
    sum.searched += a.searched;
    sum.until = a.until || '';
    if (!a.next) return sum;
    after = a.next;
    say(`Counting: ${sum.matching.toLocaleString('en')} match among the ${sum.searched.toLocaleString('en')} searched so far …`);
  }
}

async function act(button) {
  const d = button.dataset;
  const ids = d.ids ? selected() : null;
  const what = d.what;
  let title = d.ask;
  let text = d.text;
  let counted = null;
  let group = null;
  if ('bulk' in d) {
    group = await many(d, selected());
    if (!group) return;
    title = title.replace('#', count(group.ids.length, what));
    text = group.text;
  }
  if (d.match) {
    button.disabled = true;
    counted = await countMatching(d).catch((e) => say(e instanceof TypeError ? 'The dispatcher cannot be reached.' : e.message, true));
    button.disabled = false;
    if (!counted) return;
    if (counted.matching === 0) {
      say(`No ${what} matches any more.`);
      return;
    }
    title = title.replace('#', count(counted.matching, what));
  }
  if (ids) title = title.replace(`the selected ${what}s`, count(ids.length, `selected ${what}`));
  if (!await ask({ title, text, yes: d.yes, danger: button.classList.contains('danger'), word: d.type })) {
    button.focus();
    return;
  }
  button.disabled = true;
  button.setAttribute('aria-busy', 'true');
  let url = d.url;
  let body = d.body;
  if (d.ids === 'body') body = JSON.stringify({ ids });
  if (d.ids === 'query') url += `?${new URLSearchParams(ids.map((id) => ['id', id]))}`;
  const total = {};
  let after = '';
  try {
    for (;;) { // many take several requests
      if (counted) {
        const q = { ...(d.method === 'DELETE' ? { q: d.match } : { match: d.match }), until: counted.until, ...(after && { after }) };
        if (d.method === 'DELETE') url = `${d.url}?${new URLSearchParams(q)}`;
        else body = JSON.stringify(q);
      }
      if (group) body = group.body();
      const r = await fetch(url, { method: d.method, body, headers: body ? { 'Content-Type': 'application/json' } : {} });
      if (!r.ok) throw new Error(await problemText(r));
      const a = r.status === 204 ? {} : await r.json();
      for (const name of ['replayed', 'purged', 'missing', 'unwanted']) if (a[name]) total[name] = (total[name] || 0) + a[name];
      if (group) {
        if (group.took(a)) {
          say(`${count(group.changed, what)} of ${group.ids.length.toLocaleString('en')} done …`);
          continue;
        }
        Object.assign(total, { changed: group.changed || undefined, failed: group.failed });
        delete a.changed;
      }
      after = a.next || '';
      if (after) {
        say(`${count(total.replayed || total.purged || 0, what)} of ${counted.matching.toLocaleString('en')} done …`);
        continue;
      }
      if (a.remaining > 0) {
        say(`${count(total.replayed || total.purged || 0, what)} done, ${a.remaining.toLocaleString('en')} to go …`);
        continue;
      }
      if (r.headers.get('ETag') && a.id) document.dispatchEvent(new CustomEvent('written', { detail: { doc: a, etag: r.headers.get('ETag') } }));
      const told = outcome({ ...a, ...total }, a.refused && !a.replayed ? 'Not replayed.' : group && !group.changed ? 'Nothing is changed.' : d.done, what);
      if (d.then) {
        sessionStorage.setItem('notice', told);
        location.assign(d.then);
        return;
      }
      say(told, a.refused > 0 || (total.failed || []).length > 0 || (a.receivers || []).some((r) => !r.sent));
      break;
    }
  } catch (e) {
    say(e instanceof TypeError ? 'The dispatcher cannot be reached, so it is unknown whether this was done. Check, then try again.' : e.message, true);
  } finally {
    button.disabled = false;
    button.removeAttribute('aria-busy');
    for (const box of document.querySelectorAll('[data-letter], [data-select-all]')) box.checked = false;
    select();
  }
  tick();
}

function select() {
  const n = selected().length;
  for (const b of document.querySelectorAll('[data-selected]')) b.disabled = n === 0;
}

document.addEventListener('click', (e) => {
  const button = e.target.closest('[data-do]');
  if (button && !button.disabled) act(button);
});
document.addEventListener('change', (e) => {
  if (e.target.matches('[data-select-all]')) for (const box of document.querySelectorAll('[data-letter]')) box.checked = e.target.checked;
  if (e.target.matches('[data-letter], [data-select-all]')) select();
});
document.addEventListener('updated', select);

// A notice that the page before left, because it came here when it was done.
const told = sessionStorage.getItem('notice');
if (told) {
  sessionStorage.removeItem('notice');
  say(told);
}
for (const pre of document.querySelectorAll('pre.copy')) {
  if (!navigator.clipboard) break; // only where the connection is safe, or local
  const text = pre.textContent;
  const b = Object.assign(document.createElement('button'), { type: 'button', textContent: 'Copy' });
  b.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text);
    b.textContent = 'Copied';
  });
  pre.after(b);
}

// A slash leads to the search, wherever nobody is typing.
document.addEventListener('keydown', (e) => {
  if (e.key !== '/' || e.ctrlKey || e.metaKey || e.altKey || e.target.closest('input, textarea, select, [contenteditable]') || document.querySelector('dialog[open]')) return;
  const find = $('find');
  if (!find) return;
  e.preventDefault();
  find.focus();
  find.select();
});

zones();
forms();
filtering();
bulk();
publishing({ update, setAddress: (f) => { address = f; } });
replaying({ ask, count, update });
story();
trial();
