import { seconds } from '../wire.js';
import type { CallFacts, CallResult } from './facts.js';

const V4_RESULTS: Readonly<Record<CallResult, string>> = {
  normal_end: 'NormalEnd',
  not_answer: 'NotAnswer',
  reject: 'Reject',
  call_busy: 'CallBusy',
  cancel: 'Cancel',
  interrupt: 'Interrupt',
  offline: 'Offline',
};

/**
 * A call's record in the words of one generation (vendors.md §4), whichever its callbacks spoke. Times in seconds, 0 for an answer that never was; both
 * generations list the caller among the callees.
 * @param asFirstJudged with the end that was taken for right at first
 */
export function recordText(facts: CallFacts, generation: 'v1' | 'v4', asFirstJudged: boolean): string {
  const start = seconds(facts.start_at);
  const accept = facts.accept_at === null ? 0 : seconds(facts.accept_at);
  const end = seconds(facts.end_at - (asFirstJudged ? facts.misjudged_ms : 0));
  const callees = [...facts.users.slice(1), facts.caller];
  if (generation === 'v1')
    return JSON.stringify({
      callId: facts.call_id,
      sdkAppId: Number(facts.app_id),
      mediaType: facts.media_type,
      roomId: facts.room_id,
      startCallTs: start,
      acceptTs: accept,
      endTs: end,
      caller: facts.caller,
      totalUserNumber: facts.total,
      callType: facts.call_type,
      callResult: facts.result,
      callees,
    });
  return JSON.stringify({
    CallId: facts.call_id,
    Caller_Account: facts.caller,
    MediaType: facts.media_type === 'audio' ? 'Audio' : 'Video',
    CallType: facts.call_type === 'group' ? 'MultiCall' : 'SingleCall',
    StartTime: start,
    EndTime: end,
    AcceptTime: accept,
    CallResult: V4_RESULTS[facts.result],
    CalleeList_Account: callees,
    RoomId: facts.room_id,
    RoomIdType: /^[0-9]+$/.test(facts.room_id) ? 1 : 2,
  });
}
