/** Stages of contract §3 and design.md §2, and what to do about an input that died there. */
const STAGES: Readonly<Record<string, { what: string; todo: string }>> = {
  decode: {
    what: 'The record on the raw topic could not be decoded: its frame or its Avro is not what the schema says.',
    todo: 'Something other than callstream ingest writes to the topic, or a schema was removed from the registry. Mend that, then replay.',
  },
  parse: {
    what: 'The callback was authentic, but its body could not be understood as a call event. It was answered 200 and kept as it came.',
    todo: 'If the vendor sends something new, replay after an upgrade that knows it. If it is garbage, nothing needs to be done.',
  },
  fold: {
    what: 'The event was understood, but folding it into its call failed: an error in callstream, tied to this input.',
    todo: 'Please report it with the output of this command; replay after the fix.',
  },
  row: {
    what: 'The record is on Kafka, but its row for ClickHouse could not be made or was refused.',
    todo: 'Please report it. After the fix, `callstream repair` publishes the call again.',
  },
};

const REASONS: Readonly<Record<string, string>> = {
  not_utf8: 'the body is not UTF-8 text',
  not_json: 'the body is not JSON',
  not_an_object: 'the body is JSON, but not an object',
  no_call_id: 'the body has no usable CallId, so the event belongs to no call',
  unknown_event: 'the Event is none of the events that the vendor documents',
  no_event: 'the body has neither an Event nor a CallResult',
  unknown_source: 'the delivery names a source that this version does not know',
  frame_invalid: "the value is not in the registry's wire format (a zero byte and a schema id first)",
  schema_unknown: 'the value names a schema that the registry does not know, or that cannot be read as ours',
  avro_invalid: 'the value is cut short or does not fit its schema',
  exception: 'an unexpected exception',
};

export const explainStage = (stage: string): string => STAGES[stage]?.what ?? `Unknown stage ${stage}.`;
export const adviseStage = (stage: string): string => STAGES[stage]?.todo ?? '';
export const explainReason = (reason: string): string => REASONS[reason] ?? reason;

const HEX_BYTES = 512;

/** The bytes of a body for a terminal: text when it is text without control characters, else a hex dump of its start. */
export function showBody(body: Buffer): string {
  const text = body.toString('utf8');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not reach a terminal.
  if (Buffer.from(text, 'utf8').equals(body) && !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/.test(text)) return text;
  const lines: string[] = [];
  for (let at = 0; at < Math.min(body.length, HEX_BYTES); at += 16) {
    const row = body.subarray(at, at + 16);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const ascii = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.')).join('');
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(47)}  ${ascii}`);
  }
  if (body.length > HEX_BYTES) lines.push(`… ${body.length - HEX_BYTES} more bytes`);
  return lines.join('\n');
}
