// An edge node of Sparkplug B by the makers' own client: `node edge_node.js URL`, commands as lines of JSON on stdin.
const sparkplug = require("sparkplug-client");
const say = (word) => process.stdout.write(`${word}\n`);
const metrics = (values, at, named) =>
  Object.entries(values).map(([name, [alias, type, value]]) => ({
    ...(named ? { name } : {}),
    alias,
    type,
    value,
    timestamp: at,
    ...(named && name !== "State" ? { properties: { engUnit: { type: "String", value: "°C" } } } : {}),
  }));
let births = {};
let births_at = 0;
const client = sparkplug.newClient({
  serverUrl: process.argv[2],
  username: "",
  password: "",
  groupId: "plant",
  edgeNode: "edge1",
  clientId: `edge-${process.pid}`,
  version: "spBv1.0",
});
const bear = () => {
  client.publishNodeBirth({ timestamp: Date.now(), metrics: [] });
  for (const [device, values] of Object.entries(births))
    client.publishDeviceBirth(device, { timestamp: births_at, metrics: metrics(values, births_at, true) });
};
client.on("connect", () => say("connected"));
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
      births = told.birth;
      births_at = told.at;
      bear();
    } else if (told.table) {
      births = told.table; // known, but not told: who listens must ask
      births_at = told.at;
    } else if (told.data)
      client.publishDeviceData(
        told.device,
        { timestamp: told.at, metrics: metrics(told.data, told.at, false) },
        told.packed ? { compress: true, algorithm: told.packed } : undefined,
      );
    else if (told.gone) client.publishDeviceDeath(told.device, { timestamp: told.at, metrics: [] });
    say("done");
  });
