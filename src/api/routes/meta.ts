import { z } from 'zod';
import { ANOMALIES, DEFINITIONS } from '../definitions.js';
import { noParams } from '../params.js';
import type { Query } from '../query.js';
import { DEFINITION } from '../records.js';
import { type AppRef, route } from '../route.js';

/** The configured apps and those that have calls, sorted. */
export async function readApps(query: Query, configured: readonly AppRef[]): Promise<AppRef[]> {
  const rows = await query('SELECT DISTINCT arrayJoin(t.groups.provider) AS provider, t.app_id AS app_id FROM metrics_minutes AS t', {});
  const seen = rows.map((row): AppRef => ({ provider: String(row.provider), app_id: String(row.app_id) }));
  const all = new Map(
    [...configured, ...seen].map((app) => [`${app.provider}:${app.app_id}`, { provider: app.provider, app_id: app.app_id }]),
  );
  return [...all.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, app]) => app);
}

const apps = route({
  path: '/api/v1/apps',
  operation: 'listApps',
  summary: 'Apps: those of the configuration, and those that have calls.',
  params: noParams,
  answer: z.strictObject({ apps: z.array(z.strictObject({ provider: z.string(), app_id: z.string() })) }),
  read: async ({ query, apps: configured }) => ({ apps: await readApps(query, configured) }),
});

const definitions = route({
  path: '/api/v1/definitions',
  operation: 'readDefinitions',
  summary: 'What every number and every anomaly means.',
  params: noParams,
  answer: z.strictObject({
    measures: z.record(z.string(), DEFINITION),
    anomalies: z.record(z.string(), z.string()),
  }),
  read: async () => ({ measures: DEFINITIONS, anomalies: { ...ANOMALIES } }),
});

export const META = [apps, definitions];
