/**
 * What every page shares: the link to the server, the media session and the listening slot.
 * Pure: no DOM, clock, randomness or socket. Events say what happened, effects what to do.
 */

import { backoff, type Wait } from '../ws/backoff.ts';
import {
  type ClientMessage,
  FLOOR,
  type IceServer,
  type MediaState,
  type Meeting,
  NORMAL_DB,
  type OriginalDb,
  type ServerMessage,
  type Speaking,
  type Tile,
  VERSION,
  type Welcome,
  type WireError,
} from '../wire.ts';

/** `outside`: before the join and after leaving. `ended`: the server said no; `ending` has the code. */
export type Phase = 'outside' | 'joining' | 'live' | 'reconnecting' | 'ended';
export type Request = Exclude<ClientMessage['type'], 'bye'>;

export type Session = {
  token: string;
  phase: Phase;
  /** Failed tries since the last welcome. */
  attempts: number;
  media: 'none' | 'offering' | MediaState;
  /** Offers since media last flowed. */
  offers: number;
  meeting: Meeting | null;
  /** When `meeting` arrived: its durations count from then. */
  meeting_at_ms: number;
  /** Who speaks now, as the server hears it. */
  speaking: Speaking;
  me: { participant: string; name: string; languages: string[] } | null;
  /** What the person chose: shown at once. */
  channel: string | null;
  original_db: OriginalDb;
  /** What the server sends in the slot. */
  confirmed: string | null;
  confirmed_db: OriginalDb;
  /** What the `listen` in flight asks for. */
  asking: string | null;
  asking_db: OriginalDb;
  /** The channel the server refused last, until the next choice. */
  refused: string | null;
  ending: string | null;
  /** How large each picture is shown, as the server was told last. */
  tiles: Tile[];
  ice_servers: IceServer[];
  pending: Record<number, Request>;
  next_id: number;
};

export type SessionEvent =
  | { type: 'join_asked'; channel: string | null }
  | { type: 'meeting_fetched'; meeting: Meeting; now_ms: number }
  | { type: 'meeting_refused'; code: string }
  | { type: 'socket_opened' }
  | { type: 'socket_closed'; code: number }
  | { type: 'retry_due' }
  | { type: 'network_returned' }
  | { type: 'message_received'; message: ServerMessage; now_ms: number }
  | { type: 'offer_made'; sdp: string }
  | { type: 'offer_due' }
  | { type: 'media_connected' }
  | { type: 'media_failed' }
  | { type: 'channel_chosen'; channel: string }
  | { type: 'original_chosen'; original_db: OriginalDb }
  | { type: 'tiles_measured'; tiles: Tile[] }
  | { type: 'left' };

export type SessionEffect =
  | { do: 'open_socket' }
  | { do: 'close_socket' }
  | { do: 'send'; message: ClientMessage & { id?: number } }
  | { do: 'retry_in'; wait: Wait }
  | { do: 'make_offer' }
  | { do: 'offer_in'; wait: Wait }
  | { do: 'apply_answer'; sdp: string }
  | { do: 'close_media' }
  | { do: 'announce'; text: string; args?: Record<string, string> };

export type Step<E = SessionEffect> = [Session, E[]];

// A later try may succeed; every other refusal of a hello is final.
const TRANSIENT = new Set(['server.full', 'server.closing', 'server.internal', 'message.rate']);
const UNAUTHORIZED_CLOSE = 4401;
const NOBODY: Speaking = { participants: [], dominant: null };

export function createSession(token: string, original_db: OriginalDb = NORMAL_DB): Session {
  return {
    token,
    phase: 'outside',
    attempts: 0,
    media: 'none',
    offers: 0,
    meeting: null,
    meeting_at_ms: 0,
    speaking: NOBODY,
    me: null,
    channel: null,
    original_db,
    confirmed: null,
    confirmed_db: NORMAL_DB,
    asking: null,
    asking_db: NORMAL_DB,
    refused: null,
    ending: null,
    tiles: [],
    ice_servers: [],
    pending: {},
    next_id: 1,
  };
}

/** Numbers `message` and remembers what its reply will answer. */
export function request(s: Session, message: Exclude<ClientMessage, { type: 'bye' }>): Step {
  const id = s.next_id;
  return [
    { ...s, next_id: id + 1, pending: { ...s.pending, [id]: message.type } },
    [{ do: 'send', message: { ...message, id } }],
  ];
}

/** Which of our requests this message answers, or null. */
export function answered(s: Session, message: ServerMessage): Request | null {
  return 're' in message && message.re !== null ? (s.pending[message.re] ?? null) : null;
}

export function inFlight(s: Session, kind: Request): boolean {
  return Object.values(s.pending).includes(kind);
}

export function update(s: Session, event: SessionEvent): Step {
  switch (event.type) {
    case 'join_asked':
      return [
        { ...s, phase: 'joining', channel: event.channel, ending: null, attempts: 0 },
        [{ do: 'open_socket' }],
      ];
    case 'meeting_fetched':
      // Once inside, the socket knows better than a late poll.
      return s.phase === 'outside'
        ? [{ ...s, meeting: event.meeting, meeting_at_ms: event.now_ms }, []]
        : [s, []];
    case 'meeting_refused':
      // Whoever is on the way in is told so by the socket.
      return s.phase === 'outside' ? end(s, event.code) : [s, []];
    case 'socket_opened':
      return request({ ...s, pending: {} }, { type: 'hello', version: VERSION, token: s.token });
    case 'socket_closed':
      return closed(s, event.code);
    case 'retry_due':
      return waiting(s) ? [s, [{ do: 'open_socket' }]] : [s, []];
    case 'network_returned':
      return waiting(s) && s.attempts > 0 ? [s, [{ do: 'open_socket' }]] : [s, []];
    case 'message_received':
      return received(s, event.message, event.now_ms);
    case 'offer_made':
      return s.phase === 'live'
        ? request(
            { ...s, media: 'offering' },
            { type: 'offer', sdp: event.sdp, listen: s.channel, original_db: s.original_db },
          )
        : [s, []];
    case 'offer_due':
      // Media may have come back by itself meanwhile.
      return s.phase === 'live' && s.media === 'lost' ? [s, [{ do: 'make_offer' }]] : [s, []];
    case 'media_connected':
      return [{ ...s, media: 'connected', offers: 0 }, []];
    case 'media_failed':
      return offerAgain(s);
    case 'channel_chosen':
      return settle({ ...s, channel: event.channel, refused: null });
    case 'original_chosen':
      return settle({ ...s, original_db: event.original_db, refused: null });
    case 'tiles_measured':
      return measure(s, event.tiles);
    case 'left':
      return leave(s);
  }
}

const waiting = (s: Session): boolean => s.phase === 'reconnecting' || s.phase === 'joining';

function closed(s: Session, code: number): Step {
  if (!waiting(s) && s.phase !== 'live') return [s, []];
  if (code === UNAUTHORIZED_CLOSE) return end(s, s.ending ?? 'token.invalid');
  return retry(s);
}

/** The sound of the old media session goes on meanwhile, if its path still lives. */
function retry(s: Session): Step {
  const attempts = s.attempts + 1;
  const effects: SessionEffect[] = [{ do: 'retry_in', wait: backoff(attempts) }];
  if (s.phase === 'live') effects.push({ do: 'announce', text: 'said-reconnecting' });
  return [{ ...s, phase: 'reconnecting', attempts, pending: {} }, effects];
}

function end(s: Session, code: string): Step {
  return [
    { ...s, phase: 'ended', ending: code, media: 'none', pending: {} },
    [{ do: 'close_socket' }, { do: 'close_media' }],
  ];
}

function leave(s: Session): Step {
  const effects: SessionEffect[] = [{ do: 'close_socket' }, { do: 'close_media' }];
  if (s.phase === 'live') effects.unshift({ do: 'send', message: { type: 'bye' } });
  return [{ ...s, phase: 'outside', media: 'none', confirmed: null, pending: {} }, effects];
}

function offerAgain(s: Session): Step {
  // Known when the socket is back: then the lost path is offered anew.
  if (s.phase === 'reconnecting') return [{ ...s, media: 'lost' }, []];
  if (s.phase !== 'live' || s.media === 'offering') return [s, []];
  const offers = s.offers + 1;
  // Without media the person hears nothing, so the first try is at once.
  const effect: SessionEffect =
    offers === 1 ? { do: 'make_offer' } : { do: 'offer_in', wait: backoff(offers - 1) };
  return [{ ...s, media: 'lost', offers }, [effect]];
}

/** Nobody is sent more than they see: told again after every change, and after a new link. */
function measure(s: Session, tiles: Tile[]): Step {
  if (JSON.stringify(tiles) === JSON.stringify(s.tiles)) return [s, []];
  const next = { ...s, tiles };
  return s.phase === 'live' ? request(next, { type: 'view', slots: tiles }) : [next, []];
}

/** Asks for what was chosen if the slot has something else. One `listen` at a time: a held arrow key must not flood. */
function settle(s: Session): Step {
  const idle = !inFlight(s, 'listen') && !inFlight(s, 'offer') && s.confirmed !== null;
  const { channel, original_db } = s;
  if (s.phase !== 'live' || !idle || channel === null) return [s, []];
  if (channel === s.confirmed && original_db === s.confirmed_db) return [s, []];
  return request({ ...s, asking: channel, asking_db: original_db }, { type: 'listen', channel, original_db });
}

function received(before: Session, message: ServerMessage, now_ms: number): Step {
  const kind = answered(before, message);
  const s = kind === null ? before : forget(before, message);
  switch (message.type) {
    case 'welcome':
      return kind === 'hello' ? welcomed(s, message, now_ms) : [s, []];
    case 'answer':
      if (kind !== 'offer') return [s, []];
      return chain(
        [
          { ...s, media: 'connecting', confirmed: message.listen ?? '', confirmed_db: message.original_db },
          [{ do: 'apply_answer', sdp: message.sdp }],
        ],
        settle,
      );
    case 'listening':
      return kind === 'listen'
        ? settle({ ...s, confirmed: message.channel, confirmed_db: message.original_db })
        : [s, []];
    case 'error':
      return refused(s, kind, message);
    case 'meeting':
      if (s.meeting !== null && message.meeting.revision < s.meeting.revision) return [s, []];
      return [{ ...s, meeting: message.meeting, meeting_at_ms: now_ms }, []];
    case 'speaking':
      return [{ ...s, speaking: { participants: message.participants, dominant: message.dominant } }, []];
    case 'media':
      if (s.phase !== 'live' || s.media === 'offering') return [s, []];
      if (message.state === 'lost') return offerAgain(s);
      return [{ ...s, media: message.state, offers: message.state === 'connected' ? 0 : s.offers }, []];
    case 'goodbye':
      // The socket's end follows and starts the retries.
      return TRANSIENT.has(message.code) ? [s, []] : end(s, message.code);
    case 'done':
    case 'levels':
      return [s, []];
  }
}

function forget(s: Session, message: ServerMessage): Session {
  const pending = { ...s.pending };
  if ('re' in message && message.re !== null) delete pending[message.re];
  return { ...s, pending };
}

function welcomed(s: Session, message: Welcome, now_ms: number): Step {
  const { participant, name, languages } = message;
  const flows = message.resumed && goesOn(message.media) && goesOn(s.media);
  const effects: SessionEffect[] = flows ? [] : [{ do: 'make_offer' }];
  if (s.phase === 'reconnecting') effects.push({ do: 'announce', text: 'said-reconnected' });
  const tell = (next: Session): Step =>
    next.tiles.length === 0 ? [next, []] : request(next, { type: 'view', slots: next.tiles });
  const inside: Step = [
    {
      ...s,
      phase: 'live',
      attempts: 0,
      offers: 0,
      media: flows ? (message.media ?? 'connecting') : 'connecting',
      confirmed: flows ? (message.listen ?? '') : null,
      confirmed_db: message.original_db,
      // A snapshot: taken even if its revision is lower, for the server may have started anew.
      meeting: message.meeting,
      meeting_at_ms: now_ms,
      speaking: NOBODY, // who does is said next
      me: { participant, name, languages },
      ice_servers: message.ice_servers,
    },
    effects,
  ];
  return chain(chain(inside, tell), settle);
}

/** Whether media need no new offer: both ends say so. */
const goesOn = (media: Session['media'] | null): boolean => media === 'connected' || media === 'stalled';

function refused(s: Session, kind: Request | null, error: WireError): Step {
  if (kind === 'hello' || (kind === null && error.code.startsWith('token.'))) {
    if (!TRANSIENT.has(error.code)) return end(s, error.code);
    const [next, effects] = retry(s);
    return [next, [{ do: 'close_socket' }, ...effects]];
  }
  if (kind === 'offer') return offerRefused(s, error.code);
  if (kind === 'listen') return listenRefused(s);
  return [s, []];
}

function offerRefused(s: Session, code: string): Step {
  if (code.startsWith('sdp.') || code.startsWith('token.')) return end(s, code);
  const channel = code.startsWith('channel.') ? FLOOR : s.channel;
  // The usual level has a mix in any case.
  const original_db = code === 'server.full' ? NORMAL_DB : s.original_db;
  return offerAgain({ ...s, channel, original_db, media: 'lost', offers: Math.max(1, s.offers) });
}

/** The radio goes back to what is heard, unless the person has moved on meanwhile. */
function listenRefused(s: Session): Step {
  if (s.channel !== s.asking || s.original_db !== s.asking_db) return settle(s);
  const asked = s.channel ?? '';
  if (asked === s.confirmed) {
    return [{ ...s, original_db: s.confirmed_db }, [{ do: 'announce', text: 'said-level-refused' }]];
  }
  const name = s.meeting?.channels.find((c) => c.id === asked)?.language.autonym ?? asked;
  return [
    { ...s, channel: s.confirmed === '' ? null : s.confirmed, original_db: s.confirmed_db, refused: asked },
    [{ do: 'announce', text: 'said-refused', args: { language: name } }],
  ];
}

/** Runs `then` on the session of `step` and joins the effects. */
export function chain([s, effects]: Step, then: (s: Session) => Step): Step {
  const [next, more] = then(s);
  return [next, [...effects, ...more]];
}
