// The technician's page: checks, tests, the receiver, what waits and the settings, behind the PIN.

import { command, Problem, read, watch } from './api.js';
import { el, fill, icon, said } from './dom.js';
import { time } from './format.js';
import { language, other, recall, t } from './i18n.js';
import { login, logout } from './login.js';
import * as strip from './status.js';

const TABLES = ['critical', 'state', 'telemetry', 'poison'];
const GPS_MS = 2000;
const TOAST_MS = 6000;

const state = { status: null, reachable: null, problem: null, seen: null, now: Date.now() };
const rows = { table: 'critical', list: [], more: false };
let config = null;
let inside = false;
let ahead = 0;

const $ = (id) => document.getElementById(id);

function now() {
  return Date.now() + ahead;
}

// --- asking ----------------------------------------------------------------------------------------

/** Run `ask` behind the PIN: where the agent wants one, it is asked for and `ask` runs again. */
async function behind(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code !== 'login') {
      toast(error.code === 'unreachable' ? t('problem.unreachable') : t('problem.other', { text: error.message }), 'bad');
      return null;
    }
    inside = false;
    $('bench').hidden = true;
    return (await login('technician')) ? enter() : null;
  }
}

async function enter() {
  config = await read('config.show');
  inside = true;
  $('bench').hidden = false;
  await Promise.all([refresh(), list(0)]);
  settings();
  check();
  receiver();
}

async function refresh() {
  try {
    state.status = await read('status');
    Object.assign(state, { reachable: true, problem: null, seen: now() });
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    state.reachable = error.code !== 'unreachable';
    state.problem = error.code === 'login' ? t('login.needed') : error.message;
  }
  render();
}

async function list(after) {
  const found = await read('queue.list', { table: rows.table, after });
  rows.list = after ? rows.list.concat(found.rows) : found.rows;
  rows.more = found.more;
  queue();
}

async function check() {
  fill($('checks'), el('li', {}, t('tech.checking')));
  const findings = await behind(() => read('doctor'));
  if (!findings) return;
  fill($('checks'), ...findings.map(({ check: name, ok, text }) => el('li', { class: ok ? 'fine' : 'faulty' },
    icon(ok ? 'ok' : 'bad'), el('strong', {}, name), ' ', said(text))));
}

async function receiver() {
  if (!inside || !config.settings['position.driver']) return;
  try {
    sky(await read('gps.view'));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === 'login') return;
  }
  setTimeout(receiver, GPS_MS);
}

// --- showing ---------------------------------------------------------------------------------------

let toastTimer = 0;

function toast(text, style) {
  const box = $('toast');
  fill(box, el('p', { class: style }, icon(style), text));
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => fill(box), TOAST_MS);
}

function render() {
  state.now = now();
  strip.render($('strip'), $('standing'), state);
  document.title = t('tech.title');
  if (!state.status) return;
  const { device, site, agent } = state.status;
  $('device').textContent = [device, site, agent].filter(Boolean).join(' · ');
  tests(state.status.printers);
}

function tests(printers) {
  const box = $('tests');
  const mark = JSON.stringify(printers.map(({ name }) => name)) + language();
  if (box.mark === mark) return;
  box.mark = mark;
  const button = (text, name, params) => el('button', {
    type: 'button',
    onclick: async (event) => {
      const pressed = event.currentTarget;
      if (pressed.hasAttribute('aria-busy')) return;
      pressed.setAttribute('aria-busy', 'true');
      await behind(async () => toast(String(await command(name, params)), 'ok'));
      pressed.removeAttribute('aria-busy');
    },
  }, text);
  fill(box,
    ...printers.map(({ name }) => button(t('tech.test.printer', { name }), 'printer.test', { printer: name })),
    button(t('tech.test.sound'), 'sound.test', {}),
    button(t('tech.test.retry'), 'queue.retry', {}));
}

function pair(name, value, note) {
  return [el('dt', {}, name), el('dd', {}, said(value), note ? el('span', { class: 'quiet' }, ' ', note) : null)];
}

function sky(view) {
  $('receiver').hidden = false;
  const number = (value, unit, digits) => (value === null ? '–' : value.toFixed(digits) + ' ' + unit);
  const counts = (found) => Object.keys(found).map((key) => key + ' ' + found[key]).join(', ') || '–';
  fill($('gps'),
    ...pair(t('gps.receiver'), [view.where, view.model].filter(Boolean).join(' · ')),
    ...pair(t('gps.fix'), view.mode, view.fix_age_s === null ? null : number(view.fix_age_s, 's', 0)),
    ...pair(t('gps.satellites'), (view.used === null ? '–' : view.used) + ' / ' + (view.in_view === null ? '–' : view.in_view)),
    ...pair(t('gps.place'), view.lat === null ? '–' : view.lat.toFixed(5) + ', ' + view.lon.toFixed(5), '± ' + number(view.acc_m, 'm', 0)),
    ...pair(t('gps.heard'), counts(view.heard)),
    ...pair(t('gps.rejected'), counts(view.rejected)),
    ...pair(t('gps.next'), view.why));
}

function queue() {
  fill($('tables'), ...TABLES.map((table) => el('button', {
    type: 'button',
    class: 'open',
    'aria-pressed': String(table === rows.table),
    onclick: () => {
      rows.table = table;
      behind(() => list(0));
    },
  }, t('queue.' + table))));
  fill($('rows'), ...(rows.list.length ? rows.list.map((row) => el('li', {},
    el('details', {},
      el('summary', {}, row.key + ' · ' + time(row.t, now()) + ' · ', said(row.what)),
      el('pre', {}, row.body)))) : [el('li', { class: 'quiet' }, t('queue.none'))]));
  const last = rows.list[rows.list.length - 1];
  fill($('further'), rows.more ? el('button', {
    type: 'button', class: 'wide', onclick: () => behind(() => list(last.key)),
  }, t('tech.more')) : null);
}

function settings() {
  const changed = $('changed').checked;
  const keys = Object.keys(config.settings).filter((key) => !changed || config.origin[key]);
  fill($('config'), ...[].concat(...keys.map((key) => pair(
    key, JSON.stringify(config.settings[key]), config.origin[key] || t('tech.config.default')))));
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
  if (inside) {
    queue();
    settings();
  }
}

recall();
translate();
$('language').addEventListener('click', () => {
  other();
  translate();
});
$('logout').addEventListener('click', () => behind(logout));
$('check').addEventListener('click', check);
$('changed').addEventListener('change', settings);
$('strip').addEventListener('click', () => {
  if (!inside) behind(enter);
});
watch((at) => {
  if (at !== null) ahead = at - Date.now();
  refresh();
});
behind(enter);
