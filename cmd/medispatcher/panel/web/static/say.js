// base is the path below which a proxy serves this dispatcher; '' where there is none. The scripts are at base/static/hash/.
export const base = new URL('../..', import.meta.url).pathname.replace(/\/$/, '');

// visible shows by its code what does not print or changes the direction of text, as the server does.
export const visible = (text) => text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, '0')}`);

// say tells the operator how something went, where screen readers hear it.
export function say(text, bad = false) {
  const notice = document.getElementById('notice');
  if (!notice) return;
  notice.textContent = visible(text);
  notice.className = bad ? 'notice bad' : 'notice';
  notice.setAttribute('role', bad ? 'alert' : 'status');
  notice.hidden = false;
  notice.scrollIntoView({ block: 'nearest' });
}

// tell changes a text only where it differs: a text that stays the same is not announced again.
export function tell(el, text) {
  if (el && el.textContent !== text) el.textContent = text;
}

// problemOf reads a problem document, or makes one when the answer is something else.
export async function problemOf(response) {
  const p = await response.json().catch(() => null);
  return p && p.detail ? p : { status: response.status, detail: `The dispatcher answered ${response.status} ${response.statusText}.` };
}

export async function problemText(response) {
  if (response.status === 401) return 'You are signed out. Sign in again.';
  return (await problemOf(response)).detail;
}

// el makes an element; children are nodes or text, never HTML.
export function el(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  e.append(...children.map((c) => (typeof c === 'string' ? visible(c) : c)));
  return e;
}
