import type { PlannedCallback } from './chaos-v1.js';
import type { Random } from './random.js';
import type { Moment, Story } from './story.js';
import { type Callback, exactNumber, seconds } from './wire.js';

/** How the pages spell what a member did. One backend has one spelling. */
const SPELLINGS = {
  accept: ['Accept', 'Answer'],
  reject: ['Reject'],
  notAnswer: ['NotAnswer'],
  hangUp: ['Hangup', 'HangUp', 'Hang Up'],
  join: ['Join'],
  offline: ['Offline'],
  invite: ['Invite', 'Invited'],
  cancelInvite: ['Cancel_Invite', 'Canncel_Invite'],
} as const;
type Action = keyof typeof SPELLINGS;

const RESULTS: Readonly<Record<string, string>> = {
  normal_end: 'NormalEnd',
  not_answer: 'NotAnswer',
  reject: 'Reject',
  call_busy: 'CallBusy',
  cancel: 'Cancel',
};

/** A user id of digits beyond 2^53, as the vendor's example has them. */
export function numericName(user: string): string {
  let hash = 0;
  for (let i = 0; i < user.length; i++) hash = (hash * 31 + user.charCodeAt(i)) % 99_999_999_977;
  return `1441152${String(hash).padStart(11, '0')}`;
}

/** An id of digits alone goes over the wire as a JSON number in StartCall, as a string elsewhere. */
const asNumber = (user: string): string => (/^[0-9]{16,}$/.test(user) ? exactNumber(user) : user);

/**
 * The v4 callbacks of a call (vendors.md §4.2): one when it starts, one for each change of its members, one when it ends. Only the vendor's backend reports, so
 * there is nothing of the caller's side of an answer, and nothing after the second-last participant has left.
 */
export function tellInV4(random: Random, story: Story, app_id: string, client_ip: string): PlannedCallback[] {
  const spelled = (action: Action): string => spellings[action];
  const spellings = Object.fromEntries(Object.entries(SPELLINGS).map(([action, words]) => [action, random.pick<string>(words)])) as Record<
    Action,
    string
  >;
  // The pages do not say whether a member who leaves is still listed.
  const leaverIsListed = random.chance(0.3);
  const recordIsOn = random.chance(0.75);
  const planned: PlannedCallback[] = [];
  const members = new Map<string, 'Calling' | 'Waiting'>();
  const everyone = new Set<string>();
  let end_at: number | null = null;

  const send = (at: number, command: string, platform: string, content: Record<string, unknown>) => {
    const CallbackCommand = `Call.CallbackAfter${command}`;
    const EventTime = Math.floor(at);
    const callback: Callback = {
      app_id,
      command: CallbackCommand,
      platform,
      client_ip,
      body: { CallbackCommand, ...content, EventTime },
      v4: true,
    };
    planned.push({ at, callback });
  };
  const listOf = (id: (user: string) => string = (user) => user) =>
    [...members].map(([User_Account, Status]) => ({ User_Account: id(User_Account), Status }));
  const changed = (moment: Moment, user: string, action: Action, status: 'Calling' | 'Waiting' | null) => {
    const before = listOf();
    if (status === null) members.delete(user);
    else members.set(user, status);
    everyone.add(user);
    const UserList = status === null && leaverIsListed ? before : listOf();
    const ChangedUserList = [{ User_Account: user, ActionType: spelled(action) }];
    send(moment.at, 'MemberChanged', moment.platform, { CallId: story.call_id, UserList, ChangedUserList });
    if (members.size <= 1) end_at = moment.at;
  };

  const invited = (moment: Moment) =>
    story.moments.find((m) => m.event === 'receive_call' && m.at >= moment.at && !everyone.has(m.user))?.user;
  for (const moment of story.moments) {
    if (end_at !== null) break;
    switch (moment.event) {
      case 'start_call': {
        const firstInvitation = story.moments.find((m) => m.event === 'invite_user')?.at ?? Number.POSITIVE_INFINITY;
        members.set(story.caller, 'Calling');
        for (const m of story.moments) if (m.event === 'receive_call' && m.at < firstInvitation) members.set(m.user, 'Waiting');
        for (const user of members.keys()) everyone.add(user);
        send(moment.at, 'StartCall', moment.platform, {
          CallInfo: {
            CallId: story.call_id,
            CallMediaType: story.media_type === 'audio' ? 'Audio' : 'Video',
            ChatGroupId: story.call_type === 'group' ? `@TGS#${story.room_id}` : '',
            RoomId: story.room_id,
            RoomIdType: /^[0-9]+$/.test(story.room_id) ? 1 : 2,
          },
          UserList: listOf(asNumber),
        });
        break;
      }
      case 'accept_call':
        changed(moment, moment.user, 'accept', 'Calling');
        break;
      case 'not_answer_call':
        changed(moment, moment.user, 'notAnswer', null);
        break;
      case 'ignore_call':
        // Of a busy line only the record of a call of two tells.
        if (story.call_type === 'group') changed(moment, moment.user, 'reject', null);
        else end_at = moment.at;
        break;
      case 'reject_call':
        changed(moment, moment.user, 'reject', null);
        break;
      case 'cancel_call':
      case 'call_end':
        changed(moment, moment.user, 'hangUp', null);
        break;
      case 'call_canceled':
        changed(moment, moment.user, 'cancelInvite', null);
        break;
      case 'call_interrupted':
        changed(moment, moment.user, 'offline', null);
        break;
      case 'invite_user': {
        const guest = invited(moment);
        if (guest !== undefined) changed(moment, guest, 'invite', 'Waiting');
        break;
      }
      case 'join_in_group_call':
        changed(moment, moment.user, 'join', 'Calling');
        break;
      default:
    }
  }
  const ended = end_at as number | null;
  if (ended !== null && (recordIsOn || story.plot === 'busy')) {
    const group = story.call_type === 'group';
    const result = story.plot === 'interrupted' ? random.pick(['Interrupt', 'Offline']) : group ? 'NormalEnd' : RESULTS[story.status ?? ''];
    send(ended + random.int(50, 400), 'EndCall', 'RESTAPI', {
      CallRecord: {
        CallId: story.call_id,
        Caller_Account: story.caller,
        MediaType: story.media_type === 'audio' ? 'Audio' : 'Video',
        CallType: group ? 'MultiCall' : 'SingleCall',
        StartTime: seconds(story.start_at),
        EndTime: seconds(ended),
        AcceptTime: story.accept_at === null ? 0 : seconds(story.accept_at),
        CallResult: result,
        CalleeList_Account: [...everyone],
        RoomId: story.room_id,
        RoomIdType: /^[0-9]+$/.test(story.room_id) ? 1 : 2,
      },
    });
  }
  return planned;
}
