// The strip that says in words how things stand: the worst first, and what to do.

import { el, fill, icon, said } from './dom.js';
import { elapsed, time } from './format.js';
import { t } from './i18n.js';

const STYLES = { ok: 'ok', info: 'ok', warning: 'warn', critical: 'bad' };
const HEADS = { info: 'strip.notice', warning: 'strip.attention', critical: 'strip.broken' };
const ORDER = ['critical', 'warning', 'info', 'ok'];

/** Everything to be said, as [{level, head, text}], the worst first. */
function lines(state) {
  const { status, reachable, problem, seen, now } = state;
  const found = [];
  if (reachable === false) {
    const text = seen ? t('strip.unreachable.text', { time: time(seen, now) }) : '';
    found.push({ level: 'critical', head: t('strip.unreachable'), text });
  } else if (problem) {
    found.push({ level: 'critical', head: t('strip.trouble'), text: problem });
  }
  if (!status) return found.length ? found : [{ level: 'info', head: t('strip.connecting'), text: '' }];
  const { link } = status;
  if (!link.up) found.push({ level: 'warning', head: t('strip.offline'), text: offline(link, now), cloud: true });
  for (const { severity, text, since } of status.health) {
    found.push({
      level: severity,
      head: t(HEADS[severity]),
      text: text + (since ? ' (' + t('strip.since', { time: time(since, now) }) + ')' : ''),
    });
  }
  for (const printer of status.printers) {
    if (printer.state !== 'held') continue;
    found.push({
      level: 'warning', head: t('strip.held', printer), text: t('strip.held.text', { n: printer.waiting }), go: '#printers',
    });
  }
  if (!found.some(({ level }) => level !== 'info')) {
    const text = link.since ? t('strip.ok.text', { time: time(link.since, now) }) : '';
    found.push({ level: 'ok', head: t('strip.ok'), text });
  }
  return found.sort((a, b) => ORDER.indexOf(a.level) - ORDER.indexOf(b.level));
}

function offline(link, now) {
  const { critical, state, telemetry } = link.backlog;
  return [
    t('strip.offline.text'),
    link.since ? t('strip.offline.since', { time: time(link.since, now) }) : '',
    critical + state + telemetry ? t('strip.backlog', link.backlog) : '',
    oldest(link, now),
  ].filter(Boolean).join(' ');
}

/** From when the event is that waits for longest. */
function oldest(link, now) {
  const kept = link.oldest || {};
  const times = Object.keys(kept).map((stream) => kept[stream]).filter((at) => at !== null);
  if (!times.length) return '';
  const at = Math.min(...times);
  return t('strip.oldest', { time: time(at, now), age: elapsed(Math.floor((now - at) / 60000) * 60000) });
}

const LINES = 3; // the worst; more of them would push the orders away
let wide = false; // a person wants to see all

/** `aloud` hears only what is the matter: counts that go up every second would drown it. */
export function render(strip, aloud, state) {
  const all = lines(state);
  const heads = all.map((line) => line.head).join('. ');
  if (aloud.textContent !== heads) aloud.textContent = heads;
  strip.className = 'strip ' + STYLES[all[0].level];
  const hidden = wide ? 0 : Math.max(0, all.length - LINES);
  fill(strip, ...all.slice(0, all.length - hidden).map((line) => el(
    'p',
    { class: 'line ' + STYLES[line.level] },
    icon(line.cloud ? 'cloud' : STYLES[line.level]),
    el('span', {}, el('strong', {}, line.head), ' ', said(line.text),
      line.go && document.querySelector(line.go) ? el('a', { href: line.go }, ' ' + t('strip.held.go')) : null),
  )), all.length > LINES ? more(hidden, strip, aloud, state) : null);
}

function more(hidden, strip, aloud, state) {
  const toggle = () => {
    wide = !wide;
    render(strip, aloud, state);
    strip.querySelector('button').focus();
  };
  return el('button', {
    type: 'button', class: 'plain', 'aria-expanded': String(wide), onclick: toggle,
  }, hidden ? t('strip.more', { n: hidden }) : t('strip.less'));
}
