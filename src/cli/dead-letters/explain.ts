import type { ParseReason } from '../../sources/element.js';

/** What a dead letter says about itself. */
export interface Cause {
  stage: string;
  reason: string;
  /** Topic of the record that died. */
  topic: string;
}

/** Stages of contract §3 and design.md §2. */
const STAGES: Readonly<Record<string, string>> = {
  decode: 'The record could not be decoded: its frame or its Avro is not what the schema says.',
  parse:
    'The delivery was authentic, but its body could not be understood as an event of a call or of a recording, nor as what a poll asked for. It was kept as it came; a callback was answered 200.',
  fold: 'The event was understood, but could not be folded into its call or recording, which stands as its other events say.',
  row: 'The record is on Kafka, but no row of ClickHouse can hold it.',
  webhook: 'The receiver of this webhook was not told: it took the message neither at once nor later.',
};

/** Of the sources' parsers: complete, or it does not compile. */
const PARSE_REASONS: Readonly<Record<ParseReason, string>> = {
  not_utf8: 'the body is not UTF-8 text',
  not_json: 'the body is not JSON',
  not_an_object: 'the body, or an entry of the list it consists of, is JSON but not an object',
  too_deep: 'the body is nested deeper than any event of the vendor',
  no_call_id: 'the body, or the query of a media poll, has no usable call or channel id, so it belongs to no call',
  no_task_id: 'the body has no usable TaskId, so the event belongs to no recording',
  unknown_event: 'the Event, the ActionType, the CallbackCommand or the EventType is none of those that callstream reads of this vendor',
  no_event: 'the body names no event and has no CallResult, and tells of no user',
  too_many_users: 'the body lists more users than any call of the vendor has',
  too_many_events: 'the body tells of more events than any push of the vendor does',
};

const REASONS: Readonly<Record<string, string>> = {
  ...PARSE_REASONS,
  unknown_source: 'the delivery names a source that this version does not know',
  call_too_large: 'the call already has 7 MiB of distinct inputs, and a record must not become larger',
  recording_too_large: 'the record of the recording would be larger than 7 MiB with this input',
  channel_too_large: 'the record of the channel session would be larger than 7 MiB with this input',
  frame_invalid: "the value is not in the registry's wire format (a zero byte and a schema id first)",
  schema_unknown: 'the value names a schema that the registry does not know, or that cannot be read as ours',
  avro_invalid: 'the value is cut short or does not fit its schema',
  row_invalid: 'a value is outside of what its column can hold, such as a time or a count that is no whole number',
  row_failed: 'an unexpected exception while the row was made',
  exception: 'an unexpected exception',
  webhook_expired: 'the message was a day old when the last try failed',
  webhook_gone: 'the receiver has answered 410: it takes no more',
};

const REPORT = 'Please report it with the output of this command';

/** `webhook:<name>` says which one. */
const kindOf = (stage: string): string => stage.split(':', 1)[0] ?? '';

/** A stage that this version does not know is named as it is. */
export const explainStage = (stage: string): string => STAGES[kindOf(stage)] ?? `Unknown stage ${stage}.`;
export const explainReason = (reason: string): string => REASONS[reason] ?? reason;

/** What to do about it. Only deliveries can be replayed: records of other topics are written by tasks alone. */
export function advise({ stage, reason, topic }: Cause): string {
  const delivery = topic.startsWith('callstream.raw.');
  switch (kindOf(stage)) {
    case 'decode':
      return delivery
        ? 'Something other than callstream ingest writes to the topic, or a schema was removed from the registry. Mend that, then replay.'
        : `Something other than callstream writes to ${topic}, or a schema was removed from the registry. Mend that. A record of this topic cannot be replayed.`;
    case 'parse':
      return reason === 'unknown_source'
        ? 'It was taken by a version that knows the source: upgrade this one, then replay.'
        : 'If the vendor sends something new, replay after an upgrade that knows it. If it is garbage, nothing needs to be done.';
    case 'fold':
      return reason === 'call_too_large'
        ? 'So many events under one CallId are a mistake or an attack of the sender: look at who sends them. A replay dies in the same way.'
        : `An error in callstream, tied to this input. ${REPORT}; replay after the fix.`;
    case 'row':
      return topic === 'callstream.calls'
        ? `ClickHouse shows the call as its last revision before, or not at all; the next revision replaces it. ${REPORT}. After a fix that changes the record, \`callstream repair --call APP CALL\` publishes such a revision; where the record itself was right, a repair changes nothing.`
        : `The call itself is not affected, only this row is missing. ${REPORT}. It cannot be replayed.`;
    case 'webhook':
      return 'The body is what was to be sent. Try the receiver out with `callstream alerts test`, and send it the body by hand if it still matters.';
    default:
      return '';
  }
}

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
