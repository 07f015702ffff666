import { Option } from 'commander';
import type { Config } from '../../config/index.js';
import { CHAOS_LEVELS, type ChaosLevel, formatReport, notCompared, runSimulation } from '../../simulator/index.js';
import { systemClock } from '../../telemetry/clock.js';
import { EXIT } from '../exit.js';
import { type Io, line } from '../io.js';
import { openClickHouse, reachable } from '../parts.js';
import type { Register } from '../program.js';
import { startProgress } from '../progress.js';
import { simulatedApps } from '../simulated-apps.js';
import { endWithSupervisor } from '../supervise/lifeline.js';
import { openVerification } from '../verification.js';
import { type ConfigOption, loadForClient, withConfig } from './options.js';
import { count, duration, positive } from './parse.js';

interface SimulateOptions extends ConfigOption {
  rate?: number;
  calls?: number;
  for?: number;
  history?: number;
  outage?: number;
  seed: string;
  chaos: ChaosLevel;
  verify?: boolean;
}

/** In logs; a person sees the bar move. */
const LINE_EVERY_MS = 10_000;

export const simulate: Register = (program, action) => {
  withConfig(
    program
      .command('simulate')
      .summary('play the vendor: send callbacks, serve the polled APIs, and check the results')
      .description(
        'Plays the vendors: sends callbacks of realistic calls, single and group, with every outcome, of recordings and of channels, and serves the polled APIs on every endpoint of the configuration that is plain HTTP on this machine. It keeps the truth, and with --verify compares every call, leg, event, dead letter and rollup in ClickHouse with it.',
      )
      .option('--rate <calls-per-second>', 'in real time (default: 5, unless --calls is given alone)', positive)
      .option('--calls <n>', 'so many calls; alone, as fast as they are taken, with the vendor’s clock running faster', count)
      .option('--for <duration>', 'so long, for example 10m', duration)
      .option('--history <duration>', 'in real time, begin with so much of the past: from the last call on, if that is later', duration)
      .option('--outage <duration>', 'nobody reaches the polled APIs for so long', duration)
      .option('--seed <seed>', 'same seed, same calls', '1')
      .addOption(
        new Option('--chaos <level>', 'duplicates, reordering, losses, odd ids and values, garbage, failing APIs')
          .choices(CHAOS_LEVELS)
          .default('none'),
      )
      .option('--verify', 'wait until all is settled, then compare with the truth'),
  )
    .addHelpText(
      'after',
      `
Without --calls and --for it goes on until Ctrl-C.
What an app has in the configuration is played: records and cloudApi are served, recordings are made with a tiwCallbackKey, an aliyun app has channels and its
log of pushes. With --chaos hard every callback of 2% of the calls is lost, where the records are served.
The outage begins a third into a run with --rate or --for; with --calls alone it comes after the callbacks, while --verify waits.
With --verify the exit code is 1 when there is any difference or any compared figure is zero; settle and ringTimeout are waited for, so it takes some minutes.

Examples:
  $ callstream simulate                                    5 calls a second, for ever
  $ callstream simulate --calls 20000 --chaos hard --verify
  $ callstream simulate --rate 50 --for 10m --seed monday
  $ callstream simulate --rate 20 --for 30m --outage 5m --chaos hard --verify
  $ callstream simulate --rate 1.5 --history 1h            what \`callstream up --simulate\` does`,
    )
    .action(action(runSimulate));
};

async function runSimulate(io: Io, options: SimulateOptions): Promise<number> {
  endWithSupervisor(io.env);
  const { config } = loadForClient(io, options);
  const progress = startProgress(io, 'calls', options.calls ?? null);
  let nextLine = LINE_EVERY_MS;
  const verify = options.verify === true ? await openVerification(config, (text) => io.err(`${text}\n`)) : null;
  try {
    const report = await runSimulation(
      {
        seed: options.seed,
        chaos: options.chaos,
        ...(options.calls === undefined ? {} : { calls: options.calls }),
        ...(options.rate === undefined ? {} : { rate: options.rate }),
        ...(options.for === undefined ? {} : { forMs: options.for }),
        ...(options.outage === undefined ? {} : { outageMs: options.outage }),
        ...(options.history === undefined ? {} : { historyMs: await missingHistory(config, options.history) }),
        verify: verify !== null,
      },
      {
        ingest: `http://${reachable(config.ingest.host)}:${config.ingest.port}`,
        ...simulatedApps(config),
        sessions: config.sessions,
        clock: systemClock,
        signal: io.signal,
        onProgress: (p) => {
          if (!io.interactive && p.elapsed_ms < nextLine) return;
          nextLine = p.elapsed_ms + LINE_EVERY_MS;
          progress.update(p.calls, `${p.settled} callbacks answered`);
          if (p.total !== null && p.calls >= p.total) progress.end();
        },
        ...(verify === null ? {} : { verify: verify.deps }),
      },
    );
    progress.end();
    for (const text of formatReport(report)) line(io, text);
    const wrong = report.sent.unexpected + (report.verify === null ? 0 : report.verify.total + notCompared(report.verify.compared).length);
    return wrong > 0 ? EXIT.failure : EXIT.ok;
  } finally {
    progress.end();
    await verify?.close();
  }
}

/** How much of the wanted history is not there: the time since the last call began, so that a restart goes on where the last run ended. */
async function missingHistory(config: Config, wantedMs: number): Promise<number> {
  const clickhouse = openClickHouse(config);
  try {
    const now = systemClock.now();
    const [row] = await clickhouse.query<{ last: number | string }>(
      `SELECT toUnixTimestamp64Milli(max(started_at)) AS last FROM calls
       WHERE app_id IN {apps:Array(String)} AND started_at > fromUnixTimestamp64Milli({from:Int64}) AND started_at <= fromUnixTimestamp64Milli({now:Int64})`,
      { apps: config.apps.map((app) => app.appId), from: now - wantedMs, now },
    );
    return Math.min(wantedMs, Math.max(0, now - Number(row?.last ?? 0)));
  } finally {
    await clickhouse.close();
  }
}
