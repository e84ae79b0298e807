// Numbers and times as people write them. Money is shown, never computed.

import { language, t } from './i18n.js';

/** ¥ and not CN¥, where the browser can. */
function currencyFormat(currency) {
  try {
    return new Intl.NumberFormat(language(), { style: 'currency', currency, currencyDisplay: 'narrowSymbol' });
  } catch (error) {
    return new Intl.NumberFormat(language(), { style: 'currency', currency });
  }
}

/** 2350, 'CNY' -> ¥23.50; without a currency only the number. */
export function money(minor, currency) {
  try {
    const format = currencyFormat(currency);
    return format.format(minor / Math.pow(10, format.resolvedOptions().maximumFractionDigits));
  } catch (error) { // no currency, or none that exists: a stranger's field
    return (minor / 100).toFixed(2) + (currency ? ' ' + currency : '');
  }
}

/** 12:04, with the date when it was not within a day. */
export function time(ms, now) {
  const options = { hour: '2-digit', minute: '2-digit', hour12: false };
  if (Math.abs(now - ms) > 20 * 3600e3) Object.assign(options, { month: 'numeric', day: 'numeric' });
  return new Intl.DateTimeFormat(language(), options).format(new Date(ms));
}

/** 0:07, 12:30, then hours, then days. */
export function elapsed(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const h = Math.floor(s / 3600);
  if (h >= 48) return t('time.days', { n: Math.floor(h / 24) });
  const rest = Math.floor((s % 3600) / 60);
  if (h) return t('time.hours', { h, m: rest });
  return rest + ':' + String(s % 60).padStart(2, '0');
}
