/** Polled sources whose APIs the simulated vendor serves, by RawEvent.source. */
export type ServedSource = 'call-record' | 'user-event' | 'aliyun-rtc';

/** A call record that the vendor's API has. */
export interface OwedRecord {
  app_id: string;
  call_id: string;
  /** Every callback of the call was lost: only the record tells of it. */
  lost: boolean;
  /** What sweeps select by, epoch ms, whole seconds. */
  start_at: number;
  /** From when on the API has it, epoch ms by the wall clock. */
  served_from: number;
}

/** An entry of the log of pushes that the vendor's API has. */
export interface OwedEvent {
  app_id: string;
  channel_id: string;
  /** MsgId of the push and MessageId of the entry. */
  message_id: string;
  /** No push of it was sent, or none was answered 200 when the entry was written: only the log tells of it. */
  lost: boolean;
  /** What sweeps select by, epoch ms. */
  at: number;
  /** From when on the API has it, epoch ms by the wall clock. */
  served_from: number;
}

/** What the vendor knows and its APIs serve: the books that verify audits the raw topics with. */
export interface VendorBook {
  /** The records that the APIs have by now (epoch ms), of apps whose record API is served. Which of them a sweep's look-back reaches is the caller's to judge. */
  owedRecords(now: number): Iterable<OwedRecord>;
  /** Whether this exact text (of a record, a user's Data, a Logs entry) was served for this app. */
  served(source: ServedSource, app_id: string, text: string): boolean;
  /** Users whose DescribeUserEvent answer is not empty for this call; none where that API is not served. */
  mediaUsers(app_id: string, call_id: string): readonly string[];
  /** The log entries that ListEventSubEvent has by now (epoch ms). */
  owedEvents(now: number): Iterable<OwedEvent>;
  /** Requests answered by operation and kind of answer (ok, rate_limited, refused, failed), for the report. */
  answers(): Readonly<Record<string, Readonly<Record<string, number>>>>;
}
