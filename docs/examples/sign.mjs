// A signed command, with what comes with Node: prints the topic and the payload to publish there.
//
//   node sign.mjs KEYFILE KID DEVICE COMMAND '{"status":"busy"}'
//
// KEYFILE holds the 32 secret bytes as hex, as `edge-agent fleet keygen` writes them.
import crypto from "node:crypto";
import fs from "node:fs";

const [keyFile, kid, device, name, params = "{}"] = process.argv.slice(2);
const seed = Buffer.from(fs.readFileSync(keyFile, "ascii").trim(), "hex");
const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]); // RFC 8410
const key = crypto.createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });

const now = Date.now();
const cmdId = crypto.randomBytes(8).toString("hex");
const req = JSON.stringify({
  aud: device,
  seq: now, // rises with each request of this key
  iat: now,
  exp: now + 10 * 60_000,
  name,
  cmd_id: cmdId,
  params: JSON.parse(params),
});
const signature = crypto.sign(null, Buffer.from(`edge-agent/v1 cmd ${kid}\n${req}`), key);
const payload = JSON.stringify({ kid, req, sig: signature.toString("base64url") });
console.log(JSON.stringify({ topic: `edge/v1/${device}/cmd/${name}/${cmdId}`, payload }));
