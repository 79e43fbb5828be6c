/** What a speaker shows. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSpeaker, type Speaker, type SpeakerEffect, type SpeakerEvent, update as speak } from '../src/state/speaker.ts';
import { flows, nothingShown, updateVisuals, type Visual, type VisualEvent, type Visuals } from '../src/state/visuals.ts';
import { createSession, update } from '../src/state/session.ts';
import type { Tile } from '../src/wire.ts';
import { failure, MEETING, message, names, Play, welcome } from './fixtures.ts';

const VISUALS: Visual[] = ['off', 'asking', 'on', 'changing', 'denied', 'missing', 'busy', 'server'];
const EVENTS: VisualEvent[] = [
  { type: 'visual_pressed', what: 'camera' },
  { type: 'visual_opened', what: 'camera' },
  { type: 'visual_failed', what: 'camera', problem: 'busy' },
  { type: 'visual_ended', what: 'camera' },
  { type: 'cameras_listed', cameras: [], device: null },
  { type: 'camera_chosen', device: 'b' },
];

test('every state answers every event, and leaves the other picture alone', () => {
  for (const state of VISUALS) {
    for (const event of EVENTS) {
      const [after, effects] = updateVisuals({ ...nothingShown, camera: state, screen: 'on' }, event);
      assert.equal(after.screen, 'on');
      assert.ok(effects.every((effect) => effect.what === 'camera'));
    }
  }
});

test('the server is told of every change of what flows, and of nothing else', () => {
  for (const state of VISUALS) {
    for (const event of EVENTS) {
      const [after, effects, told] = updateVisuals({ ...nothingShown, camera: state }, event);
      const changed = flows(state) !== flows(after.camera);
      assert.deepEqual(told, changed ? { what: 'camera', on: flows(after.camera) } : null, `${state} ${event.type}`);
      // What no longer flows has been stopped: no camera light without a picture.
      if (flows(state) && !flows(after.camera)) assert.ok(effects.some((e) => e.do === 'close_visual'));
    }
  }
});

const fail = (what: 'camera' | 'screen', problem: 'dismissed' | 'denied'): Visuals =>
  updateVisuals({ ...nothingShown, [what]: 'asking' }, { type: 'visual_failed', what, problem })[0];

test('a closed screen picker is no alarm, a refused camera is', () => {
  assert.equal(fail('screen', 'dismissed').screen, 'off');
  assert.equal(fail('camera', 'denied').camera, 'denied');
});

test('another camera takes the place of the one that is on without leaving the stage', () => {
  const on: Visuals = { ...nothingShown, camera: 'on' };
  const [changing, effects, told] = updateVisuals(on, { type: 'camera_chosen', device: 'b' });
  assert.deepEqual([effects, told], [[{ do: 'open_visual', what: 'camera', device: 'b' }], null]);
  const [after, none, said] = updateVisuals(changing, { type: 'visual_opened', what: 'camera' });
  assert.deepEqual([after.camera, after.device, none, said], ['on', 'b', [], null]);
});

type Lectern = Play<Speaker, SpeakerEvent, SpeakerEffect>;

function showing(): Lectern {
  const play: Lectern = new Play(createSpeaker('t'), speak);
  play.on({ type: 'meeting_fetched', meeting: MEETING, now_ms: 0 }, { type: 'enter_pressed' }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: null, original_db: -18 }), { type: 'media_connected' });
  play.on({ type: 'visual_pressed', what: 'camera' }, { type: 'visual_opened', what: 'camera' });
  return play;
}

test('a picture that the server refuses is closed and the refusal shown', () => {
  const play = showing();
  const effects = play.on(message(failure(play.id('show'), 'token.forbidden')));
  assert.deepEqual(effects, [{ do: 'close_visual', what: 'camera' }]);
  assert.equal(play.state.visuals.camera, 'server');
});

test('a session that ends by itself closes the camera, as leaving does', () => {
  for (const end of [message({ type: 'goodbye', code: 'session.replaced', message: '' }), { type: 'leave_pressed' } as const]) {
    const play = showing();
    assert.ok(names(play.on(end)).includes('close_visual'));
    assert.equal(play.state.visuals.camera, 'off');
  }
});

test('after a new link the server hears again of what is shown', () => {
  const play = showing();
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'retry_due' }, { type: 'socket_opened' });
  assert.ok(names(play.on(message(welcome(play.id('hello'))))).includes('send show'));
});

test('the server is told when a picture flows, not when it is asked for', () => {
  const [asking, open, told] = updateVisuals(nothingShown, { type: 'visual_pressed', what: 'camera' });
  assert.deepEqual([asking.camera, open, told], ['asking', [{ do: 'open_visual', what: 'camera', device: null }], null]);
  const [on, none, said] = updateVisuals(asking, { type: 'visual_opened', what: 'camera' });
  assert.deepEqual([on.camera, none, said], ['on', [], { what: 'camera', on: true }]);
});

test('a share that the browser ends is ended here and at the server', () => {
  const [after, effects, told] = updateVisuals({ ...nothingShown, screen: 'on' }, { type: 'visual_ended', what: 'screen' });
  assert.equal(after.screen, 'off');
  assert.deepEqual(effects, [{ do: 'close_visual', what: 'screen' }]);
  assert.deepEqual(told, { what: 'screen', on: false });
});

test('tiles are told once per change, and again after a new link', () => {
  const tiles: Tile[] = [{ what: 'camera', width: 640, height: 360, visible: true }];
  let [s] = update(createSession('t'), { type: 'join_asked', channel: null });
  [s] = update(s, { type: 'tiles_measured', tiles });
  [s] = update(s, { type: 'socket_opened' });
  const hello = s.next_id - 1;
  const [inside, effects] = update(s, message(welcome(hello)));
  assert.ok(effects.some((e) => e.do === 'send' && e.message.type === 'view'));
  assert.deepEqual(update(inside, { type: 'tiles_measured', tiles })[1], []);
  const larger = [{ ...tiles[0], height: 720 } as Tile];
  assert.equal(update(inside, { type: 'tiles_measured', tiles: larger })[1].length, 1);
});
