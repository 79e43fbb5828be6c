import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attendee, type AttendeeEffect, type AttendeeEvent, createAttendee, update as attend } from '../src/state/attendee.ts';
import { HOLD_EVENTS, HOLDS, move, TRANSITIONS, wanted } from '../src/state/hold.ts';
import { boothsOf, createInterpreter, type Interpreter, type InterpreterEvent, update as interpret } from '../src/state/interpreter.ts';
import { createSpeaker, type Speaker, type SpeakerEffect, type SpeakerEvent, update as speak } from '../src/state/speaker.ts';
import type { TalkerEffect } from '../src/state/talker.ts';
import { failure, MEETING, meetingOf, message, names, Play, welcome } from './fixtures.ts';

test('the hold has an answer for every state and event, and only to known states', () => {
  for (const hold of HOLDS)
    for (const event of HOLD_EVENTS) {
      const [next, effects] = move(hold, event);
      assert.ok(HOLDS.includes(next));
      if (TRANSITIONS[hold][event] === undefined) assert.deepEqual([next, effects], [hold, []]);
    }
});

test('a pressed key always flips what the person wants', () => {
  for (const hold of HOLDS) assert.equal(wanted(move(hold, 'pressed')[0]), !wanted(hold), hold);
});

test('the track is in the sender only while the channel is held or may still be', () => {
  for (const hold of HOLDS)
    for (const event of HOLD_EVENTS) {
      const [next, effects] = move(hold, event);
      if (hold === 'on' && next !== 'on' && next !== 'waiting') assert.ok(effects.includes('mute'));
      if (next === 'on' && hold !== 'on') assert.ok(effects.includes('send'));
    }
});

type Desk = Play<Interpreter, InterpreterEvent, TalkerEffect>;

function seated(): Desk {
  const play: Desk = new Play(createInterpreter('token', ['fr']), interpret);
  play.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 }, { type: 'enter_pressed' });
  play.on({ type: 'microphone_opened', device: 'd', processing: [] }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: 'floor', original_db: -18 }), { type: 'media_connected' });
  play.on(message({ type: 'done', re: play.id('join_booth') }));
  return play;
}

test('an interpreter enters the booth of the token with the microphone off', () => {
  const play = seated();
  assert.equal(play.state.seat, 'seated');
  assert.equal(play.state.talker.hold, 'off');
  assert.ok(!names(play.effects).includes('send_microphone'));
});

test('only the booths of the token are offered', () => {
  assert.deepEqual(boothsOf(MEETING, ['sq']).map((b) => b.id), ['sq']);
  assert.deepEqual(boothsOf(MEETING, []).map((b) => b.id), ['fr', 'sq']);
});

test('the microphone is sent when the channel is given and taken out before it is released', () => {
  const play = seated();
  assert.deepEqual(names(play.on({ type: 'hold_pressed' })), ['send take_channel']);
  assert.deepEqual(names(play.on(message({ type: 'done', re: play.id('take_channel') }))), ['send_microphone']);
  assert.deepEqual(names(play.on({ type: 'hold_pressed' })), ['mute_microphone', 'send release_channel']);
  play.on(message({ type: 'done', re: play.id('release_channel') }));
  assert.equal(play.state.talker.hold, 'off');
});

test('a channel that is held is refused, names the holder and is said', () => {
  const play = seated();
  play.on({ type: 'hold_pressed' });
  const effects = play.on(message(failure(play.id('take_channel'), 'channel.held', 'Interpreter 2')));
  assert.equal(play.state.talker.hold, 'off');
  assert.deepEqual(play.state.talker.refusal, { code: 'channel.held', holder: 'Interpreter 2' });
  const said = effects.find((e) => e.do === 'announce');
  assert.deepEqual(said, {
    do: 'announce',
    text: 'refusal-held',
    args: { language: 'Français', holder: 'Interpreter 2' },
  });
});

test('a key pressed twice before the server answers ends off', () => {
  const play = seated();
  play.on({ type: 'hold_pressed' }, { type: 'hold_pressed' });
  const effects = play.on(message({ type: 'done', re: play.id('take_channel') }));
  assert.deepEqual(names(effects), ['send release_channel']);
  play.on(message({ type: 'done', re: play.id('release_channel') }));
  assert.equal(play.state.talker.hold, 'off');
  assert.ok(!names(play.effects).includes('send_microphone'));
});

test('an interpreter on air keeps sending while the socket is gone and takes the channel again', () => {
  const play = seated();
  play.on({ type: 'hold_pressed' });
  play.on(message({ type: 'done', re: play.id('take_channel') }));
  const lost = play.on({ type: 'socket_closed', code: 1006 });
  assert.ok(!names(lost).includes('mute_microphone'));
  assert.equal(play.state.talker.hold, 'waiting');
  play.on({ type: 'retry_due' }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))));
  const back = play.on(message({ type: 'done', re: play.id('join_booth') }));
  assert.deepEqual(names(back), ['send take_channel']);
  play.on(message({ type: 'done', re: play.id('take_channel') }));
  assert.equal(play.state.talker.hold, 'on');
});

test('a voice that stalls is off the air, and asks for the channel when it flows again', () => {
  const play = seated();
  play.on({ type: 'hold_pressed' });
  play.on(message({ type: 'done', re: play.id('take_channel') }));
  play.on(message({ type: 'media', state: 'stalled' }));
  assert.equal(play.state.talker.hold, 'waiting');
  const back = play.on(message({ type: 'media', state: 'connected' }));
  assert.deepEqual(names(back), ['send take_channel']);
  play.on(message({ type: 'done', re: play.id('take_channel') }));
  assert.equal(play.state.talker.hold, 'on');
});

test('leaving the booth closes the microphone', () => {
  const play = seated();
  play.on({ type: 'hold_pressed' });
  play.on(message({ type: 'done', re: play.id('take_channel') }));
  assert.ok(names(play.on({ type: 'leave_pressed' })).includes('close_microphone'));
  assert.equal(play.state.talker.hold, 'off');
});

test('before the media flow the key does nothing', () => {
  const play = seated();
  play.on(message({ type: 'media', state: 'connecting' }));
  assert.deepEqual(play.on({ type: 'hold_pressed' }), []);
});

test('without a microphone the key asks for it instead of the channel', () => {
  const play = seated();
  play.on({ type: 'microphone_failed', problem: 'denied' });
  assert.deepEqual(names(play.on({ type: 'hold_pressed' })), ['open_microphone']);
});

test('a speaker takes the floor in the chosen language and cannot change it there', () => {
  const play: Play<Speaker, SpeakerEvent, SpeakerEffect> = new Play(createSpeaker('t'), speak);
  play.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 }, { type: 'language_chosen', language: 'sq' });
  play.on({ type: 'enter_pressed' }, { type: 'microphone_opened', device: null, processing: [] });
  play.on({ type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: null, original_db: -18 }), { type: 'media_connected' });
  const take = play.on({ type: 'hold_pressed' });
  assert.equal((take[0] as { message: { language: string } }).message.language, 'sq');
  play.on(message({ type: 'done', re: play.id('take_floor') }), { type: 'language_chosen', language: 'en' });
  assert.equal(play.state.language, 'sq');
  assert.equal(play.state.talker.hold, 'on');
});

test('a speaker hears nothing until asked, and a choice un-mutes the element', () => {
  const play: Play<Speaker, SpeakerEvent, SpeakerEffect> = new Play(createSpeaker('t'), speak);
  const enter = play.on({ type: 'enter_pressed' });
  assert.ok(enter.some((e) => e.do === 'set_volume' && e.muted));
  const chosen = play.on({ type: 'hearing_chosen', channel: 'floor' });
  assert.ok(chosen.some((e) => e.do === 'set_volume' && !e.muted));
});

test('the view key goes round: both, the speaker, the slides, both', () => {
  const play = seated();
  const seen = [1, 2, 3].map(() => {
    play.on({ type: 'view_cycled' });
    return play.state.view;
  });
  assert.deepEqual(seen, ['speaker', 'slides', 'both']);
});

test('pictures can be given up for the sound, and come back', () => {
  const play: Play<Attendee, AttendeeEvent, AttendeeEffect> = new Play(createAttendee('t', [], true, true), attend);
  assert.equal(play.state.sound_only, true);
  assert.deepEqual(play.on({ type: 'sound_only_pressed' }), []);
  assert.equal(play.state.sound_only, false);
});

type Listener = Play<Attendee, AttendeeEvent, AttendeeEffect>;

function listening(): Listener {
  const play: Listener = new Play(createAttendee('token', ['fr-CH'], true), attend);
  play.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 });
  play.on({ type: 'listen_pressed' }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: 'fr', original_db: -18 }));
  return play;
}

test('the click on Listen unlocks the sound before anything else', () => {
  assert.equal(listening().effects[0]?.do, 'unlock_sound');
});

test('the reader’s own language is preselected, and a choice is kept over the polls', () => {
  const play: Listener = new Play(createAttendee('token', ['fr-CH'], true), attend);
  play.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 });
  assert.equal(play.state.choice, 'fr');
  play.on({ type: 'choice_made', channel: 'sq' }, { type: 'meeting_fetched', meeting: MEETING, now_ms: 1 });
  assert.equal(play.state.choice, 'sq');
});

test('a lost interpreter is said once, and so is the return', () => {
  const play = listening();
  const gone = meetingOf({ en: 'spoken', fr: 'passthrough' }, 2);
  const lost = play.on(message({ type: 'meeting', meeting: gone }));
  assert.deepEqual(lost, [{ do: 'announce', text: 'said-passthrough', args: { language: 'Français' } }]);
  assert.deepEqual(play.on(message({ type: 'meeting', meeting: { ...gone, revision: 3 } })), []);
  const back = play.on(message({ type: 'meeting', meeting: meetingOf({ fr: 'interpreted' }, 4) }));
  assert.deepEqual(names(back), ['announce']);
});

test('choosing a language without an interpreter says that the original is heard', () => {
  const play = listening();
  const effects = play.on({ type: 'channel_chosen', channel: 'sq' });
  assert.deepEqual(names(effects), ['send listen', 'announce']);
});

test('who left and comes back finds the language as it was', () => {
  const play = listening();
  play.on({ type: 'leave_pressed' });
  assert.equal(play.state.has_left, true);
  play.on({ type: 'return_pressed' }, { type: 'listen_pressed' });
  assert.equal(play.state.session.channel, 'fr');
});

test('an invitation that ends lets the screen go dark, and an interpreter’s microphone is closed', () => {
  const listener = listening();
  listener.on({ type: 'awake_pressed' });
  const ended = listener.on(message({ type: 'goodbye', code: 'token.expired', message: '' }));
  assert.deepEqual(names(ended), ['close_socket', 'close_media', 'keep_awake']);
  assert.equal(listener.state.awake, false);
  const desk = seated();
  desk.on({ type: 'hold_pressed' });
  desk.on(message({ type: 'done', re: desk.id('take_channel') }));
  desk.on({ type: 'socket_closed', code: 1006 }, { type: 'retry_due' }, { type: 'socket_opened' });
  const over = desk.on(message(failure(desk.id('hello'), 'token.expired')));
  assert.ok(names(over).includes('close_microphone'));
  assert.equal(desk.state.talker.hold, 'off');
});

test('moving the volume ends a mute', () => {
  const play = listening();
  play.on({ type: 'mute_pressed' });
  const effects = play.on({ type: 'volume_moved', volume: 0.4 });
  assert.deepEqual(effects, [{ do: 'set_volume', volume: 0.4, muted: false }]);
});
