import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dominantFirst, hearing, isHeard, linkState, nextChannel, originalAt, preselect, segments } from '../src/state/hearing.ts';
import { createSession, type Session, type SessionEffect, type SessionEvent, update } from '../src/state/session.ts';
import { backoff } from '../src/ws/backoff.ts';
import { FLOOR, ORIGINAL_LEVELS } from '../src/wire.ts';
import { failure, MEETING, meetingOf, message, names, Play, welcome } from './fixtures.ts';

type SessionPlay = Play<Session, SessionEvent, SessionEffect>;

function joining(channel: string | null = 'fr'): SessionPlay {
  const play: SessionPlay = new Play(createSession('token'), update);
  play.on({ type: 'join_asked', channel }, { type: 'socket_opened' });
  return play;
}

function live(channel: string | null = 'fr'): SessionPlay {
  const play = joining(channel);
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'offer' });
  play.on(
    message({ type: 'answer', re: play.id('offer'), sdp: 'answer', listen: channel, original_db: -18 }),
    message({ type: 'media', state: 'connected' }),
  );
  return play;
}

test('joining opens the socket, says hello, offers once and takes the answer', () => {
  const play = live();
  assert.deepEqual(names(play.effects), [
    'open_socket',
    'send hello',
    'make_offer',
    'send offer',
    'apply_answer',
  ]);
  assert.equal(play.state.phase, 'live');
  assert.equal(play.state.confirmed, 'fr');
  assert.equal(linkState(play.state), 'good');
});

test('a chosen language shows at once and is asked for without a new offer', () => {
  const play = live();
  assert.deepEqual(names(play.on({ type: 'channel_chosen', channel: 'sq' })), ['send listen']);
  assert.equal(play.state.channel, 'sq');
  play.on(message({ type: 'listening', re: play.id('listen'), channel: 'sq', original_db: -18 }));
  assert.equal(play.state.confirmed, 'sq');
});

test('a held arrow key asks one at a time and ends on the last choice', () => {
  const play = live();
  const asked = play.on(
    { type: 'channel_chosen', channel: 'sq' },
    { type: 'channel_chosen', channel: FLOOR },
    { type: 'channel_chosen', channel: 'en' },
  );
  assert.deepEqual(names(asked), ['send listen']);
  const more = play.on(message({ type: 'listening', re: play.id('listen'), channel: 'sq', original_db: -18 }));
  assert.deepEqual(names(more), ['send listen']);
  play.on(message({ type: 'listening', re: play.id('listen'), channel: 'en', original_db: -18 }));
  assert.equal(play.state.confirmed, 'en');
  assert.equal(play.state.channel, 'en');
});

test('another level of the original is asked for like another language, and goes back when it is refused', () => {
  const play = live();
  const asked = play.on({ type: 'original_chosen', original_db: 'off' }, { type: 'original_chosen', original_db: -12 });
  assert.deepEqual(asked, [
    { do: 'send', message: { type: 'listen', channel: 'fr', original_db: 'off', id: play.id('listen') } },
  ]);
  const more = play.on(message({ type: 'listening', re: play.id('listen'), channel: 'fr', original_db: 'off' }));
  assert.deepEqual(names(more), ['send listen']);
  const refused = play.on(message(failure(play.id('listen'), 'server.full')));
  assert.deepEqual(refused, [{ do: 'announce', text: 'said-level-refused' }]);
  assert.deepEqual([play.state.channel, play.state.original_db], ['fr', 'off']);
});

test('a session that is taken up again asks for the level it has not', () => {
  const play = live();
  play.on({ type: 'original_chosen', original_db: 0 });
  play.on(message({ type: 'listening', re: play.id('listen'), channel: 'fr', original_db: 0 }));
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'socket_opened' });
  const resumed = { resumed: true, media: 'connected', listen: 'fr' } as const;
  assert.deepEqual(names(play.on(message(welcome(play.id('hello'), MEETING, resumed)))), ['announce', 'send listen']);
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'socket_opened' });
  const same = { ...resumed, original_db: 0 } as const;
  assert.deepEqual(names(play.on(message(welcome(play.id('hello'), MEETING, same)))), ['announce']);
});

test('the meter of the original follows the level that was chosen, while somebody interprets', () => {
  const levels = { interpreter_db: -20, original_db: -40 };
  assert.deepEqual(
    ORIGINAL_LEVELS.map((level) => originalAt(levels, level)),
    [null, -46, -40, -34, -22],
  );
  assert.equal(originalAt({ interpreter_db: null, original_db: -22 }, 'off'), -22);
});

test('a refused language goes back to what is heard and says so', () => {
  const play = live();
  play.on({ type: 'channel_chosen', channel: 'sq' });
  const effects = play.on(message(failure(play.id('listen'), 'channel.unknown')));
  assert.deepEqual(names(effects), ['announce']);
  assert.equal(play.state.channel, 'fr');
  assert.equal(play.state.refused, 'sq');
});

test('a refusal of a language the person has left behind asks for the newer one', () => {
  const play = live();
  play.on({ type: 'channel_chosen', channel: 'sq' }, { type: 'channel_chosen', channel: 'en' });
  const effects = play.on(message(failure(play.id('listen'), 'channel.unknown')));
  assert.deepEqual(names(effects), ['send listen']);
  assert.equal(play.state.channel, 'en');
});

test('a language chosen while the offer is on its way is asked for after the answer', () => {
  const play = joining();
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'offer' });
  assert.deepEqual(play.on({ type: 'channel_chosen', channel: 'sq' }), []);
  const answer = play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: 'fr', original_db: -18 }));
  assert.deepEqual(names(answer), ['apply_answer', 'send listen']);
});

test('a lost socket is opened again and the same language offered anew', () => {
  const play = live();
  play.on({ type: 'channel_chosen', channel: 'sq' });
  const lost = play.on({ type: 'socket_closed', code: 1006 });
  assert.deepEqual(names(lost), ['retry_in', 'announce']);
  assert.equal(linkState(play.state), 'reconnecting');
  const back = play.on({ type: 'retry_due' }, { type: 'socket_opened' });
  assert.deepEqual(names(back), ['open_socket', 'send hello']);
  play.on(message(welcome(play.id('hello'))));
  const offer = play.on({ type: 'offer_made', sdp: 'offer' });
  assert.deepEqual(names(offer), ['send offer']);
  assert.equal((offer[0] as { message: { listen: string } }).message.listen, 'sq');
});

test('a snapshot after a reconnection counts even with a lower revision', () => {
  const play = live();
  play.on(message({ type: 'meeting', meeting: meetingOf({}, 50) }));
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'retry_due' }, { type: 'socket_opened' });
  play.on(message(welcome(play.id('hello'))));
  assert.equal(play.state.meeting?.revision, 1);
});

test('an older view of the meeting never replaces a newer one', () => {
  const play = live();
  play.on(message({ type: 'meeting', meeting: meetingOf({ en: 'spoken' }, 9) }));
  play.on(message({ type: 'meeting', meeting: meetingOf({}, 8) }));
  assert.equal(play.state.meeting?.revision, 9);
});

test('lost media are offered again, at once and then with waits that grow', () => {
  const play = live();
  assert.deepEqual(names(play.on(message({ type: 'media', state: 'lost' }))), ['make_offer']);
  play.on({ type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: 'fr', original_db: -18 }));
  const second = play.on({ type: 'media_failed' });
  assert.deepEqual(second, [{ do: 'offer_in', wait: backoff(1) }]);
  assert.deepEqual(names(play.on({ type: 'offer_due' })), ['make_offer']);
  play.on({ type: 'offer_made', sdp: 'o' });
  play.on(message({ type: 'answer', re: play.id('offer'), sdp: 'a', listen: 'fr', original_db: -18 }), { type: 'media_connected' });
  assert.equal(play.state.offers, 0);
});

test('an answer to an offer of a socket that is gone is ignored', () => {
  const play = joining();
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  const re = play.id('offer');
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'retry_due' }, { type: 'socket_opened' });
  assert.deepEqual(play.on(message({ type: 'answer', re, sdp: 'a', listen: 'fr', original_db: -18 })), []);
});

test('an expired token ends the session and nothing is retried', () => {
  const play = joining();
  const effects = play.on(message(failure(play.id('hello'), 'token.expired')));
  assert.deepEqual(names(effects), ['close_socket', 'close_media']);
  assert.equal(play.state.ending, 'token.expired');
  assert.deepEqual(play.on({ type: 'socket_closed', code: 4401 }, { type: 'network_returned' }), []);
});

test('a link refused before the join ends the page, and one that is on its way in is told by the socket', () => {
  const outside: SessionPlay = new Play(createSession('token'), update);
  outside.on({ type: 'meeting_refused', code: 'token.expired' });
  assert.deepEqual([outside.state.phase, outside.state.ending], ['ended', 'token.expired']);
  assert.deepEqual(outside.on({ type: 'network_returned' }, { type: 'retry_due' }), []);
  const inside = live();
  assert.deepEqual(inside.on({ type: 'meeting_refused', code: 'token.expired' }), []);
  assert.equal(inside.state.phase, 'live');
});

test('a token that expires while the page reconnects ends it: no try follows, the media are let go', () => {
  const play = live();
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'retry_due' }, { type: 'socket_opened' });
  const told = play.on(message(failure(play.id('hello'), 'token.expired')), { type: 'socket_closed', code: 4401 });
  assert.deepEqual(names(told), ['close_socket', 'close_media']);
  assert.deepEqual(play.on({ type: 'retry_due' }, { type: 'offer_due' }, { type: 'media_failed' }), []);
  // Who was inside is told that they no longer are.
  assert.notEqual(play.state.me, null);
});

test('a socket closed as unauthorised without a word ends the page as well', () => {
  const play = joining();
  play.on({ type: 'socket_closed', code: 4401 });
  assert.deepEqual([play.state.phase, play.state.ending], ['ended', 'token.invalid']);
});

test('a server that is full is tried again', () => {
  const play = joining();
  const effects = play.on(message(failure(play.id('hello'), 'server.full')));
  assert.deepEqual(names(effects), ['close_socket', 'retry_in']);
  assert.equal(play.state.phase, 'reconnecting');
});

test('the same person on another page ends this one; a closing server does not', () => {
  const replaced = live();
  replaced.on(message({ type: 'goodbye', code: 'session.replaced', message: '' }));
  assert.equal(replaced.state.phase, 'ended');
  const closing = live();
  closing.on(message({ type: 'goodbye', code: 'server.closing', message: '' }), {
    type: 'socket_closed',
    code: 1001,
  });
  assert.equal(closing.state.phase, 'reconnecting');
});

test('a channel that vanished while away falls back to the original', () => {
  const play = joining('xx');
  play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'o' });
  play.on(message(failure(play.id('offer'), 'channel.unknown')));
  assert.equal(play.state.channel, FLOOR);
});

test('a level for which the server has no mix left is given up for the usual one', () => {
  const play: SessionPlay = new Play(createSession('token', 'off'), update);
  play.on({ type: 'join_asked', channel: 'fr' }, { type: 'socket_opened' });
  const offer = play.on(message(welcome(play.id('hello'))), { type: 'offer_made', sdp: 'offer' });
  assert.equal((offer.at(-1) as { message: { original_db: unknown } }).message.original_db, 'off');
  play.on(message(failure(play.id('offer'), 'server.full')));
  assert.deepEqual([play.state.channel, play.state.original_db], ['fr', -18]);
});

test('leaving says bye, frees everything and can be undone by joining', () => {
  const play = live();
  assert.deepEqual(names(play.on({ type: 'left' })), ['send bye', 'close_socket', 'close_media']);
  assert.deepEqual(names(play.on({ type: 'join_asked', channel: 'fr' })), ['open_socket']);
});

test('no event in any phase throws', () => {
  const events: SessionEvent[] = [
    { type: 'join_asked', channel: 'fr' },
    { type: 'meeting_fetched', meeting: MEETING, now_ms: 0 },
    { type: 'meeting_refused', code: 'token.expired' },
    { type: 'socket_opened' },
    { type: 'socket_closed', code: 1006 },
    { type: 'retry_due' },
    { type: 'network_returned' },
    message(welcome(1)),
    message(failure(null, 'message.malformed')),
    message({ type: 'media', state: 'lost' }),
    { type: 'offer_made', sdp: '' },
    { type: 'offer_due' },
    { type: 'media_connected' },
    { type: 'media_failed' },
    { type: 'channel_chosen', channel: 'sq' },
    { type: 'left' },
  ];
  // Every pair and triple from the start: enough to reach each phase by each road.
  for (const a of events)
    for (const b of events)
      for (const c of events) {
        const play: SessionPlay = new Play(createSession('t'), update);
        play.on(a, b, c);
        assert.ok(Object.keys(play.state.pending).length <= 3);
      }
});

test('waits double from half a second to eight', () => {
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 60].map((n) => backoff(n).base_ms),
    [500, 1000, 2000, 4000, 8000, 8000, 8000],
  );
});

test('the languages of the reader choose the channel, by tag and then by its base', () => {
  assert.equal(preselect(MEETING, ['de', 'sq-AL', 'fr']), 'sq');
  assert.equal(preselect(MEETING, ['de']), FLOOR);
});

test('"next track" walks the list and comes back to the original', () => {
  const walk = [FLOOR, 'en', 'fr', 'sq'].map((id) => nextChannel(MEETING, id));
  assert.deepEqual(walk, ['en', 'fr', 'sq', FLOOR]);
});

test('what is heard follows the state of the chosen channel', () => {
  assert.deepEqual(
    [FLOOR, 'en', 'fr', 'sq', null].map((id) => hearing(MEETING, id)),
    ['original', 'original', 'interpreted', 'passthrough', 'original'],
  );
});

test('who speaks is known until the next link, which says it anew', () => {
  const play = new Play(createSession('token'), update);
  play.on({ type: 'join_asked', channel: null }, { type: 'socket_opened' }, message(welcome(1)));
  play.on(message({ type: 'speaking', participants: ['p-2', 'p-3'], dominant: 'p-3' }));
  assert.deepEqual(play.state.speaking, { participants: ['p-2', 'p-3'], dominant: 'p-3' });
  assert.equal(isHeard(play.state, 'p-2'), true);
  assert.equal(isHeard(play.state, 'p-1'), false);
  assert.equal(isHeard({ ...play.state, speaking: { participants: [''], dominant: null } }, ''), false);
  play.on({ type: 'socket_closed', code: 1006 }, { type: 'socket_opened' }, message(welcome(2)));
  assert.deepEqual(play.state.speaking, { participants: [], dominant: null });
});

test('whoever speaks comes first of those on the floor, the others stay in order', () => {
  const speakers = ['p-1', 'p-2', 'p-3'].map((participant) => ({ participant, name: '', language: 'en', speaking_s: 0 }));
  const order = (dominant: string | null) => dominantFirst(speakers, dominant).map((s) => s.participant);
  assert.deepEqual(order('p-3'), ['p-3', 'p-1', 'p-2']);
  assert.deepEqual(order(null), ['p-1', 'p-2', 'p-3']);
  assert.deepEqual(order('gone'), ['p-1', 'p-2', 'p-3']);
});

test('levels light the segments between −60 and 0 dBFS', () => {
  assert.deepEqual(
    [null, -100, -60, -30, 0, 6].map((db) => segments(db, 10)),
    [0, 0, 0, 5, 10, 10],
  );
});
