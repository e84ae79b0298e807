// The shop as its staff see it: alert on top, one card an order, Accept.

import { byId, make, two, write } from "./dom.js";
import { ring } from "./sound.js";
import { getLanguage, say } from "./words.js";

const CARDS = 25;
const MANY = 8; // open orders; from there on one button accepts them all
const orders = new Map(); // id -> newest card data, in the order of arrival

export function takeOrders(changed) {
  for (const order of changed) orders.set(order.id, order);
  for (const id of orders.keys()) {
    if (orders.size <= 2500) break;
    orders.delete(id);
  }
}

function money(minor, currency) {
  const sign = currency === "CNY" ? "¥" : (currency || "") + " ";
  return sign + Math.floor(minor / 100) + "." + two(minor % 100);
}

function lineOf(item) {
  const line = make("li");
  const name = make("span", "", item.name);
  if (item.options && item.options.length) name.append(" ", make("small", "", item.options.join(", ")));
  line.append(make("b", "", item.qty + "×"), name);
  return line;
}

function cardOf(order, act) {
  const accepted = order.stage === "accepted";
  const card = make("article", "order" + (accepted ? " accepted" : ""));
  card.dataset.id = order.id;
  const head = make("header");
  head.append(make("b", "", "#" + order.number), make("span", "", order.platform));
  head.append(make("span", accepted ? "chip ok" : "chip warn", say(accepted ? "accepted" : "new")));
  const lines = make("ul", "lines");
  lines.append(...order.items.map(lineOf));
  card.append(head, lines);
  if (order.note) card.append(make("p", "note", order.note));
  const foot = make("footer");
  const words = [money(order.total, order.currency)];
  if (order.printed) words.push("✓ " + say("printed"));
  else if (order.held) words.push(say("held"));
  foot.append(make("span", "", words.join(" · ")));
  if (!accepted) {
    const button = make("button", "accept", say("accept"));
    button.type = "button";
    button.addEventListener("click", () => {
      button.disabled = true;
      act("accept", { order_id: order.id }).then((done) => { button.disabled = done; });
    });
    foot.append(button);
  }
  card.append(foot);
  return card;
}

export function showOrders(act) {
  const box = byId("orders");
  const known = [...orders.values()].filter((order) => order.at_shop);
  const open = known.filter((order) => order.stage !== "accepted");
  const done = known.filter((order) => order.stage === "accepted").reverse();
  const shown = [...open, ...done].slice(0, CARDS);
  const cards = shown.map((order) => cardOf(order, act));
  if (open.length > MANY) {
    const all = make("button", "all", say("accept_all", open.length));
    all.type = "button";
    all.addEventListener("click", () => { all.disabled = true; act("accept_all"); });
    cards.unshift(all);
  }
  if (!cards.length) cards.push(make("p", "empty", say("no_orders")));
  if (known.length > shown.length) cards.push(make("p", "more", say("more_orders", known.length - shown.length)));
  box.replaceChildren(...cards);
}

export function nameShop(shop) { write(byId("shop-name"), shop[getLanguage()]); }

export function showShop(status) {
  const cut = status.agents.some((agent) => agent.role === "shop" && agent.cut);
  const net = byId("shop-net");
  net.className = "chip " + (cut ? "warn" : "ok");
  write(net, say(cut ? "net_out" : "net_ok"));
  const hint = byId("waiting-orders");
  hint.hidden = status.orders.on_the_way === 0 || !cut;
  write(hint, say("waiting_orders", status.orders.on_the_way));
  showAlert(status.alerts);
}

function showAlert(alerts) {
  const box = byId("alert");
  const sos = alerts.some((alert) => alert.cause === "sos");
  box.hidden = alerts.length === 0;
  box.className = "alert ringing" + (sos ? " sos" : "");
  if (!alerts.length) return;
  write(byId("alert-title"), say(sos ? "sos_alert" : "ringing"));
  write(byId("alert-text"), sos ? say("sos_text") : say("ring_text", alerts.length));
  ring(sos ? "sos" : alerts[alerts.length - 1].cause, getLanguage());
}
