import { type App, type Config, DEMO_APP_ID } from '../../config/index.js';
import { SOURCES } from '../../sources/registry.js';
import { reachable } from '../parts.js';

/** The example request of the vendor's page, with a call id and times of our own. */
export const exampleEvent = (now: number): string =>
  JSON.stringify({
    UserId: 'Alice',
    RoomId: "Alice's Room",
    TotalNum: 2,
    MediaType: 'audio',
    CallType: 'single',
    CallId: `hello-${Math.floor(now / 1000)}`,
    Role: 'caller',
    Event: 'start_call',
    CallResult: '',
    EventTime: Math.floor(now / 1000),
  });

/** Where the vendor sends an app's callbacks; none for a provider whose callbacks this version does not take. A path secret is not printed: terminals are recorded. */
export function callbackUrls(origin: string, app: App): string[] {
  const secret = app.callbackSecret === undefined ? '' : '/<callbackSecret>';
  return SOURCES.flatMap(({ provider, webhook }) =>
    webhook === undefined || provider !== app.provider
      ? []
      : [`${origin}/callbacks/${webhook.name}${secret}${webhook.appIdIn === 'query' ? `?sdkappid=${app.appId}` : ''}`],
  );
}

/** What a user wants to know once everything runs. */
export function welcome(config: Config, options: { demo: boolean; admin: string; now: number }): string {
  const ingest = `http://${reachable(config.ingest.host)}:${config.ingest.port}`;
  const rows: [string, string][] = [
    ['dashboard', `http://${reachable(config.api.host)}:${config.api.port}`],
    ...config.apps.flatMap((app) => callbackUrls(ingest, app).map((url): [string, string] => ['callbacks', url])),
    ['Kafka', config.kafka.brokers.join(', ')],
    ['registry', config.registry.url],
    ['ClickHouse', `${config.clickhouse.url}/play`],
    ['admin', `${options.admin}/readyz  ${options.admin}/metrics`],
  ];
  const example = config.apps.find((app) => app.provider === 'tencent' && app.callbackSecret === undefined);
  const [url] = example === undefined ? [] : callbackUrls(ingest, example);
  const lines = rows.map(([name, value]) => `  ${name.padEnd(11)} ${value}`);
  if (url !== undefined) {
    const body = exampleEvent(options.now).replaceAll("'", `'\\''`);
    lines.push('', 'Send a call of your own:', '', `  curl -X POST '${url}' -H 'content-type: application/json' -d '${body}'`);
  }
  if (options.demo)
    lines.push('', `This is the demo app ${DEMO_APP_ID}: write ./callstream.yaml to serve your own (docs/configuration.md).`);
  return lines.join('\n');
}
