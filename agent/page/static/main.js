// The staff page: asks for what there is at every change and shows it; nothing is kept here.

import * as alerts from './alerts.js';
import { command, me, Problem, read, watch } from './api.js';
import { el, fill, icon, refocus } from './dom.js';
import { elapsed } from './format.js';
import { language, other, recall, t } from './i18n.js';
import { login, logout } from './login.js';
import * as orders from './orders.js';
import * as printers from './printers.js';
import * as strip from './status.js';
import * as stock from './stock.js';
import { toast } from './toast.js';

const PAGE = 15;
const PAGES = 10; // more cards would make an old tablet slow
const SHOP = ['open', 'busy', 'closed'];

const state = {
  status: null,
  orders: [],
  more: false,
  pages: 1,
  reachable: null, // null: not yet known
  problem: null, // why the agent could not answer, in its words
  seen: null, // when it last answered, ms by the device's clock
  now: Date.now(),
};
const known = new Set(); // order ids already announced
let ahead = 0; // the device's clock minus this browser's, ms
let first = true;
let visited = false; // who we are was asked

const $ = (id) => document.getElementById(id);

function now() {
  return Date.now() + ahead;
}

// --- asking ----------------------------------------------------------------------------------------

let asking = false;
let again = false;

async function refresh() {
  again = true;
  if (asking) return;
  asking = true;
  while (again) {
    again = false;
    await ask();
    render();
  }
  asking = false;
}

async function ask() {
  try {
    const status = await read('status');
    const { orders: newest, more: further } = await read('orders.list', { limit: PAGE * state.pages });
    Object.assign(state, { status, orders: newest, more: further, reachable: true, problem: null, seen: now() });
    announce();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    state.reachable = error.code !== 'unreachable';
    state.problem = error.code === 'login' ? t('login.needed') : error.message;
    if (error.code === 'login') enter();
  }
}

let left = false; // the dialog: not asked again before the strip is touched

async function enter() {
  if (left) return;
  left = true;
  try {
    if (await login('staff')) {
      left = false;
      refresh();
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
}

/** Who came from the network may leave. */
async function leave() {
  const visitor = await me();
  $('logout').hidden = visitor.local || !visitor.role;
}

function announce() {
  const fresh = state.orders.filter(({ order }) => !known.has(order.order_id));
  for (const { order } of fresh) known.add(order.order_id);
  const waiting = fresh.filter((entry) => entry.stage === 'received');
  if (!first && waiting.length) $('news').textContent = waiting.map(orders.announcement).join('. ');
  first = false;
}

// --- doing -----------------------------------------------------------------------------------------

const app = {
  mark: language,

  /** Run a command of the agent; the button stays pressed until it is known what became of it. */
  async run(button, name, params, done) {
    if (button.hasAttribute('aria-busy')) return; // a disabled button would lose the focus
    button.setAttribute('aria-busy', 'true');
    try {
      await command(name, params);
      if (done) toast(done, 'ok');
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const text = error.message;
      toast(error.code === 'unreachable' ? t('problem.unreachable') : t('problem.other', { text }), 'bad');
    }
    await refresh();
    button.removeAttribute('aria-busy');
  },
};

// --- showing ---------------------------------------------------------------------------------------

function render() {
  state.now = now();
  const { status } = state;
  strip.render($('strip'), $('standing'), state);
  document.body.classList.toggle('stale', state.reachable === false);
  if (!status) return;
  if (!visited) {
    visited = true;
    leave().catch(() => { visited = false; });
  }
  $('site').textContent = status.site || status.device;
  $('device').textContent = status.site ? status.device : '';
  const waiting = state.orders.filter((entry) => entry.stage === 'received').length;
  const total = Math.max(waiting, status.waiting || 0);
  $('count').textContent = total ? t('orders.waiting', { n: total }) : '';
  document.title = (total ? '(' + total + ') ' : '') + t('page.title') + ' · ' + (status.site || status.device);
  shop(status.shop_status);
  alerts.render($('alerts'), status.alerts, called, app);
  printers.render($('printers'), status.printers, app);
  stock.render($('stock'), status.stock || [], app);
  orders.render($('orders'), state.orders, state.now, status.late_s, app);
  more(total - waiting);
  tick();
}

/** How people call an order of which only the id is known. */
function called(id) {
  const entry = state.orders.find(({ order }) => order.order_id === id);
  return entry ? orders.number(entry.order) : String(id).slice(-6);
}

function shop(current) {
  const mark = current + app.mark();
  const box = $('shop');
  if (box.mark === mark) return;
  box.mark = mark;
  const focused = box.contains(document.activeElement) && document.activeElement;
  fill(box, ...SHOP.map((status) => el('button', {
    type: 'button',
    class: status,
    'data-act': status,
    'aria-pressed': String(status === current),
    onclick: (event) => app.run(event.currentTarget, 'shop.set', { status }),
  }, t('shop.' + status))));
  if (focused) refocus(box, focused);
}

function more(hidden) {
  const box = $('more');
  const further = state.more && state.pages < PAGES;
  const mark = [further, hidden, app.mark()].join();
  if (box.mark === mark) return;
  box.mark = mark;
  fill(box,
    hidden > 0 ? el('p', { class: 'hidden-waiting' }, icon('warn'), t('orders.hidden', { n: hidden })) : null,
    further ? el('button', { type: 'button', class: 'wide', onclick: older }, t('orders.more')) : null);
}

function older() {
  state.pages += 1;
  refresh();
}

/** Move every timer on; `data-late` is when its text becomes the late one. */
function tick() {
  const at = now();
  for (const node of document.querySelectorAll('[data-until]')) {
    const left = Number(node.dataset.until) - at;
    const words = left > 0 ? t(node.dataset.text, { time: elapsed(left) }) : t(node.dataset.over);
    if (node.textContent !== words) node.textContent = words;
    node.classList.toggle('late', left < Number(node.dataset.soon));
  }
  for (const node of document.querySelectorAll('[data-since]')) {
    const { since, text, late, lateText } = node.dataset;
    const isLate = Boolean(late) && at > Number(late);
    const words = t(isLate ? lateText : text, { time: elapsed(at - Number(since)) });
    if (node.textContent !== words) node.textContent = words;
    node.classList.toggle('late', isLate);
  }
}

function translate() {
  document.documentElement.lang = language() === 'zh' ? 'zh-CN' : 'en';
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(node.dataset.t);
  for (const node of document.querySelectorAll('[data-label]')) node.setAttribute('aria-label', t(node.dataset.label));
  const button = $('language');
  button.textContent = t('language.other');
  button.title = t('language.title');
  button.lang = language() === 'zh' ? 'en' : 'zh-CN';
  render();
}

recall();
translate();
$('language').addEventListener('click', () => {
  other();
  translate();
  refresh(); // the agent's own sentences, too
});
$('logout').addEventListener('click', logout);
$('strip').addEventListener('click', () => {
  left = false;
  if (state.reachable && !state.status) refresh();
});
watch((time) => {
  if (time !== null) ahead = time - Date.now();
  refresh();
});
setInterval(tick, 1000);
