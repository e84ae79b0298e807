// What a receiver and a scanner hear: satellites where they stand, sentences as they come, beacons by loudness.

import { el, fill, said } from './dom.js';
import { t } from './i18n.js';

const SVG = 'http://www.w3.org/2000/svg';
const LOUD = 35; // dB-Hz, from which a satellite is heard well
const FAINT = 20;

function shape(tag, attributes, text) {
  const node = document.createElementNS(SVG, tag);
  for (const name of Object.keys(attributes)) node.setAttribute(name, attributes[name]);
  if (text !== undefined) node.textContent = text;
  return node;
}

/** North is up, the horizon is the outer ring, straight up is the middle. */
function sky(satellites) {
  const picture = shape('svg', { viewBox: '-110 -110 220 220', class: 'sky', role: 'img' });
  const heard = satellites.filter(({ strength }) => strength);
  picture.setAttribute('aria-label', t('gps.sky', { n: satellites.length, heard: heard.length }));
  for (const radius of [100, 66.7, 33.3]) picture.append(shape('circle', { r: radius, class: 'ring' }));
  picture.append(shape('path', { d: 'M-100 0H100M0-100V100', class: 'ring' }));
  picture.append(shape('text', { x: 0, y: -101, class: 'north' }, 'N'));
  for (const one of satellites) {
    const angle = one.azimuth * Math.PI / 180;
    const out = 100 * (90 - one.elevation) / 90;
    const at = { x: out * Math.sin(angle), y: -out * Math.cos(angle) };
    const loud = !one.strength || one.strength < FAINT ? 'faint' : one.strength < LOUD ? 'fair' : 'loud';
    picture.append(shape('circle', { cx: at.x, cy: at.y, r: 8, class: 'star ' + loud + (one.used ? ' used' : '') }));
    picture.append(shape('text', { x: at.x, y: at.y + 2.8, class: 'name' }, one.name.split(' ').pop()));
  }
  return picture;
}

/** Nothing where the receiver does not say; many are asked not to, because it slows them down. */
export function renderSky(box, view) {
  const mark = JSON.stringify(view.sky) + t('tech.title');
  if (box.mark === mark) return;
  box.mark = mark;
  fill(box, view.sky.length ? sky(view.sky) : el('p', { class: 'quiet' }, t('gps.sky.none')));
}

export function renderLines(box, view) {
  const text = view.lines.join('\n');
  if (box.textContent !== text) box.textContent = text;
  box.hidden = !view.lines.length;
}

function beacon(row) {
  const bar = el('span', { class: 'bar' });
  bar.style.width = Math.max(4, Math.min(100, (row.rssi + 100) * 1.6)) + 'px';
  return el('tr', {},
    el('td', { class: 'level' }, row.rssi.toFixed(0) + ' dBm', bar),
    el('td', {}, said(row.place || '–'), row.margin_db === null ? '' : ' (' + (row.margin_db > 0 ? '+' : '') + row.margin_db + ' dB)'),
    el('td', {}, el('code', {}, row.address), el('br'), el('span', { class: 'quiet' }, said(row.identity || ''))),
    el('td', {}, row.age_s.toFixed(0) + ' s'));
}

export function renderBeacons(box, rows) {
  const heads = ['beacons.level', 'beacons.place', 'beacons.who', 'beacons.age'];
  fill(box,
    el('thead', {}, el('tr', {}, ...heads.map((key) => el('th', { scope: 'col' }, t(key))))),
    el('tbody', {}, ...(rows.length ? rows.map(beacon) : [el('tr', {}, el('td', { colspan: 4 }, t('beacons.none')))])));
}
