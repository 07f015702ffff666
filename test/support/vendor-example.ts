/** The example request of the vendor's page about call events (vendor-docs/tuicallkit-call-event-callback.txt). */
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
