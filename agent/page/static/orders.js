// The cards of orders, newest first.

import { choose } from './dialog.js';
import { el, icon, said, sync } from './dom.js';
import { money, time } from './format.js';
import { has, t } from './i18n.js';
import { button as switchStock } from './stock.js';
import { preview } from './ticket.js';

const LATE_S = 90; // an unanswered order is late when its alert insists; without word from the agent
const SOON_MS = 60000; // so little time left is marked
const REASONS = ['sold_out', 'too_busy', 'closing', 'other'];
const OVER = ['picked_up', 'closed', 'cancelled', 'rejected']; // see agent/orders/lifecycle.py
const UNDONE = ['failed', 'expired', 'in_doubt', 'held', 'parked'];

/** The number by which people know an order. */
export function number(order) {
  const seq = order.day_seq;
  return seq === null || seq === undefined ? order.order_id.slice(-6) : String(seq);
}

function platform(order) {
  const key = 'platform.' + order.platform;
  return has(key) ? t(key) : said(order.platform);
}

export function announcement(entry) {
  const { order } = entry;
  return t('orders.news', {
    n: number(order),
    platform: order.platform || '',
    items: order.items.length,
  });
}

function chip(style, text, picture) {
  return el('span', { class: 'chip ' + style }, picture ? icon(picture) : null, text);
}

function timer(entry, now, lateS) {
  const at = entry.stage;
  const { order, received } = entry;
  const due = order.due_at || null;
  const watch = (text, lateText, late) => el('p', {
    class: 'timer', 'data-since': received, 'data-text': text, 'data-late-text': lateText, 'data-late': late,
  });
  if (at === 'received') return watch('order.wait', 'order.late', received + 1000 * lateS);
  if (at === 'ready') return watch('order.shelf', 'order.overdue', due);
  if (at === 'accepted') return watch('order.cooking', 'order.overdue', due);
  return el('p', { class: 'quiet' }, t('order.came', { time: time(received, now) }));
}

/** Options, and theirs below them: a set meal's drink and its ice. */
function options(list, depth) {
  return [].concat(...list.map((option) => [
    el('span', { class: 'option depth-' + Math.min(depth, 4) },
      option.qty > 1 ? el('strong', {}, option.qty + '× ') : null, said(option.name)),
    ...options(option.options || [], depth + 1),
  ]));
}

/** `app` where what was ordered can be marked as sold out. */
function item(entry, app) {
  return el('li', {},
    el('span', { class: 'qty' }, entry.qty === undefined ? '1×' : entry.qty + '×'),
    el('span', { class: 'what' },
      said(entry.name),
      ...options(entry.options || [], 0),
      entry.note ? el('span', { class: 'note' }, said(entry.note)) : null,
      (entry.allergens || []).length
        ? el('span', { class: 'note allergen' }, t('order.allergens') + ' ', said(entry.allergens.join(', ')))
        : null),
    app && entry.sku ? switchStock(entry, false, app) : null);
}

function detail(label, value) {
  return value || value === 0 ? el('p', { class: 'detail' }, el('span', { class: 'quiet' }, label), ' ', said(String(value))) : null;
}

function person(who) {
  return who ? [who.name, who.phone, who.address].filter(Boolean).join(' · ') : '';
}

function job(entry, now, app) {
  const style = entry.state === 'printed' ? 'ok' : UNDONE.includes(entry.state) ? 'bad' : 'warn';
  const again = (event) => app.run(
    event.currentTarget,
    'printer.reprint',
    { job_id: entry.job_id },
    t('job.reprinted', { station: entry.station }),
  );
  const word = has('job.' + entry.state) ? t('job.' + entry.state) : entry.state;
  const later = entry.not_before && entry.state === 'queued';
  return el('li', { class: 'job' },
    el('p', {},
      icon(style), el('strong', {}, said(entry.station || entry.printer)), ' ',
      later ? t('job.later', { time: time(entry.not_before, now) }) : said(word),
      has('job.what.' + entry.what) ? ' · ' + t('job.what.' + entry.what) : null,
      entry.home && entry.home !== entry.printer ? ' · ' + t('job.elsewhere', { printer: entry.printer }) : null,
      entry.attempt > 1 ? ' · ' + t('job.attempt', { n: entry.attempt }) : null,
      entry.duplicate ? ' · ' + t('job.duplicate') : null),
    el('div', { class: 'tools' },
      el('button', {
        type: 'button', class: 'plain', 'data-act': 'preview-' + entry.job_id, onclick: () => preview(entry),
      }, t('job.preview')),
      el('button', {
        type: 'button', class: 'plain', 'data-act': 'reprint-' + entry.job_id, onclick: again,
      }, t('job.reprint'))));
}

function total(order) {
  return order.total === undefined || order.total === null ? null : money(order.total, order.currency);
}

function sum(order) {
  const amount = total(order);
  if (amount === null) return null;
  const notes = [
    order.paid ? t('order.paid') : null,
    order.cash_due ? t('order.cash', { amount: money(order.cash_due, order.currency) }) : null,
    order.change_for ? t('order.change', { amount: money(order.change_for, order.currency) }) : null,
  ].filter(Boolean).join(' · ');
  const extras = (order.fees || []).concat(order.discounts || []).map((one) => el('p', { class: 'detail' },
    el('span', { class: 'quiet' }, said(one.name)), ' ', money(one.amount, order.currency)));
  return el('div', {}, ...extras, el('p', { class: 'total' },
    t('order.total'), ' ', el('strong', {}, amount), notes ? el('span', { class: 'quiet' }, ' ' + notes) : null));
}

function buttons(entry, app) {
  const { order } = entry;
  const n = number(order);
  const act = (verb, params) => (event) => app.run(
    event.currentTarget, 'order.' + verb, Object.assign({ order_id: order.order_id }, params), t('order.done.' + verb, { n }),
  );
  const reject = async (event) => {
    const button = event.currentTarget;
    const options = REASONS.map((value) => ({ value, text: t('reject.' + value) }));
    const reason = await choose(t('reject.title', { n }), options);
    if (reason) act('reject', { reason })({ currentTarget: button });
  };
  const button = (verb, style, onclick) => el('button', {
    type: 'button',
    class: 'big ' + style,
    'data-act': verb,
    'aria-label': t('order.' + verb) + ' ' + n,
    onclick,
  }, t('order.' + verb));
  const at = entry.stage;
  if (at === 'received') {
    return el('div', { class: 'answer' }, button('accept', 'go', act('accept')), button('reject', 'stop', reject));
  }
  if (at === 'accepted') return el('div', { class: 'answer' }, button('ready', 'go', act('ready')));
  return at === 'ready' ? el('div', { class: 'answer' }, button('picked_up', '', act('picked_up'))) : null;
}

const STYLES = { received: 'new', accepted: 'warn', ready: 'ok', cancelled: 'bad', rejected: 'bad' };

function head(entry, at) {
  const { order } = entry;
  return el('header', {},
    el('h3', {}, el('span', { class: 'hash' }, '#'), said(number(order))),
    el('div', { class: 'chips' },
      chip(STYLES[at] || 'plain', has('stage.' + at) ? t('stage.' + at) : said(at)),
      order.platform ? chip('plain', platform(order)) : null,
      order.kind ? chip('plain', has('kind.' + order.kind) ? t('kind.' + order.kind) : said(order.kind)) : null,
      order.table ? chip('plain', el('span', {}, t('order.table'), ' ', said(order.table))) : null));
}

/** What was ordered, and everything the kitchen must know of it. */
function content(order, app) {
  const allergens = order.allergens || [];
  return [
    el('ul', { class: 'items' }, ...order.items.map((one) => item(one, app))),
    order.note ? el('p', { class: 'remark' }, el('strong', {}, t('order.note')), ' ', said(order.note)) : null,
    allergens.length
      ? el('p', { class: 'remark allergen' }, icon('warn'), el('strong', {}, t('order.allergens')), ' ', said(allergens.join(', ')))
      : null,
    ...(order.extras || []).map((one) => el('p', { class: 'detail' },
      el('span', { class: 'quiet' }, said(one.name)), ' ', said(one.text))),
    detail(t('order.guests'), order.guests),
    detail(t('order.cutlery'), order.cutlery),
    detail(t('order.display'), order.display_id),
    detail(t('order.code'), order.pickup_code),
    detail(t('order.courier'), person(order.courier)),
    detail(t('order.customer'), person(order.customer)),
    sum(order),
  ];
}

function card(entry, now, lateS, app) {
  const { order } = entry;
  const at = entry.stage;
  const label = t('alerts.for', { n: number(order) });
  const jobs = entry.jobs.length
    ? el('ul', { class: 'jobs' }, ...entry.jobs.map((one) => job(one, now, app)))
    : null;
  if (OVER.includes(at)) {
    const summary = [t('orders.items', { n: order.items.length }), total(order)].filter(Boolean).join(' · ');
    return el('article', { class: 'order over', 'aria-label': label },
      head(entry, at),
      timer(entry, now, lateS),
      el('details', {}, el('summary', {}, summary), ...content(order), jobs));
  }
  const when = (key, ms) => el('p', { class: 'due' }, icon('clock'), t(key, { time: time(ms, now) }));
  return el('article', { class: 'order ' + at, 'aria-label': label },
    head(entry, at),
    timer(entry, now, lateS),
    order.due_at ? when('order.due', order.due_at) : null,
    at === 'received' && order.expires_at ? countdown(order.expires_at) : null,
    entry.conflict ? el('p', { class: 'remark allergen' }, icon('warn'),
      has('order.conflict.' + at) ? t('order.conflict.' + at) : said(entry.conflict)) : null,
    ...content(order, at === 'received' ? app : null),
    buttons(entry, app),
    entry.unconfirmed ? el('p', { class: 'detail quiet' }, icon('cloud'), t('order.unconfirmed')) : null,
    jobs);
}

/** How long there is left to answer; `tick` in main.js moves it on. */
function countdown(until) {
  return el('p', {
    class: 'timer due', 'data-until': until, 'data-text': 'order.expires', 'data-over': 'order.lapsed', 'data-soon': SOON_MS,
  });
}

export function render(box, orders, now, late, app) {
  const lateS = late || LATE_S;
  const items = orders.length ? orders : [null];
  const key = (entry) => (entry ? entry.order.order_id : '');
  const build = (entry) => (entry ? card(entry, now, lateS, app) : el('p', { class: 'quiet' }, t('orders.none')));
  sync(box, items, key, build, app.mark() + lateS);
}
