// What sounds right now, and the button that says "heard".

import { el, fill, icon, refocus, said } from './dom.js';
import { has, t } from './i18n.js';

function cause(alert) {
  return has('alert.' + alert.cause) ? t('alert.' + alert.cause) : t('alert.other', { cause: alert.cause });
}

function row(alert, number, app) {
  const since = el('span', { class: 'timer', 'data-since': alert.raised, 'data-text': 'alert.since' });
  return el('div', { class: 'alert ' + alert.state },
    icon('bell'),
    el('p', {},
      el('strong', {}, said(cause(alert))),
      alert.order_id ? ' · ' : null,
      alert.order_id ? said(t('alerts.for', { n: number })) : null,
      el('br'),
      since,
      alert.state === 'escalated' ? ' · ' + t('alert.escalated') : null),
    el('button', {
      type: 'button',
      class: 'big go',
      'data-act': 'ack-' + alert.alert_id,
      onclick: (event) => app.run(event.currentTarget, 'alert.ack', { alert_id: alert.alert_id }),
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
    class: 'big wide',
    'data-act': 'ack-all',
    onclick: (event) => app.run(event.currentTarget, 'alert.ack', {}),
  }, t('alerts.ack.all', { n: alerts.length }));
  const focused = box.contains(document.activeElement) && document.activeElement;
  fill(box, ...alerts.map((alert) => row(alert, number(alert.order_id), app)), all);
  if (focused) refocus(alerts.length ? box : document, focused);
}
