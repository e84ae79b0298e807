// The back end's side in JavaScript: keeps every event once, then acknowledges it.
//
//   node consumer.mjs HOST PORT FILE
//
// Each line of FILE is an event with its device. Needs: npm install mqtt@5
import fs from "node:fs";
import zlib from "node:zlib";
import mqtt from "mqtt";

const [host, port, path] = process.argv.slice(2);
const upto = new Map(); // "device epoch stream" -> everything up to this number is in the file
const known = (key) => upto.get(key) ?? 0;

// Those of a message; a batch holds one a line.
function events(topic, payload, contentType) {
  if (topic[3] === "evt") return [{ ...JSON.parse(payload), kind: topic[4] }];
  const text = contentType === "application/x-ndjson+zlib" ? zlib.inflateSync(payload) : payload;
  return text.toString("utf8").split("\n").map((line) => JSON.parse(line));
}

// Whether it is in the file now; false behind a hole: it comes again.
function keep(file, device, event) {
  const key = `${device} ${event.epoch} ${event.stream}`;
  const first = event.kind === "gap" ? event.body.from : event.seq;
  if (event.seq <= known(key)) return true;
  if (first > known(key) + 1) return false;
  fs.writeSync(file, JSON.stringify({ device, ...event }) + "\n");
  upto.set(key, event.seq);
  return true;
}

function onMessage(client, file, name, payload, packet) {
  const topic = name.split("/");
  const device = topic[2];
  if (topic[3] === "state") {
    const state = JSON.parse(payload.length ? payload : "{}");
    for (const [stream, stood] of Object.entries(state.streams ?? {})) {
      const key = `${device} ${state.epoch} ${stream}`;
      upto.set(key, Math.max(known(key), stood.first_unacked - 1));
    }
    return;
  }
  const kept = new Map();
  for (const event of events(topic, payload, packet.properties?.contentType))
    if (keep(file, device, event)) kept.set(event.stream, event.epoch);
  fs.fsyncSync(file); // kept means kept: also after a power cut
  for (const [stream, epoch] of kept) {
    const ack = { epoch, seq: known(`${device} ${epoch} ${stream}`) };
    client.publish(`edge/v1/${device}/ack/${stream}`, JSON.stringify(ack), { qos: 1 });
  }
}

if (fs.existsSync(path))
  for (const line of fs.readFileSync(path, "utf8").split("\n").filter(Boolean)) {
    const event = JSON.parse(line);
    upto.set(`${event.device} ${event.epoch} ${event.stream}`, event.seq);
  }
const file = fs.openSync(path, "a");
const client = mqtt.connect(`mqtt://${host}:${port}`, {
  protocolVersion: 5,
  clientId: "consumer-js",
  clean: false,
  properties: { sessionExpiryInterval: 7 * 86400 },
});
client.on("connect", () =>
  client.subscribe(["state", "evt/+", "batch/+"].map((t) => `edge/v1/+/${t}`), { qos: 1 }),
);
client.on("message", (...message) => onMessage(client, file, ...message));
