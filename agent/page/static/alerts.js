// What sounds right now, and the button that says "heard".

import { el, fill, icon, refocus, said } from './dom.js';
import { has, t } from './i18n.js';

function cause(alert) {
  return has('alert.' + alert.cause) ? t('alert.' + alert.cause) : t('alert.other', { cause: alert.cause });
}

const NAMED_MAX = 12; // numbers in a row of the page; in a rush the cards below say the rest

// What is said is one row a cause, as it is one sound: many of them must not push the orders away.
function groups(alerts) {
  const found = new Map();
  for (const alert of alerts) {
    if (!found.has(alert.cause)) found.set(alert.cause, []);
    found.get(alert.cause).push(alert);
  }
  return Array.from(found.values());
}

function orders(alerts, number) {
  const named = alerts.filter((alert) => alert.order_id).map((alert) => number(alert.order_id));
  if (named.length === 0) return null;
  const shown = named.slice(0, NAMED_MAX).join(', ') + (named.length > NAMED_MAX ? ', ...' : '');
  return said(t(named.length === 1 ? 'alerts.for' : 'alerts.for.many', { n: shown }));
}

function row(alerts, number, app) {
  const [oldest] = alerts;
  const late = alerts.some((alert) => alert.state === 'escalated');
  const since = el('span', { class: 'timer', 'data-since': oldest.raised, 'data-text': 'alert.since' });
  const whose = orders(alerts, number);
  return el('div', { class: 'alert ' + (late ? 'escalated' : oldest.state) },
    icon('bell'),
    el('p', {},
      el('strong', {}, said(cause(oldest))),
      whose ? ' · ' : null,
      whose,
      el('br'),
      since,
      late ? ' · ' + t('alert.escalated') : null),
    el('button', {
      type: 'button',
      class: 'go',
      'data-act': 'ack-' + oldest.alert_id,
      onclick: (event) => app.run(event.currentTarget, 'alert.ack', {
        alert_ids: alerts.map((alert) => alert.alert_id),
      }),
    }, t('alerts.ack')));
}

/** `number(order_id)` is the number by which people know the order. */
export function render(box, alerts, number, app) {
  const mark = JSON.stringify(alerts.map((alert) => [alert, number(alert.order_id)])) + app.mark();
  if (box.mark === mark) return;
  box.mark = mark;
  box.hidden = alerts.length === 0;
  const all = alerts.length < 2 ? null : el('button', {
    type: 'button',
    class: 'all',
    'data-act': 'ack-all',
    onclick: (event) => app.run(event.currentTarget, 'alert.ack', {}),
  }, t('alerts.ack.all', { n: alerts.length }));
  const focused = box.contains(document.activeElement) && document.activeElement;
  fill(box, ...groups(alerts).map((same) => row(same, number, app)), all);
  if (focused) refocus(alerts.length ? box : document, focused);
}
