// What passes the broker, newest first, and never more lines than one can read.

import { byId, clockTime, make, write } from "./dom.js";
import { say } from "./words.js";

const LINES = 60;

let seen = 0;

export function countWire(total) {
  seen = total === undefined ? seen : total;
  write(byId("wire-note"), say("wire_note", seen));
}

export function showWire(messages, total) {
  const list = byId("wire");
  for (const message of messages.slice(-LINES)) {
    const line = make("li", [message.up ? "up" : "down", message.late ? "late" : "", /\/sos$/.test(message.topic) ? "sos" : ""].join(" "));
    line.append(
      make("time", "", clockTime(message.t)),
      make("span", "arrow", message.up ? "↑" : "↓"),
      make("span", "topic", message.topic),
      make("span", "body", message.text),
    );
    list.prepend(line);
  }
  while (list.childElementCount > LINES) list.lastElementChild.remove();
  countWire(total);
}
