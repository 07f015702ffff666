import { readdirSync, readFileSync } from 'node:fs';
import { parse } from 'yaml';

const DEPLOY = new URL('../../deploy/grafana/', import.meta.url);

interface Target {
  refId: string;
  datasource: { type: string; uid: string };
  rawSql: string;
  queryType: string;
  format: number;
}

export interface Panel {
  id: number;
  type: string;
  title: string;
  description: string;
  datasource: { uid: string };
  gridPos: { x: number; y: number; w: number; h: number };
  targets: Target[];
}

export interface Variable {
  name: string;
  type: 'query' | 'custom';
  query: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  description: string;
  panels: Panel[];
  templating: { list: Variable[] };
}

export interface AlertRule {
  uid: string;
  title: string;
  condition: string;
  annotations: { summary: string; description: string };
  data: {
    refId: string;
    datasourceUid: string;
    relativeTimeRange: { from: number; to: number };
    model: { rawSql?: string; expression?: string };
  }[];
}

/** The dashboards that are provisioned. */
export const dashboards = (): Dashboard[] =>
  readdirSync(new URL('dashboards/', DEPLOY)).map((file) => JSON.parse(readFileSync(new URL(`dashboards/${file}`, DEPLOY), 'utf8')));

/** A provisioning file, by its path below `deploy/grafana/provisioning`. */
export const provisioned = (path: string): unknown => parse(readFileSync(new URL(`provisioning/${path}`, DEPLOY), 'utf8'));

/** The alert rules that are provisioned. */
export const alertRules = (): AlertRule[] =>
  (provisioned('alerting/callstream.yaml') as { groups: { rules: AlertRule[] }[] }).groups.flatMap(({ rules }) => rules);

/** What Grafana knows when it sends a query: the time range, epoch ms; the width of a step, seconds; the chosen values of each variable. */
export interface Scope {
  from: number;
  to: number;
  step: number;
  variables: Readonly<Record<string, readonly string[]>>;
}

/**
 * The SQL that reaches ClickHouse: variables as Grafana writes them with `:singlequote`, then the macros of the ClickHouse data source, version 4, as its
 * documentation says what they become.
 */
export function expand(sql: string, { from, to, step, variables }: Scope): string {
  const time = (ms: number): string => `toDateTime(${Math.floor(ms / 1000)})`;
  const quoted = (name: string): string => {
    const values = variables[name];
    if (values === undefined) throw new Error(`there is no variable ${name}`);
    return values.map((value) => `'${value.replaceAll("'", "\\'")}'`).join(',');
  };
  const expanded = sql
    .replace(/\$\{(\w+):singlequote\}/g, (_, name: string) => quoted(name))
    .replace(/\$__timeFilter\(([^()]+)\)/g, (_, column: string) => `${column} >= ${time(from)} AND ${column} <= ${time(to)}`)
    .replace(
      /\$__timeInterval\(((?:[^()]|\([^()]*\))+)\)/g,
      (_, c: string) => `toStartOfInterval(toDateTime(${c}), INTERVAL ${step} second)`,
    )
    .replace(/\$__fromTime\b/g, time(from))
    .replace(/\$__toTime\b/g, time(to));
  const left = /\$\w*\{?\w*/.exec(expanded);
  if (left !== null) throw new Error(`not a macro or variable that is known: ${left[0]}`);
  return expanded;
}
