// One run of the simulator: `node simulator-child.mjs CONFIG OPTIONS`, with SimulationOptions as JSON. Prints its report as one line of JSON.
const dist = new URL('../../dist/', import.meta.url);
const load = (path) => import(new URL(path, dist).href);
const { runSimulation } = await load('simulator/index.js');
const { loadConfig } = await load('config/index.js');
const { openVerification } = await load('cli/verification.js');
const { simulatedApps } = await load('cli/simulated-apps.js');
const { reachable } = await load('cli/parts.js');
const { systemClock } = await load('telemetry/clock.js');

const [file, options] = process.argv.slice(2);
const { config } = loadConfig({ file, env: process.env });
const verification = await openVerification(config, (line) => console.error(line));
try {
  const report = await runSimulation(JSON.parse(options), {
    ingest: `http://${reachable(config.ingest.host)}:${config.ingest.port}`,
    ...simulatedApps(config),
    sessions: config.sessions,
    clock: systemClock,
    verify: verification.deps,
  });
  console.log(JSON.stringify({ ...report, heap_bytes: process.memoryUsage().heapUsed }));
} finally {
  await verification.close();
}
