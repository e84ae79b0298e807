// One stream of frames comes in, every frame holds what changed; buttons go out as POST /do.

import { byId, make, write } from "./dom.js";
import { Town } from "./map.js";
import { nameShop, showOrders, showShop, takeOrders } from "./panel.js";
import { showTickets, clearTickets } from "./paper.js";
import { turnOn } from "./sound.js";
import { countWire, showWire } from "./wire.js";
import { getLanguage, say, setLanguage } from "./words.js";

const GLYPHS = {
  shop: "M4 10v10h16V10M3 10l2-6h14l2 6a3 3 0 0 1-6 0 3 3 0 0 1-6 0 3 3 0 0 1-6 0zM10 20v-5h4v5",
  rider: "M5 17a3 3 0 1 0 6 0 3 3 0 0 0-6 0M15 17a3 3 0 1 0 6 0 3 3 0 0 0-6 0M8 17l4-7h4l2 7M14 6h2l1 4M4 10h5v4H4z",
};
const town = new Town(byId("map"));
let status = null;
let shop = null;
let lastNote = null;
let captionTimer = 0;

function act(what, more) {
  const body = JSON.stringify(Object.assign({ do: what }, more || {}));
  const headers = { "content-type": "application/json" };
  return fetch("/api/do", { method: "POST", headers, body })
    .then((answer) => answer.json())
    .then((answer) => {
      if (!answer.ok) caption({ word: "n_refused", values: [answer.error], mood: "bad" });
      return answer.ok;
    })
    .catch(() => false);
}

function caption(note) {
  const box = byId("caption");
  lastNote = note;
  write(box, say(note.word, ...note.values));
  box.className = "caption show " + note.mood;
  clearTimeout(captionTimer);
  captionTimer = setTimeout(() => { box.className = "caption"; }, 6500);
}

function glyph(role) {
  const ns = "http://www.w3.org/2000/svg";
  const box = make("span", "glyph");
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  const path = document.createElementNS(ns, "path");
  path.setAttribute("d", GLYPHS[role]);
  svg.append(path);
  box.append(svg);
  return box;
}

function chipsOf(agent) {
  const chips = [];
  if (agent.pid === null) chips.push(["bad", say("dead")]);
  else if (agent.state === "online") chips.push(["ok", say("online")]);
  else if (agent.state === null) chips.push(["", say("starting")]);
  else chips.push([agent.state === "lost" ? "bad" : "warn", say(agent.state === "lost" ? "lost_state" : "offline")]);
  if (agent.cut) chips.push(["warn", say("cable_out")]);
  if (agent.backlog > 0) chips.push(["warn", say("backlog", agent.backlog)]);
  if (agent.kills > 0) chips.push(["", say("killed", agent.kills)]);
  return chips;
}

function showDevices(agents) {
  const box = byId("devices");
  for (const agent of agents) {
    let card = box.querySelector("[data-id='" + agent.role + "']");
    if (!card) {
      card = make("article", "device");
      card.dataset.id = agent.role;
      const kill = make("button", "kill");
      kill.type = "button";
      kill.addEventListener("click", () => act("kill", { role: agent.role }));
      const name = make("h3");
      name.append(make("span"), make("small"));
      card.append(glyph(agent.role), name, make("p"), kill);
      box.append(card);
    }
    write(card.querySelector("h3 span"), say(agent.role));
    write(card.querySelector("h3 small"), agent.id + (agent.pid === null ? "" : " · pid " + agent.pid));
    const line = chipsOf(agent).map((chip) => make("span", "chip " + chip[0], chip[1]));
    card.querySelector("p").replaceChildren(...line);
    const kill = card.querySelector(".kill");
    write(kill, say("kill"));
    kill.disabled = agent.pid === null;
  }
}

function showStatus(next) {
  status = next;
  const count = next.counters;
  write(byId("n-recorded"), count.recorded);
  write(byId("n-received"), count.received);
  write(byId("n-waiting"), count.waiting);
  byId("n-waiting").className = count.waiting > 20 ? "some" : "";
  write(byId("n-lost"), count.lost);
  write(byId("n-duplicated"), count.printed_twice);
  byId("n-lost").parentElement.classList.toggle("bad", count.lost > 0);
  byId("n-duplicated").parentElement.classList.toggle("bad", count.printed_twice > 0);
  showDevices(next.agents);
  showShop(next);
  const cut = next.agents.some((agent) => agent.cut);
  byId("do-cut").classList.toggle("on", cut);
  write(byId("do-cut").querySelector("b"), say(cut ? "do_restore" : "do_cut"));
  const fault = next.printer.fault;
  byId("do-paper").classList.toggle("on", fault === "paper_out");
  write(byId("do-paper").querySelector("b"), say(fault === "paper_out" ? "do_refill" : "do_paper"));
  byId("printer-light").classList.toggle("fault", fault !== null);
  write(byId("printer-state"), fault === null ? say("printer_ok") : fault === "paper_out" ? say("printer_paper_out") : say("printer_fault", fault));
  write(byId("n-printed"), next.printer.printed);
  const off = next.position;
  write(byId("off-by"), off.now === null ? "–" : off.now.toFixed(1) + " m");
  write(byId("off-stats"), off.count > 20 ? say("off_stats", off.p50.toFixed(1), off.p95.toFixed(1)) : "");
  write(byId("off-cost"), off.fixes > 0 ? say("off_cost", off.told, off.fixes) : "");
}

function showRider(rider) {
  town.rider(rider);
  write(byId("do-sos").querySelector("b"), say(rider.sos ? "do_sos_end" : "do_sos"));
}

function onFrame(frame) {
  if (frame.hello) {
    shop = frame.hello.town.shop;
    nameShop(shop);
    town.lay(frame.hello.town);
    clearTickets();
    byId("orders").replaceChildren();
    byId("wire").replaceChildren();
  }
  if (frame.orders) takeOrders(frame.orders);
  if (frame.status) showStatus(frame.status);
  if (frame.orders || frame.hello) showOrders(act);
  if (frame.rider) showRider(frame.rider);
  if (frame.trail) town.extend(frame.trail);
  if (frame.tickets) showTickets(frame.tickets, Boolean(frame.hello));
  if (frame.wire) showWire(frame.wire, frame.wire_total);
  if (frame.notes && !frame.hello) frame.notes.forEach(caption);
}

function listen() {
  const stream = new EventSource("/api/frames");
  const light = byId("live");
  stream.onopen = () => { light.className = "live"; write(light, say("live")); };
  stream.onerror = () => { light.className = "live off"; write(light, say("not_live")); };
  stream.onmessage = (message) => onFrame(JSON.parse(message.data));
}

function relabel() {
  setLanguage(getLanguage());
  write(byId("lang"), getLanguage() === "zh" ? "EN" : "中文");
  write(byId("live"), say("live"));
  if (lastNote) write(byId("caption"), say(lastNote.word, ...lastNote.values));
  if (shop) nameShop(shop);
  if (status) showStatus(status);
  countWire();
  showOrders(act);
  town.redraw();
}

byId("lang").addEventListener("click", () => {
  setLanguage(getLanguage() === "zh" ? "en" : "zh");
  relabel();
});
byId("do-cut").addEventListener("click", () => act(byId("do-cut").classList.contains("on") ? "restore" : "cut"));
byId("do-paper").addEventListener("click", () => act(byId("do-paper").classList.contains("on") ? "refill" : "paper_out"));
byId("do-order").addEventListener("click", () => act("order"));
byId("do-rush").addEventListener("click", () => act("rush"));
byId("do-sos").addEventListener("click", () => act("sos"));
byId("do-ack").addEventListener("click", () => act("heard"));
byId("start").addEventListener("click", () => { turnOn(); act("start"); byId("welcome").close(); });

relabel();
listen();
if (byId("welcome").showModal) byId("welcome").showModal();
else byId("welcome").setAttribute("open", "");
