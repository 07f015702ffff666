import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClickHouse } from '../../src/clickhouse/index.js';
import { alertRules, dashboards, expand, type Scope } from '../support/grafana.js';
import { fillWithSample, SAMPLE } from '../support/sample-data.js';
import { queriesOf, withAnswers } from '../support/sql-document.js';
import { useStack } from '../support/stack.js';

/*
 * Every query that readers are given, on the tables as `migrate` makes them, filled with the sample: of documents, of Grafana's panels, variables and
 * alerts. All are asked read-only and within limits, as Grafana's user is (deploy/clickhouse/users.d).
 *
 * Where an answer in a document has rightly changed: npx vitest run --project integration test/integration/readers.test.ts -u
 */
const server = useStack(['clickhouse']);
let writer: ClickHouse;
let reader: ClickHouse;

beforeAll(async () => {
  const options = { url: server.clickhouseUrl, username: 'default', password: '', database: 'callstream' };
  writer = new ClickHouse(options);
  reader = new ClickHouse({ ...options, readOnly: true });
  await fillWithSample(writer);
  // Nobody watches the sample: one alert that has resolved, one that fires.
  const fired = (hour: number): string => `fromUnixTimestamp64Milli(${SAMPLE.from + hour * 3_600_000})`;
  const alert = (app: string, state: string, at: string, resolved: string): string =>
    `('${app}', 'missed-rate', 'tencent', '${app}', '${state}', 'missed-rate', 0.4, 50, 0.3, 900000, ${at}, ${resolved}, false, 1)`;
  await writer.command(
    'INSERT INTO alert_rows (alert_id, rule, provider, app_id, state, metric, value, n, threshold, window_ms, fired_at, resolved_at, silenced, version) ' +
      `VALUES ${alert(SAMPLE.apps.video, 'resolved', fired(9), fired(10))}, ${alert(SAMPLE.apps.support, 'firing', fired(12), 'NULL')}`,
  );
});
afterAll(async () => {
  await Promise.all([writer?.close(), reader?.close()]);
});

const document = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
type Row = Record<string, unknown>;

describe('documents', () => {
  test.each(['docs/cookbook.md', 'docs/glossary.md'])('%s has the answers that its queries give', async (name) => {
    const text = document(name);
    expect(queriesOf(text).length).toBeGreaterThan(5);
    await expect(await withAnswers(text, (sql) => reader.query<Row>(sql))).toMatchFileSnapshot(`../../${name}`);
  });

  test('the cookbook has twenty questions, each with a query', () => {
    const questions = document('docs/cookbook.md').split(/^### /m).slice(1);
    expect(questions).toHaveLength(20);
    for (const question of questions) expect(queriesOf(question), question.split('\n', 1)[0]).toHaveLength(1);
  });

  test.each(['README.md', 'docs/clickhouse.md'])('%s has queries that run', async (name) => {
    const queries = queriesOf(document(name));
    expect(queries.length).toBeGreaterThan(0);
    for (const sql of queries) await reader.query<Row>(sql);
  });
});

describe('Grafana', () => {
  const range = { from: SAMPLE.from, to: SAMPLE.to, step: 900 };
  let scope: Scope;

  /** Every value of every variable is chosen, as with "All"; of those that take one value, the first. */
  beforeAll(async () => {
    const variables: Record<string, string[]> = {};
    for (const { name, type, query } of dashboards().flatMap(({ templating }) => templating.list)) {
      variables[name] = type === 'custom' ? query.split(',') : (await reader.query<Row>(query)).map((row) => String(Object.values(row)[0]));
    }
    scope = { ...range, variables: { ...variables, tz: ['Asia/Kolkata'] } };
  });

  test('the variable of apps has all apps', () => {
    expect(scope.variables.app).toEqual(Object.values(SAMPLE.apps));
  });

  const panels = dashboards().flatMap(({ title, panels }) => panels.map((panel) => ({ name: `${title}: ${panel.title}`, panel })));
  test.each(panels)('panel $name has something to show', async ({ panel }) => {
    for (const { rawSql, queryType } of panel.targets) {
      const rows = await reader.query<Row>(expand(rawSql, scope));
      expect(rows.length).toBeGreaterThan(0);
      const columns = Object.keys(rows[0]!);
      expect(new Set(columns).size).toBe(columns.length);
      if (queryType !== 'timeSeries') continue;
      const times = rows.map((row) => Date.parse(String(row.time)));
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(times[0]).toBeGreaterThanOrEqual(SAMPLE.from);
    }
  });

  test.each(panels)('panel $name has nothing wrong where there is nothing', async ({ panel }) => {
    const empty = { ...scope, from: SAMPLE.from - 86_400_000, to: SAMPLE.from - 1, variables: { ...scope.variables, app: [] } };
    for (const { rawSql } of panel.targets) await reader.query<Row>(expand(rawSql, empty));
  });

  test('the sums of the panels are those of the relations', async () => {
    const shown = async (uid: string, title: string): Promise<Row> => {
      const panel = dashboards()
        .find((d) => d.uid === uid)
        ?.panels.find((p) => p.title === title);
      const [row] = await reader.query<Row>(expand(panel!.targets[0]!.rawSql, scope));
      return row!;
    };
    const [calls] = await reader.query<Row>(
      `SELECT count() AS "Calls", countIf(outcome = 'answered') AS "Answered", countIf(missed) AS "Missed" FROM calls WHERE end_reason != 'merged'`,
    );
    expect(await shown('callstream-overview', 'This period')).toMatchObject(calls!);
    const [received] = await reader.query<Row>('SELECT count() AS "Received" FROM deliveries FINAL');
    expect(await shown('callstream-delivery', 'This period')).toMatchObject(received!);
  });

  test.each(alertRules())('alert $uid asks for one number per app', async ({ data }) => {
    const [query] = data;
    const { from } = query!.relativeTimeRange;
    // At the busiest hour of the sample, so that there is enough to judge.
    const to = SAMPLE.from + 20 * 3_600_000;
    const rows = await reader.query<Row>(expand(query!.model.rawSql!, { from: to - from * 1000, to, step: 60, variables: {} }));
    expect(rows.length).toBeGreaterThan(0);
    for (const row of rows) {
      expect(Object.keys(row)[0]).toBe('app_id');
      expect(Object.values(row).filter((value) => typeof value === 'number')).toHaveLength(1);
      expect(typeof row.value).toBe('number');
    }
  });
});
