/** CloudEvents 1.0 attributes in Kafka's binary content mode (CloudEvents Kafka protocol binding §3.2): `ce_` headers beside an Avro value. */
export interface CloudEvent {
  /** Deterministic: equal for a repetition of the same event. */
  id: string;
  /** The topic without its prefix: `<name>` of `callstream.<name>.v1`. */
  name: 'calls' | 'call-events' | 'recordings' | 'alerts';
  /** `//provider/app`. */
  source: string;
  /** Epoch milliseconds. */
  time: number;
}

/** Headers of a record that carries `event`. */
export function cloudEventHeaders(event: CloudEvent): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_id: event.id,
    ce_type: `callstream.${event.name}.v1`,
    ce_source: event.source,
    ce_time: new Date(event.time).toISOString(),
    'content-type': 'application/avro',
  };
}
