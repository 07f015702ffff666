import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { alertRules, dashboards, expand, type Panel, provisioned } from '../support/grafana.js';

/*
 * What can be said of the provisioning without Grafana. That every query runs and shows something is test/integration/readers.test.ts.
 */
const DATASOURCE = { type: 'grafana-clickhouse-datasource', uid: 'callstream' };
/** Stable relations (docs/clickhouse.md); stored tables may change with any version. */
const RELATIONS = [
  ...['calls', 'call_legs', 'call_events', 'recordings', 'call_recordings', 'metrics_1m', 'metrics_1h', 'metrics_1d'],
  ...['concurrency_1m', 'missed_unreturned', 'dead_letters', 'delivery_health', 'delivery_minutes', 'alerts'],
];
const text = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const relationsOf = (sql: string): string[] => [...sql.matchAll(/\b(?:FROM|JOIN)\s+(\w+)/g)].map(([, name]) => name!);

describe('the expansion of macros and variables', () => {
  it('does what the data source and Grafana do', () => {
    const scope = { from: 1_000_500, to: 2_000_000, step: 60, variables: { app: ['1', "o'2"] } };
    expect(expand(`SELECT $__timeInterval(f(a)) WHERE $__timeFilter(b) AND c < $__toTime AND d IN (\${app:singlequote})`, scope)).toBe(
      "SELECT toStartOfInterval(toDateTime(f(a)), INTERVAL 60 second) WHERE b >= toDateTime(1000) AND b <= toDateTime(2000) AND c < toDateTime(2000) AND d IN ('1','o\\'2')",
    );
  });

  it('leaves nothing that it does not know', () => {
    const scope = { from: 0, to: 1, step: 1, variables: {} };
    for (const sql of ['$__timeGroup(a)', `\${app}`, '$app', `\${app:singlequote}`]) expect(() => expand(sql, scope)).toThrow();
  });
});

describe('the dashboards', () => {
  it('have the uids that links rely on', () => {
    expect(dashboards().map(({ uid }) => uid)).toEqual([
      'callstream-alerts',
      'callstream-delivery',
      'callstream-missed',
      'callstream-overview',
      'callstream-recordings',
    ]);
  });

  it.each(dashboards())('$uid is whole', ({ panels, templating, description }) => {
    expect(description.length).toBeGreaterThan(20);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const panel of panels) {
      expect(panel.description.length, panel.title).toBeGreaterThan(15);
      expect(panel.datasource).toEqual(DATASOURCE);
      expect(
        panels.filter((other) => overlap(panel, other)),
        panel.title,
      ).toEqual([panel]);
      for (const target of panel.targets) {
        expect(target.datasource).toEqual(DATASOURCE);
        expect(RELATIONS).toEqual(expect.arrayContaining(relationsOf(target.rawSql)));
        const variables = [...target.rawSql.matchAll(/\$\{(\w+)/g)].map(([, name]) => name!);
        expect(templating.list.map(({ name }) => name)).toEqual(expect.arrayContaining(variables));
        // Without a range, a panel would read everything there is.
        expect(target.rawSql).toContain('$__timeFilter(');
        expect(target.rawSql).toContain(`app_id IN (\${app:singlequote})`);
      }
    }
  });

  it('ask for the call types, media and time zones that exist', () => {
    const overview = dashboards().find(({ uid }) => uid === 'callstream-overview');
    const values = (name: string) => overview?.templating.list.find((v) => v.name === name)?.query.split(',');
    expect(values('call_type')).toEqual(['single', 'group', 'channel', 'unknown']);
    expect(values('media_type')).toEqual(['audio', 'video', 'unknown']);
    for (const timeZone of values('tz') ?? []) expect(() => new Intl.DateTimeFormat('en', { timeZone })).not.toThrow();
  });
});

function overlap(a: Panel, b: Panel): boolean {
  const { gridPos: p } = a;
  const { gridPos: q } = b;
  return p.x < q.x + q.w && q.x < p.x + p.w && p.y < q.y + q.h && q.y < p.y + p.h;
}

describe('the alerts', () => {
  it.each(alertRules())('$uid compares one query with a threshold', ({ uid, condition, data, annotations }) => {
    const [query, threshold] = data;
    expect(data).toHaveLength(2);
    expect(query?.datasourceUid).toBe(DATASOURCE.uid);
    expect(threshold).toMatchObject({
      refId: condition,
      datasourceUid: '__expr__',
      model: { type: 'threshold', expression: query?.refId },
    });
    expect(RELATIONS).toEqual(expect.arrayContaining(relationsOf(query?.model.rawSql ?? '')));
    expect(annotations.summary).toMatch(/\{\{ .*\$labels\.app_id .*\}\}/);
    expect(text('docs/monitoring.md')).toContain(`\`${uid.replace('callstream-', '')}\``);
  });

  it('have uids of their own', () => {
    const uids = alertRules().map(({ uid }) => uid);
    expect(new Set(uids).size).toBe(uids.length);
  });
});

describe('the data source', () => {
  const { datasources } = provisioned('datasources/callstream.yaml') as {
    datasources: { uid: string; type: string; jsonData?: Record<string, unknown>; secureJsonData?: Record<string, string> }[];
  };
  const compose = parse(text('docker-compose.yml'), { merge: true }) as {
    services: Record<string, { environment?: Record<string, string>; volumes?: string[] }>;
  };

  it('reads as the user that ClickHouse has for it, with the password that both are given', () => {
    const own = datasources.find(({ uid }) => uid === DATASOURCE.uid);
    expect(own).toMatchObject({ type: DATASOURCE.type, jsonData: { username: 'grafana', defaultDatabase: 'callstream' } });
    const password = own?.secureJsonData?.password?.slice(1) ?? '';
    const user = text('deploy/clickhouse/users.d/grafana.xml');
    expect(user).toContain(`<password from_env="${password}"/>`);
    expect(user).toContain('<readonly>1</readonly>');
    expect([...user.matchAll(/<query>(.*)<\/query>/g)].map(([, grant]) => grant)).toEqual(['GRANT SELECT ON callstream.*']);
    const { clickhouse, grafana } = compose.services;
    expect(clickhouse?.environment?.[password]).toBe(grafana?.environment?.[password]);
    expect(clickhouse?.volumes).toContain('./deploy/clickhouse/users.d/grafana.xml:/etc/clickhouse-server/users.d/grafana.xml:ro');
  });

  it('and the dashboards are where Grafana looks for them', () => {
    const { providers } = provisioned('dashboards/callstream.yaml') as { providers: { options: { path: string } }[] };
    const volumes = compose.services.grafana?.volumes;
    expect(volumes).toContain(`./deploy/grafana/dashboards:${providers[0]?.options.path}:ro`);
    expect(volumes).toContain('./deploy/grafana/provisioning:/etc/grafana/provisioning:ro');
    expect(readdirSync(new URL('../../deploy/grafana/provisioning', import.meta.url)).sort()).toEqual([
      'alerting',
      'dashboards',
      'datasources',
    ]);
  });
});
