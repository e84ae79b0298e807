// What must be done once until the device can be relied on, and what of it is done.

import { el, fill, icon } from './dom.js';
import { t } from './i18n.js';

/** What can only be seen by people is kept in this browser. */
const KEPT = 'checklist ';

function kept(device, name) {
  try {
    return localStorage.getItem(KEPT + device + ' ' + name) === 'yes';
  } catch (error) { // storage is switched off: until the page is left
    return false;
  }
}

export function keep(device, name) {
  try {
    localStorage.setItem(KEPT + device + ' ' + name, 'yes');
  } catch (error) { /* it is asked again */ }
}

/** As [{name, done, values}]; `know` is {status, settings, pins, view, beacons}, the last two null where there are none. */
export function steps({ status, settings, pins, view, beacons }) {
  const well = (printer) => !printer.fault && (printer.state === 'ready' || printer.state === 'printing');
  const { device } = status;
  const found = [
    { name: 'link', done: status.link.up },
    { name: 'clock', done: status.clock !== 'none' },
  ];
  if (status.role === 'shop') found.push({ name: 'site', done: Boolean(status.site) });
  for (const printer of status.printers) {
    found.push({ name: 'printer', done: well(printer), values: printer });
    found.push({ name: 'paper', done: kept(device, 'paper ' + printer.name), values: printer, ask: 'paper ' + printer.name });
  }
  if (settings['sound.driver']) found.push({ name: 'sound', done: kept(device, 'sound'), ask: 'sound' });
  if (settings['position.driver']) found.push({ name: 'fix', done: Boolean(view) && view.lat !== null });
  if (settings['beacons.driver']) found.push({ name: 'beacons', done: Boolean(beacons && beacons.length) });
  if (status.rider) found.push({ name: 'consent', done: ['given', 'elsewhere'].includes(status.rider.consent) });
  if (settings['page.lan'] && settings['page.lan'] !== 'off') found.push({ name: 'pin', done: pins.includes('staff') });
  found.push({ name: 'technician', done: pins.includes('technician') });
  found.push({ name: 'health', done: !status.health.some(({ severity }) => severity !== 'info') });
  return found;
}

/** `confirmed(name)`: a person saw or heard it. */
export function render(box, know, confirmed) {
  const all = steps(know);
  const mark = JSON.stringify(all) + t('tech.title');
  if (box.mark === mark) return;
  box.mark = mark;
  fill(box, ...all.map(({ name, done, values, ask }) => el('li', { class: done ? 'fine' : 'open' },
    icon(done ? 'ok' : 'todo'),
    el('span', { class: 'unseen' }, t(done ? 'setup.done' : 'setup.open') + ': '),
    t('setup.' + name, values),
    !done && ask ? el('button', {
      type: 'button', class: 'plain', onclick: () => confirmed(ask),
    }, t('setup.yes')) : null)));
}
