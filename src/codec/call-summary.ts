import { Type } from 'avsc';
import { schemaText } from './registry.js';
import { TOPICS } from './topics.js';

/** What a worker must know of a call without decoding all of it. */
export interface CallSummary {
  revision: number;
  final: boolean;
  status: string;
  end_reason: string;
  last_change_at: number;
  latest_at: number;
  deadline_at: number | null;
}

const FIELDS: ReadonlySet<string> = new Set(['revision', 'final', 'status', 'end_reason', 'last_change_at', 'latest_at', 'deadline_at']);

/** A reader of summaries from frames written with the current Call schema; the caller decodes other frames whole. */
export function callSummaryReader(): (frame: Buffer) => CallSummary {
  const schema = JSON.parse(schemaText(TOPICS.calls)) as { fields: { name: string }[] };
  const whole = Type.forSchema(schema as Parameters<typeof Type.forSchema>[0]);
  const summary = Type.forSchema({ ...schema, fields: schema.fields.filter((f) => FIELDS.has(f.name)) } as Parameters<
    typeof Type.forSchema
  >[0]);
  const resolver = summary.createResolver(whole);
  return (frame) => summary.decode(frame, 5, resolver).value as CallSummary;
}
