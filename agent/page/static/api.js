// The agent's command table over HTTP, and the stream that says when to ask again.

import { language } from './i18n.js';

const PATIENCE_MS = 15000;
export const LONG_MS = 90000; // the support file asks a dozen tools
const SILENCE_MS = 40000; // the stream says something every 15 s
const RETRY_MS = 3000;

/** `code` is the agent's reason; 'unreachable' when there was no answer. */
export class Problem extends Error {
  constructor(code, text) {
    super(text);
    this.code = code;
  }
}

export function read(name, params) {
  const query = new URLSearchParams(params || {}).toString();
  return ask('/api/' + name + (query ? '?' + query : ''), {});
}

let visitor = null; // who the agent says we are: {role, local, csrf, pins}

export async function me() {
  visitor = await read('me');
  return visitor;
}

/** A command is proved to come from this page; the proof is a new one after a restart. */
export async function command(name, params, patience) {
  if (!visitor) await me();
  try {
    return await post(name, params, patience);
  } catch (error) {
    if (error.code !== 'csrf') throw error;
    await me();
    return post(name, params, patience);
  }
}

function post(name, params, patience) {
  return ask('/api/' + name, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-CSRF': visitor.csrf },
    body: JSON.stringify(params || {}),
  }, patience);
}

async function ask(url, options, patience) {
  let response;
  let value;
  try {
    const headers = Object.assign({ 'X-Language': language() }, options.headers);
    response = await patiently(fetch(url, Object.assign({}, options, { headers })), patience);
    value = await patiently(response.json(), patience);
  } catch (error) {
    throw new Problem('unreachable', '');
  }
  if (!response.ok) throw new Problem(value.code, value.text);
  return value;
}

function patiently(promise, patience) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer')), patience || PATIENCE_MS);
    promise.then(resolve, reject).then(() => clearTimeout(timer));
  });
}

/**
 * Call `changed(now)` at every change and every 15 s, with the device's time where it is known. While there is no
 * stream it is called every few seconds instead, so that a page always comes back by itself.
 */
export function watch(changed) {
  let source;
  let heard;

  function open() {
    heard = Date.now();
    source = new EventSource('/api/events');
    source.onmessage = (event) => {
      heard = Date.now();
      const news = JSON.parse(event.data);
      changed(news.now); // also when only time went by: what waits grows older and more
    };
    source.onerror = () => changed(null);
  }

  open();
  setInterval(() => {
    const lost = source.readyState !== EventSource.OPEN;
    const silent = Date.now() - heard > SILENCE_MS;
    if (lost) changed(null);
    if (silent || source.readyState === EventSource.CLOSED) {
      source.close();
      open();
    }
  }, RETRY_MS);
}
