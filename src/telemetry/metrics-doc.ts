import { METRICS, type MetricDefinition } from './metrics.js';

/** docs/metrics.md. Written anew by `npx vitest run --project unit test/unit/telemetry-metrics-doc.test.ts -u`. */
export function metricsDocument(): string {
  const rows = Object.entries(METRICS as Record<string, MetricDefinition>).map(
    ([name, d]) => `| \`${name}\` | ${d.type} | ${d.labels.map((l) => `\`${l}\``).join(' ')} | ${d.help.replaceAll('|', '\\|')} |`,
  );
  return `# Metrics

Every process serves its metrics in Prometheus' text format at \`/metrics\` on its admin port (\`CALLSTREAM_ADMIN_PORT\`, 9090).
\`callstream up\` joins those of its children on its own admin port, by label \`role\`. The metrics of the Node.js process itself
(\`process_*\`, \`nodejs_*\`) are there too. Labels come from small fixed sets: never a call, a user or a secret.

This page is generated from src/telemetry/metrics.ts.

| metric | type | labels | meaning |
|---|---|---|---|
${rows.join('\n')}
`;
}
