import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enter, restore } from '../src/state/entry.ts';
import { createInterpreter, type InterpreterEvent, keep as keepDesk, update as interpret } from '../src/state/interpreter.ts';
import { nothingKept } from '../src/state/kept.ts';
import { createSpeaker, keep as keepLectern, type SpeakerEvent, update as speak } from '../src/state/speaker.ts';
import { createTalker, type Wording } from '../src/state/talker.ts';
import { onSubmit, skipTo } from '../src/views/entry.ts';
import { FLOOR } from '../src/wire.ts';
import { MEETING, message, names, Play, welcome } from './fixtures.ts';

const WORDING: Wording = { take: { type: 'take_channel' }, release: { type: 'release_channel' } };
const FETCHED = { type: 'meeting_fetched', meeting: MEETING, now_ms: 0 } as const;
const ENTRY = ['unlock_sound', 'set_volume', 'open_microphone', 'open_socket'];

/** The desk and the lectern, which come in by the same door. */
const PAGES = [
  { name: 'desk', make: () => new Play(createInterpreter('token', ['fr']), interpret), keep: keepDesk, hears: FLOOR },
  { name: 'lectern', make: () => new Play(createSpeaker('token'), speak), keep: keepLectern, hears: null },
] as const;
type Either = { on: (...events: (InterpreterEvent & SpeakerEvent)[]) => { do: string }[] };

test('both pages come in alike: sound unlocked inside the click, the microphone asked for, then the socket', () => {
  for (const { name, make, hears } of PAGES) {
    const play = make();
    assert.deepEqual(names((play as Either).on(FETCHED, { type: 'enter_pressed' })), ENTRY, name);
    assert.equal(play.state.talker.microphone.state, 'opening', name);
    assert.equal(play.state.talker.session.channel, hears, name);
    const sound = play.effects.find((e) => e.do === 'set_volume');
    assert.ok(sound?.do === 'set_volume');
    assert.equal(sound.muted, hears === null, name);
  }
});

test('the microphone that was chosen is asked for again, by the button as after a reload', () => {
  for (const { name, make, keep } of PAGES) {
    const play = make();
    (play as Either).on(FETCHED, { type: 'device_chosen', device: 'usb' }, { type: 'enter_pressed' });
    const opened = play.effects.flatMap((e) => (e.do === 'open_microphone' ? [e.device] : []));
    assert.deepEqual(opened, ['usb', 'usb'], name);
    const kept = keep(play.state as never);
    assert.equal(kept?.device, 'usb', name);
    const again = make();
    assert.deepEqual(names((again as Either).on({ type: 'page_restored', kept })), ENTRY, name);
    assert.equal(again.state.talker.microphone.device, 'usb', name);
  }
});

test('a reload brings back how loud it was and what was held, and holds nothing that was not', () => {
  const before = createTalker('token');
  const back = restore(before, { ...nothingKept, holding: true, volume: 0.3, device: 'usb' });
  assert.deepEqual([back.hold, back.volume, back.restored], ['waiting', 0.3, true]);
  assert.equal(restore(before, nothingKept).hold, 'off');
  const [, effects] = enter(back, { listens: FLOOR, muted: false }, WORDING);
  assert.deepEqual(effects.slice(1, 3), [
    { do: 'set_volume', volume: 0.3, muted: false },
    { do: 'open_microphone', device: 'usb' },
  ]);
});

test('a refused microphone does not keep anybody out', () => {
  for (const { name, make } of PAGES) {
    const play = make();
    (play as Either).on(FETCHED, { type: 'enter_pressed' }, { type: 'microphone_failed', problem: 'denied' });
    (play as Either).on({ type: 'socket_opened' });
    (play as Either).on(message(welcome(play.id('hello'))));
    assert.equal(play.state.talker.session.phase, 'live', name);
  }
});

const pressed = () => {
  const event = { prevented: false, preventDefault: () => (event.prevented = true) };
  return event as unknown as Event & { prevented: boolean };
};

test('Enter in the form is the button, and the form is sent nowhere', () => {
  let entered = 0;
  const event = pressed();
  onSubmit(() => (entered += 1))(event);
  assert.deepEqual([entered, event.prevented], [1, true]);
});

test('skipping moves the focus to the first that is there and leaves the token in the address', () => {
  const focused: string[] = [];
  const there = new Set(['#second', '#third']);
  const root = {
    querySelector: (selector: string) => (there.has(selector) ? { focus: () => focused.push(selector) } : null),
  } as unknown as ParentNode;
  const event = pressed();
  skipTo(root, '#first', '#second', '#third')(event);
  skipTo(root, '#nowhere')(pressed());
  assert.deepEqual([focused, event.prevented], [['#second'], true]);
});
