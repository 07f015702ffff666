import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { ROLES } from '../../src/cli/roles.js';
import { ENV, PORTS } from '../../src/config/defaults.js';
import { TASK_TRANSITIONS } from '../../src/stream/task-state.js';
import { METRICS, type MetricDefinition } from '../../src/telemetry/metrics.js';

const ROOT = new URL('../../', import.meta.url);
const path = (name: string): string => new URL(name, ROOT).pathname;
const text = (name: string): string => readFileSync(path(name), 'utf8');

interface Rule {
  alert: string;
  expr: string;
  for?: string;
  labels: { severity: string };
  annotations: { summary: string; runbook: string };
}
interface Scrape {
  rule_files: string[];
  scrape_configs: { job_name: string; static_configs: { targets: string[]; labels?: { role: string } }[] }[];
}

const RULES = 'deploy/prometheus/rules/callstream.yml';
const rules = (parse(text(RULES)) as { groups: { name: string; rules: Rule[] }[] }).groups.flatMap((group) => group.rules);

/** Metrics that are not callstream's own: of Prometheus itself, and of the Node.js process. */
const FOREIGN: Record<string, MetricDefinition> = {
  up: { type: 'gauge', labels: [], help: '' },
  process_start_time_seconds: { type: 'gauge', labels: [], help: '' },
};
/** Labels that the scrape or `callstream up` puts on every sample. */
const ADDED = ['job', 'instance', 'role'];
const KEYWORDS = ['and', 'or', 'unless', 'by', 'without', 'on', 'ignoring', 'group_left', 'group_right', 'bool', 'offset'];

interface Selector {
  name: string;
  definition: MetricDefinition | undefined;
  labels: string[];
  values: [label: string, value: string][];
}

/** Every metric that an expression selects, with the labels that it matches. */
function selectorsOf(expr: string): Selector[] {
  const bare = expr.replace(/\[[^\]]*\]/g, '').replace(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/g, '');
  const found: Selector[] = [];
  for (const [, name, rest, matchers] of bare.matchAll(/(?<![\w":.])([A-Za-z_:][\w:]*)(\s*\()?(?:\{([^}]*)\})?/g)) {
    if (name === undefined || rest !== undefined || KEYWORDS.includes(name)) continue;
    const values = [...(matchers ?? '').matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, label, value]): [string, string] => [
      label!,
      value!,
    ]);
    found.push({ name, definition: definitionOf(name), labels: values.map(([label]) => label), values });
  }
  return found;
}

function definitionOf(name: string): MetricDefinition | undefined {
  const own: Record<string, MetricDefinition> = { ...METRICS, ...FOREIGN };
  const histogram = own[name.replace(/_(?:bucket|sum|count)$/, '')];
  return own[name] ?? (histogram?.type === 'histogram' ? histogram : undefined);
}

const groupedBy = (expr: string): string[] =>
  [...expr.matchAll(/\bby\s*\(([^)]*)\)/g)].flatMap(([, labels]) => labels!.split(',').map((l) => l.trim()));

describe('the reader of expressions', () => {
  it('finds metrics and labels, and nothing else', () => {
    const found = selectorsOf(
      'histogram_quantile(0.95, sum by (le, source) (rate(a_seconds_bucket{x!="1", y=~"b|c"}[5m]))) > 2 and on (z) absent(b:c) or d',
    );
    expect(found.map(({ name, values }) => [name, values])).toEqual([
      [
        'a_seconds_bucket',
        [
          ['x', '1'],
          ['y', 'b|c'],
        ],
      ],
      ['b:c', []],
      ['d', []],
    ]);
  });
});

describe('the rules of Prometheus', () => {
  it('have names of their own', () => {
    expect(rules.length).toBeGreaterThan(20);
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
  });

  it.each(rules)('$alert asks for metrics and labels that callstream has', ({ expr }) => {
    const selectors = selectorsOf(expr);
    expect(selectors.length).toBeGreaterThan(0);
    for (const { name, definition, labels, values } of selectors) {
      expect(definition, `a metric ${name}`).toBeDefined();
      expect([...definition!.labels, ...ADDED, 'le'], name).toEqual(expect.arrayContaining(labels));
      for (const state of values.filter(([label]) => label === 'state').flatMap(([, value]) => value.split('|')))
        expect(Object.keys(TASK_TRANSITIONS)).toContain(state);
    }
    const known = selectors.flatMap(({ definition }) => definition?.labels ?? []);
    expect([...known, ...ADDED, 'le']).toEqual(expect.arrayContaining(groupedBy(expr)));
  });

  it.each(rules)(
    '$alert says what is the matter, in labels that its result has, and what to do',
    ({ alert, expr, annotations, labels }) => {
      expect(['warning', 'critical']).toContain(labels.severity);
      const kept = /\bby\s*\(/.test(expr) ? groupedBy(expr) : [...ADDED, ...selectorsOf(expr).flatMap((s) => s.labels)];
      for (const [, label] of annotations.summary.matchAll(/\$labels\.(\w+)/g)) expect(kept).toContain(label);
      const [file, anchor] = annotations.runbook.split('#');
      expect(anchor).toBe(alert.toLowerCase());
      const [, section] = text(file!).split(new RegExp(`^#+ ${alert}$`, 'm'));
      expect(section?.split(/^#/m)[0]?.trim().length ?? 0, `a section ${alert} of ${file}`).toBeGreaterThan(80);
    },
  );

  it('miss every role that `up` runs, and no other', () => {
    const missing = rules.find(({ alert }) => alert === 'CallstreamRoleMissing');
    const roles = selectorsOf(missing!.expr).flatMap(({ values }) =>
      values.filter(([label]) => label === 'role').map(([, value]) => value),
    );
    expect(roles.sort()).toEqual([...ROLES].sort());
  });
});

describe('the configurations of Prometheus', () => {
  it('scrape each role of docker-compose.yml on its admin port', () => {
    const { scrape_configs } = parse(text('deploy/prometheus/prometheus.yml')) as Scrape;
    expect(scrape_configs.map(({ job_name }) => job_name)).toEqual(['callstream']);
    const expected = ROLES.map((role) => ({ targets: [`${role}:${PORTS.admin}`], labels: { role } }));
    expect(scrape_configs[0]?.static_configs).toEqual(expect.arrayContaining(expected));
    expect(scrape_configs[0]?.static_configs).toHaveLength(ROLES.length);
    const { services } = parse(text('docker-compose.yml'), { merge: true }) as {
      services: Record<string, { environment: Record<string, string> }>;
    };
    for (const role of ROLES) expect(services[role]?.environment[ENV.adminHost], role).toBe('0.0.0.0');
  });

  it('scrape `up` on its one port', () => {
    const { scrape_configs } = parse(text('deploy/prometheus/up.yml')) as Scrape;
    expect(scrape_configs).toEqual([{ job_name: 'callstream', static_configs: [{ targets: [`127.0.0.1:${PORTS.admin}`] }] }]);
  });
});

const promtool = (...args: string[]): string => execFileSync('promtool', args, { encoding: 'utf8', stdio: 'pipe' });

/** Debian has it in the package `prometheus`; without it, the tests above read the expressions as well as they can. */
function hasPromtool(): boolean {
  try {
    promtool('--version');
    return true;
  } catch {
    return false;
  }
}

describe.skipIf(!hasPromtool())('promtool', () => {
  it('takes the rules and the configurations', () => {
    expect(promtool('check', 'rules', path(RULES))).toContain(`SUCCESS: ${rules.length} rules found`);
    expect(promtool('check', 'config', path('deploy/prometheus/up.yml'))).toContain('SUCCESS');
  });

  it('sees the alerts fire when they should, and not otherwise', () => {
    expect(promtool('test', 'rules', path('test/support/prometheus-rules.yml'))).toContain('SUCCESS');
  });
});
