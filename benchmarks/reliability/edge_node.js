// An edge node of Sparkplug B by the makers' own client: `node edge_node.js URL`, commands as lines of JSON on stdin.
// Its births tell the present values. What it measures while it has no broker it keeps, and sends as historical, in pieces.
const sparkplug = require("sparkplug-client");
const [PIECE, PAUSE] = [4, 100]; // messages, and ms between two pieces
const say = (word) => process.stdout.write(`${word}\n`);
const metrics = (values, at, named, isHistorical) =>
  Object.entries(values).map(([name, [alias, type, value]]) => ({
    ...(named ? { name } : {}),
    ...(isHistorical ? { isHistorical } : {}),
    alias,
    type,
    value,
    timestamp: at,
    ...(named && name !== "State" ? { properties: { engUnit: { type: "String", value: "°C" } } } : {}),
  }));
const present = {}; // device -> its values, and when they were measured
const kept = [];
let connected = false;
const client = sparkplug.newClient({
  serverUrl: process.argv[2],
  username: "",
  password: "",
  groupId: "plant",
  edgeNode: "edge1",
  clientId: `edge-${process.pid}`,
  version: "spBv1.0",
  mqttOptions: { reconnectPeriod: 200 },
});
const bear = () => {
  client.publishNodeBirth({ timestamp: Date.now(), metrics: [] });
  for (const [device, { values, at }] of Object.entries(present))
    client.publishDeviceBirth(device, { timestamp: at, metrics: metrics(values, at, true) });
};
const learn = (devices, at) => {
  for (const [device, values] of Object.entries(devices)) present[device] = { values, at };
};
const send = (device, values, at, isHistorical, packed) =>
  client.publishDeviceData(
    device,
    { timestamp: at, metrics: metrics(values, at, false, isHistorical) },
    packed ? { compress: true, algorithm: packed } : undefined,
  );
const flush = () => {
  if (!connected || !kept.length) return;
  for (const [device, values, at] of kept.splice(0, PIECE)) send(device, values, at, true);
  setTimeout(flush, PAUSE);
};
client.on("connect", () => {
  connected = true;
  if (Object.keys(present).length) bear();
  setTimeout(flush, PAUSE);
  say("connected");
});
client.on("close", () => {
  connected = false;
  say("lost");
});
client.on("ncmd", (payload) => {
  if (payload.metrics.some((one) => one.name === "Node Control/Rebirth" && one.value)) {
    say("rebirth");
    bear();
  }
});
require("readline")
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const told = JSON.parse(line);
    if (told.birth) {
      learn(told.birth, told.at);
      bear();
    } else if (told.table)
      learn(told.table, told.at); // known, but not told: who listens must ask
    else if (told.data) {
      learn(told.data, told.at);
      for (const [device, values] of Object.entries(told.data))
        if (connected) send(device, values, told.at, false, told.packed);
        else kept.push([device, values, told.at]);
    } else if (told.gone) client.publishDeviceDeath(told.device, { timestamp: told.at, metrics: [] });
    say("done");
  });
