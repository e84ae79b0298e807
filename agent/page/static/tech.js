// The technician's page: what is set up, checks, tests, radio, what waits, log and settings, behind the PIN.

import { command, LONG_MS, me, Problem, read, watch } from './api.js';
import * as checklist from './checklist.js';
import { choose, show } from './dialog.js';
import { el, fill, icon, said } from './dom.js';
import * as editor from './editor.js';
import { time } from './format.js';
import { has, language, other, recall, t } from './i18n.js';
import { login, logout } from './login.js';
import * as radio from './radio.js';
import * as strip from './status.js';
import * as tail from './tail.js';
import { toast } from './toast.js';

const TABLES = ['critical', 'state', 'telemetry', 'poison'];
const LOOK_MS = 2000;
const CHECK_MS = 60000;
const TOAST_MS = 6000;

const state = { status: null, reachable: null, problem: null, seen: null, now: Date.now() };
const rows = { table: 'critical', list: [], more: false };
const found = { view: null, beacons: null, pins: [] };
let config = null;
let inside = false;
let looking = false;
let ahead = 0;
let findings = null;

const $ = (id) => document.getElementById(id);

function now() {
  return Date.now() + ahead;
}

// --- asking ----------------------------------------------------------------------------------------

/** Run `ask` behind the PIN: where the agent wants one, it is asked for first. */
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
  found.pins = (await me()).pins;
  inside = true;
  $('bench').hidden = false;
  await Promise.all([refresh(), list(0), editor.open($('editor'), behind)]);
  settings();
  check();
  if (!looking) look();
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
  const answer = await read('queue.list', { table: rows.table, after });
  rows.list = after ? rows.list.concat(answer.rows) : answer.rows;
  rows.more = answer.more;
  queue();
}

let checking = false;

async function check() {
  if (checking) return;
  checking = true;
  $('check').setAttribute('aria-busy', 'true');
  if (!findings) fill($('checks'), el('li', {}, t('tech.checking')));
  const answer = await behind(() => read('doctor'));
  $('check').removeAttribute('aria-busy');
  checking = false;
  if (!Array.isArray(answer)) return;
  findings = answer;
  checks();
}

/** What a command says, or null where the device has none of it. */
async function maybe(name, params) {
  try {
    return await read(name, params);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return null;
  }
}

/** What changes by itself, for as long as somebody looks. */
async function look() {
  looking = true;
  if (inside && !document.hidden) {
    if (config.settings['position.driver']) found.view = await maybe('gps.view');
    if (config.settings['beacons.driver']) {
      const answer = await maybe('beacons.view');
      found.beacons = answer && answer.beacons;
    }
    const log = await maybe('log.tail', { after: tail.after() });
    $('logging').hidden = !log;
    if (log) tail.render($('log'), log, now(), $('follow').checked);
    receiver();
    setup();
  }
  setTimeout(look, LOOK_MS);
}

// --- showing ---------------------------------------------------------------------------------------

function render() {
  state.now = now();
  strip.render($('strip'), $('standing'), state);
  document.title = t('tech.title');
  if (!state.status) return;
  const { device, site, agent } = state.status;
  $('device').textContent = [device, site, agent].filter(Boolean).join(' · ');
  tests(state.status.printers);
  setup();
}

function setup() {
  if (!inside || !state.status) return;
  const { device } = state.status;
  const know = Object.assign({ status: state.status, settings: config.settings }, found);
  checklist.render($('setup'), know, (name) => {
    checklist.keep(device, name);
    setup();
  });
}

function checks() {
  if (!findings) return;
  fill($('checks'), ...findings.map(({ check: name, ok, text, since }) => el('li', { class: ok ? 'fine' : 'faulty' },
    icon(ok ? 'ok' : 'bad'), el('strong', {}, has('check.' + name) ? t('check.' + name) : name), ' ',
    el('span', {}, said(text)),
    since && !ok ? el('span', { class: 'quiet' }, ' (' + t('strip.since', { time: time(since, now()) }) + ')') : null)));
  $('checked').textContent = t('tech.checked', { time: time(now(), now()) });
}

function tests(printers) {
  const box = $('tests');
  const mark = JSON.stringify([printers.map(({ name }) => name), language(), inside]);
  if (box.mark === mark) return;
  box.mark = mark;
  const button = (text, run) => el('button', {
    type: 'button',
    onclick: async (event) => {
      const pressed = event.currentTarget;
      if (pressed.hasAttribute('aria-busy')) return;
      pressed.setAttribute('aria-busy', 'true');
      await behind(run);
      pressed.removeAttribute('aria-busy');
    },
  }, text);
  const page = (name) => async () => {
    await command('printer.test', { printer: name });
    await confirmed(t('tech.seen', { name }), 'paper ' + name);
  };
  const sound = async () => {
    toast(String(await command('sound.test', {})), 'ok');
    await confirmed(t('tech.heard'), 'sound');
  };
  const again = async () => {
    const { handled, again: left } = await command('queue.retry', {});
    toast(t('tech.retried', { handled, left }), 'ok');
    await list(0);
  };
  fill(box,
    ...[].concat(...printers.map(({ name }) => [
      button(t('tech.test.printer', { name }), page(name)),
      button(t('tech.test.bytes', { name }), () => bytes(name)),
    ])),
    config && config.settings['sound.driver'] ? button(t('tech.test.sound'), sound) : null,
    button(t('tech.test.retry'), again));
}

/** Only people can say whether paper came out or a sound was heard. */
async function confirmed(question, name) {
  const yes = await choose(question, [{ value: true, text: t('tech.yes'), style: 'go' }, { value: false, text: t('tech.no') }]);
  if (yes) checklist.keep(state.status.device, name);
  if (yes === false) check();
  setup();
}

async function bytes(name) {
  const dump = await read('printer.bytes', { printer: name });
  show(t('tech.bytes.title', { name, order: dump.order_id }),
    dump.missing ? el('p', { class: 'wrong' }, t('tech.bytes.missing'), ' ', said(dump.missing)) : '',
    el('pre', { class: 'raw tall', tabindex: '0', role: 'region', 'aria-label': t('tech.bytes.title', { name, order: dump.order_id }) }, hex(dump.bytes)));
}

/** The agent hands it over as text; the browser makes a file of it. */
async function bundle() {
  const button = $('bundle');
  if (button.hasAttribute('aria-busy')) return;
  button.setAttribute('aria-busy', 'true');
  try {
    const { name, data } = await command('bundle.make', {}, LONG_MS);
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: 'application/gzip' }));
    el('a', { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), TOAST_MS);
    toast(t('tech.bundle.done', { name }), 'ok');
  } finally {
    button.removeAttribute('aria-busy');
  }
}

/** Sixteen a line: where, in hex, as text. */
function hex(digits) {
  const lines = [];
  for (let at = 0; at < digits.length; at += 32) {
    const pairs = digits.slice(at, at + 32).match(/../g);
    const text = pairs.map((pair) => {
      const code = parseInt(pair, 16);
      return code > 31 && code < 127 ? String.fromCharCode(code) : '.';
    });
    lines.push((at / 2).toString(16).padStart(5, '0') + '  ' + pairs.join(' ').padEnd(48) + ' ' + text.join(''));
  }
  return lines.join('\n');
}

function pair(name, value, note) {
  return [el('dt', {}, name), el('dd', {}, said(value), note ? el('span', { class: 'quiet' }, ' ', note) : null)];
}

function receiver() {
  const { view, beacons } = found;
  $('receiver').hidden = !view;
  $('beacons').hidden = !beacons;
  if (beacons) radio.renderBeacons($('heard'), beacons);
  if (!view) return;
  const number = (value, unit, digits) => (value === null ? '–' : value.toFixed(digits) + ' ' + unit);
  const counts = (kinds) => Object.keys(kinds).map((key) => key + ' ' + kinds[key]).join(', ') || '–';
  fill($('gps'),
    ...pair(t('gps.receiver'), [view.where, view.model].filter(Boolean).join(' · ')),
    ...pair(t('gps.fix'), has('gps.mode.' + view.mode) ? t('gps.mode.' + view.mode) : view.mode, view.fix_age_s === null ? null : number(view.fix_age_s, 's', 0)),
    ...pair(t('gps.satellites'), (view.used === null ? '–' : view.used) + ' / ' + (view.in_view === null ? '–' : view.in_view)),
    ...pair(t('gps.place'), view.lat === null ? '–' : view.lat.toFixed(5) + ', ' + view.lon.toFixed(5), '± ' + number(view.acc_m, 'm', 0)),
    ...pair(t('gps.heard'), counts(view.heard)),
    ...pair(t('gps.rejected'), counts(view.rejected)),
    ...pair(t('gps.next'), view.why));
  radio.renderSky($('sky'), view);
  radio.renderLines($('lines'), view);
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
  if (!inside) return;
  queue();
  settings();
  editor.render($('editor'), behind);
  checks();
  receiver();
}

recall();
translate();
$('language').addEventListener('click', () => {
  other();
  translate();
  refresh();
  if (inside) check();
});
$('logout').addEventListener('click', () => behind(logout));
$('check').addEventListener('click', check);
$('bundle').addEventListener('click', () => behind(bundle));
$('changed').addEventListener('change', settings);
$('strip').addEventListener('click', () => {
  if (!inside) behind(enter);
});
watch((at) => {
  if (at !== null) ahead = at - Date.now();
  refresh();
});
setInterval(() => {
  if (inside && !document.hidden && state.reachable) check();
}, CHECK_MS);
behind(enter);
