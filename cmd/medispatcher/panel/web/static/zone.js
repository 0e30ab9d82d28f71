// The time zone of a page. The server writes times in UTC. Here they are shown in the zone of the browser or in UTC,
// as the operator chose; one button says which.
const local = () => localStorage.getItem('zone') !== 'utc';
const zone = () => (local() ? {} : { timeZone: 'UTC' });
const parts = (t, options) => new Intl.DateTimeFormat('sv-SE', { ...options, ...zone() }).format(t);

// stamp is a time to the second: 2026-01-31 13:05:09.
export const stamp = (t) => parts(t, { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });

// clock is a time of day, with seconds if they matter.
export const clock = (t, seconds = true) => parts(t, { hour: '2-digit', minute: '2-digit', ...(seconds ? { second: '2-digit' } : {}) });

// localize shows the times of a part of a page in the zone.
export function localize(root) {
  for (const e of root.querySelectorAll('time[datetime]')) {
    const text = stamp(new Date(e.dateTime));
    if (e.title !== text) e.title = text;
    if (e.hasAttribute('data-exact') && e.textContent !== text) e.textContent = text;
  }
}

function name() {
  if (!local()) return 'UTC';
  const minutes = -new Date().getTimezoneOffset();
  const abs = Math.abs(minutes);
  return `UTC${minutes < 0 ? '−' : '+'}${Math.floor(abs / 60)}${abs % 60 ? `:${String(abs % 60).padStart(2, '0')}` : ''}`;
}

// zones sets up the button, and shows the times of the page.
export function zones() {
  const button = document.getElementById('zone');
  const show = () => {
    localize(document);
    if (!button) return;
    button.textContent = name();
    button.title = `Times are in ${local() ? `${Intl.DateTimeFormat().resolvedOptions().timeZone}, your time zone. Show UTC` : 'UTC. Show your time zone'}`;
    button.setAttribute('aria-label', `${name()}: ${button.title}`);
    button.hidden = false;
  };
  button?.addEventListener('click', () => {
    localStorage.setItem('zone', local() ? 'utc' : 'local');
    show();
    document.dispatchEvent(new Event('zone'));
  });
  show();
}
