import type { SimulationReport } from './run.js';
import type { AnswerKind } from './vendor/answer.js';
import { type Compared, notCompared } from './verify/compared.js';

/** Kinds of answers, in this order; that nobody was turned away for asking too often is always said. */
const ANSWERS: readonly AnswerKind[] = ['ok', 'rate_limited', 'refused', 'failed'];
const n = (value: number): string => value.toLocaleString('en-US');

/** The report in lines for people. */
export function formatReport(report: SimulationReport): string[] {
  const { sent, verify: v, workers } = report;
  const calls = Object.values(report.plots).reduce((sum, count) => sum + count, 0);
  const plots = Object.entries(report.plots)
    .sort((a, b) => b[1] - a[1])
    .map(([plot, count]) => `${plot} ${n(count)}`);
  const lines = [
    `run ${report.run} (seed ${report.seed}, chaos ${report.chaos}): ${n(calls)} calls, ${n(report.groups)} of them group calls, in ${(report.elapsed_ms / 1000).toFixed(1)} s`,
    `  meant to be: ${plots.join(', ')}`,
    `  callbacks: ${n(sent.acknowledged)} acknowledged, ${n(sent.refused)} refused, ${n(sent.retries)} tried again, ${n(sent.abandoned)} given up, ${n(sent.unexpected)} answered unexpectedly`,
  ];
  if (report.lost + report.recordings + report.channels > 0)
    lines.push(
      `  beside: ${n(report.lost)} calls without any callback, ${n(report.recordings)} recordings, ${n(report.channels)} times something in a channel`,
    );
  for (const [operation, kinds] of Object.entries(report.api)) {
    const answers = ANSWERS.flatMap((kind) =>
      kinds[kind] === undefined && kind !== 'rate_limited' ? [] : [`${kind} ${n(kinds[kind] ?? 0)}`],
    );
    lines.push(`  asked for ${operation}: ${answers.join(', ')}`);
  }
  if (workers)
    lines.push(
      `  workers: ${n(workers.timed_out)} timed out, ${n(workers.reopened)} reopened, ${n(workers.left)} left the state, ${n(workers.late)} late inputs`,
    );
  if (!v) return lines;
  const c = v.compared;
  lines.push(
    `compared: ${n(c.requests)} requests, ${n(c.calls)} calls (${n(v.timed_out_calls)} timed out, ${n(v.open_calls)} still open), ${n(c.legs)} legs, ${n(c.events)} events, ${n(c.dead_letters)} dead letters,`,
    `  ${n(c.rollup_cells)} rollup cells, ${n(c.concurrency_minutes)} concurrency minutes, ${n(c.missed_pairs)} missed pairs, ${n(c.revisions)} revisions on the topic, ${n(c.delivery_minutes)} delivery minutes`,
    ...polledLines(c),
    `  deliveries: received ${n(c.received)} = folded ${n(c.folded)} + duplicates ${n(c.duplicates)} + dead ${n(c.dead)}`,
  );
  const nothing = notCompared(c);
  if (nothing.length > 0)
    lines.push(`failed: nothing compared of ${nothing.join(', ')}; none of these figures may be zero, so run more calls`);
  lines.push(`${n(v.total)} differences`);
  lines.push(...v.first.map((text) => `  ${text}`));
  if (v.total > v.first.length) {
    lines.push(
      `  … in all: ${Object.entries(v.differences)
        .map(([kind, count]) => `${kind} ${n(count)}`)
        .join(', ')}`,
    );
  }
  return lines;
}

/** What was compared of sources that not every configuration has. */
function polledLines(c: Compared): string[] {
  const figures: [number | undefined, string][] = [
    [c.records, 'records'],
    [c.media_polls, 'media polls'],
    [c.recordings, 'recordings'],
    [c.call_recordings, 'calls beside a recording'],
    [c.channel_sessions, 'channel sessions'],
  ];
  const said = figures.flatMap(([count, what]) => (count === undefined ? [] : [`${n(count)} ${what}`]));
  return said.length === 0 ? [] : [`  of them ${said.join(', ')}`];
}
