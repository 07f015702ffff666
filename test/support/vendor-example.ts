/** Example requests of the vendor's pages about TUICallKit callbacks. */

/** A call event (vendor-docs/tuicallkit-call-event-callback.txt). */
export const ALICE = {
  UserId: 'Alice',
  RoomId: "Alice's Room",
  TotalNum: 2,
  MediaType: 'audio',
  CallType: 'single',
  CallId: 'aheahfo-eqwnknoihfsd-qweqf',
  Role: 'caller',
  Event: 'start_call',
  CallResult: '',
  EventTime: 1704695566,
  StartCallTs: 1704856873,
  AcceptTs: 1704856876,
  EndTs: 1704856885,
};

const { Event: _, ...withoutEvent } = ALICE;
/** A call status: the fields and the nine-digit EventTime of its page (vendors.md §4.1), here of the call above. */
export const ALICE_STATUS = { ...withoutEvent, CallResult: 'normal_end', EventTime: 170485688 };

/** The call and the moment of v4's pages (vendors.md §4.2). */
export const V4_CALL = '055662e1-bc8a-469c-a334-1126c8c17d58';
export const V4_AT = 1_740_464_128_807;

/** The callbacks of v4; two of them are no JSON on their pages for want of a comma and for their comments. User ids that are numbers have more digits than a double. */
export const V4_START = `{"CallbackCommand":"Call.CallbackAfterStartCall",
  "CallInfo":{"CallId":"${V4_CALL}","CallMediaType":"Audio","ChatGroupId":"","RoomId":"","RoomIdType":1},
  "UserList":[{"User_Account":144115212830834855,"Status":"Calling"},{"User_Account":144115212948889925,"Status":"Waiting"}],
  "EventTime":${V4_AT}}`;
export const V4_CHANGED = {
  CallbackCommand: 'Call.CallbackAfterMemberChanged',
  CallId: V4_CALL,
  UserList: [
    { User_Account: 'user1', Status: 'Calling' },
    { User_Account: 'user2', Status: 'Calling' },
  ],
  ChangedUserList: [{ User_Account: 'user2', ActionType: 'Answer' }],
  EventTime: V4_AT,
};
export const V4_END = {
  CallbackCommand: 'Call.CallbackAfterEndCall',
  CallRecord: {
    CallId: V4_CALL,
    Caller_Account: '10001',
    MediaType: 'Audio',
    CallType: 'SingleCall',
    StartTime: 1741231146,
    EndTime: 1741231296,
    AcceptTime: 0,
    CallResult: 'NotAnswer',
    CalleeList_Account: ['10001', 'user2'],
    RoomId: 'roomid-1434',
    RoomIdType: 2,
  },
  EventTime: 1703589922780,
};
