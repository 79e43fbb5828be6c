import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Attendee, type AttendeeEffect, type AttendeeEvent, createAttendee, keep as keepAttendee, update as attend } from '../src/state/attendee.ts';
import { createInterpreter, type Interpreter, type InterpreterEvent, keep, update as interpret } from '../src/state/interpreter.ts';
import { type Kept, nothingKept, readKeepsake } from '../src/state/kept.ts';
import { createSession, type Session, type SessionEffect, type SessionEvent, update } from '../src/state/session.ts';
import { createSpeaker, keep as keepLectern, type Speaker, type SpeakerEffect, type SpeakerEvent, update as speak } from '../src/state/speaker.ts';
import type { TalkerEffect } from '../src/state/talker.ts';
import { FLOOR, type Meeting } from '../src/wire.ts';
import { MEETING, message, names, Play, welcome } from './fixtures.ts';

type Desk = Play<Interpreter, InterpreterEvent, TalkerEffect>;

const ON_AIR: Meeting = {
  ...MEETING,
  channels: MEETING.channels.map((c) =>
    c.id === 'fr' ? { ...c, on_air: [{ participant: 'p-1', name: 'Somebody', on_air_s: 3 }] } : c,
  ),
};
const BACK = { resumed: true, media: 'connected', listen: FLOOR } as const;

function live(): Play<Session, SessionEvent, SessionEffect> {
  const play = new Play<Session, SessionEvent, SessionEffect>(createSession('t'), update);
  play.on({ type: 'join_asked', channel: 'fr' }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: 'fr', original_db: -18 }), { type: 'media_connected' });
  return play;
}

function onAir(): Desk {
  const play: Desk = new Play(createInterpreter('token', ['fr']), interpret);
  play.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 }, { type: 'enter_pressed' });
  play.on({ type: 'microphone_opened', device: 'd', processing: [] }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: FLOOR, original_db: -18 }), { type: 'media_connected' });
  play.on(message({ type: 'done', re: play.id('join_booth') }), { type: 'hold_pressed' });
  play.on(message({ type: 'done', re: play.id('take_channel') }));
  assert.equal(play.state.talker.hold, 'on');
  return play;
}

const again = [{ type: 'socket_closed', code: 1006 }, { type: 'retry_due' }, { type: 'socket_opened' }] as const;

test('a session taken up goes on without a new offer, in the language that was chosen meanwhile', () => {
  const play = live();
  play.on(...again.slice(0, 1), { type: 'channel_chosen', channel: 'sq' }, ...again.slice(1));
  const back = play.on(message(welcome(play.id('hello'), MEETING, { ...BACK, listen: 'fr' })));
  assert.deepEqual(names(back), ['announce', 'send listen']);
  assert.equal(play.state.media, 'connected');
});

test('media are offered anew if either end has lost them, or the server does not know us', () => {
  const there = { ...BACK, media: null };
  for (const [before, resumed] of [[[], there], [[], {}], [[{ type: 'media_failed' }], BACK]] as const) {
    const play = live();
    play.on(...again.slice(0, 1), ...before, ...again.slice(1));
    const back = play.on(message(welcome(play.id('hello'), MEETING, resumed)));
    assert.ok(names(back).includes('make_offer'));
  }
});

test('a lost link does not begin the turn anew, letting go does', () => {
  const play = onAir();
  const since = play.state.talker.held_since_ms;
  assert.notEqual(since, null);
  play.on(...again);
  play.on(message(welcome(play.id('hello'))));
  play.on(message({ type: 'done', re: play.id('join_booth') }));
  play.on({ ...message({ type: 'done', re: play.id('take_channel') }), now_ms: 9000 });
  assert.deepEqual([play.state.talker.hold, play.state.talker.held_since_ms], ['on', since]);
  play.on({ type: 'hold_pressed' });
  assert.equal(play.state.talker.held_since_ms, null);
});

test('an interpreter who let go while the socket was gone gives the channel back', () => {
  const play = onAir();
  play.on(...again.slice(0, 1), { type: 'hold_pressed' }, ...again.slice(1));
  const back = play.on(message(welcome(play.id('hello'), ON_AIR, BACK)));
  assert.deepEqual(names(back), ['announce', 'send release_channel', 'send join_booth']);
  play.on(message({ type: 'done', re: play.id('release_channel') }), message({ type: 'done', re: play.id('join_booth') }));
  assert.equal(play.state.talker.hold, 'off');
});

function reloaded(kept: Kept | null): Desk {
  assert.ok(kept !== null);
  const play: Desk = new Play(createInterpreter('token', ['fr']), interpret);
  const first = play.on({ type: 'page_restored', kept });
  assert.deepEqual(names(first), ['unlock_sound', 'set_volume', 'open_microphone', 'open_socket']);
  play.on({ type: 'microphone_opened', device: 'd', processing: [] }, { type: 'socket_opened' });
  return play;
}

test('an interpreter who reloads on air is on air again, without a key', () => {
  const play = reloaded(keep(onAir().state));
  const back = play.on(message(welcome(play.id('hello'), ON_AIR, BACK)));
  assert.deepEqual(names(back), ['make_offer', 'send join_booth']);
  play.on({ type: 'offer_made', sdp: 'o' }, message({ type: 'done', re: play.id('join_booth') }));
  const taken = play.on(message({ type: 'done', re: play.id('take_channel') }));
  assert.deepEqual(names(taken), ['send_microphone']);
  // On air since 3 s before the welcome, which came at 1 s.
  assert.equal(play.state.talker.held_since_ms, -2000);
});

test('nobody goes on air by a reload that took too long for the server', () => {
  const play = reloaded(keep(onAir().state));
  play.on(message(welcome(play.id('hello'))));
  const seated = play.on(message({ type: 'done', re: play.id('join_booth') }));
  assert.deepEqual(names(seated), []);
  assert.equal(play.state.talker.hold, 'off');
});

test('a speaker who reloads speaks again, and shows nothing until a camera is opened', () => {
  const play = new Play<Speaker, SpeakerEvent, SpeakerEffect>(createSpeaker('token'), speak);
  play.on({ type: 'page_restored', kept: { ...nothingKept, language: 'sq', holding: true } });
  play.on({ type: 'microphone_opened', device: 'd', processing: [] }, { type: 'socket_opened' });
  const back = play.on(message(welcome(play.id('hello'), MEETING, BACK)));
  assert.deepEqual(names(back), ['make_offer', 'send take_floor', 'send show', 'send show']);
  const shows = back.flatMap((e) => (e.do === 'send' && e.message.type === 'show' ? [e.message.on] : []));
  assert.deepEqual(shows, [false, false]);
});

/** The languages in which the floor was asked for. */
const spoken = (play: Play<Speaker, SpeakerEvent, SpeakerEffect>): string[] =>
  play.effects.flatMap((e) => (e.do === 'send' && e.message.type === 'take_floor' ? [e.message.language] : []));

test('a speaker who never chose a language speaks the floor’s, and that one again after a reload', () => {
  const before = new Play<Speaker, SpeakerEvent, SpeakerEffect>(createSpeaker('token'), speak);
  before.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 }, { type: 'enter_pressed' });
  before.on({ type: 'microphone_opened', device: 'd', processing: [] }, { type: 'socket_opened' });
  before.on(message(welcome(before.id('hello'))), { type: 'offer_made', sdp: 'o' }, { type: 'media_connected' });
  before.on({ type: 'hold_pressed' });
  assert.deepEqual(spoken(before), ['en']);
  const kept = keepLectern(before.state);
  // Meanwhile somebody else has made the floor's language another one.
  const changed = { ...MEETING, floor: { ...MEETING.floor, language: { tag: 'fr', autonym: 'Français' } } };
  for (const [language, expected] of [[kept?.language ?? null, 'en'], [null, 'fr']] as const) {
    const play = new Play<Speaker, SpeakerEvent, SpeakerEffect>(createSpeaker('token'), speak);
    play.on({ type: 'page_restored', kept: { ...nothingKept, ...kept, language } }, { type: 'socket_opened' });
    play.on(message(welcome(play.id('hello'), changed, BACK)));
    assert.deepEqual(spoken(play), [expected]);
  }
});

test('an attendee who reloads hears the same at once', () => {
  const before = new Play<Attendee, AttendeeEvent, AttendeeEffect>(createAttendee('t', [], false), attend);
  assert.equal(keepAttendee(before.state), null);
  before.on({ type: 'choice_made', channel: 'sq' }, { type: 'listen_pressed' }, { type: 'volume_moved', volume: 0.4 });
  const kept = keepAttendee(before.state);
  assert.ok(kept !== null);
  const play = new Play<Attendee, AttendeeEvent, AttendeeEffect>(createAttendee('t', [], false), attend);
  assert.deepEqual(names(play.on({ type: 'page_restored', kept })), ['unlock_sound', 'set_volume', 'open_socket']);
  assert.deepEqual([play.state.session.channel, play.state.volume], ['sq', 0.4]);
});

test('a keepsake counts for its own link, while it is fresh, and whatever else lies there does not', () => {
  const keepsake = { instance: 'i', link: 'https://a/b#c', at_ms: 1000, kept: { ...nothingKept, booth: 'fr' } };
  const raw = JSON.stringify(keepsake);
  assert.deepEqual(readKeepsake(raw, 'https://a/b#c', 5000), keepsake);
  assert.equal(readKeepsake(raw, 'https://a/b#other', 5000), null);
  assert.equal(readKeepsake(raw, 'https://a/b#c', 60_000), null);
  for (const bad of [null, '', '{', '1', 'null', '{}', '{"instance":1}', raw.replace('"kept":{', '"kept":1,"x":{')])
    assert.equal(readKeepsake(bad, 'https://a/b#c', 5000), null);
});
